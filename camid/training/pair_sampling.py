"""Candidates: the images and row groups of some devices, from which the sides of pairs are drawn.

What is drawn is a :class:`Quartet`: two sides of each of two devices. Its positive pairs and its
negative pairs are made of the same four sides, and the devices' sides are of the same kinds of
images where they can be, so that only the sensor tells the labels apart.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple, TypeVar

import numpy as np

from camid.dataset.manifest import ImageTable
from camid.dataset.records import ImageRecord
from camid.dataset.relations import siblings
from camid.dataset.splits.grouping import device_models
from camid.prnu.strips import Position
from camid.store.index import Grid, chunk_grids
from camid.store.store import Store

T = TypeVar("T")
Rows = tuple[int, ...]
Numbers = tuple[int, int]
"""Images of a first side and of a second."""

MAX_HELD = 4096
"""Devices whose chunks are held; a hundred bytes an image."""
TRIES = 1000
"""Draws that may fail before there is said to be nothing to draw."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ChunkImages:
    """The images of one chunk that may be drawn, and where their strips are."""

    device: str
    chunk: int
    kind: str
    shape: tuple[int, int, int]
    """Width, height and angle."""
    rows: Rows
    """Of the images in the chunk's row groups."""
    images: ImageTable
    """Their records, in this order."""
    scenes: Sequence[str]
    """Theirs."""
    row_groups: Grid

    def image(self, row: int) -> ImageRecord:
        """Return the record of an image that may be drawn."""
        return self.images[self.rows.index(row)]

    def shared(self, other: "ChunkImages") -> list[Position]:
        """Return the positions that both have, in order."""
        if self.row_groups is other.row_groups:
            return list(self.row_groups)
        return [position for position in self.row_groups if position in other.row_groups]


class SideImages(NamedTuple):
    """Images of one chunk, by their rows."""

    chunk: ChunkImages
    rows: Rows

    def sha256(self) -> tuple[str, ...]:
        """Return the images' digests."""
        return tuple(self.chunk.image(row).sha256 for row in self.rows)


class Quartet(NamedTuple):
    """Two sides of each of two devices: ``(first, second)``."""

    mine: tuple[SideImages, SideImages]
    theirs: tuple[SideImages, SideImages]

    def positions(self) -> list[Position]:
        """Return the positions that both devices' sides have, in order."""
        return self.mine[0].chunk.shared(self.theirs[0].chunk)


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """Images that may be drawn, by device and chunk."""

    images: ImageTable
    chunks: Mapping[str, tuple[ChunkImages, ...]]

    @property
    def num_images(self) -> int:
        """Images that may be drawn."""
        return len(self.images)

    @cached_property
    def devices(self) -> tuple[str, ...]:
        """Their devices, in order."""
        return tuple(self.chunks)

    @cached_property
    def models(self) -> dict[str, str]:
        """Make and model of each device, empty where it is not known."""
        return device_models(self.images)

    def quartet(
        self, rng: np.random.Generator, *, num_images: Numbers, same_model: float
    ) -> Quartet:
        """Return so many images of both sides of each of two devices.

        A device's sides are of two chunks of equal shape, or of one where it has no two. No image
        or scene that a first side has is on a second side.

        Raises
        ------
        ValueError
            If the candidates give none.
        """
        for _ in range(TRIES if len(self.devices) > 1 else 0):
            device = _one(rng, self.devices)
            is_sibling = rng.random() < same_model
            siblings = self._siblings.get(self.models[device], ()) if is_sibling else ()
            others = siblings if len(siblings) > 1 else self.devices
            other = _other(rng, others, device)
            mine = self._chunks(rng, device, num_images)
            theirs = mine and self._chunks(rng, other, num_images, like=mine)
            found = mine and theirs and _quartet(rng, mine, theirs, num_images)
            if found:
                return found
        first, second = num_images
        raise ValueError(
            f"{self.num_images} images of {len(self.devices)} devices give no pairs of "
            f"{first}+{second} images: two devices are needed with as many, each side's of one "
            "chunk; lower pairs.num_images"
        )

    def _chunks(
        self,
        rng: np.random.Generator,
        device: str,
        num_images: Numbers,
        *,
        like: tuple[ChunkImages, ChunkImages] | None = None,
    ) -> tuple[ChunkImages, ChunkImages] | None:
        """Return chunks for both sides of a device, of the kinds of others if it has such."""
        num_first, num_second = num_images
        firsts = [chunk for chunk in self.chunks[device] if len(chunk.rows) >= num_first]
        if not firsts:
            return None
        first = _one(rng, _alike(firsts, like and like[0]))
        seconds = [
            chunk
            for chunk in self.chunks[device]
            if chunk is not first and chunk.shape == first.shape and len(chunk.rows) >= num_second
        ]
        if seconds:
            return first, _one(rng, _alike(seconds, like and like[1]))
        return (first, first) if len(first.rows) >= num_first + num_second else None

    @cached_property
    def _siblings(self) -> dict[str, list[str]]:
        return siblings(self.models, self.devices)


