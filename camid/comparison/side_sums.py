"""A comparison list's sides at one position of a store: what their images add up to."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from camid.comparison.comparison_list import ComparisonList
from camid.comparison.methods.method import Array, Estimator, Gathered, Method
from camid.prnu.strips import Position
from camid.store.index import chunk_grids
from camid.store.store import Store
from camid.store.strip_reader import Address, RowGroups, Strip, Wanted


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


MAX_KEPT = 2**29
"""Bytes of what strips add to sides by methods that keep it."""


class Place(NamedTuple):
    """Where an image's strip is."""

    address: Address
    row: int


class Ways(NamedTuple):
    """What images add to first sides and to second ones, each once."""

    firsts: tuple[Gathered, ...]
    seconds: tuple[Gathered, ...]

    @property
    def every(self) -> tuple[Gathered, ...]:
        """What images add to any side."""
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
        listed: ComparisonList,
        position: Position,
        row_groups: RowGroups,
        methods: Iterable[Method],
    ) -> None:
        self._listed, self._row_groups = listed, row_groups
        self._places = image_places(listed, row_groups.store, position)
        self._ways = gathered_by(methods)
        self.totals: dict[Key, Array] = {}
        """Of the sides that are held."""
        self._kept: dict[tuple[Place, Gathered], NDArray[np.floating]] = {}

    def has(self, side: int) -> bool:
        """Return whether all images of a side have a strip here."""
        return all(image in self._places for image in self._listed.sides[side].images)

    def hold(self, firsts: Collection[int], seconds: Collection[int]) -> None:
        """Hold these sides and no others, each strip that is missing read once."""
        wanted = {(s, way) for s in firsts for way in self._ways.firsts}
        wanted |= {(s, way) for s in seconds for way in self._ways.seconds}
        for key in self.totals.keys() - wanted:
            del self.totals[key]
        users: dict[Place, list[Key]] = defaultdict(list)
        missing = wanted - self.totals.keys()
        for side, way in sorted(missing, key=lambda key: (key[0], self._ways.every.index(key[1]))):
            for image in self._listed.sides[side].images:
                if image not in self._places:
                    raise ValueError(
                        f"{self._row_groups.store.folder.uri}: the image with sha256 {image} has "
                        "no strip where the comparison list looks"
                    )
                users[self._places[image]].append((side, way))
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
        counts = [len(self._listed.sides[side].images) for side in sides]
        return np.stack([estimator.prepared(*of) for of in zip(totals, counts, strict=True)])


def image_places(listed: ComparisonList, store: Store, position: Position) -> dict[str, Place]:
    """Return where the strip at a position is of each image of a list that has one."""
    named = {image for side in listed.sides for image in side.images}
    grids, images = chunk_grids(store.index), store.images()
    groups = images.groups("device", "chunk")
    of, rows = groups.places()
    wanted = pa.array(sorted(named), pa.large_string())
    named_here = np.flatnonzero(pc.is_in(images.column("sha256"), value_set=wanted))
    found: dict[str, Place] = {}
    present = set()
    for place, sha256 in zip(named_here, images.taken(named_here).values("sha256"), strict=True):
        if sha256 not in present:
            present.add(sha256)
            device, chunk = groups.keys[of[place]]
            group = grids.get((device, chunk), {}).get(position)
            if group is not None:
                found[sha256] = Place(Address(device, chunk, group), int(rows[place]))
    if lacking := sorted(named - present):
        raise ValueError(
            f"{store.folder.uri}: lacks {len(lacking)} of the {len(named)} images of the "
            f"comparison list, the one with sha256 {lacking[0]} for example"
        )
    return found
