"""Cost of preprocessing: unit costs measured on a machine, and an estimate for a folder."""

import io
import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rich.filesize import decimal

from camid.config import Config, Simulate
from camid.dataset.records import ImageRecord, Kind
from camid.dataset.simulate import phones
from camid.io.folder import Folder
from camid.io.images import header, pixels, resized
from camid.prnu.luminance import LUMA
from camid.prnu.strips import cut, intensity, positions
from camid.store.chunk_file import CHANNELS
from camid.store.chunk_plan import Plan, chunk_memory, images_per_chunk
from camid.store.make_chunk import image_samples

TRIED = "camid-costs.tmp"
"""Name of the file that is written to measure a disk."""
KEPT = "costs.json"
"""Name of the file of measured unit costs, below ``$CAMID_HOME``."""
T = TypeVar("T")

SAMPLE_SIZE = (2304, 1792)
"""Pixels of the photograph that is measured: whole strips, several times a processor's caches."""
SMALL_SIZE = (320, 256)
"""Pixels of the photograph with which loops are compiled."""
NUM_SAMPLES = 4
"""Photographs of a folder that are measured, where a folder is named."""
MOST_WRITTEN = 2**28
"""Bytes of the file that is written at most."""
ROUNDS = 3


@dataclass(frozen=True, kw_only=True)
class UnitCosts:
    """Core seconds per megapixel of a photograph (three planes), part by part."""

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
    """Seconds per file: its header read for the catalogue."""
    stored: float
    """Bytes in the store per byte of samples."""
    lost: float = 0.0
    """Share of the total time that Ray and waiting take, where it was measured."""

    @property
    def per_megapixel(self) -> float:
        """Core seconds per megapixel, of all parts and losses."""
        return sum(self.parts().values()) / (1 - self.lost)

    def parts(self) -> dict[str, float]:
        """Return the seconds per megapixel of each part."""
        names = ("decode", "denoise", "reduce", "encode", "write")
        return {name: getattr(self, name) for name in names}


class ChunkShape(NamedTuple):
    """Number and pixel size of a chunk's images."""

    num_images: int
    height: int
    width: int


@dataclass(frozen=True, kw_only=True)
class Bill:
    """Estimate of a store: counts, bytes, core seconds, and memory."""

    num_images: int
    megapixels: float
    num_strips: int
    num_chunks: int
    store_bytes: int
    core_seconds: float
    worker_bytes: int
    """Memory of the worker that makes the largest chunk."""


def bill(chunks: Iterable[ChunkShape], config: Config, costs: UnitCosts) -> Bill:
    """Return the estimated cost of a store of chunks."""
    num_images = num_chunks = num_pixels = num_strips = worker_bytes = 0
    for shape in chunks:
        grid = positions(shape.height, shape.width, **asdict(config.strips))
        num_images += shape.num_images
        num_chunks += 1
        num_pixels += shape.num_images * shape.width * shape.height
        num_strips += shape.num_images * len(grid)
        worker_bytes = max(worker_bytes, chunk_memory(*shape, strips=config.strips))
    megapixels = num_pixels / 1e6
    samples = num_strips * config.strips.size**2 * CHANNELS
    return Bill(
        num_images=num_images,
        megapixels=megapixels,
        num_strips=num_strips,
        num_chunks=num_chunks,
        store_bytes=round(samples * costs.stored),
        core_seconds=num_images * costs.open + megapixels * costs.per_megapixel,
        worker_bytes=worker_bytes,
    )


def chunk_shapes(plan: Plan) -> Iterator[ChunkShape]:
    """Yield the shapes of planned chunks."""
    for shape in plan.shapes.tolist():
        yield ChunkShape(*shape)


def equal_shapes(
    num_images: int, *, height: int, width: int, config: Config
) -> Iterator[ChunkShape]:
    """Yield the shapes of chunks of images of one size, as if all were of one device."""
    size = images_per_chunk(height, width, strips=config.strips, chunks=config.chunks)
    for first in range(0, num_images, size):
        yield ChunkShape(min(size, num_images - first), height, width)


