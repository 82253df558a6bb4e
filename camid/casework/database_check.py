"""Checks of a database: damaged entries, and devices that share images or patterns."""

import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations, combinations_with_replacement
from tempfile import SpooledTemporaryFile

import numpy as np
from numpy.typing import NDArray

from camid.casework.alignment import CELL, cell_scores
from camid.casework.database import Fingerprints
from camid.casework.database_entry import DISAGREES, MIXED, REPEATS, Entry
from camid.casework.entry_facts import STEP
from camid.casework.fingerprint_sums import Plane, reliability
from camid.casework.region_answer import place_words
from camid.casework.spread import LEAST, spread
from camid.casework.transforms import Shape
from camid.io.counts import counted
from camid.prnu.correlation import ncc
from camid.prnu.residual import quantised

CENTRE = 1024
"""Pixels a side of the middle in which patterns are compared."""
SHARED = 8.0
"""Standard deviations of a chance correlation from which two patterns agree."""
ONE_DEVICE = 0.5
"""Share of one device's expected correlation from which two patterns are taken for one device's."""
MADE = 0.99
"""Least correlation of a pattern as stored with the one that its photographs' sums make."""
REPLACED = (
    "its pattern is not what the sums of its photographs make, so it was changed after it was "
    "enrolled; remove it and enrol the device again"
)
MEMORY = 2**28
"""Bytes of middles that are held at once; the others are on disk."""
TILE = 1024
"""Entries that are compared with as many others at once, and whatever their models."""


def problems(
    fingerprints: Fingerprints, *, tell: Callable[[str], None] = lambda _: None
) -> list[str]:
    """Return a sentence for each problem: damaged files, doubtful entries, shared contents.

    Each pattern is compared with what its sums make. Patterns are compared with each other where
    devices differ and pixel sizes are equal; of more than :data:`TILE` entries of a size, where
    models are equal or not known. Each is read once, and again where two share an artefact.

    Parameters
    ----------
    tell
        Called with a message on each step.
    """
    entries, damaged = fingerprints.contents()
    sentences = [f"{name}: {reason}" for name, reason in damaged]
    compared = {entry.file for group in _comparable(entries).values() for entry in group}
    readable: list[Entry] = []
    with Middles() as middles:
        for number, entry in enumerate(entries, 1):
            tell(f"{number} of {counted(len(entries), 'fingerprint')}: {entry.name}")
            try:
                made = fingerprints.sums(entry).pattern()
                pattern = fingerprints.pattern(entry)
            except (ValueError, OSError) as error:
                sentences.append(str(error))
                continue
            readable.append(entry)
            if not ncc(pattern, made) > MADE:
                sentences.append(f"{entry.name}: {REPLACED}")
            if entry.file in compared:
                middles.keep(entry, pattern)
        sentences += [words for entry in readable for words in _doubts(entry)]
        patterns = lru_cache(2)(fingerprints.pattern)
        shared = _shared_patterns(middles, readable, patterns, tell)
        return [*sentences, *_shared_images(readable), *shared]


def _doubts(entry: Entry) -> Iterator[str]:
    """Yield a sentence for each reason to doubt that an entry's images are of one device."""
    for words in entry.warnings:
        if words == DISAGREES or words.startswith((MIXED, REPEATS)):
            yield f"{entry.name}: {words}"


