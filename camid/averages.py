"""Averages: the sides of a comparison list, read from a store position by position, and scored."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from camid.candidates import chunk_grids
from camid.comparisons import ComparisonList
from camid.images import grey
from camid.matching import ncc
from camid.pairs import MAX_IMAGES
from camid.row_groups import Address, RowGroups
from camid.store import Store
from camid.strips import Position

Average = NDArray[np.float32]
Score = Callable[[Average, Average], float]
"""Of two averaged sides ``(height, width, channel)``; higher = more surely the same device."""


class Averages(NamedTuple):
    """Both sides of one pair of a list at one position, averaged over their images."""

    pair: int
    """Its number in the list."""
    place: int
    """Number of the position among the pair's."""
    first: Average
    """``(height, width, channel)`` grey levels."""
    second: Average


class _Use(NamedTuple):
    """What a strip is read for: a side of a pair at one of its positions."""

    pair: int
    place: int
    side: int


Uses = dict[int, list[_Use]]
"""By the rows of a row group."""


def averaged_sides(
    listed: ComparisonList,
    row_groups: RowGroups,
    *,
    crop: Position | None = None,
    crop_size: int = 128,
) -> Iterator[Averages]:
    """Yield the sides of every pair of a list at each of its positions, position by position.

    Each row group that the list needs is read once. A side is held as integer sums until the other
    side of its pair is read: at most one side a pair (two, where a store keeps a side's images in
    several chunks), which is 1,000 x 98 kB for a thousand pairs of 128-pixel crops.

    Parameters
    ----------
    crop
        Top and left of a window of ``crop_size`` pixels a side that strips are cut to; ``None`` for
        whole strips.

    Raises
    ------
    ValueError
        If the store lacks an image of the list, or strips at a position.
    """
    window: tuple[slice, ...] = ()
    if crop is not None:
        window = tuple(slice(start, start + crop_size) for start in crop)
    reads = _reads(listed, row_groups.store)
    halves: dict[tuple[int, int], _Half] = {}
    for strip in row_groups.strips((address, sorted(uses)) for address, uses in reads):
        for use in reads[strip.number][1][strip.row]:
            pair = listed.comparisons[use.pair]
            both = [halves.setdefault((use.pair, side), _Half()) for side in (0, 1)]
            both[use.side].add(strip.samples[window])
            if [half.count for half in both] == [len(pair.first), len(pair.second)]:
                first, second = (half.average(row_groups.step) for half in both)
                yield Averages(use.pair, use.place, first, second)
                del halves[use.pair, 0], halves[use.pair, 1]


def position_scores(
    listed: ComparisonList,
    row_groups: RowGroups,
    *,
    score: Score | None = None,
    crop: Position | None = None,
    crop_size: int = 128,
) -> NDArray[np.float64]:
    """Return the score of every pair at each of its positions, ``(pair, position)``.

    NaN beyond a pair's last position; a pair's score is the mean of the others. ``score`` is
    :func:`grey_ncc` if it is not given; everything else is as :func:`averaged_sides` has it.
    """
    most = max((len(pair.positions) for pair in listed.comparisons), default=0)
    found = np.full((len(listed.comparisons), most), np.nan)
    for sides in averaged_sides(listed, row_groups, crop=crop, crop_size=crop_size):
        found[sides.pair, sides.place] = (score or grey_ncc)(sides.first, sides.second)
    return found


def grey_ncc(first: Average, second: Average) -> float:
    """Return the normalised correlation of two averaged sides' grey planes."""
    return ncc(grey(first), grey(second))


class _Half:
    """The sum of a side's strips, as far as they are read."""

    def __init__(self) -> None:
        self.count = 0
        self.sum: NDArray[np.integer] | None = None

    def add(self, strip: NDArray[np.integer]) -> None:
        if self.sum is None:
            self.sum = strip.astype(np.int16)
        else:
            if self.count == MAX_IMAGES:
                self.sum = self.sum.astype(np.int32)
            self.sum += strip
        self.count += 1

    def average(self, step: float) -> Average:
        assert self.sum is not None
        return self.sum * np.float32(step / self.count)


def _reads(listed: ComparisonList, store: Store) -> list[tuple[Address, Uses]]:
    """Return which row groups to read and what for, position by position."""
    place_of = _image_places(listed, store)
    grids = chunk_grids(store.index)
    reads: dict[tuple[Position, str, int], Uses] = defaultdict(lambda: defaultdict(list))
    for number, pair in enumerate(listed.comparisons):
        for side, images in enumerate((pair.first, pair.second)):
            for place, position in enumerate(pair.positions):
                for device, chunk, row in map(place_of.__getitem__, images):
                    reads[position, device, chunk][row].append(_Use(number, place, side))
    found = []
    for position, device, chunk in sorted(reads):
        group = grids[device, chunk].get(position)
        if group is None:
            raise ValueError(
                f"{store.folder.uri}: has no strips of device {device!r} at {position}, which the "
                "comparison list names; score it on a store of the geometry it was drawn from"
            )
        found.append((Address(device, chunk, group), reads[position, device, chunk]))
    return found


def _image_places(listed: ComparisonList, store: Store) -> dict[str, tuple[str, int, int]]:
    """Return device, chunk and row of each image of a list, by sha256."""
    named = {image for pair in listed.comparisons for image in (*pair.first, *pair.second)}
    found: dict[str, tuple[str, int, int]] = {}
    rows: Counter[tuple[str, int]] = Counter()
    for record in store.images():
        key = record.device, record.chunk
        found.setdefault(record.sha256, (*key, rows[key]))
        rows[key] += 1
    if lacking := sorted(named - set(found)):
        raise ValueError(
            f"{store.folder.uri}: lacks {len(lacking)} of the {len(named)} images of the "
            f"comparison list, the one with sha256 {lacking[0]} for example"
        )
    return found
