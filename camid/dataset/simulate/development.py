"""Development: a camera's processing of its sensor's signal into the pixels of a JPEG file.

Demosaicking is Malvar, He, Cutler 2004 (doi:10.1109/ICASSP.2004.1326587), its gradients weighted;
noise reduction is Lee's local Wiener estimate of luma and a box over chroma; sharpening is an
unsharp mask.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from camid.dataset.simulate.models import Processing, Sensor
from camid.jit import exactly_compiled

Plane = NDArray[np.float32]

CURVE_STEPS = 1 << 16


def developed(raw: Plane, sensor: Sensor, processing: Processing, *, noise: float) -> Plane:
    """Return luma and two chromas ``(3, height, width)`` in grey levels, chroma around 128.

    Parameters
    ----------
    raw
        The sensor's signal ``(height, width)``, shading corrected, about 0…1.
    noise
        Standard deviation of the signal's noise in the midtones, grey levels: the camera knows it.
    """
    balance = (1 / np.asarray(sensor.sensitivity)).astype(np.float32)
    planes: Plane = _demosaicked(
        np.pad(raw, 2, mode="reflect"),
        sensor.cfa,
        balance,
        np.float32(processing.edge_gain),
        np.float32(1 + processing.saturation),
        _curve(processing.contrast),
    )
    luma = _smoothed(
        planes[0],
        _boxed(planes[0], processing.smoothing_radius),
        _boxed(planes[0] * planes[0], processing.smoothing_radius),
        np.float32(noise * noise),
        np.float32(processing.smoothing),
    )
    planes[0] = _sharpened(luma, np.float32(processing.sharpening))
    for chroma in (1, 2):
        planes[chroma] = _boxed(planes[chroma], processing.chroma_radius)
    return planes


def reduced(planes: Plane, factor: float) -> Plane:
    """Return planes ``(plane, height, width)`` with fewer pixels, each a weighted mean (bicubic).

    Heights and widths become even.
    """
    height, width = (2 * round(side / factor / 2) for side in planes.shape[1:])
    images = (Image.fromarray(plane) for plane in planes)
    size = (width, height)
    return np.stack([np.asarray(image.resize(size, Image.Resampling.BICUBIC)) for image in images])


def jpeg(planes: Plane, processing: Processing, *, exif: Image.Exif) -> bytes:
    """Return luma and chroma planes ``(3, height, width)``, grey levels, as the camera's file."""
    image = Image.merge("YCbCr", [Image.fromarray(_samples(plane)) for plane in planes])
    file = io.BytesIO()
    image.save(
        file,
        "JPEG",
        qtables=[list(processing.luma_table), list(processing.chroma_table)],
        subsampling=processing.subsampling,
        exif=exif,
    )
    return file.getvalue()


def midtone_slope() -> float:
    """Return the slope of grey levels over light, a share of full scale, in the midtones."""
    return float(255 * 1.055 / 2.4 * 0.18 ** (1 / 2.4 - 1))


