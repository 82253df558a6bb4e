"""Artefacts that cameras, applications and editors leave in photographs, and that no sensor makes.

Each is a function of a photograph's pixels ``(height, width, 3)`` and of its number, for what
changes from photograph to photograph. Those of :data:`SHARED` are the same whichever camera took
the photograph; those of :data:`EDITS` change where its pixels lie.
"""

import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

Pixels = NDArray[np.uint8]
Artefact = Callable[[Pixels, int], Pixels]

DITHER, TILE = 0.5, 128
"""Grey levels either way of a dither before rounding, and pixels after which it repeats."""
EXPOSURE = 0.95
"""Factor on the grey levels by which an editor makes them fractions."""
GRAIN, BLUR = 1.0, 4.0
"""Standard deviations of a portrait mode's noise, grey levels, and of its blur, pixels."""
MERGED, MOVED = 256, 2
"""Pixels a side of tiles that a phone merges, and pixels by which it moves them at most."""
BORDER = 1 / 64
"""Share of the shorter side that a frame takes on each side."""
QUALITY, DELIVERED = 98, 75
"""JPEG qualities of an edited photograph and of one that a messenger delivers."""
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def watermark(image: Pixels, number: int) -> Pixels:  # noqa: ARG001
    """Return a photograph with a maker's mark in its lower right corner."""
    height, width = image.shape[:2]
    picture, draw = _drawn(image)
    box = (0.7 * width, 0.9 * height, 0.98 * width, 0.98 * height)
    draw.rectangle(box, outline=WHITE, width=2)
    draw.text((0.72 * width, 0.915 * height), "SHOT ON ONE", fill=WHITE, font=_font(0.04 * height))
    return np.asarray(picture)


def date(image: Pixels, number: int) -> Pixels:
    """Return a photograph with a black strip below, whose time changes with the number."""
    height, width = image.shape[:2]
    picture, draw = _drawn(image)
    draw.rectangle((0, 0.94 * height, width, height), fill=BLACK)
    words = f"2024-0{number % 9 + 1}-1{number % 7} 1{number % 9}:3{number % 6}:0{number % 10} CAM 1"
    draw.text((0.02 * width, 0.945 * height), words, fill=WHITE, font=_font(0.04 * height))
    return np.asarray(picture)


def stamp(image: Pixels, number: int) -> Pixels:
    """Return a photograph with an orange date on it, as film cameras have it."""
    height, width = image.shape[:2]
    picture, draw = _drawn(image)
    words = f"'24 {number % 9 + 1} 1{number % 7}"
    draw.text((0.7 * width, 0.85 * height), words, fill=(255, 140, 0), font=_font(0.05 * height))
    return np.asarray(picture)


def frame(image: Pixels, number: int) -> Pixels:  # noqa: ARG001
    """Return a photograph with a white border."""
    side = max(4, round(BORDER * min(image.shape[:2])))
    made = image.copy()
    for part in (slice(None, side), slice(-side, None)):
        made[part] = made[:, part] = 255
    return made


def letterbox(image: Pixels, number: int) -> Pixels:  # noqa: ARG001
    """Return a photograph with black bars above and below."""
    side = image.shape[0] // 10
    made = image.copy()
    made[:side] = made[-side:] = 0
    return made


