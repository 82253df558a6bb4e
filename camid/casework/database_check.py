"""Checks of a database: entries that are damaged, and those that know too much of one another."""

import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, combinations_with_replacement
from tempfile import SpooledTemporaryFile

import numpy as np
from numpy.typing import NDArray

from camid.casework.database import STEP, Fingerprints
from camid.casework.database_entry import DISAGREES, MIXED, Entry
from camid.casework.fingerprint_sums import Plane
from camid.casework.outliers import SUSPICION
from camid.casework.transforms import Shape
from camid.prnu.residual import quantised

CENTRE = 1024
"""Pixels a side of the middle in which patterns are compared."""
SHARED = 8.0
"""Standard deviations of a chance correlation from which two patterns share something."""
ONE_DEVICE = 0.5
"""Share of what two patterns of one device would correlate by, from which they are taken for it."""
MEMORY = 2**28
"""Bytes of middles that are held at once; more of them wait on the disk."""
TILE = 1024
"""Entries that are compared with as many others at once."""


def problems(
    fingerprints: Fingerprints, *, tell: Callable[[str], None] = lambda _: None
) -> list[str]:
    """Return a sentence for each problem: damaged files, doubtful entries, what entries share.

    Patterns are compared where devices differ, pixel sizes are equal, and so are models where both
    are known. Each pattern is read once.

    Parameters
    ----------
    tell
        Is given words on what is being done.
    """
    entries, damaged = fingerprints.contents()
    found = [f"{name}: {reason}" for name, reason in damaged]
    compared = {entry.file for some in _comparable(entries).values() for entry in some}
    whole: list[Entry] = []
    with Middles() as middles:
        for number, entry in enumerate(entries, 1):
            tell(f"{number} of {len(entries)} fingerprints: {entry.name}")
            try:
                fingerprints.sums(entry)
                pattern = fingerprints.pattern(entry)
            except (ValueError, OSError) as error:
                found.append(str(error))
                continue
            whole.append(entry)
            if entry.file in compared:
                middles.keep(entry, pattern)
        found += [words for entry in whole for words in _doubts(entry)]
        return [*found, *_shared_images(whole), *_shared_patterns(middles, whole, tell)]


def _doubts(entry: Entry) -> Iterator[str]:
    """Yield a sentence for each reason to doubt that an entry's images are of one device."""
    for words in entry.warnings:
        if words == DISAGREES or words.startswith(MIXED) or words.endswith(SUSPICION):
            yield f"{entry.name}: {words}"


