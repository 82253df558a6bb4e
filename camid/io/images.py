"""Photographs: their headers, and their pixels as the sensor's rows and columns.

EXIF orientation is recorded and never applied: turning an image would move the sensor's pixels.
"""

import io
import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import IO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from camid.io.counts import counted
from camid.io.decoding import decoded_apart
from camid.io.escaping import one_line
from camid.io.jpeg import check_segments, decoded_jpeg, is_jpeg

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP")  # JPEG opens MPO too
SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".mpo", ".png", ".tif", ".tiff", ".webp"})
RAW_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".kdc", ".mos", ".mrw", ".nef", ".nrw"}
    | {".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}
)
HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
VIDEO_SUFFIXES = frozenset({".3gp", ".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mts", ".webm"})

MOST_PER_BYTE, SMALL = 1000, 4e6
"""Pixels a byte of a file that may have many pixels, and pixels that any file may have: JPEG of low
quality holds 60 pixels of a photograph in a byte, and memory is taken for all that are declared."""
MOST_BYTES, SPARE = 16, 2**28
"""Bytes a pixel of a file, and bytes besides, such as a film's, that it may have."""

EDITORS = (
    *("photoshop", "lightroom", "gimp", "snapseed", "picasa", "affinity", "capture one"),
    *("darktable", "rawtherapee", "paint.net", "paintshop", "pixelmator", "acdsee", "photoscape"),
    *("luminar", "dxo", "instagram", "vsco", "facetune", "meitu", "picsart", "canva", "polarr"),
    *("photos 1", "photolab", "irfanview", "xnview", "imagemagick", "corel", "topaz", "remini"),
)
"""Parts of names of programs that change pixels, in EXIF's field Software, in lower case."""
RENDERED = {
    3: "high dynamic range, of several exposures",
    6: "a panorama",
    7: "portrait mode with high dynamic range",
    8: "portrait mode",
}
"""Values of EXIF's field CustomRendered by which phones state a mode."""

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
    focal_length: float = 0.0
    """Millimetres as stated, or 0."""
    processing: tuple[str, ...] = ()
    """Traces of processing that its EXIF states: an editor's name, a zoom, a mode."""


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
        stated = _exif(image)
        orientation = stated.orientation
        if image.format == "TIFF" and orientation >= 5:
            width, height = height, width
        return replace(stated, width=width, height=height)


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
            if image.format in {"JPEG", "MPO"} and (rgb := decoded_jpeg(data)) is not None:
                return rgb
        except ValueError as error:
            raise ValueError(f"cannot be decoded: {one_line(error)}") from error
    return decoded_apart(data, max_megapixels=max_megapixels)


def decoded_here(data: bytes, *, max_megapixels: float) -> NDArray[np.uint8]:
    """Return the pixels of an image file as :func:`pixels`, by Pillow in this process."""
    with quiet(), _opened(io.BytesIO(data), max_megapixels=max_megapixels) as image:
        try:
            orientation = _exif(image).orientation if image.format == "TIFF" else 0
            Image.core.set_use_block_allocator(1)  # type: ignore[attr-defined]  # one piece, for Arrow
            image.load()
            stored: Image.Image = image
            if orientation in _UNTURN:
                stored = image.transpose(_UNTURN[orientation])
            return _rgb(stored)
        except Exception as error:  # whatever a decoder raises, the file is at fault
            raise ValueError(f"cannot be decoded: {one_line(error)}") from error


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
        if is_jpeg(file):
            check_segments(file)
        image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        raise ValueError(f"not an image in one of the formats {', '.join(FORMATS)}") from None
    except Exception as error:
        raise ValueError(f"header cannot be read: {one_line(error)}") from error
    with image:
        width, height = image.size
        if width * height > max_megapixels * 1e6:
            raise ValueError(
                f"{width}x{height} px is beyond the limit of {max_megapixels:g} megapixels "
                "(images.max_megapixels)"
            )
        place = file.tell()
        num_bytes = file.seek(0, io.SEEK_END)
        file.seek(place)
        if num_bytes > SPARE + MOST_BYTES * width * height:
            raise ValueError(
                f"{counted(num_bytes, 'byte')} for {width}x{height} px, which no photograph is"
            )
        if width * height > max(SMALL, MOST_PER_BYTE * num_bytes):
            raise ValueError(
                f"{width}x{height} px in {counted(num_bytes, 'byte')}, which no photograph is"
            )
        yield image


def _exif(image: Image.Image) -> Header:
    """Return what EXIF states, with no size; broken or missing values are 0 or empty."""
    stated = Header(width=0, height=0)
    try:
        exif = image.getexif()
        value = exif.get(ExifTags.Base.Orientation, 0)
        stated = replace(
            stated,
            orientation=value if isinstance(value, int) and 1 <= value <= 8 else 0,
            make=_text(exif.get(ExifTags.Base.Make)),
            model=_text(exif.get(ExifTags.Base.Model)),
        )
        shot = exif.get_ifd(ExifTags.IFD.Exif)
        stated = replace(
            stated,
            lens=_text(shot.get(ExifTags.Base.LensModel)),
            focal_length=_number(shot.get(ExifTags.Base.FocalLength)),
            processing=tuple(_processing(_text(exif.get(ExifTags.Base.Software)), shot)),
        )
    except Exception:  # broken EXIF is no reason to lose the photograph
        pass
    return stated


def _processing(software: str, shot: Mapping[int, object]) -> Iterator[str]:
    """Yield what EXIF states of processing: EXIF 2.32, and Apple's values of CustomRendered."""
    if any(editor in software.lower() for editor in EDITORS):
        yield f"written by {software}"
    if (zoom := _number(shot.get(ExifTags.Base.DigitalZoomRatio))) > 1:
        yield f"digital zoom {zoom:.3g}"
    rendered = shot.get(ExifTags.Base.CustomRendered)
    if isinstance(rendered, int) and rendered in RENDERED:
        yield RENDERED[rendered]


def _number(value: object) -> float:
    """Return an EXIF number, or 0 if it is none."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return number if math.isfinite(number) else 0.0


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
