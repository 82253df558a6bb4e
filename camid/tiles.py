"""A comparison list's evidence, gathered from a store a position at a time, in bounded memory.

At a position, comparisons are taken in tiles of a thousand sides or two. Sides are read when a tile
needs them, each row group once, and kept as long as the next tile needs them too.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from camid.candidates import chunk_grids
from camid.comparisons import Comparison, ComparisonList
from camid.methods.method import Array, Gathered, Method, Prepared, Sums, Tile
from camid.row_groups import Address, RowGroups
from camid.store import Store
from camid.strips import Position

MAX_SIDES = 1024
"""First sides, and second sides, in a tile: 256 kB each, and again for what is made of them."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What some positions tell of each comparison: a method's sums over the first crops."""

    sums: Mapping[str, Sums]
    """By method: ``(comparison, number of crops, number)``."""

    def __add__(self, other: "Evidence") -> "Evidence":
        names = {**self.sums, **other.sums}
        return Evidence(sums={name: _added(self.sums, other.sums, name) for name in names})


def _added(some: Mapping[str, Sums], more: Mapping[str, Sums], name: str) -> Sums:
    if name not in some or name not in more:
        return some.get(name, more.get(name, np.empty(0)))
    return some[name] + more[name]


class Window(NamedTuple):
    """Where a comparison looks at one position: the crop's rank among its crops, and its place."""

    comparison: int
    rank: int
    y: int
    x: int


def list_positions(listed: ComparisonList, store: Store) -> list[Position]:
    """Return the positions at which a list's comparisons look into a store, in order."""
    if listed.crop_size:
        found = {(crop.top, crop.left) for pair in listed.comparisons for crop in pair.crops}
        return sorted(found)
    return sorted({place for grid in chunk_grids(store.index).values() for place in grid})


def position_evidence(
    listed: ComparisonList,
    position: Position,
    row_groups: RowGroups,
    methods: Mapping[str, Method],
    *,
    num_crops: Sequence[int] = (),
    taken: MutableMapping[str, float] | None = None,
) -> Evidence:
    """Return what one position of a store tells of a list's comparisons.

    Parameters
    ----------
    num_crops
        How many of a comparison's crops, in their order, are taken together: a sum for each
        number. Nothing where whole strips are compared.
    taken
        Each method's seconds are added here, without those of reading.

    Raises
    ------
    ValueError
        If the store lacks an image of the list, or has other strips than the list's.
    """
    store = row_groups.store
    if listed.strip_size != row_groups.shape[0]:
        raise ValueError(
            f"{store.folder.uri}: has strips of {row_groups.shape[0]} px, and the comparison list "
            f"is of strips of {listed.strip_size} px"
        )
    numbers = tuple(num_crops) or (1,)
    sides = _Sides(listed, position, row_groups, {m.gathered for m in methods.values()})
    clock = _Clock({} if taken is None else taken)
    found: dict[str, Sums] = {}
    for windows in _tiles(listed, position, sides):
        pairs = [listed.comparisons[window.comparison] for window in windows]
        firsts, seconds = sorted({p.first for p in pairs}), sorted({p.second for p in pairs})
        sides.hold({*firsts, *seconds})
        ranks = np.array([window.rank for window in windows])
        rows = np.array([window.comparison for window in windows])
        for name, method in methods.items():
            with clock.of(name):
                tile = Tile(
                    first=sides.prepared(firsts, method.gathered, method.first),
                    second=sides.prepared(seconds, method.gathered, method.second),
                    pairs=_rows(pairs, firsts, seconds),
                    corners=np.array([(window.y, window.x) for window in windows]),
                    size=listed.crop_size or listed.strip_size,
                )
                told = method.evidence(tile)
            if name not in found:
                found[name] = np.zeros((len(listed.comparisons), len(numbers), told.shape[1]))
            for index, number in enumerate(numbers):
                among = ranks < number
                np.add.at(found[name][:, index], rows[among], told[among])
    return Evidence(sums=found)


def _tiles(listed: ComparisonList, position: Position, sides: "_Sides") -> Iterator[list[Window]]:
    """Yield the windows at a position by blocks of sides, those that share a block together."""
    tiles: dict[tuple[int, int], list[Window]] = defaultdict(list)
    for number, pair in enumerate(listed.comparisons):
        block = pair.first // MAX_SIDES, pair.second // MAX_SIDES
        if listed.crop_size:
            for rank, crop in enumerate(pair.crops):
                if (crop.top, crop.left) == position:
                    tiles[block].append(Window(number, rank, crop.y, crop.x))
        elif sides.has(pair.first) and sides.has(pair.second):
            tiles[block].append(Window(number, 0, 0, 0))
    for block in sorted(tiles):
        yield tiles[block]


