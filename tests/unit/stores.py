"""Small stores of noise: strips of 32 px, a few chunks a device, no photograph and no filter."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from camid.config import Config
from camid.dataset.records import OK, ImageRecord, chunk_name
from camid.io.folder import Folder
from camid.prnu.strips import positions
from camid.store.build import ChunkContent, finish
from camid.store.chunk_file import ImageStatus, SampleFormat, StripBatch, write_chunk
from camid.store.settings import store_settings
from camid.store.store import Store, open_store

SIZE = 32


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """What a chunk of a small store is."""

    images: int = 8
    kind: str = "foreground"
    size: tuple[int, int] = (96, 64)
    scenes: Sequence[str] = ()


def small_store(
    uri: str,
    devices: Mapping[str, Sequence[Chunk]],
    *,
    models: Mapping[str, str] | None = None,
    filter: str = "lukas",  # noqa: A002
    dtype: str = "int8",
) -> Store:
    """Write and open a store; a strip is a function of the filter, the image and the position."""
    folder = Folder(uri)
    form = SampleFormat(size=SIZE, dtype=dtype, step=0.125, filter={"filter": filter})
    records, contents = [], []
    for device, chunks in devices.items():
        for number, chunk in enumerate(chunks):
            width, height = chunk.size
            members = [
                ImageRecord(
                    image_id=f"{device}/{number}-{i:02d}.jpg",
                    device=device,
                    kind=chunk.kind,
                    model=(models or {}).get(device, ""),
                    scene=chunk.scenes[i] if chunk.scenes else "",
                    width=width,
                    height=height,
                    path=f"/{device}/{number}-{i:02d}.jpg",
                    sha256=hashlib.sha256(f"{device}/{number}-{i}".encode()).hexdigest(),
                    chunk=number,
                )
                for i in range(chunk.images)
            ]
            name = chunk_name(device, number)
            content = write_chunk(
                folder,
                name,
                batches=(
                    batch(members, position, filter, dtype)
                    for position in positions(height, width, size=SIZE)
                ),
                form=form,
                digest=name,
                statuses=[
                    ImageStatus(image_id=r.image_id, sha256=r.sha256, status=OK) for r in members
                ],
            )
            records += members
            where = positions(height, width, size=SIZE)
            contents.append((name, ChunkContent(content, chunk.images, where)))
    description = {
        "settings": store_settings(Config()),
        "samples": form.facts,
        "plan_digest": "small",
    }
    finish(folder, records, contents, description)
    return open_store(uri)


def batch(
    members: Sequence[ImageRecord],
    position: tuple[int, int],
    name: str = "lukas",
    dtype: str = "int8",
) -> StripBatch:
    """Return the strips of some images at a position."""
    samples = [strip(record, position, name) for record in members]
    return StripBatch(
        image_ids=tuple(record.image_id for record in members),
        position=position,
        samples=np.stack(samples).view(dtype),
        intensity=np.stack([grey_of(record, position) for record in members]),
        step=0.125,
    )


def strip(record: ImageRecord, position: tuple[int, int], name: str = "lukas") -> np.ndarray:
    """Return an image's strip at a position as a small store has it: its device's and noise."""
    own = _noise(f"{record.device} {position}")
    return (own + 2 * _noise(f"{record.sha256} {position} {name}")).astype(np.int8)


def grey_of(record: ImageRecord, position: tuple[int, int]) -> np.ndarray:
    """Return the intensity that a small store has of an image's strip."""
    noise = _noise(f"{record.sha256} {position}")[: SIZE // 4, : SIZE // 4, 0]
    return (128 + 4 * noise).astype(np.uint8)


def _noise(what: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(what.encode()).digest()[:8])
    return np.rint(12 * np.random.default_rng(seed).standard_normal((SIZE, SIZE, 3)))
