"""Photographs: their headers, and their pixels as the sensor's rows and columns.

EXIF orientation is recorded and never applied: turning an image would move the sensor's pixels.
"""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP")  # JPEG opens MPO too
SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".mpo", ".png", ".tif", ".tiff", ".webp"})
RAW_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".kdc", ".mos", ".mrw", ".nef", ".nrw"}
    | {".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}
)
HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
VIDEO_SUFFIXES = frozenset({".3gp", ".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mts", ".webm"})

_UNTURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""Inverses of the turns by orientation that Pillow applies to a TIFF as it decodes the file."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """Header of an image file, read without decoding it; pixel sizes as stored."""

    width: int
    height: int
    orientation: int = 0
    make: str = ""
    model: str = ""
    lens: str = ""


def unreadable_reason(name: str, size: int) -> str:
    """Return why a file cannot be a photograph by its name and size, or an empty string."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return f"a video ({suffix})"
    if suffix in RAW_SUFFIXES:
        return f"a raw file ({suffix}), which is not read; develop it to TIFF or JPEG"
    if suffix in HEIF_SUFFIXES:
        return f"a HEIF file ({suffix}), which is not read; convert it to JPEG at full quality"
    if suffix not in SUFFIXES:
        return f"not a photograph that is read ({suffix or 'no suffix'})"
    return "" if size else "empty file (0 bytes)"


def header(file: IO[bytes], *, max_megapixels: float = 250.0) -> Header:
    """Return the header of an open image file, without decoding the image.

    Raises
    ------
    ValueError
        With the reason, if the file is no image that :func:`pixels` reads, or is too large.
    """
    with _opened(file, max_megapixels=max_megapixels) as image:
        width, height = image.size
        orientation, make, model, lens = _exif(image)
        if image.format == "TIFF" and orientation >= 5:
            width, height = height, width
        return Header(
            width=width, height=height, orientation=orientation, make=make, model=model, lens=lens
        )


def pixels(data: bytes, *, max_megapixels: float = 250.0) -> NDArray[np.uint8]:
    """Return the pixels of an image file as stored, ``(height, width, 3)`` uint8 RGB.

    Grey images have three equal planes, transparency is dropped, of several frames the first is
    read, and samples of 16 bits keep their upper eight.

    Raises
    ------
    ValueError
        With the reason, if the file cannot be decoded whole.
    """
    with quiet(), _opened(io.BytesIO(data), max_megapixels=max_megapixels) as image:
        try:
            orientation = _exif(image)[0] if image.format == "TIFF" else 0
            Image.core.set_use_block_allocator(1)  # type: ignore[attr-defined]  # one piece, for Arrow
            image.load()
            stored: Image.Image = image
            if orientation in _UNTURN:
                stored = image.transpose(_UNTURN[orientation])
            return _rgb(stored)
        except Exception as error:  # whatever a decoder raises, the file is at fault
            raise ValueError(f"cannot be decoded: {_words(error)}") from error


def resized(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return an image ``(height, width, 3)`` made ``size`` pixels high and wide, bicubically."""
    scaled = Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(scaled)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence decoders' warnings; enter once per pool, as threads must not nest the context."""
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _opened(file: IO[bytes], *, max_megapixels: float) -> Iterator[Image.Image]:
    Image.MAX_IMAGE_PIXELS = None  # camid's own limit below counts, with its own words
    try:
        image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        raise ValueError(f"not an image in one of the formats {', '.join(FORMATS)}") from None
    except Exception as error:
        raise ValueError(f"header cannot be read: {_words(error)}") from error
    with image:
        width, height = image.size
        if width * height > max_megapixels * 1e6:
            raise ValueError(
                f"{width}x{height} px is beyond the limit of {max_megapixels:g} megapixels "
                "(images.max_megapixels)"
            )
        yield image


def _exif(image: Image.Image) -> tuple[int, str, str, str]:
    """Return orientation, make, model and lens; broken or missing values are 0 or empty."""
    texts = ["", "", ""]
    orientation = 0
    try:
        exif = image.getexif()
        value = exif.get(ExifTags.Base.Orientation, 0)
        orientation = value if isinstance(value, int) and 1 <= value <= 8 else 0
        texts[0] = _text(exif.get(ExifTags.Base.Make))
        texts[1] = _text(exif.get(ExifTags.Base.Model))
        texts[2] = _text(exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.LensModel))
    except Exception:  # broken EXIF is no reason to lose the photograph
        pass
    return orientation, texts[0], texts[1], texts[2]


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I"):
        samples = np.asarray(image)
        if samples.max() > 0xFFFF or samples.min() < 0:
            raise ValueError(f"samples of mode {image.mode!r} beyond 16 bits")
        plane = (samples >> 8).astype(np.uint8)
        return np.repeat(plane[:, :, None], 3, axis=2)
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    memory = pa.array(rgb).values.buffers()[1]  # Pillow's own memory, four bytes per pixel
    padded = np.frombuffer(memory, np.uint8).reshape(rgb.height, rgb.width, 4)
    samples = np.empty((rgb.height, rgb.width, 3), np.uint8)
    for channel in range(3):  # three passes, as NumPy's copy of three bytes of four is slow
        samples[:, :, channel] = padded[:, :, channel]
    return samples


def _text(value: object) -> str:
    """Return an EXIF text without padding and control characters."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value or "")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
