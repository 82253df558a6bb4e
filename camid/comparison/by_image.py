"""A comparison list's evidence by methods that need whole images, a block of sides at a time.

Cleaning or enhancing a whole image works better than strip by strip. So a block's sides are read
at all positions that matter, assembled to images, prepared, and cut into strips again.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, MutableMapping, Sequence
from functools import partial
from math import lcm
from typing import NamedTuple

import numpy as np

from camid.comparison.comparison_list import Comparison
from camid.comparison.fingerprint_file import FingerprintFile
from camid.comparison.located_list import LocatedList
from camid.comparison.methods.method import Array, Estimator, Method
from camid.comparison.side_sums import (
    Key,
    Sides,
    Ways,
    gathered_by,
)
from camid.comparison.sufficient_statistics import Evidence, Ledger
from camid.prnu.strips import Position, assembled
from camid.store.strip_reader import RowGroups

FIRST, SECOND = 0, 1
"""The two sides of a comparison."""
MAX_SAMPLES = 2**26
"""Samples of a block's first sides, and of its second: 256 MB each, without derived arrays."""


def list_blocks(located: LocatedList, methods: Iterable[Method]) -> list[list[int]]:
    """Group the numbers of a list's comparisons into blocks of few sides.

    A block has as many sides as fit in memory: as whole images if a method prepares images, else
    as their strips at one position.
    """
    all_methods, listed = list(methods), located.listed
    num_positions = max((len(grid) for grid in located.grids.values()), default=1)
    num_samples = listed.strip_size**2 * gathered_by(all_methods).num_planes
    num_firsts, num_seconds = (
        _num_sides(num_samples * (num_positions if "image" in scopes else 1))
        for scopes in ({m.first.scope for m in all_methods}, {m.second.scope for m in all_methods})
    )
    blocks: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, pair in enumerate(listed.comparisons):
        blocks[pair.first // num_firsts, pair.second // num_seconds].append(number)
    return [blocks[block] for block in sorted(blocks)]


def _num_sides(num_samples: int) -> int:
    """Return the number of a block's sides, of ``num_samples`` each; quartets stay whole."""
    return MAX_SAMPLES // num_samples // 4 * 4 or max(1, MAX_SAMPLES // num_samples)


def block_evidence(
    located: LocatedList,
    numbers: Sequence[int],
    row_groups: RowGroups,
    methods: Mapping[str, Method],
    *,
    num_crops: Sequence[int] = (),
    taken: MutableMapping[str, float] | None = None,
    fingerprints: Mapping[int, FingerprintFile] | None = None,
) -> Evidence:
    """Return the evidence of a store on the comparisons with the given numbers.

    Methods get the sides' images, as far as strips cover them and as far as they matter;
    all else is as in :func:`camid.comparison.by_position.position_evidence`.

    Raises
    ------
    ValueError
        If a side has no strip where it is compared.
    """
    block = _Block(located, numbers, row_groups, methods.values(), fingerprints or {})
    ledger = Ledger(located.listed, methods, num_crops=num_crops, taken=taken)
    images: dict[tuple[int, Estimator], dict[int, _Image]] = {}
    for name, method in methods.items():
        with ledger.timed(name):
            for role in (FIRST, SECOND):
                key = role, method.estimators[role]
                if key[1].scope == "image" and key not in images:
                    images[key] = block.images(*key)
    for position, windows in sorted(located.windows_of(numbers).items()):
        strips = block.strips(position, [window.comparison for window in windows])
        for name, method in methods.items():
            first, second = (
                partial(block.cut, images=images[role, estimator], position=position)
                if estimator.scope == "image"
                else partial(strips.prepared, estimator=estimator)
                for role, estimator in enumerate(method.estimators)
            )
            ledger.add(name, windows, first, second)
    return ledger.evidence()


class _Image(NamedTuple):
    """A side's prepared image, and its top left corner on the sensor."""

    plane: Array
    """``(…, height, width)``."""
    corner: Position


class _Block:
    """The sides of a block, as whole images for methods that need images, else as strips."""

    def __init__(
        self,
        located: LocatedList,
        numbers: Sequence[int],
        row_groups: RowGroups,
        methods: Iterable[Method],
        fingerprints: Mapping[int, FingerprintFile],
    ) -> None:
        self._located, self._listed = located, located.listed
        self._row_groups, self._fingerprints = row_groups, fingerprints
        by_role = list(zip(*(method.estimators for method in methods), strict=True))
        self._of_images, self._of_strips = (
            tuple([e for e in estimators if e.scope == scope] for estimators in by_role)
            for scope in ("image", "strip")
        )
        pairs = [self._listed.comparisons[number] for number in numbers]
        self._sides = sorted({p.first for p in pairs}), sorted({p.second for p in pairs})
        self._held: dict[Key, dict[Position, Array]] = defaultdict(dict)
        self._hold_images(self._compared(pairs))

    def images(self, role: int, estimator: Estimator) -> dict[int, _Image]:
        """Return the prepared image of each first or second side."""
        images = {}
        for side in self._sides[role]:
            strips = self._held[side, estimator.gathered]
            positions = sorted(strips)
            image = assembled(np.stack([strips[position] for position in positions]), positions)
            plane = estimator.prepared(image, len(self._listed.sides[side].images))
            images[side] = _Image(plane, _corner(positions))
        return images

    def cut(
        self, sides: Sequence[int], *, images: Mapping[int, _Image], position: Position
    ) -> Array:
        """Return the strips at a position of prepared images, ``(side, …, height, width)``."""
        size, strips = self._listed.strip_size, []
        for side in sides:
            plane, (top, left) = images[side]
            y, x = position[0] - top, position[1] - left
            strips.append(plane[..., y : y + size, x : x + size])
        return np.stack(strips)

    def strips(self, position: Position, numbers: Sequence[int]) -> Sides:
        """Return the sides of comparisons at a position, for methods that prepare strips."""
        pairs = [self._listed.comparisons[number] for number in numbers]
        firsts, seconds = {pair.first for pair in pairs}, {pair.second for pair in pairs}
        sides = self._at(position, self._of_strips)
        for key in self._held:
            if position in self._held[key]:
                sides.totals[key] = self._held[key][position]
        sides.hold(firsts, seconds)
        return sides

    def _at(self, position: Position, estimators: Sequence[Sequence[Estimator]]) -> Sides:
        firsts, seconds = (
            tuple(dict.fromkeys(e.gathered for e in of_role)) for of_role in estimators
        )
        return Sides(
            self._located,
            position,
            self._row_groups,
            Ways(firsts, seconds),
            fingerprints=self._fingerprints,
        )

    def _compared(self, pairs: Iterable[Comparison]) -> dict[int, set[Position]]:
        """Return the positions compared on each side: the crops' strips, or all of its strips."""
        compared: dict[int, set[Position]] = defaultdict(set)
        for pair in pairs:
            for side in (pair.first, pair.second):
                if self._listed.crop_size:
                    compared[side] |= {(crop.top, crop.left) for crop in pair.crops}
                else:
                    compared[side] |= self._located.grid(side)
        for side, positions in compared.items():
            if missing := sorted(positions - self._located.grid(side)):
                raise ValueError(
                    f"{self._row_groups.store.folder.uri}: a side of "
                    f"{self._listed.sides[side].device} has no strip at {missing[0]}, where the "
                    "comparison list looks"
                )
        return compared

    def _hold_images(self, compared: Mapping[int, set[Position]]) -> None:
        """Read the strips of sides that are prepared as images, a position at a time."""
        role_sides = [
            set(sides) if estimators else set[int]()
            for sides, estimators in zip(self._sides, self._of_images, strict=True)
        ]
        needed = {
            side: self._needed(side, compared[side])
            for side in role_sides[FIRST] | role_sides[SECOND]
        }
        for position in sorted({place for places in needed.values() for place in places}):
            held = self._at(position, self._of_images)
            held.hold(
                *({side for side in sides if position in needed[side]} for sides in role_sides)
            )
            for key, total in held.totals.items():
                self._held[key][position] = total

    def _needed(self, side: int, compared: set[Position]) -> Collection[Position]:
        """Return the positions whose strips are needed to prepare a side's compared ones."""
        grid = self._located.grid(side)
        contexts = [e.context for estimators in self._of_images for e in estimators]
        known = [context for context in contexts if context is not None]
        if len(known) < len(contexts):
            return grid
        reach, phase = max(c.reach for c in known), lcm(*(c.phase for c in known))
        corner, spans = _corner(grid), []
        for axis in (0, 1):
            offsets = [position[axis] for position in compared]
            starts = [
                position[axis]
                for position in grid
                if position[axis] <= min(offsets) - reach
                and (position[axis] - corner[axis]) % phase == 0
            ]
            end = max(offsets) + self._listed.strip_size + reach
            spans.append(range(max(starts, default=corner[axis]), end))
        return {(top, left) for top, left in grid if top in spans[0] and left in spans[1]}


def _corner(positions: Collection[Position]) -> Position:
    """Return the top and left of the smallest rectangle around strips."""
    return min(top for top, _ in positions), min(left for _, left in positions)