def _shared_images(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield a sentence for each pair of devices with images in common."""
    holders: dict[str, list[int]] = defaultdict(list)
    for number, entry in enumerate(entries):
        for sha256 in set(entry.sha256s):
            holders[sha256].append(number)
    counts = Counter(pair for some in holders.values() for pair in combinations(some, 2))
    for (one, other), count in sorted(counts.items()):
        first, second = entries[one], entries[other]
        if first.device != second.device:
            yield (
                f"{first.name} and {second.name}: {count} of their images "
                f"{'is' if count == 1 else 'are'} the same; one of the devices did not take "
                f"{'it' if count == 1 else 'them'}"
            )


def _shared_patterns(
    middles: "Middles", entries: Sequence[Entry], tell: Callable[[str], None]
) -> Iterator[str]:
    """Yield a sentence for each pair of devices whose patterns agree."""
    for (height, width), some in _comparable(entries).items():
        found: list[tuple[int, int, float]] = []
        for tile, other in _tiles(some):
            tell(f"comparing {len(tile)} patterns of {width}x{height} px with {len(other)}")
            found += _agreeing(middles, some, tile, other)
        for one, second, agreed in sorted(found):
            yield _sentence(some[one], some[second], agreed)


def _sentence(first: Entry, second: Entry, agreed: float) -> str:
    by = f"{first.name} and {second.name}: their patterns agree by {agreed:.4f}"
    unknown = [entry.name for entry in (first, second) if not entry.split_half > 0]
    if unknown:
        return (
            f"{by}; whether they are one device's or share an artefact cannot be told, as "
            f"{' and '.join(unknown)} {'has' if len(unknown) == 1 else 'have'} no measured "
            f"reliability; enrol more images of {'it' if len(unknown) == 1 else 'them'}"
        )
    expected = math.sqrt(_reliability(first) * _reliability(second))
    if agreed > ONE_DEVICE * expected:
        return f"{by}, as those of one device do; is it enrolled under two names?"
    return f"{by}, of {expected:.4f} were they one device's; they share an artefact"


def _comparable(entries: Sequence[Entry]) -> dict[Shape, list[Entry]]:
    """Return entries by height and width, without those that have none to be compared with."""
    shapes: dict[Shape, list[Entry]] = defaultdict(list)
    for entry in entries:
        shapes[entry.height, entry.width].append(entry)
    return {shape: _with_others(some) for shape, some in shapes.items()}


def _with_others(entries: Sequence[Entry]) -> list[Entry]:
    """Return those entries of which one of another device may be the same."""
    devices: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        devices[entry.model].add(entry.device)
    every = set().union(*devices.values())
    around = {model: own | devices.get("", set()) for model, own in devices.items()} | {"": every}
    return [entry for entry in entries if len(around[entry.model]) > 1]


def _tiles(entries: Sequence[Entry]) -> Iterator[tuple[list[int], list[int]]]:
    """Yield pairs of numbers of entries, and each with itself, in which some may be one device."""
    order = sorted(range(len(entries)), key=lambda number: (entries[number].model, number))
    tiles = [order[start : start + TILE] for start in range(0, len(order), TILE)]
    for pair in combinations_with_replacement(tiles, 2):
        first, second = ({entries[number].model for number in tile} for tile in pair)
        if first & second or "" in first | second:
            yield pair


def _agreeing(
    middles: "Middles", entries: Sequence[Entry], tile: list[int], other: list[int]
) -> Iterator[tuple[int, int, float]]:
    """Yield pairs of numbers, the lower first, whose patterns agree, and by how much."""
    agreed = middles.agreements(*([entries[number] for number in some] for some in (tile, other)))
    least = SHARED / math.sqrt(middles.num_samples(entries[0]))
    for row, column in np.argwhere(agreed >= least).tolist():
        pair = tile[row], other[column]
        if (tile is not other or row < column) and _may_be_one(*(entries[n] for n in pair)):
            yield min(pair), max(pair), float(agreed[row, column])


def _may_be_one(first: Entry, second: Entry) -> bool:
    """Return whether two entries' patterns are compared."""
    models = {entry.model for entry in (first, second) if entry.model}
    return first.device != second.device and len(models) < 2


def _reliability(entry: Entry) -> float:
    """Return the share of a pattern's variance that is the device's."""
    return 2 * entry.split_half / (1 + entry.split_half)


class Middles:
    """The middles of patterns, in memory or, if they are many, on the disk; a context manager."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=MEMORY // 2)  # noqa: SIM115  (closed by the context)
        self._starts: dict[str, int] = {}
        self._moments: dict[str, tuple[int, float]] = {}
        """Sums, and deviations from the mean: roots of N Σx² − (Σx)²."""

    def __enter__(self) -> "Middles":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def num_samples(self, entry: Entry) -> int:
        """Return how many samples the middle of an entry's pattern has."""
        return min(entry.height, CENTRE) * min(entry.width, CENTRE)

    def keep(self, entry: Entry, pattern: Plane) -> None:
        """Keep the middle of an entry's pattern ``(height, width)``, exactly, as it is stored."""
        top, left = (max(0, (side - CENTRE) // 2) for side in pattern.shape)
        steps = quantised(pattern[top : top + CENTRE, left : left + CENTRE], step=STEP)
        added = int(steps.sum(dtype=np.int64))
        squares = int(np.square(steps, dtype=np.int16).sum(dtype=np.int64))
        self._moments[entry.file] = added, math.sqrt(steps.size * squares - added**2)
        self._starts[entry.file] = self._file.seek(0, os.SEEK_END)
        self._file.write(steps.tobytes())

    def agreements(self, first: Sequence[Entry], second: Sequence[Entry]) -> NDArray[np.float64]:
        """Return the correlations of middles of one size that are kept, ``(first, second)``.

        They are those of :func:`camid.prnu.correlation.ncc`. Single precision loses nothing that
        matters: samples are integers up to 127, and some of them at a time are added up.
        """
        size = self.num_samples(first[0])
        products = np.zeros((len(first), len(second)))
        num = max(1, MEMORY // 2 // (4 * (len(first) + len(second))))
        for start in range(0, size, num):
            rows = self._samples(first, start, min(num, size - start))
            columns = rows if first == second else self._samples(second, start, rows.shape[1])
            products += rows @ columns.T
        moments = [[self._moments[entry.file] for entry in some] for some in (first, second)]
        (sums, spreads), (other_sums, other_spreads) = (np.array(some).T for some in moments)
        scale = np.outer(spreads, other_spreads)
        agreed = size * products - np.outer(sums, other_sums)
        return np.asarray(np.divide(agreed, scale, out=np.zeros_like(scale), where=scale > 0))

    def _samples(self, entries: Sequence[Entry], start: int, num: int) -> NDArray[np.float32]:
        """Return some samples of middles, ``(entry, sample)``."""
        samples = np.empty((len(entries), num), np.float32)
        for row, entry in zip(samples, entries, strict=True):
            self._file.seek(self._starts[entry.file] + start)
            row[:] = np.frombuffer(self._file.read(num), np.int8)
        return samples