class _Chunks(Mapping[str, tuple[ChunkImages, ...]]):
    """The chunks of each device, made when they are looked at; those looked at last are kept."""

    def __init__(self, store: Store, images: ImageTable) -> None:
        self._images = store.images()
        self._grids = chunk_grids(store.index)
        groups = self._images.groups("device", "chunk")
        self._keys, order, ends = groups
        is_wanted = self._images.among(images)[order]
        self._order = order[is_wanted]
        self._rows = groups.places()[1][self._order].astype(np.int32)
        self._ends = np.concatenate([[0], np.cumsum(is_wanted)])[ends]
        kept = np.diff(self._ends)
        self._places: dict[str, list[int]] = defaultdict(list)
        for place in np.flatnonzero(kept).tolist():
            self._places[self._keys[place][0]].append(place)
        self._made = lru_cache(MAX_HELD)(self._device)

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __getitem__(self, device: str) -> tuple[ChunkImages, ...]:
        return self._made(device)

    def _device(self, device: str) -> tuple[ChunkImages, ...]:
        if device not in self._places:
            raise KeyError(device)
        return tuple(map(self._chunk, self._places[device]))

    def _chunk(self, place: int) -> ChunkImages:
        device, chunk = self._keys[place]
        part = slice(self._ends[place], self._ends[place + 1])
        images = self._images.taken(self._order[part])
        codes, scenes = images.texts("scene")
        first = images[0]
        return ChunkImages(
            device=device,
            chunk=chunk,
            kind=first.kind,
            shape=(first.width, first.height, first.angle),
            rows=tuple(self._rows[part].tolist()),
            images=images,
            scenes=[scenes[code] for code in codes.tolist()],
            row_groups=self._grids[device, chunk],
        )


def candidates(store: Store, images: Iterable[ImageRecord]) -> Candidates:
    """Return what can be drawn of ``images``, records of the store's such as a split's part.

    Of several copies of an image (equal sha256) one can be drawn.
    """
    wanted = ImageTable.of(images).without_copies()
    return Candidates(images=wanted, chunks=_Chunks(store, wanted))


def _quartet(
    rng: np.random.Generator,
    mine: tuple[ChunkImages, ChunkImages],
    theirs: tuple[ChunkImages, ChunkImages],
    num_images: Numbers,
) -> Quartet | None:
    """Return images of both sides of two devices, if there are enough without a shared scene."""
    first = [_drawn(rng, chunk, chunk.rows, num_images[0]) for chunk in (mine[0], theirs[0])]
    scenes = {
        scene
        for side in first
        for row, scene in zip(side.chunk.rows, side.chunk.scenes, strict=True)
        if scene and row in side.rows
    }
    second = []
    for chunk, other in zip((mine[1], theirs[1]), first, strict=True):
        taken = set(other.rows) if other.chunk is chunk else set()
        free = [
            row
            for row, scene in zip(chunk.rows, chunk.scenes, strict=True)
            if row not in taken and scene not in scenes
        ]
        if len(free) < num_images[1]:
            return None
        second.append(_drawn(rng, chunk, free, num_images[1]))
    return Quartet(mine=(first[0], second[0]), theirs=(first[1], second[1]))


def _drawn(
    rng: np.random.Generator, chunk: ChunkImages, rows: Sequence[int], count: int
) -> SideImages:
    chosen = rng.permutation(rows)[:count]
    return SideImages(chunk, tuple(sorted(chosen.tolist())))


def _alike(chunks: Sequence[ChunkImages], like: ChunkImages | None) -> Sequence[ChunkImages]:
    """Return the chunks with images of the kind of another's, or all if there are none."""
    return (like and [chunk for chunk in chunks if chunk.kind == like.kind]) or chunks


def _other(rng: np.random.Generator, devices: Sequence[str], device: str) -> str:
    """Return one of some devices that are in order, but not this one."""
    place = bisect_left(devices, device)
    number = int(rng.integers(len(devices) - 1))
    return devices[number + (number >= place)]


def _one(rng: np.random.Generator, of: Sequence[T]) -> T:
    return of[int(rng.integers(len(of)))]
