"""From photographs to one chunk of a store: decode, denoise, cut, quantise, write."""

import hashlib
from dataclasses import asdict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from camid.config import Config, Residual
from camid.dataset.records import OK, ImageRecord, chunk_name, rejected
from camid.io.folder import Folder
from camid.io.images import pixels, resized
from camid.io.scene_hash import scene_hash
from camid.prnu.filters import skrabec2021
from camid.prnu.filters.lukas import checked_wavelet
from camid.prnu.luminance import LUMA
from camid.prnu.residual import quantised, residual
from camid.prnu.strips import INTENSITY_STEP, Position, cut, intensity, origin, positions
from camid.store.chunk_file import CHANNELS, ImageStatus, SampleFormat, StripBatch, write_chunk
from camid.store.chunk_plan import Chunk

UNREADABLE = "cannot be read"
"""Start of the reason for a file that a later run may be able to read."""


def sample_format(config: Config) -> SampleFormat:
    """Return the format of the samples of a store made with ``config``."""
    pixels_kept = config.residual.filter == "none"
    return SampleFormat(
        size=config.strips.size,
        dtype="uint8" if pixels_kept else "int8",
        step=1.0 if pixels_kept else config.residual.step,
        filter=asdict(config.residual),
    )


def smallest_side(config: Config) -> int:
    """Return the smallest side in pixels of an image that gives a strip under ``config``.

    Raises
    ------
    ValueError
        If no strip of the configured size can be denoised and enhanced as configured.
    """
    size = config.strips.size
    if config.residual.filter != "none":  # Li's enhancer transforms the residuals of every filter
        checked_wavelet((size, size), config.residual.wavelet, config.residual.levels)
    if config.residual.filter == "report2021":
        checked_wavelet((size, size), skrabec2021.WAVELET, skrabec2021.LEVELS)
    return size


class MadeChunk(NamedTuple):
    """A written chunk's file: the digest of its content, and the statuses of its images."""

    content: str
    statuses: list[ImageStatus]


def make_chunk(chunk: Chunk, *, store: Folder, config: Config) -> MadeChunk:
    """Read a chunk's photographs and write its file.

    A photograph that cannot be read or decoded whole is left out of the strips and rejected with
    the reason. All images of a chunk have one size, so one list of positions serves all.
    """
    form = sample_format(config)
    size, first = form.size, chunk.images[0]
    geometry = asdict(config.strips)
    grid = positions(first.height, first.width, **geometry)
    top, left = origin(first.height, first.width, **geometry)
    corners = [(y + top, x + left) for y, x in grid]
    reduced = size // INTENSITY_STEP
    samples = np.empty((len(grid), len(chunk.images), size, size, CHANNELS), form.dtype)
    greys = np.empty((len(grid), len(chunk.images), reduced, reduced), np.uint8)
    statuses: list[ImageStatus] = []
    kept_ids: list[str] = []
    for record in chunk.images:
        sha256 = shown = ""
        try:
            data = _bytes(record)
            sha256 = hashlib.sha256(data).hexdigest()
            image = _pixels(data, record, max_megapixels=config.images.max_megapixels)
            shown = scene_hash(image)
            if config.strips.prepare == "resize":
                image = resized(image, size)
            samples[:, len(kept_ids)] = image_samples(
                image, corners, size=size, settings=config.residual
            )
            greys[:, len(kept_ids)] = intensity(cut(image, corners, size=size), LUMA)
            kept_ids.append(record.image_id)
            status = OK
        except ValueError as error:
            status, shown = rejected(str(error)), ""
        statuses.append(
            ImageStatus(image_id=record.image_id, sha256=sha256, status=status, scene_hash=shown)
        )
    batches = (
        StripBatch(
            image_ids=tuple(kept_ids),
            position=position,
            samples=samples[index, : len(kept_ids)],
            intensity=greys[index, : len(kept_ids)],
            step=form.step,
        )
        for index, position in enumerate(grid)
        if kept_ids
    )
    name = chunk_name(chunk.device, chunk.number)
    content = write_chunk(
        store, name, batches=batches, form=form, digest=chunk.digest, statuses=statuses
    )
    return MadeChunk(content, statuses)


def _bytes(record: ImageRecord) -> bytes:
    folder, name = Folder.at(record.path)
    try:
        return folder.read(name)
    except ConnectionError:
        raise  # its server's fault and not the photograph's
    except OSError as error:
        raise ValueError(f"{UNREADABLE}: {error}") from None


def _pixels(data: bytes, record: ImageRecord, *, max_megapixels: float) -> NDArray[np.uint8]:
    image = pixels(data, max_megapixels=max_megapixels)
    if image.shape[:2] != (record.height, record.width):
        raise ValueError(
            f"decoded to {image.shape[1]}x{image.shape[0]} px where its header said "
            f"{record.width}x{record.height} px"
        )
    return image


def image_samples(
    image: NDArray[np.uint8], where: list[Position], *, size: int, settings: Residual
) -> NDArray[np.int8] | NDArray[np.uint8]:
    """Return an image's samples in a store: ``(position, size, size, channel)`` int8 or uint8."""
    if settings.filter == "none":
        return cut(image, where, size=size)
    storage = {"extent", "step"}
    options = {name: value for name, value in asdict(settings).items() if name not in storage}
    if settings.extent == "strip":
        return quantised(residual(cut(image, where, size=size), **options), step=settings.step)
    return cut(quantised(residual(image, **options), step=settings.step), where, size=size)