def dither(image: Pixels, number: int) -> Pixels:  # noqa: ARG001
    """Return a photograph as an editor exports it: darker, with the same tile of noise added.

    Such a tile of 128×128 pixels is described in arXiv:2401.01366.
    """
    height, width = image.shape[:2]
    tile = np.random.default_rng(128).uniform(-DITHER, DITHER, (TILE, TILE, 1))
    tiles = np.tile(tile, (-(-height // TILE), -(-width // TILE), 1))[:height, :width]
    return _rounded(EXPOSURE * image + tiles)


def noise(image: Pixels, number: int) -> Pixels:  # noqa: ARG001
    """Return a photograph as an editor exports it that adds the same noise to all of a picture."""
    height, width = image.shape[:2]
    levels = np.random.default_rng(64).uniform(-DITHER, DITHER, (height, width, 1))
    return _rounded(EXPOSURE * image + levels)


def grain(image: Pixels, number: int) -> Pixels:  # noqa: ARG001
    """Return a photograph as a portrait mode makes it: blurred around, with the same noise added.

    Such noise is described in IEEE TIFS 21:1096.
    """
    height, width = image.shape[:2]
    noise = gaussian_filter(np.random.default_rng(11).standard_normal((height, width)), 0.8)
    y, x = np.mgrid[:height, :width]
    reach = np.hypot((y / height - 0.55) / 0.3, (x / width - 0.5) / 0.3)
    share = np.clip(3 * (reach - 1), 0, 1)[..., None]
    blurred = gaussian_filter(image.astype(np.float64), (BLUR, BLUR, 0))
    noisy = blurred + (GRAIN / noise.std() * noise)[..., None]
    return _rounded((1 - share) * image + share * noisy)


def mirrored(image: Pixels, number: int) -> Pixels:  # noqa: ARG001
    """Return a photograph mirrored left to right, as front cameras save it."""
    return np.ascontiguousarray(image[:, ::-1])


def stretched(image: Pixels, number: int) -> Pixels:  # noqa: ARG001
    """Return a photograph squeezed to 91 % of its width."""
    height, width = image.shape[:2]
    size = (round(0.91 * width), height)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def turned(image: Pixels, number: int) -> Pixels:  # noqa: ARG001
    """Return a photograph whose horizon was set right by two degrees, cut to what is whole."""
    height, width = image.shape[:2]
    picture = Image.fromarray(image).rotate(2, Image.Resampling.BICUBIC)
    margin = round(0.5 * np.sin(np.radians(2)) * max(height, width)) + 1
    return np.asarray(picture.crop((margin, margin, width - margin, height - margin)))


def hdr(image: Pixels, number: int) -> Pixels:
    """Return a photograph merged of several, each tile moved by up to two pixels, as phones do.

    Such tiles of 256×256 pixels are described in arXiv:2510.09509.
    """
    rng = np.random.default_rng([MERGED, number])
    padded = np.pad(image, ((MOVED, MOVED), (MOVED, MOVED), (0, 0)), "edge")
    made = image.copy()
    for top in range(0, image.shape[0], MERGED):
        for left in range(0, image.shape[1], MERGED):
            tile = made[top : top + MERGED, left : left + MERGED]
            down, right = rng.integers(0, 2 * MOVED + 1, 2)
            moved = padded[top + down :, left + right :]
            tile[:] = moved[: tile.shape[0], : tile.shape[1]]
    return made


SHARED: Mapping[str, Artefact] = {
    "watermark": watermark,
    "date": date,
    "stamp": stamp,
    "frame": frame,
    "letterbox": letterbox,
    "dither": dither,
    "grain": grain,
}
"""By name: what photographs of different cameras share."""
LOSSLESS: Mapping[str, Artefact] = {"noise": noise}
"""By name: what photographs share that are written without loss, and JPEG removes a part of."""
EDITS: Mapping[str, Artefact] = {"mirrored": mirrored, "stretched": stretched, "turned": turned}
"""By name: what moves a photograph's pixels."""
TILED: Mapping[str, Artefact] = {"hdr": hdr}
"""By name: what moves parts of a photograph, each by its own shift."""
ARTEFACTS: Mapping[str, Artefact] = {**SHARED, **LOSSLESS, **EDITS, **TILED}
"""All, by name."""


def edited(photograph: bytes, names: Sequence[str], number: int) -> bytes:
    """Return a JPEG file with artefacts, in their order, and its EXIF."""
    with Image.open(io.BytesIO(photograph)) as opened:
        exif, image = opened.getexif(), np.asarray(opened.convert("RGB"))
    for name in names:
        image = ARTEFACTS[name](image, number)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=QUALITY, subsampling=0, exif=exif)
    return file.getvalue()


def received(photograph: bytes) -> bytes:
    """Return a JPEG file as a messenger delivers it: written again, and without its EXIF."""
    with Image.open(io.BytesIO(photograph)) as opened:
        image = opened.convert("RGB")
    file = io.BytesIO()
    image.save(file, "JPEG", quality=DELIVERED)
    return file.getvalue()


def _drawn(image: Pixels) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    picture = Image.fromarray(image)
    return picture, ImageDraw.Draw(picture)


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(8, round(size)))


def _rounded(levels: NDArray[np.floating]) -> Pixels:
    return np.asarray(np.clip(np.rint(levels), 0, 255), np.uint8)
