"""The plan of a store: which images make which chunk, a function of the manifest and the seed."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from camid.config import Chunks, Strips
from camid.records import OK, ImageRecord
from camid.strips import positions

BYTES_PER_SAMPLE = 7
"""Of an image in work: a byte of pixels, four of residual, two quantised, of each colour."""
BYTES_PER_WORKER = 350 * 2**20
"""Of a worker process before it has an image, libraries included."""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Images of a device with one kind, pixel size, orientation and angle: one file of a store."""

    device: str
    number: int
    images: tuple[ImageRecord, ...]

    def memory(self, strips: Strips) -> int:
        """Return the memory, bytes, of a worker that makes the chunk."""
        first = self.images[0]
        return chunk_memory(len(self.images), first.height, first.width, strips=strips)

    @property
    def digest(self) -> str:
        """A digest of which images the chunk holds, in order, and of what is known of them."""
        facts = [
            [i.image_id, i.bytes, i.width, i.height, i.orientation, i.angle] for i in self.images
        ]
        return _digest([self.device, self.number, facts])


def planned(
    records: Sequence[ImageRecord], *, strips: Strips, chunks: Chunks, seed: int
) -> list[ImageRecord]:
    """Return the records with the chunk of every image that is ``ok``, −1 for all others.

    Images are grouped by device, kind, pixel size, orientation and angle, put in a seeded order
    and dealt to chunks. A group's order depends on the seed and on its own images alone.
    """
    groups: dict[tuple[str, str, int, int, int, int], list[ImageRecord]] = defaultdict(list)
    for record in records:
        if record.status == OK:
            size = (record.width, record.height, record.orientation, record.angle)
            groups[record.device, record.kind, *size].append(record)
    chunk_of: dict[str, int] = {}
    next_number: dict[str, int] = defaultdict(int)
    for key in sorted(groups):
        device, _, width, height, _, _ = key
        ordered = sorted(groups[key], key=lambda record: record.image_id)
        rng = np.random.default_rng([seed, int(_digest(key)[:16], 16)])
        order = rng.permutation(len(ordered))
        share = images_per_chunk(height, width, strips=strips, chunks=chunks)
        for rank, index in enumerate(order):
            chunk_of[ordered[index].image_id] = next_number[device] + rank // share
        next_number[device] += -(-len(ordered) // share)
    return [replace(record, chunk=chunk_of.get(record.image_id, -1)) for record in records]


def chunks_of(records: Sequence[ImageRecord]) -> list[Chunk]:
    """Return the chunks that planned records make, by device and number, images by id."""
    members: dict[tuple[str, int], list[ImageRecord]] = defaultdict(list)
    for record in records:
        if record.chunk >= 0:
            members[record.device, record.chunk].append(record)
    return [
        Chunk(
            device=device,
            number=number,
            images=tuple(sorted(members[device, number], key=lambda record: record.image_id)),
        )
        for device, number in sorted(members)
    ]


def images_per_chunk(height: int, width: int, *, strips: Strips, chunks: Chunks) -> int:
    """Return how many images of a pixel size a chunk holds at most."""
    room = chunks.max_mebibytes * 2**20 // _image_bytes(height, width, strips=strips)
    return max(1, min(chunks.max_images, room))


def chunk_memory(num_images: int, height: int, width: int, *, strips: Strips) -> int:
    """Return the memory, bytes, of a worker that makes a chunk of images of one pixel size.

    The samples of the chunk, what one image takes while it is denoised, and the worker itself.
    """
    samples = num_images * _image_bytes(height, width, strips=strips)
    return samples + BYTES_PER_SAMPLE * 3 * height * width + BYTES_PER_WORKER


def plan_digest(chunks: Sequence[Chunk]) -> str:
    """Return the digest that stores share whose chunks hold the same images."""
    return _digest([chunk.digest for chunk in chunks])


def _image_bytes(height: int, width: int, *, strips: Strips) -> int:
    count = len(positions(height, width, **asdict(strips)))
    return count * strips.size**2 * 3


def _digest(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