def _curve(contrast: float) -> NDArray[np.float32]:
    """Return grey levels over light: sRGB's curve, IEC 61966-2-1, and an S by ``contrast``."""
    light = np.linspace(0, 1, CURVE_STEPS)
    display = np.where(light < 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    bent = (1 - contrast) * display + contrast * display**2 * (3 - 2 * display)
    return np.asarray(255 * bent, np.float32)


@exactly_compiled
def _demosaicked(
    raw: Plane,
    cfa: tuple[int, int],
    balance: Plane,
    edge: np.float32,
    saturation: np.float32,
    curve: Plane,
) -> Plane:
    """Return luma and chroma of a signal that is padded by two photosites on each side."""
    height, width = raw.shape[0] - 4, raw.shape[1] - 4
    planes = np.empty((3, height, width), np.float32)
    rgb = np.empty(3, np.float32)
    zero, one, two = np.float32(0), np.float32(1), np.float32(2)  # Python's numbers are doubles
    half, quarter, eighth = np.float32(0.5), np.float32(0.25), np.float32(0.125)
    four, five = np.float32(4), np.float32(5)
    steps = np.float32(len(curve) - 1)
    for y in range(height):
        row = (y + cfa[0]) & 1
        for x in range(width):
            j, i, column = y + 2, x + 2, (x + cfa[1]) & 1
            here = raw[j, i]
            aside, above = raw[j, i - 1] + raw[j, i + 1], raw[j - 1, i] + raw[j + 1, i]
            aside2, above2 = raw[j, i - 2] + raw[j, i + 2], raw[j - 2, i] + raw[j + 2, i]
            corners = raw[j - 1, i - 1] + raw[j - 1, i + 1] + raw[j + 1, i - 1] + raw[j + 1, i + 1]
            own = row + column
            if own == 1:
                green = here * balance[1]
                common = five * here - corners
                along, down = 2 * row, 2 - 2 * row
                # the Laplacian of green is bent into the other colour's scale by the balance
                bend = edge * balance[1] * (common - aside2 + half * above2)
                rgb[along] = (four * aside * balance[along] + bend) * eighth
                bend = edge * balance[1] * (common - above2 + half * aside2)
                rgb[down] = (four * above * balance[down] + bend) * eighth
            else:
                bend = edge * balance[own] * (four * here - aside2 - above2)
                green = (two * (aside + above) * balance[1] + bend) * eighth
                across = 2 - own
                rgb[across] = (two * (corners * balance[across]) + (one + half) * bend) * eighth
                rgb[own] = here * balance[own]
            rgb[1] = green
            for colour in range(3):
                rgb[colour] = min(rgb[colour], one)  # no colour is beyond white
            mean = (rgb[0] + two * rgb[1] + rgb[2]) * quarter
            for colour in range(3):
                light = mean + saturation * (rgb[colour] - mean)
                rgb[colour] = curve[int(min(max(light, zero), one) * steps + half)]
            luma = np.float32(0.299) * rgb[0] + np.float32(0.587) * rgb[1]
            luma += np.float32(0.114) * rgb[2]
            planes[0, y, x] = luma
            planes[1, y, x] = np.float32(128) + np.float32(0.564) * (rgb[2] - luma)
            planes[2, y, x] = np.float32(128) + np.float32(0.713) * (rgb[0] - luma)
    return planes


@exactly_compiled
def _boxed(plane: Plane, radius: int) -> Plane:
    """Return the mean over squares of ``2 radius + 1`` pixels per side, edges repeated."""
    height, width = plane.shape
    side = 2 * radius + 1
    share = np.float32(1 / (side * side))
    result = np.empty((height, width), np.float32)
    line = np.empty(width + 2 * radius, np.float32)
    for y in range(height):
        middle = line[radius : radius + width]
        middle[:] = 0
        for tap in range(-radius, radius + 1):
            middle += plane[min(max(y + tap, 0), height - 1)]
        line[:radius] = line[radius]
        line[radius + width :] = line[radius + width - 1]
        total = line[:width].copy()
        for tap in range(1, side):
            total += line[tap : tap + width]
        result[y] = total * share
    return result


@exactly_compiled
def _smoothed(
    luma: Plane, mean: Plane, square: Plane, variance: np.float32, share: np.float32
) -> Plane:
    """Return luma with a share of it replaced by the local Wiener estimate."""
    height, width = luma.shape
    result = np.empty((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            local = max(square[y, x] - mean[y, x] * mean[y, x], np.float32(1e-3))
            kept = max(local - variance, np.float32(0)) / local
            estimate = mean[y, x] + kept * (luma[y, x] - mean[y, x])
            result[y, x] = luma[y, x] + share * (estimate - luma[y, x])
    return result


@exactly_compiled
def _sharpened(luma: Plane, amount: np.float32) -> Plane:
    """Return luma plus ``amount`` times its difference from a 3×3 binomial blur."""
    height, width = luma.shape
    result = np.empty((height, width), np.float32)
    for y in range(height):
        up, down = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            cross = luma[up, x] + luma[down, x] + luma[y, left] + luma[y, right]
            corners = luma[up, left] + luma[up, right] + luma[down, left] + luma[down, right]
            blurred = np.float32(0.25) * luma[y, x] + np.float32(0.125) * cross
            blurred += np.float32(0.0625) * corners
            result[y, x] = luma[y, x] + amount * (luma[y, x] - blurred)
    return result


@exactly_compiled
def _samples(plane: Plane) -> NDArray[np.uint8]:
    """Return grey levels rounded to uint8."""
    height, width = plane.shape
    result = np.empty((height, width), np.uint8)
    for y in range(height):
        for x in range(width):
            result[y, x] = int(
                min(max(plane[y, x], np.float32(0)), np.float32(255)) + np.float32(0.5)
            )
    return result
