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
"""Bytes of strips' contributions that are kept for other sides."""


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
        """Planes of a side at most."""
        return sum(way.num_planes for way in self.every)


def gathered_by(methods: Iterable[Method]) -> Ways:
    """Return the contributions that methods gather on first and on second sides."""
    all_methods = list(methods)
    firsts = dict.fromkeys(method.first.gathered for method in all_methods)
    seconds = dict.fromkeys(method.second.gathered for method in all_methods)
    return Ways(tuple(firsts), tuple(seconds))


Key = tuple[int, Gathered]
"""A side, and a contribution of its images."""


class Sides:
    """Sides at one position: the sums of their images, read when a tile needs them."""

    def __init__(
        self,
        located: LocatedList,
        position: Position,
        row_groups: RowGroups,
        ways: Ways,
        *,
        fingerprints: Mapping[int, FingerprintFile] | None = None,
    ) -> None:
        """Take the sources of the sums, and hold none yet.

        Parameters
        ----------
        fingerprints
            Files with the mean grey residual, by side.
        """
        self._located, self._position, self._row_groups = located, position, row_groups
        self._sides = located.listed.sides
        self._fingerprints = fingerprints or {}
        self._ways = ways
        self.totals: dict[Key, Array] = {}
        """Sums of the sides that are held."""
        self._kept: dict[tuple[Place, Gathered], NDArray[np.floating]] = {}

    def hold(self, firsts: Collection[int], seconds: Collection[int]) -> None:
        """Hold the given sides and no others, reading each missing strip once."""
        keys = {(side, way) for side in firsts for way in self._ways.firsts}
        keys |= {(side, way) for side in seconds for way in self._ways.seconds}
        for key in self.totals.keys() - keys:
            del self.totals[key]
        users: dict[Place, list[Key]] = defaultdict(list)
        missing = keys - self.totals.keys()
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
        ways = {place: [way for _, way in users[place]] for place in users}
        for place, parts in self._parts(ways):
            for side, way in users[place]:
                if (side, way) in self.totals:
                    self.totals[side, way] += parts[way]
                else:
                    self.totals[side, way] = parts[way].astype(np.float32)

    def _parts(
        self, ways: Mapping[Place, Sequence[Gathered]]
    ) -> Iterator[tuple[Place, Mapping[Gathered, NDArray[np.floating]]]]:
        """Yield strips' contributions in the order of places, computed now or kept from before."""
        kept = {
            key: self._kept[key]
            for place in ways
            for way in ways[place]
            if (key := (place, way)) in self._kept
        }
        by_address: dict[Address, list[int]] = defaultdict(list)
        for place in ways:
            if any((place, way) not in kept for way in ways[place]):
                by_address[place.address].append(place.row)
        requests = [(address, sorted(by_address[address])) for address in sorted(by_address)]
        strips, step = self._read(requests), np.float32(self._row_groups.step)
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
        """Keep a strip's contribution, and drop the oldest beyond :data:`MAX_KEPT`."""
        while self._kept and (len(self._kept) + 1) * part.nbytes > MAX_KEPT:
            self._kept.pop(next(iter(self._kept)))
        self._kept[key] = part

    def _read(self, requests: Sequence[Wanted]) -> Iterator[tuple[Strip, NDArray[np.uint8] | None]]:
        """Yield strips, with their intensity if any method needs it."""
        strips = self._row_groups.strips(requests)
        if not any(way.needs_intensity for way in self._ways.every):
            yield from ((strip, None) for strip in strips)
            return
        greys = self._row_groups.strips(requests, column="intensity")
        yield from ((strip, grey.samples) for strip, grey in zip(strips, greys, strict=True))

    def prepared(self, sides: Sequence[int], estimator: Estimator) -> Array:
        """Return the prepared planes of held sides, ``(side, …, height, width)``."""
        totals = [self.totals[side, estimator.gathered] for side in sides]
        counts = [len(self._sides[side].images) for side in sides]
        pairs = zip(totals, counts, strict=True)
        return np.stack([estimator.prepared(total, count) for total, count in pairs])
