"""A comparison list's evidence by methods that need whole images: a block of sides at a time.

What is cleaned over a whole image is cleaned better than strip by strip. So a block's sides are
read at all positions, laid out as images, and cut again when they are prepared.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from functools import partial

import numpy as np

from camid.comparison.comparison_list import ComparisonList
from camid.comparison.methods.method import Array, Estimator, Method
from camid.comparison.side_sums import Key, Sides, check_strips, gathered_by
from camid.comparison.sufficient_statistics import Evidence, Ledger, windows_at
from camid.prnu.strips import Position, assembled
from camid.store.index import chunk_grids
from camid.store.store import Store
from camid.store.strip_reader import RowGroups

MAX_SAMPLES = 2**26
"""Samples of a block's first sides, and of its second: 256 MB each, and what is made of them."""


def list_blocks(listed: ComparisonList, store: Store, methods: Iterable[Method]) -> list[list[int]]:
    """Return the numbers of a list's comparisons in blocks of few sides."""
    positions = max((len(grid) for grid in chunk_grids(store.index).values()), default=1)
    samples = positions * listed.strip_size**2 * gathered_by(methods).num_planes
    num_sides = MAX_SAMPLES // samples // 4 * 4 or max(1, MAX_SAMPLES // samples)  # quartets whole
    blocks: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, pair in enumerate(listed.comparisons):
        blocks[pair.first // num_sides, pair.second // num_sides].append(number)
    return [blocks[block] for block in sorted(blocks)]


def block_evidence(
    listed: ComparisonList,
    numbers: Sequence[int],
    row_groups: RowGroups,
    methods: Mapping[str, Method],
    *,
    num_crops: Sequence[int] = (),
    taken: MutableMapping[str, float] | None = None,
) -> Evidence:
    """Return what a store tells of the comparisons of these numbers.

    Methods get the sides' images, as far as strips cover them; everything else is as
    :func:`camid.comparison.by_position.position_evidence` has it.

    Raises
    ------
    ValueError
        If the store lacks an image of the list, or has other strips than the list's.
    """
    check_strips(listed, row_groups)
    images = _Images(listed, numbers, row_groups, methods.values())
    ledger = Ledger(listed, methods, num_crops=num_crops, taken=taken)
    firsts = sorted({listed.comparisons[number].first for number in numbers})
    seconds = sorted({listed.comparisons[number].second for number in numbers})
    for name, method in methods.items():
        with ledger.timed(name):
            first = {side: images.prepared(side, method.first) for side in firsts}
            second = {side: images.prepared(side, method.second) for side in seconds}
        for position in images.positions:
            has = partial(images.has, position=position)
            windows = windows_at(listed, position, numbers, has)
            if windows:
                cut = partial(images.cut, position=position)
                ledger.add(name, windows, partial(cut, made=first), partial(cut, made=second))
    return ledger.evidence()


class _Images:
    """The sides of a block, laid out as images."""

    def __init__(
        self,
        listed: ComparisonList,
        numbers: Sequence[int],
        row_groups: RowGroups,
        methods: Iterable[Method],
    ) -> None:
        self._listed, self._uri = listed, row_groups.store.folder.uri
        pairs = [listed.comparisons[number] for number in numbers]
        firsts, seconds = {pair.first for pair in pairs}, {pair.second for pair in pairs}
        grids = chunk_grids(row_groups.store.index)
        self.positions = sorted({place for grid in grids.values() for place in grid})
        self._strips: dict[Key, dict[Position, Array]] = defaultdict(dict)
        self._where: dict[int, list[Position]] = defaultdict(list)
        for position in self.positions:
            found = Sides(listed, position, row_groups, methods)
            having = {side for side in firsts | seconds if found.has(side)}
            found.hold(firsts & having, seconds & having)
            for key, total in found.totals.items():
                self._strips[key][position] = total
            for side in having:
                self._where[side].append(position)

    def has(self, side: int, position: Position) -> bool:
        """Return whether all images of a side have a strip at a position."""
        return position in self._where[side]

    def prepared(self, side: int, estimator: Estimator) -> Array:
        """Return what a method compares of a side's image, ``(…, height, width)``."""
        strips, where = self._strips[side, estimator.gathered], self._where[side]
        image = assembled(np.stack([strips[position] for position in where]), where)
        return estimator.prepared(image, len(self._listed.sides[side].images))

    def cut(self, sides: Sequence[int], *, made: Mapping[int, Array], position: Position) -> Array:
        """Return the strips at a position of the images that were made, ``(side, …, h, w)``."""
        size, found = self._listed.strip_size, []
        for side in sides:
            if not self.has(side, position):
                raise ValueError(
                    f"{self._uri}: a side of {self._listed.sides[side].device} has no strip at "
                    f"{position}, where the comparison list looks"
                )
            origin = [min(place[axis] for place in self._where[side]) for axis in (0, 1)]
            y, x = position[0] - origin[0], position[1] - origin[1]
            found.append(made[side][..., y : y + size, x : x + size])
        return np.stack(found)
