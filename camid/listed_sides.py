"""A comparison list's sides at one position of a store: what their images add up to."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from camid.candidates import chunk_grids
from camid.comparisons import ComparisonList
from camid.methods.method import Array, Gathered, Prepared
from camid.row_groups import Address, RowGroups
from camid.store import Store
from camid.strips import Position


def check_strips(listed: ComparisonList, row_groups: RowGroups) -> None:
    """See that a store has strips of the list's size.

    Raises
    ------
    ValueError
        If it has others.
    """
    if listed.strip_size != row_groups.shape[0]:
        raise ValueError(
            f"{row_groups.store.folder.uri}: has strips of {row_groups.shape[0]} px, and the "
            f"comparison list is of strips of {listed.strip_size} px"
        )


class Place(NamedTuple):
    """Where an image's strip is."""

    address: Address
    row: int


class Sides:
    """Sides at one position: what their images add up to, read when a tile needs it."""

    def __init__(
        self,
        listed: ComparisonList,
        position: Position,
        row_groups: RowGroups,
        ways: Collection[Gathered],
    ) -> None:
        self._listed, self._row_groups, self._ways = listed, row_groups, ways
        self._places = image_places(listed, row_groups.store, position)
        self.totals: dict[int, dict[Gathered, Array]] = {}
        """Of the sides that are held."""

    def has(self, side: int) -> bool:
        """Return whether all images of a side have a strip here."""
        return all(image in self._places for image in self._listed.sides[side].images)

    def hold(self, wanted: Collection[int]) -> None:
        """Hold these sides and no others, each strip that is missing read once."""
        for side in self.totals.keys() - wanted:
            del self.totals[side]
        users: dict[Place, list[int]] = defaultdict(list)
        for side in sorted(set(wanted) - self.totals.keys()):
            self.totals[side] = {}
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
                for side in users[Place(wanted_rows[strip.number][0], strip.row)]:
                    total = self.totals[side]
                    total[way] = total[way] + part if way in total else part

    def prepared(self, sides: Sequence[int], way: Gathered, make: Prepared) -> Array:
        """Return what a method makes of held sides, ``(side, height, width)``."""
        counts = [len(self._listed.sides[side].images) for side in sides]
        planes = [
            make(self.totals[side][way], count) for side, count in zip(sides, counts, strict=True)
        ]
        return np.stack(planes)


def image_places(listed: ComparisonList, store: Store, position: Position) -> dict[str, Place]:
    """Return where the strip at a position is of each image of a list that has one."""
    named = {image for side in listed.sides for image in side.images}
    grids = chunk_grids(store.index)
    found: dict[str, Place] = {}
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
                found[record.sha256] = Place(Address(*key, group), row)
    if lacking := sorted(named - present):
        raise ValueError(
            f"{store.folder.uri}: lacks {len(lacking)} of the {len(named)} images of the "
            f"comparison list, the one with sha256 {lacking[0]} for example"
        )
    return found