def _shared_images(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield a sentence for each pair of devices with images in common."""
    holders: dict[str, list[int]] = defaultdict(list)
    for number, entry in enumerate(entries):
        for sha256 in set(entry.sha256s):
            holders[sha256].append(number)
    counts = Counter(pair for numbers in holders.values() for pair in combinations(numbers, 2))
    for (i, j), count in sorted(counts.items()):
        first, second = entries[i], entries[j]
        if first.device != second.device:
            yield (
                f"{first.name} and {second.name}: {count} of their images "
                f"{'is' if count == 1 else 'are'} the same; one of the devices did not take "
                f"{'it' if count == 1 else 'them'}"
            )


def _shared_patterns(
    middles: "Middles",
    entries: Sequence[Entry],
    pattern: Callable[[Entry], Plane],
    tell: Callable[[str], None],
) -> Iterator[str]:
    """Yield a sentence for each pair of devices whose patterns agree."""
    for (height, width), group in _comparable(entries).items():
        agreements: list[tuple[int, int, float]] = []
        for tile, other in _tiles(group):
            patterns = counted(len(tile), "pattern")
            tell(f"comparing {patterns} of {width}x{height} px with {len(other)}")
            agreements += _agreeing(middles, group, tile, other)
        for i, j, agreement in sorted(agreements):
            yield _sentence(group[i], group[j], agreement, pattern)


def _sentence(
    first: Entry, second: Entry, agreement: float, pattern: Callable[[Entry], Plane]
) -> str:
    finding = f"{first.name} and {second.name}: their patterns agree by {agreement:.4f}"
    unknown = [entry.name for entry in (first, second) if not entry.split_half > 0]
    if unknown:
        return (
            f"{finding}; whether they are one device's or share an artefact cannot be told, as "
            f"{' and '.join(unknown)} {'has' if len(unknown) == 1 else 'have'} no measured "
            f"reliability; enrol more images of {'it' if len(unknown) == 1 else 'them'}"
        )
    expected = math.sqrt(reliability(first.split_half) * reliability(second.split_half))
    if agreement > ONE_DEVICE * expected:
        return f"{finding}, as those of one device do; is it enrolled under two names?"
    where = artefact_place(pattern(first), pattern(second))
    return f"{finding}, of {expected:.4f} were they one device's; they share an artefact, {where}"


def artefact_place(first: Plane, second: Plane) -> str:
    """Return where two devices' patterns ``(height, width)`` of one size agree, in words."""
    scores = cell_scores(first, second, CELL)
    outlying = (scores > LEAST) & ~spread(scores).kept
    if not outlying.any():
        return "all over the picture"
    rows, columns = (np.flatnonzero(outlying.any(axis=axis)) for axis in (1, 0))
    height, width = first.shape
    top, left = int(rows[0]) * CELL, int(columns[0]) * CELL
    bottom = min((int(rows[-1]) + 1) * CELL, height)
    right = min((int(columns[-1]) + 1) * CELL, width)
    return f"within {place_words((left, top, right - left, bottom - top), (height, width))}"


def _comparable(entries: Sequence[Entry]) -> dict[Shape, list[Entry]]:
    """Return entries by height and width, without entries that no other is compared with."""
    shapes: dict[Shape, list[Entry]] = defaultdict(list)
    for entry in entries:
        shapes[entry.height, entry.width].append(entry)
    return {shape: _with_others(group) for shape, group in shapes.items()}


def _with_others(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries of a size that are compared with an entry of another name."""
    devices: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        devices[_compared_as(entry, entries)].add(entry.device)
    names = set().union(*devices.values())
    peers = {model: own | devices.get("", set()) for model, own in devices.items()} | {"": names}
    return [entry for entry in entries if len(peers[_compared_as(entry, entries)]) > 1]


def _compared_as(entry: Entry, entries: Sequence[Entry]) -> str:
    """Return the model within which an entry is compared; empty for all models."""
    return entry.model if len(entries) > TILE else ""


def _tiles(entries: Sequence[Entry]) -> Iterator[tuple[list[int], list[int]]]:
    """Yield pairs of tiles, lists of entries' numbers, in which two entries are compared."""
    models = [_compared_as(entry, entries) for entry in entries]
    order = sorted(range(len(entries)), key=lambda number: (models[number], number))
    tiles = [order[start : start + TILE] for start in range(0, len(order), TILE)]
    for pair in combinations_with_replacement(tiles, 2):
        first, second = ({models[number] for number in tile} for tile in pair)
        if first & second or "" in first | second:
            yield pair


def _agreeing(
    middles: "Middles", entries: Sequence[Entry], tile: list[int], other: list[int]
) -> Iterator[tuple[int, int, float]]:
    """Yield pairs of numbers, the lower first, whose patterns agree, and their correlation."""
    correlations = middles.agreements(
        *([entries[number] for number in numbers] for numbers in (tile, other))
    )
    least = SHARED / math.sqrt(middles.num_samples(entries[0]))
    for row, column in np.argwhere(correlations >= least).tolist():
        pair = tile[row], other[column]
        models = {_compared_as(entries[number], entries) for number in pair} - {""}
        are_two = entries[pair[0]].device != entries[pair[1]].device
        if (tile is not other or row < column) and are_two and len(models) < 2:
            yield min(pair), max(pair), float(correlations[row, column])


class Middles:
    """The middles of patterns, in memory or, if they are many, on disk; a context manager."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=MEMORY // 2)  # noqa: SIM115  (closed by the context)
        self._starts: dict[str, int] = {}
        self._moments: dict[str, tuple[int, float]] = {}
        """Sums, and norms of deviations from the mean: roots of N Σx² − (Σx)²."""

    def __enter__(self) -> "Middles":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def num_samples(self, entry: Entry) -> int:
        """Return the number of samples of the middle of an entry's pattern."""
        return min(entry.height, CENTRE) * min(entry.width, CENTRE)

    def keep(self, entry: Entry, pattern: Plane) -> None:
        """Keep the middle of an entry's pattern ``(height, width)``, exactly, as it is stored."""
        top, left = (max(0, (side - CENTRE) // 2) for side in pattern.shape)
        steps = quantised(pattern[top : top + CENTRE, left : left + CENTRE], step=STEP)
        total = int(steps.sum(dtype=np.int64))
        squares = int(np.square(steps, dtype=np.int16).sum(dtype=np.int64))
        self._moments[entry.file] = total, math.sqrt(steps.size * squares - total**2)
        self._starts[entry.file] = self._file.seek(0, os.SEEK_END)
        self._file.write(steps.tobytes())

    def agreements(self, first: Sequence[Entry], second: Sequence[Entry]) -> NDArray[np.float64]:
        """Return the correlations of kept middles of one size, ``(first, second)``.

        They are those of :func:`camid.prnu.correlation.ncc`. Single precision loses nothing that
        matters: samples are integers up to 127, and are added up in blocks.
        """
        size = self.num_samples(first[0])
        products = np.zeros((len(first), len(second)))
        block_size = max(1, MEMORY // 2 // (4 * (len(first) + len(second))))
        for start in range(0, size, block_size):
            rows = self._samples(first, start, min(block_size, size - start))
            columns = rows if first == second else self._samples(second, start, rows.shape[1])
            products += rows @ columns.T
        moments = [[self._moments[entry.file] for entry in side] for side in (first, second)]
        (sums, spreads), (other_sums, other_spreads) = (np.array(side).T for side in moments)
        scale = np.outer(spreads, other_spreads)
        covariances = size * products - np.outer(sums, other_sums)
        return np.asarray(np.divide(covariances, scale, out=np.zeros_like(scale), where=scale > 0))

    def _samples(self, entries: Sequence[Entry], start: int, num: int) -> NDArray[np.float32]:
        """Return ``num`` samples of each middle, ``(entry, sample)``."""
        samples = np.empty((len(entries), num), np.float32)
        for row, entry in zip(samples, entries, strict=True):
            self._file.seek(self._starts[entry.file] + start)
            row[:] = np.frombuffer(self._file.read(num), np.int8)
        return samples
