"""The sensor: light becomes the raw signal of photosites behind a colour filter array.

Shot and read noise after Foi et al. 2008 (doi:10.1109/TIP.2008.2001399) and Healey, Kondepudy 1994
(doi:10.1109/34.276126): the pattern multiplies the light at each photosite, dark offsets add.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camid.dataset.simulate.models import Sensor
from camid.jit import exactly_compiled

Plane = NDArray[np.float32]

TAPS = 3
"""Pixels on each side that the point spread reaches."""


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """Exposure of a photograph."""

    light: float
    """Signal of a scene's 1, as a share of full scale."""
    stops: int
    """Doublings of the least ISO."""
    seconds: float
    blur: float
    """Standard deviation of the point spread, pixels."""


def raw_signal(
    planes: Plane,
    sensor: Sensor,
    exposure: Exposure,
    *,
    gain: Plane,
    dark: Plane,
    rng: np.random.Generator,
) -> Plane:
    """Return the signal of each photosite ``(height, width)``, 0…1 of full scale, quantised.

    Parameters
    ----------
    planes
        The scene ``(3, height, width)``.
    gain
        Relative sensitivity of each photosite: the device's and the model's pattern, vignetting.
    dark
        Electrons without light in each photosite.
    """
    taps = np.exp(-0.5 * (np.arange(-TAPS, TAPS + 1) / max(exposure.blur, 0.1)) ** 2)
    electrons = sensor.full_well / 2**exposure.stops
    signal: Plane = _mosaic(
        planes,
        (taps / taps.sum()).astype(np.float32),
        np.asarray(sensor.sensitivity, np.float32) * np.float32(exposure.light * electrons),
        sensor.cfa,
    )
    rows = rng.normal(0, sensor.row_noise, len(signal)).astype(np.float32)
    noise = rng.standard_normal(signal.shape, np.float32)
    raw: Plane = _read(
        signal,
        gain,
        dark,
        rows,
        noise,
        np.float32(sensor.read_noise**2),
        np.float32(electrons),
        np.float32(2**sensor.bits - 1),
    )
    return raw


def falloff(sensor: Sensor, *, share: float) -> Plane:
    """Return the light ``(height, width)`` that a ``share`` of the vignetting leaves, 1 amid."""
    y = np.linspace(-1, 1, sensor.height, dtype=np.float32)[:, None] ** 2
    x = np.linspace(-1, 1, sensor.width, dtype=np.float32)[None, :] ** 2
    return np.asarray(1 - np.float32(share * sensor.vignetting / 2) * (y + x), np.float32)


@exactly_compiled
def _mosaic(planes: Plane, taps: Plane, scale: Plane, cfa: tuple[int, int]) -> Plane:
    """Return the blurred light of each photosite's own colour, times the colour's scale."""
    _, height, width = planes.shape
    reach = len(taps) // 2
    signal = np.empty((height, width), np.float32)
    line = np.empty(width + 2 * reach, np.float32)
    for y in range(height):
        row = (y + cfa[0]) & 1  # 0: red and green, 1: green and blue
        for slot in range(2):
            middle = line[reach : reach + width]
            middle[:] = 0
            for tap in range(len(taps)):
                near = min(max(y + tap - reach, 0), height - 1)
                middle += taps[tap] * planes[row + slot, near]
            line[:reach] = line[reach]
            line[reach + width :] = line[reach + width - 1]
            first = (slot + cfa[1]) & 1
            for x in range(first, width, 2):
                light = np.float32(0)
                for tap in range(len(taps)):
                    light += taps[tap] * line[x + tap]
                signal[y, x] = light * scale[row + slot]
    return signal


@exactly_compiled
def _read(
    signal: Plane,
    gain: Plane,
    dark: Plane,
    rows: Plane,
    noise: Plane,
    read_variance: np.float32,
    full: np.float32,
    top: np.float32,
) -> Plane:
    """Return the photosites' signal with its noise, as the converter gives it, 0…1."""
    height, width = signal.shape
    raw = np.empty((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            electrons = min(signal[y, x] * gain[y, x], np.float32(1.5) * full) + dark[y, x]
            deviation = np.sqrt(max(electrons, np.float32(0)) + read_variance)
            share = (electrons + rows[y] + deviation * noise[y, x]) / full
            # below black stays below black: clipping there would brighten shadows
            raw[y, x] = np.rint(min(share, np.float32(1)) * top) / top
    return raw