def _rows(
    pairs: Sequence[Comparison], firsts: Sequence[int], seconds: Sequence[int]
) -> NDArray[np.int64]:
    """Return where both sides of each pair are among the first and among the second sides."""
    first, second = ({side: row for row, side in enumerate(some)} for some in (firsts, seconds))
    return np.array([(first[pair.first], second[pair.second]) for pair in pairs])


class _Clock:
    """Seconds of each method."""

    def __init__(self, seconds: MutableMapping[str, float]) -> None:
        self._seconds = seconds

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Add what is done inside to a method's seconds."""
        started = time.perf_counter()
        yield
        self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - started


class _Place(NamedTuple):
    """Where an image's strip is."""

    address: Address
    row: int


class _Sides:
    """Sides at one position: what their images add up to, read when a tile needs it."""

    def __init__(
        self,
        listed: ComparisonList,
        position: Position,
        row_groups: RowGroups,
        ways: Collection[Gathered],
    ) -> None:
        self._listed, self._row_groups, self._ways = listed, row_groups, ways
        self._places = _image_places(listed, row_groups.store, position)
        self._totals: dict[int, dict[Gathered, Array]] = {}

    def has(self, side: int) -> bool:
        """Return whether all images of a side have a strip here."""
        return all(image in self._places for image in self._listed.sides[side].images)

    def hold(self, wanted: Collection[int]) -> None:
        """Hold these sides and no others, each strip that is missing read once."""
        for side in self._totals.keys() - wanted:
            del self._totals[side]
        users: dict[_Place, list[int]] = defaultdict(list)
        for side in sorted(set(wanted) - self._totals.keys()):
            self._totals[side] = {}
            for image in self._listed.sides[side].images:
                if image not in self._places:
                    raise ValueError(
                        f"{self._row_groups.store.folder.uri}: the image with sha256 {image} has "
                        "no strip where the comparison list looks"
                    )
                users[self._places[image]].append(side)
        by_address: dict[Address, list[int]] = defaultdict(list)
        for place in users:
            by_address[place.address].append(place.row)
        wanted_rows = [(address, sorted(by_address[address])) for address in sorted(by_address)]
        step = np.float32(self._row_groups.step)
        for strip in self._row_groups.strips(wanted_rows):
            residual = strip.samples * step
            for way in self._ways:
                part = way(residual)
                for side in users[_Place(wanted_rows[strip.number][0], strip.row)]:
                    total = self._totals[side]
                    total[way] = total[way] + part if way in total else part

    def prepared(self, sides: Sequence[int], way: Gathered, make: Prepared) -> Array:
        """Return what a method makes of held sides, ``(side, height, width)``."""
        counts = [len(self._listed.sides[side].images) for side in sides]
        planes = [
            make(self._totals[side][way], count) for side, count in zip(sides, counts, strict=True)
        ]
        return np.stack(planes)


def _image_places(listed: ComparisonList, store: Store, position: Position) -> dict[str, _Place]:
    """Return where the strip at a position is of each image of a list that has one."""
    named = {image for side in listed.sides for image in side.images}
    grids = chunk_grids(store.index)
    found: dict[str, _Place] = {}
    rows: Counter[tuple[str, int]] = Counter()
    present = set()
    for record in store.images():
        key = record.device, record.chunk
        row = rows[key]
        rows[key] += 1
        if record.sha256 in named and record.sha256 not in present:
            present.add(record.sha256)
            group = grids[key].get(position)
            if group is not None:
                found[record.sha256] = _Place(Address(*key, group), row)
    if lacking := sorted(named - present):
        raise ValueError(
            f"{store.folder.uri}: lacks {len(lacking)} of the {len(named)} images of the "
            f"comparison list, the one with sha256 {lacking[0]} for example"
        )
    return found


def scores(evidence: Evidence, methods: Mapping[str, Method]) -> dict[str, NDArray[np.float64]]:
    """Return each method's scores, ``(comparison, number of crops)``."""
    return {name: methods[name].score(sums) for name, sums in evidence.sums.items()}
