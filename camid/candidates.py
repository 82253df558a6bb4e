"""Candidates: the images and row groups of some devices, from which the sides of pairs are drawn.

What is drawn is a :class:`Quartet`: two sides of each of two devices. Its positive pairs and its
negative pairs are made of the same four sides, and the devices' sides are of the same kinds of
images where they can be, so that only the sensor tells the labels apart.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa

from camid.records import ImageRecord
from camid.splits.images import device_models
from camid.store import Store
from camid.strips import Position

T = TypeVar("T")
Rows = tuple[int, ...]
Numbers = tuple[int, int]
"""Images of a first side and of a second."""

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
    images: Mapping[int, ImageRecord]
    """By row: a chunk's images are in the order of their ids."""
    row_groups: Mapping[Position, int]

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
        return tuple(self.chunk.images[row].sha256 for row in self.rows)


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

    chunks: Mapping[str, tuple[ChunkImages, ...]]

    @property
    def num_images(self) -> int:
        """Images that may be drawn."""
        return sum(len(chunk.images) for chunks in self.chunks.values() for chunk in chunks)

    @cached_property
    def devices(self) -> tuple[str, ...]:
        """Their devices, in order."""
        return tuple(self.chunks)

    @cached_property
    def models(self) -> dict[str, str]:
        """Make and model of each device, empty where it is not known."""
        every = (chunk for chunks in self.chunks.values() for chunk in chunks)
        return device_models(record for chunk in every for record in chunk.images.values())

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
            others = (is_sibling and self._siblings[device]) or self.devices
            other = _one(rng, [name for name in others if name != device])
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
        firsts = [chunk for chunk in self.chunks[device] if len(chunk.images) >= num_first]
        if not firsts:
            return None
        first = _one(rng, _alike(firsts, like and like[0]))
        seconds = [
            chunk
            for chunk in self.chunks[device]
            if chunk is not first and chunk.shape == first.shape and len(chunk.images) >= num_second
        ]
        if seconds:
            return first, _one(rng, _alike(seconds, like and like[1]))
        return (first, first) if len(first.images) >= num_first + num_second else None

    @cached_property
    def _siblings(self) -> dict[str, list[str]]:
        return {
            device: [d for d in self.devices if d != device and model and self.models[d] == model]
            for device, model in self.models.items()
        }


def candidates(store: Store, images: Iterable[ImageRecord]) -> Candidates:
    """Return what can be drawn of ``images``, records of the store's such as a split's part.

    Of several copies of an image (equal sha256) one can be drawn.
    """
    members: dict[tuple[str, int], list[ImageRecord]] = defaultdict(list)
    for record in sorted(store.images(), key=lambda record: record.image_id):
        members[record.device, record.chunk].append(record)
    seen: set[str] = set()
    wanted: set[str] = set()
    for record in sorted(images, key=lambda record: record.image_id):
        if record.sha256 not in seen:
            wanted.add(record.image_id)
        seen.add(record.sha256)
    grids = chunk_grids(store.index)
    chunks: dict[str, list[ChunkImages]] = defaultdict(list)
    for device, chunk in sorted(members):
        every = members[device, chunk]
        kept = {row: record for row, record in enumerate(every) if record.image_id in wanted}
        if kept:
            first = every[0]
            chunks[device].append(
                ChunkImages(
                    device=device,
                    chunk=chunk,
                    kind=first.kind,
                    shape=(first.width, first.height, first.angle),
                    images=kept,
                    row_groups=grids[device, chunk],
                )
            )
    return Candidates(chunks={device: tuple(found) for device, found in chunks.items()})


def chunk_grids(index: pa.Table) -> dict[tuple[str, int], Mapping[Position, int]]:
    """Return the row group of each position, for every chunk of an index; equal ones are shared."""
    devices = index["device"].combine_chunks().dictionary_encode()
    names = devices.dictionary.to_pylist()
    codes = devices.indices.to_numpy()
    numbers, groups, tops, lefts = (
        index[name].to_numpy() for name in ("chunk", "row_group", "top", "left")
    )
    order = np.lexsort((groups, numbers, codes))
    keys = np.stack([codes, numbers])[:, order]
    starts = np.flatnonzero(np.r_[True, (keys[:, 1:] != keys[:, :-1]).any(axis=0)][: len(order)])
    places = np.stack([tops, lefts, groups], axis=1)[order]
    shared: dict[bytes, Mapping[Position, int]] = {}
    found: dict[tuple[str, int], Mapping[Position, int]] = {}
    for part, start in zip(np.split(places, starts[1:]), starts.tolist(), strict=True):
        data = part.tobytes()
        if data not in shared:
            shared[data] = {(top, left): group for top, left, group in part.tolist()}
        found[names[keys[0, start]], int(keys[1, start])] = shared[data]
    return found


def _quartet(
    rng: np.random.Generator,
    mine: tuple[ChunkImages, ChunkImages],
    theirs: tuple[ChunkImages, ChunkImages],
    num_images: Numbers,
) -> Quartet | None:
    """Return images of both sides of two devices, if there are enough without a shared scene."""
    first = [
        _drawn(rng, chunk, list(chunk.images), num_images[0]) for chunk in (mine[0], theirs[0])
    ]
    scenes = {side.chunk.images[row].scene for side in first for row in side.rows} - {""}
    second = []
    for chunk, other in zip((mine[1], theirs[1]), first, strict=True):
        taken = set(other.rows) if other.chunk is chunk else set()
        free = [
            row
            for row, image in chunk.images.items()
            if row not in taken and image.scene not in scenes
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


def _one(rng: np.random.Generator, of: Sequence[T]) -> T:
    return of[int(rng.integers(len(of)))]