def measured(
    config: Config, *, place: Folder, photographs: Sequence[bytes] = (), lost: float = 0.0
) -> UnitCosts:
    """Return the unit costs on this machine of a store made with ``config``.

    Every part is timed alone, on one core; the fastest of a few rounds counts.

    Parameters
    ----------
    place
        A folder on the disk that a file is written to.
    photographs
        Files of photographs to measure with; a simulated photograph if there are none.
    lost
        Kept with the costs; measured elsewhere.

    Raises
    ------
    ValueError
        If a photograph cannot be decoded.
    """
    samples = [_Sample(data, config) for data in photographs or [_photograph()]]
    packed = b"".join(sample.packed for sample in samples)
    repeats = max(1, min(config.chunks.max_images // len(samples), MOST_WRITTEN // len(packed)))
    parts = {
        "decode": _seconds(samples, _Sample.decode),
        "denoise": _seconds(samples, _Sample.denoise),
        "reduce": _seconds(samples, _Sample.reduce),
        "encode": _seconds(samples, _Sample.encode),
        "write": _seconds([place], lambda folder: folder.write(TRIED, packed * repeats)) / repeats,
    }
    place.delete(TRIED)
    megapixels = sum(sample.megapixels for sample in samples)
    return UnitCosts(
        **{name: seconds / megapixels for name, seconds in parts.items()},
        open=_seconds(samples, _Sample.open) / len(samples),
        stored=sum(len(s.packed) for s in samples) / sum(s.samples.nbytes for s in samples),
        lost=lost,
    )


def compile_loops() -> None:
    """Process a small photograph of each kind, so that every loop is compiled and kept."""
    for kind in get_args(Kind):
        _Sample(_photograph(kind, SMALL_SIZE), Config())


class _Sample:
    """A photograph on its way into a store, part by part."""

    def __init__(self, data: bytes, config: Config) -> None:
        self.data, self.settings, self.size = data, config.residual, config.strips.size
        self.is_resized = config.strips.prepare == "resize"
        height, width = pixels(data).shape[:2]
        self.decode()
        self.megapixels = height * width / 1e6
        self.grid = positions(height, width, **asdict(config.strips))
        for part in (self.denoise, self.reduce, self.encode):
            part()

    def open(self) -> None:
        header(io.BytesIO(self.data))

    def decode(self) -> None:
        image = pixels(self.data)
        self.image = resized(image, self.size) if self.is_resized else image

    def denoise(self) -> None:
        self.samples = image_samples(self.image, self.grid, size=self.size, settings=self.settings)

    def reduce(self) -> None:
        self.greys = intensity(cut(self.image, self.grid, size=self.size), LUMA)

    def encode(self) -> None:
        self.packed = _packed(self.samples) + _packed(self.greys)
        for part in (self.data, self.samples.data, self.greys.data, self.packed):
            sha256(part)  # digests of the photograph, the samples and the file


def known_costs(config: Config, *, home: Folder) -> UnitCosts:
    """Return this machine's unit costs kept below ``home``; measure and keep them if missing."""
    costs = kept_costs(home, config)
    if costs is None:
        home.make()
        costs = measured(config, place=home)
        keep_costs(home, config, costs)
    return costs


def sampled_costs(images: Sequence[ImageRecord], config: Config, *, home: Folder) -> UnitCosts:
    """Return the unit costs of images on this machine, measured now with a few of them.

    Ray's share is that of the costs kept below ``home``, if there are any.

    Raises
    ------
    ValueError
        If none of the few can be decoded.
    """
    step = max(1, len(images) // NUM_SAMPLES)
    chosen = images[step // 2 :: step][:NUM_SAMPLES]
    photographs = []
    for record in chosen:
        folder, name = Folder.at(record.path)
        data = folder.read(name)
        with suppress(ValueError):  # the manifest will state the reason
            pixels(data, max_megapixels=config.images.max_megapixels)
            photographs.append(data)
    if not photographs:
        raise ValueError(f"{config.paths.data}: none of {len(chosen)} photographs can be decoded")
    home.make()
    kept = kept_costs(home, config)
    return measured(config, place=home, photographs=photographs, lost=kept.lost if kept else 0.0)


def terms(due: Bill, costs: UnitCosts) -> dict[str, str]:
    """Return a bill in words, with the cost per megapixel of each part."""
    cores = os.cpu_count() or 1
    duration = timedelta(seconds=round(due.core_seconds / cores))
    parts = ", ".join(f"{name} {1000 * seconds:.1f}" for name, seconds in costs.parts().items())
    lost = f"Ray and waiting take {100 * costs.lost:.0f} %" if costs.lost else "without Ray's own"
    return {
        "megapixels": f"{due.megapixels:,.0f}",
        "strips": f"{due.num_strips:,}",
        "chunks": f"{due.num_chunks:,}",
        "store": decimal(due.store_bytes),
        "core-hours": f"{due.core_seconds / 3600:,.2f}; {duration} on {cores} cores like these",
        "memory": f"{decimal(due.worker_bytes)} a worker, one worker a core",
        "a megapixel": f"{parts} ms of one core; {lost}",
    }


def kept_costs(home: Folder, config: Config) -> UnitCosts | None:
    """Return the unit costs that were measured on this machine for ``config``, if they were."""
    fields = _kept(home).get(_key(config))
    return UnitCosts(**fields) if fields else None


def keep_costs(home: Folder, config: Config, costs: UnitCosts) -> None:
    """Keep unit costs of this machine for :func:`kept_costs`."""
    costs_by_key = {**_kept(home), _key(config): asdict(costs)}
    home.write(KEPT, (json.dumps(costs_by_key, indent=2) + "\n").encode())


def _kept(home: Folder) -> dict[str, dict[str, float]]:
    if not home.exists(KEPT):
        return {}
    costs_by_key: dict[str, dict[str, float]] = json.loads(home.read(KEPT))
    return costs_by_key


def _key(config: Config) -> str:
    """Return the key of the settings and the machine that unit costs depend on."""
    settings = config.residual
    words = [settings.filter, settings.extent, f"{settings.wavelet}:{settings.levels}"]
    words += [f"{config.strips.size} px", config.strips.layout, config.strips.prepare]
    return " ".join([platform.node(), *words])


def _photograph(kind: Kind = "foreground", size: tuple[int, int] = SAMPLE_SIZE) -> bytes:
    """Return a simulated photograph, whose content costs as much as a real photograph's."""
    settings = Simulate(num_devices=1, num_models=1, sizes=(size,))
    (phone,) = phones(settings, seed=1)
    return phone.photograph(kind, 1)


def _packed(samples: NDArray[Any]) -> bytes:
    codec = pa.Codec("zstd", compression_level=1)
    return bytes(codec.compress(np.ascontiguousarray(samples).data))


def _seconds(items: Sequence[T], part: Callable[[T], object]) -> float:
    """Return the seconds that a part of the work takes for all items, in the fastest round."""
    durations = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for item in items:
            part(item)
        durations.append(time.perf_counter() - started)
    return min(durations)
