"""The plan of a store: the images of each chunk, a function of the manifest and the seed."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice, pairwise
from typing import overload

import numpy as np
from numpy.typing import NDArray

from camid.config import Chunks, Strips
from camid.dataset.manifest import ImageTable
from camid.dataset.records import OK, ImageRecord, chunk_name
from camid.prnu.strips import positions

BYTES_PER_SAMPLE = 7
"""Memory of a colour sample in work: a byte of pixels, four of residual, two quantised."""
BLOCK = 4096
"""Chunks that are digested together."""
BYTES_PER_WORKER = 350 * 2**20
"""Memory of a worker process without an image, libraries included."""

GROUPED = ("device", "kind", "width", "height", "orientation", "angle")
"""Columns in which all images of a chunk agree."""
TOLD = ("image_id", "bytes", "width", "height", "orientation", "angle")
"""Columns of the images that a chunk's digest covers."""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Images of a device with one kind, pixel size, orientation and angle: one file of a store."""

    device: str
    number: int
    images: tuple[ImageRecord, ...]

    @property
    def digest(self) -> str:
        """Digest of the chunk's images, in order, and of their :data:`TOLD` columns."""
        facts = [[getattr(image, name) for name in TOLD] for image in self.images]
        return _digest([self.device, self.number, facts])


def planned(
    records: Iterable[ImageRecord], *, strips: Strips, chunks: Chunks, seed: int
) -> ImageTable:
    """Return the records with the chunk of every image that is ``ok``, −1 for all others.

    Images are grouped by device, kind, pixel size, orientation and angle, put in a seeded order
    and dealt to chunks. A group's order depends on the seed and on its own images alone.
    """
    images = ImageTable.of(records)
    ordered = images.by_id()
    is_kept = ordered.has("status", lambda status: status == OK)
    groups = ordered.where(is_kept).groups(*GROUPED)
    dealt = np.empty(len(groups.order), np.int32)
    next_number: dict[str, int] = defaultdict(int)
    for number, key in enumerate(groups.keys):
        device, _, width, height, _, _ = key
        members = groups.rows(number)
        rng = np.random.default_rng([seed, int(_digest(key)[:16], 16)])
        share = images_per_chunk(height, width, strips=strips, chunks=chunks)
        dealt[rng.permutation(members)] = next_number[device] + np.arange(len(members)) // share
        next_number[device] += -(-len(members) // share)
    chunk = np.full(len(images), -1, np.int32)
    chunk[is_kept] = dealt
    return images.replaced(chunk=chunk[images.ranks()])


class Plan(Sequence[Chunk]):
    """The chunks of planned records, by device and number, each made on access."""

    def __init__(self, records: ImageTable) -> None:
        """Sort the records by chunk."""
        self.records = records
        by_id = np.argsort(records.ranks())
        kept = by_id[records.numbers("chunk")[by_id] >= 0]
        groups = records.taken(kept).groups("device", "chunk")
        self._keys, self._order, self._ends = groups.keys, kept[groups.order], groups.ends
        first_images = records.taken(self._order[self._ends[:-1]])
        sizes = (np.diff(self._ends), first_images.numbers("height"), first_images.numbers("width"))
        self.shapes: NDArray[np.int64] = np.stack(sizes, axis=1).astype(np.int64)
        """Images of each chunk, and their height and width: ``(chunk, 3)``."""

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, at: int) -> Chunk: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Chunk]: ...
    def __getitem__(self, at: int | slice) -> Chunk | Sequence[Chunk]:
        if isinstance(at, slice):
            return [self[number] for number in range(len(self))[at]]
        device, number = self._keys[at]
        images = tuple(self.records.taken(self.rows(range(len(self))[at])))
        return Chunk(device=device, number=number, images=images)

    def __iter__(self) -> Iterator[Chunk]:
        images = iter(self.records.taken(self._order))
        for (device, number), size in zip(self._keys, np.diff(self._ends).tolist(), strict=True):
            yield Chunk(device=device, number=number, images=tuple(islice(images, size)))

    def digests(self) -> Iterator[str]:
        """Yield the chunks' digests, without making the chunks."""
        for start in range(0, len(self), BLOCK):
            keys, ends = self._keys[start : start + BLOCK], self._ends[start : start + BLOCK + 1]
            part = self.records.taken(self._order[ends[0] : ends[-1]])
            facts = list(zip(*(part.values(name) for name in TOLD), strict=True))
            bounds = pairwise((ends - ends[0]).tolist())
            for (device, number), (first, last) in zip(keys, bounds, strict=True):
                yield _digest([device, number, facts[first:last]])

    def rows(self, at: int) -> NDArray[np.int64]:
        """Return the rows of a chunk's images in the records, in the order of their ids."""
        return self._order[self._ends[at] : self._ends[at + 1]]

    @cached_property
    def names(self) -> list[str]:
        """The chunks' files, in order."""
        return [chunk_name(device, number) for device, number in self._keys]

    def memory(self, strips: Strips) -> int:
        """Return the memory, bytes, of the worker that makes the largest chunk."""
        shapes = np.unique(self.shapes, axis=0).tolist()
        return max(chunk_memory(*shape, strips=strips) for shape in shapes)


def chunks_of(records: Iterable[ImageRecord]) -> Plan:
    """Return the chunks that planned records make, by device and number, images by id."""
    return Plan(ImageTable.of(records))


def images_per_chunk(height: int, width: int, *, strips: Strips, chunks: Chunks) -> int:
    """Return the largest number of images of a pixel size in a chunk."""
    room = chunks.max_mebibytes * 2**20 // _image_bytes(height, width, strips=strips)
    return max(1, min(chunks.max_images, room))


def chunk_memory(num_images: int, height: int, width: int, *, strips: Strips) -> int:
    """Return the memory, bytes, of a worker that makes a chunk of images of one pixel size.

    That of the chunk's samples, of one image while it is denoised, and of the worker itself.
    """
    samples = num_images * _image_bytes(height, width, strips=strips)
    return samples + BYTES_PER_SAMPLE * 3 * height * width + BYTES_PER_WORKER


def plan_digest(plan: Plan) -> str:
    """Return a plan's digest, equal for all stores whose chunks hold the same images."""
    return _digest(list(plan.digests()))


def _image_bytes(height: int, width: int, *, strips: Strips) -> int:
    count = len(positions(height, width, **asdict(strips)))
    return count * strips.size**2 * 3


def _digest(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
