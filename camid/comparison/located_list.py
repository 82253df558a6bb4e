"""A comparison list located in a store: each image's rows, and the windows at each position."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from camid.comparison.comparison_list import ComparisonList
from camid.prnu.strips import Position
from camid.store.index import Grid, chunk_grids
from camid.store.store import Store
from camid.store.strip_reader import Address


class Place(NamedTuple):
    """A row group of the store, and an image's row in it."""

    address: Address
    row: int


class Window(NamedTuple):
    """A window of a comparison at one position: its rank among the crops, and its corner."""

    comparison: int
    rank: int
    y: int
    x: int


@dataclass(frozen=True, kw_only=True, eq=False)
class LocatedList:
    """A comparison list with the rows of its images in a store, built once for all positions."""

    listed: ComparisonList
    store: Store
    rows: Mapping[str, tuple[str, int, int]]
    """Device, chunk and row of each image, by sha256."""
    grids: Mapping[tuple[str, int], Grid]
    """Row groups by position, of each chunk."""

    def place(self, image: str, position: Position) -> Place | None:
        """Return where an image's strip at a position is; None where it has none."""
        device, chunk, row = self.rows[image]
        group = self.grids[device, chunk].get(position)
        return None if group is None else Place(Address(device, chunk, group), row)

    def grid(self, side: int) -> frozenset[Position]:
        """Return the positions of the strips that all images of a side have."""
        return self._grids[side]

    @cached_property
    def positions(self) -> list[Position]:
        """The positions that are compared, in order."""
        if self.listed.crop_size:
            return sorted(self._windows)
        return sorted({position for grid in self._grids for position in grid})

    def windows(self, position: Position) -> list[Window]:
        """Return the comparisons' windows at a position; whole strips where both sides have one."""
        if self.listed.crop_size:
            return self._windows.get(position, [])
        return self._whole(position, range(len(self.listed.comparisons)))

    def windows_of(self, numbers: Collection[int]) -> dict[Position, list[Window]]:
        """Return the windows of the numbered comparisons, by position."""
        if self.listed.crop_size:
            return self._crops(numbers)
        firsts = {self.listed.comparisons[number].first for number in numbers}
        positions = sorted({position for side in firsts for position in self._grids[side]})
        by_position = {position: self._whole(position, numbers) for position in positions}
        return {position: windows for position, windows in by_position.items() if windows}

    @cached_property
    def _grids(self) -> list[frozenset[Position]]:
        """The positions of each side."""
        shared: dict[frozenset[tuple[str, int]], frozenset[Position]] = {}
        grids = []
        for side in self.listed.sides:
            chunks = frozenset(self.rows[image][:2] for image in side.images)
            if chunks not in shared:
                first, *others = (frozenset(self.grids[chunk]) for chunk in chunks)
                shared[chunks] = first.intersection(*others)
            grids.append(shared[chunks])
        return grids

    @cached_property
    def _windows(self) -> dict[Position, list[Window]]:
        return self._crops(range(len(self.listed.comparisons)))

    def _crops(self, numbers: Iterable[int]) -> dict[Position, list[Window]]:
        windows: dict[Position, list[Window]] = defaultdict(list)
        for number in numbers:
            for rank, crop in enumerate(self.listed.comparisons[number].crops):
                windows[crop.top, crop.left].append(Window(number, rank, crop.y, crop.x))
        return dict(windows)

    def _whole(self, position: Position, numbers: Iterable[int]) -> list[Window]:
        has_strip = [position in grid for grid in self._grids]
        pairs = ((number, self.listed.comparisons[number]) for number in numbers)
        return [
            Window(number, 0, 0, 0)
            for number, pair in pairs
            if has_strip[pair.first] and has_strip[pair.second]
        ]


def located(listed: ComparisonList, store: Store) -> LocatedList:
    """Return a comparison list with the rows of its images in a store.

    Raises
    ------
    ValueError
        If the store has strips of another size than the list's, or lacks an image.
    """
    size = store.description["samples"]["shape"][0]
    if listed.strip_size != size:
        raise ValueError(
            f"{store.folder.uri}: has strips of {size} px, and the comparison list is of strips of "
            f"{listed.strip_size} px"
        )
    listed_sha256 = {image for side in listed.sides for image in side.images}
    grids, images = chunk_grids(store.index), store.images()
    groups = images.groups("device", "chunk")
    group_numbers, group_rows = groups.places()
    chosen = np.flatnonzero(images.has_sha256(listed_sha256))
    rows: dict[str, tuple[str, int, int]] = {}
    for index, sha256 in zip(chosen, images.taken(chosen).values("sha256"), strict=True):
        device, chunk = groups.keys[group_numbers[index]]
        rows.setdefault(sha256, (device, chunk, int(group_rows[index])))
    if missing := sorted(listed_sha256 - rows.keys()):
        raise ValueError(
            f"{store.folder.uri}: lacks {len(missing)} of the {len(listed_sha256)} images of the "
            f"comparison list, the one with sha256 {missing[0]} for example"
        )
    chunks = {(device, chunk) for device, chunk, _ in rows.values()}
    grids = {chunk: grids.get(chunk, {}) for chunk in chunks}
    return LocatedList(listed=listed, store=store, rows=rows, grids=grids)
