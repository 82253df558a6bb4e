"""What preprocessing will cost: unit costs measured on a machine, and the bill of a folder."""

import io
import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from camid.chunking import image_samples
from camid.config import Config, Simulate
from camid.folder import Folder
from camid.images import LUMA, header, pixels
from camid.plan import chunk_memory, images_per_chunk
from camid.simulate import phones
from camid.strips import cut, intensity, positions

TRIED = "camid-costs.tmp"
"""The file that is written to measure a disk."""
KEPT = "costs.json"
"""The file of measured unit costs, below ``$CAMID_HOME``."""
SAMPLE_SIZE = (2304, 1792)
"""Pixels of the photograph that is measured: whole strips, several times a processor's caches."""
ROUNDS = 3


@dataclass(frozen=True, kw_only=True)
class UnitCosts:
    """Seconds of one core for a megapixel of a photograph (three planes), part by part."""

    decode: float
    """JPEG to pixels."""
    denoise: float
    """Residuals, quantised: all that depends on ``residual.filter``."""
    reduce: float
    """Strips cut, and their intensity."""
    encode: float
    """Digests and compression."""
    write: float
    """The file, as the disk takes it."""
    open: float
    """Seconds a file: its header read for the catalogue."""
    stored: float
    """Bytes in the store for a byte of samples."""
    lost: float = 0.0
    """Share of the whole that Ray and waiting take, where it was measured."""

    @property
    def per_megapixel(self) -> float:
        """Seconds of one core for a megapixel, all parts and what is lost."""
        return sum(self.parts().values()) / (1 - self.lost)

    def parts(self) -> dict[str, float]:
        """Return the seconds a megapixel of each part."""
        names = ("decode", "denoise", "reduce", "encode", "write")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, kw_only=True)
class Bill:
    """What a folder will take: counts, bytes, seconds of one core, and memory."""

    num_images: int
    megapixels: float
    num_strips: int
    num_chunks: int
    store_bytes: int
    core_seconds: float
    worker_bytes: int
    """Memory of the worker that makes the largest chunk."""


def bill(sizes: Mapping[tuple[int, int], int], config: Config, costs: UnitCosts) -> Bill:
    """Return what images of some sizes cost; ``sizes`` counts them by ``(width, height)``.

    Chunks are counted as if all images of a size were of one device: there are more by at most one
    a device, kind and orientation.
    """
    megapixels = core_seconds = 0.0
    num_strips = num_chunks = samples = worker = 0
    for (width, height), count in sizes.items():
        where = positions(height, width, size=config.strips.size, layout=config.strips.layout)
        share = images_per_chunk(height, width, strips=config.strips, chunks=config.chunks)
        megapixels += count * width * height / 1e6
        num_strips += count * len(where)
        num_chunks += -(-count // share)
        samples += count * len(where) * config.strips.size**2 * 3
        held = chunk_memory(min(share, count), height, width, strips=config.strips)
        worker = max(worker, held)
    num_images = sum(sizes.values())
    core_seconds = num_images * costs.open + megapixels * costs.per_megapixel
    return Bill(
        num_images=num_images,
        megapixels=megapixels,
        num_strips=num_strips,
        num_chunks=num_chunks,
        store_bytes=round(samples * costs.stored),
        core_seconds=core_seconds,
        worker_bytes=worker,
    )


def measured(config: Config, *, place: Folder) -> UnitCosts:
    """Return the unit costs on this machine of a store made with ``config``, but for ``lost``.

    Every part is done alone, on one core, with a simulated photograph; the least of a few rounds
    counts. ``place`` is a folder on the disk that a file is written to.
    """
    data = _photograph()
    image = pixels(data)
    size = config.strips.size
    where = positions(*image.shape[:2], size=size, layout=config.strips.layout)
    samples = image_samples(image, where, size=size, settings=config.residual)
    reduced = intensity(cut(image, where, size=size), LUMA)
    packed = [_packed(part) for part in (samples, reduced)]
    parts: dict[str, Callable[[], object]] = {
        "decode": lambda: pixels(data),
        "denoise": lambda: image_samples(image, where, size=size, settings=config.residual),
        "reduce": lambda: intensity(cut(image, where, size=size), LUMA),
        "encode": lambda: [sha256(data), sha256(samples.data), _packed(samples), _packed(reduced)],
        "write": lambda: place.write(TRIED, b"".join(packed)),
        "open": lambda: header(io.BytesIO(data)),
    }
    seconds = {name: min(_seconds(part) for _ in range(ROUNDS)) for name, part in parts.items()}
    place.delete(TRIED)
    megapixels = image.shape[0] * image.shape[1] / 1e6
    opened = seconds.pop("open")
    return UnitCosts(
        **{name: value / megapixels for name, value in seconds.items()},
        open=opened,
        stored=sum(map(len, packed)) / samples.nbytes,
    )


def kept_costs(home: Folder, config: Config) -> UnitCosts | None:
    """Return the unit costs that were measured on this machine for ``config``, if they were."""
    known = _kept(home).get(_key(config))
    return UnitCosts(**known) if known else None


def keep_costs(home: Folder, config: Config, costs: UnitCosts) -> None:
    """Keep unit costs of this machine for :func:`kept_costs`."""
    known = {**_kept(home), _key(config): asdict(costs)}
    home.write(KEPT, (json.dumps(known, indent=2) + "\n").encode())


def _kept(home: Folder) -> dict[str, dict[str, float]]:
    if not home.exists(KEPT):
        return {}
    known: dict[str, dict[str, float]] = json.loads(home.read(KEPT))
    return known


def _key(config: Config) -> str:
    """Return a name for what unit costs depend on."""
    settings = config.residual
    how = [settings.filter, settings.extent, f"{settings.wavelet}:{settings.levels}"]
    return " ".join([platform.node(), *how, f"{config.strips.size} px {config.strips.layout}"])


def _photograph() -> bytes:
    """Return a simulated photograph, whose content costs what a real one's does."""
    settings = Simulate(num_devices=1, num_models=1, sizes=(SAMPLE_SIZE,))
    (phone,) = phones(settings, seed=1)
    return phone.photograph("foreground", 1)


def _packed(samples: NDArray[Any]) -> bytes:
    codec = pa.Codec("zstd", compression_level=1)
    return bytes(codec.compress(np.ascontiguousarray(samples).data))


def _seconds(part: Callable[[], object]) -> float:
    started = time.perf_counter()
    part()
    return time.perf_counter() - started
