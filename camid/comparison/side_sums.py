"""A comparison list's sides at one position of a store: what their images add up to."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from camid.comparison.comparison_list import ComparisonList
from camid.comparison.fingerprint_file import FingerprintFile
from camid.comparison.methods.estimators import GREY
from camid.comparison.methods.method import Array, Estimator, Gathered, Method
from camid.prnu.strips import Position
from camid.store.index import Grid, chunk_grids
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


@dataclass(frozen=True)
class Located:
    """Where a store has the images of a list: the chunk and row of each, and the chunks' grids."""

    rows: Mapping[str, tuple[str, int, int]]
    """Device, chunk and row of each image, by sha256."""
    grids: Mapping[tuple[str, int], Grid]
    """Row groups by position, of each chunk."""

    def place(self, image: str, position: Position) -> Place | None:
        """Return where an image's strip at a position is; None where it has none."""
        device, chunk, row = self.rows[image]
        group = self.grids[device, chunk].get(position)
        return None if group is None else Place(Address(device, chunk, group), row)

    def positions(self, image: str) -> Grid:
        """Return the positions of an image's strips."""
        device, chunk, _ = self.rows[image]
        return self.grids[device, chunk]


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
        ways: Ways,
        *,
        located: Located,
        fingerprints: Mapping[int, FingerprintFile] | None = None,
    ) -> None:
        """Hold nothing yet.

        Parameters
        ----------
        fingerprints
            Files that have the mean grey residual of some sides.
        """
        self._listed, self._row_groups = listed, row_groups
        self._position, self._located = position, located
        self._fingerprints = fingerprints or {}
        self._ways = ways
        self.totals: dict[Key, Array] = {}
        """Of the sides that are held."""
        self._kept: dict[tuple[Place, Gathered], NDArray[np.floating]] = {}

    def has(self, side: int) -> bool:
        """Return whether all images of a side have a strip here."""
        images = self._listed.sides[side].images
        return all(self._position in self._located.positions(image) for image in images)

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
                count = np.float32(len(self._listed.sides[side].images))
                self.totals[side, way] = self._fingerprints[side].read(self._position) * count
                continue
            for image in self._listed.sides[side].images:
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
        counts = [len(self._listed.sides[side].images) for side in sides]
        return np.stack([estimator.prepared(*of) for of in zip(totals, counts, strict=True)])


def located_images(listed: ComparisonList, store: Store) -> Located:
    """Return where a store has the images of a list.

    Raises
    ------
    ValueError
        If it lacks one.
    """
    named = {image for side in listed.sides for image in side.images}
    grids, images = chunk_grids(store.index), store.images()
    groups = images.groups("device", "chunk")
    of, within = groups.places()
    wanted = pa.array(sorted(named), pa.large_string())
    chosen = np.flatnonzero(pc.is_in(images.column("sha256"), value_set=wanted))
    rows: dict[str, tuple[str, int, int]] = {}
    for place, sha256 in zip(chosen, images.taken(chosen).values("sha256"), strict=True):
        device, chunk = groups.keys[of[place]]
        rows.setdefault(sha256, (device, chunk, int(within[place])))
    if lacking := sorted(named - rows.keys()):
        raise ValueError(
            f"{store.folder.uri}: lacks {len(lacking)} of the {len(named)} images of the "
            f"comparison list, the one with sha256 {lacking[0]} for example"
        )
    chunks = {(device, chunk) for device, chunk, _ in rows.values()}
    return Located(rows=rows, grids={chunk: grids.get(chunk, {}) for chunk in chunks})
