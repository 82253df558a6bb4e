"""Sums of each side's images at one position of a store."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from camid.comparison.fingerprint_file import FingerprintFile
from camid.comparison.located_list import LocatedList, Place
from camid.comparison.methods.estimators import GREY
from camid.comparison.methods.method import Array, Estimator, Gathered, Method
from camid.prnu.strips import Position
from camid.store.strip_reader import Address, RowGroups, Strip, Wanted

MAX_KEPT = 2**29
"""Bytes of what strips add to sides by methods that keep it."""


class Ways(NamedTuple):
    """The different contributions of images to first sides and to second ones."""

    firsts: tuple[Gathered, ...]
    seconds: tuple[Gathered, ...]

    @property
    def every(self) -> tuple[Gathered, ...]:
        """All contributions of images to sides."""
        return tuple(dict.fromkeys((*self.firsts, *self.seconds)))

    @property
    def num_planes(self) -> int:
        """Planes that a side takes at most."""
        return sum(way.num_planes for way in self.every)


def gathered_by(methods: Iterable[Method]) -> Ways:
    """Return what some methods gather."""
    some = list(methods)
    firsts = dict.fromkeys(method.first.gathered for method in some)
    seconds = dict.fromkeys(method.second.gathered for method in some)
    return Ways(tuple(firsts), tuple(seconds))


Key = tuple[int, Gathered]
"""A side, and what its images add to it."""


class Sides:
    """Sides at one position: what their images add up to, read when a tile needs it."""

    def __init__(
        self,
        located: LocatedList,
        position: Position,
        row_groups: RowGroups,
        ways: Ways,
        *,
        fingerprints: Mapping[int, FingerprintFile] | None = None,
    ) -> None:
        """Hold nothing yet.

        Parameters
        ----------
        fingerprints
            Files that have the mean grey residual of some sides.
        """
        self._located, self._position, self._row_groups = located, position, row_groups
        self._sides = located.listed.sides
        self._fingerprints = fingerprints or {}
        self._ways = ways
        self.totals: dict[Key, Array] = {}
        """Of the sides that are held."""
        self._kept: dict[tuple[Place, Gathered], NDArray[np.floating]] = {}

    def hold(self, firsts: Collection[int], seconds: Collection[int]) -> None:
        """Hold these sides and no others, each strip that is missing read once."""
        wanted = {(s, way) for s in firsts for way in self._ways.firsts}
        wanted |= {(s, way) for s in seconds for way in self._ways.seconds}
        for key in self.totals.keys() - wanted:
            del self.totals[key]
        users: dict[Place, list[Key]] = defaultdict(list)
        missing = wanted - self.totals.keys()
        for side, way in sorted(missing, key=lambda key: (key[0], self._ways.every.index(key[1]))):
            if way == GREY and side in self._fingerprints:
                count = np.float32(len(self._sides[side].images))
                self.totals[side, way] = self._fingerprints[side].read(self._position) * count
                continue
            for image in self._sides[side].images:
                place = self._located.place(image, self._position)
                if place is None:
                    raise ValueError(
                        f"{self._row_groups.store.folder.uri}: the image with sha256 {image} has "
                        "no strip where the comparison list looks"
                    )
                users[place].append((side, way))
        for place, parts in self._parts({at: [way for _, way in users[at]] for at in users}):
            for side, way in users[place]:
                if (side, way) in self.totals:
                    self.totals[side, way] += parts[way]
                else:
                    self.totals[side, way] = parts[way].astype(np.float32)

    def _parts(
        self, ways: Mapping[Place, Sequence[Gathered]]
    ) -> Iterator[tuple[Place, Mapping[Gathered, NDArray[np.floating]]]]:
        """Yield what strips add to sides, in the order of places, made or kept from before."""
        kept = {
            key: self._kept[key]
            for at in ways
            for way in ways[at]
            if (key := (at, way)) in self._kept
        }
        by_address: dict[Address, list[int]] = defaultdict(list)
        for place in ways:
            if any((place, way) not in kept for way in ways[place]):
                by_address[place.address].append(place.row)
        wanted = [(address, sorted(by_address[address])) for address in sorted(by_address)]
        strips, step = self._read(wanted), np.float32(self._row_groups.step)
        for place in sorted(ways):
            parts = {way: kept[place, way] for way in ways[place] if (place, way) in kept}
            missing = [way for way in dict.fromkeys(ways[place]) if way not in parts]
            if missing:
                strip, intensity = next(strips)
                residual = strip.samples * step
            for way in missing:
                parts[way] = way.of(residual, *([intensity] if way.needs_intensity else []))
                if way.is_kept:
                    self._keep((place, way), parts[way])
            yield place, parts

    def _keep(self, key: tuple[Place, Gathered], part: NDArray[np.floating]) -> None:
        """Keep what a strip adds, and drop what was kept first where it is too much."""
        while self._kept and (len(self._kept) + 1) * part.nbytes > MAX_KEPT:
            self._kept.pop(next(iter(self._kept)))
        self._kept[key] = part

    def _read(self, wanted: Sequence[Wanted]) -> Iterator[tuple[Strip, NDArray[np.uint8] | None]]:
        """Yield strips, with their intensity if some method needs it."""
        samples = self._row_groups.strips(wanted)
        if not any(way.needs_intensity for way in self._ways.every):
            yield from ((strip, None) for strip in samples)
            return
        greys = self._row_groups.strips(wanted, column="intensity")
        yield from ((strip, other.samples) for strip, other in zip(samples, greys, strict=True))

    def prepared(self, sides: Sequence[int], estimator: Estimator) -> Array:
        """Return what a method compares of held sides, ``(side, …, height, width)``."""
        totals = [self.totals[side, estimator.gathered] for side in sides]
        counts = [len(self._sides[side].images) for side in sides]
        return np.stack([estimator.prepared(*of) for of in zip(totals, counts, strict=True)])
