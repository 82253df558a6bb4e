"""Camera models: properties that all devices of a model share, drawn from ranges.

The noise has the form of Foi et al. 2008 (doi:10.1109/TIP.2008.2001399). JPEG tables and
subsampling lie within what the headers of 35 real cameras and phones have; exposures, pattern
strengths, blur, smoothing and sharpening were set until the figures of ``benchmarks/realism.py``
came near those of their photographs. Electrons, colours and vignetting are orders of magnitude
usual for small photosites, chosen, not measured.
"""

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from camid.config import Simulate

GOLDEN = (5**0.5 - 1) / 2
STRONGEST = 0.95
"""Standard deviations above the median model that the strongest pattern has."""

_MAKES = ("Aurora", "Birch", "Cobalt", "Delta", "Ember")

ANNEX_K = (
    np.array(
        [
            [16, 11, 10, 16, 24, 40, 51, 61],
            [12, 12, 14, 19, 26, 58, 60, 55],
            [14, 13, 16, 24, 40, 57, 69, 56],
            [14, 17, 22, 29, 51, 87, 80, 62],
            [18, 22, 37, 56, 68, 109, 103, 77],
            [24, 35, 55, 64, 81, 104, 113, 92],
            [49, 64, 78, 87, 103, 121, 120, 101],
            [72, 92, 95, 98, 112, 100, 103, 99],
        ]
    ),
    np.array(
        [
            [17, 18, 24, 47, 99, 99, 99, 99],
            [18, 21, 26, 66, 99, 99, 99, 99],
            [24, 26, 56, 99, 99, 99, 99, 99],
            [47, 66, 99, 99, 99, 99, 99, 99],
            *[[99] * 8] * 4,
        ]
    ),
)
"""Quantisation tables of luma and chroma at quality 50 in the JPEG standard, ITU-T T.81."""


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """The silicon and the lens before it."""

    width: int
    height: int
    cfa: tuple[int, int]
    """Row and column, 0 or 1, of the red photosite in each 2×2 of the colour filter array."""
    full_well: float
    """Electrons at full scale and least ISO."""
    read_noise: float
    """Electrons."""
    row_noise: float
    """Electrons, common to a row, new in each photograph."""
    bits: int
    base_iso: int
    sensitivity: tuple[float, float, float]
    """Signal of white in red, green and blue photosites, relative to green."""
    pattern_strength: float
    """Standard deviation of photosites' sensitivity around 1."""
    kinship: float
    """Standard deviation of the model's pattern, relative to that of a device's own."""
    dark_offset: float
    """Standard deviation of photosites' fixed offset, electrons."""
    dark_current: float
    """Mean electrons per second that gather in a photosite without light."""
    lens_blur: float
    """Standard deviation of the point spread, pixels."""
    vignetting: float
    """Light lost in the corners, 0…1."""


@dataclass(frozen=True, kw_only=True)
class Processing:
    """A camera's processing of the sensor's signal into a file."""

    shading_correction: float
    """Share of the vignetting that is corrected."""
    edge_gain: float
    """Weight of the other colours' Laplacian in demosaicking: 0 is bilinear, 1 is Malvar's."""
    saturation: float
    contrast: float
    smoothing: float
    """Share of the luma that the noise reduction replaces by its local estimate, 0…1."""
    smoothing_radius: int
    chroma_radius: int
    sharpening: float
    luma_table: tuple[int, ...]
    chroma_table: tuple[int, ...]
    subsampling: str
    turns_pixels: bool
    """Whether portraits are stored with their pixels turned, or as the sensor has them, by EXIF."""
    reduction: float = 1.0
    """Sensor pixels per pixel of the file, along a side."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A camera model."""

    number: int
    make: str
    name: str
    seed: int
    sensor: Sensor
    processing: Processing

    def shared_gain(self) -> NDArray[np.float32]:
        """Return each photosite's sensitivity ``(height, width)`` that the model's devices share.

        Iuliani, Fontani and Piva 2021 (arXiv:2009.04878) showed that devices of one model share
        more than chance, but not why. Here half its power is a lattice, as focus photosites or
        readout blocks would leave, and half is white.
        """
        sensor = self.sensor
        rng = np.random.default_rng([self.seed, self.number, 1])
        period = int(rng.choice([8, 12, 16, 24, 32]))
        tile = rng.standard_normal((period, period)) * (rng.random((period, period)) < 0.2)
        repeats = (-(-sensor.height // period), -(-sensor.width // period))
        lattice = np.tile(tile / max(tile.std(), 1e-6), repeats)[: sensor.height, : sensor.width]
        pattern = lattice + rng.standard_normal((sensor.height, sensor.width))
        strength = sensor.kinship * sensor.pattern_strength * np.sqrt(0.5)
        return np.asarray(1 + strength * pattern, np.float32)


def drawn_model(settings: Simulate, number: int, *, seed: int) -> Model:
    """Return the model of a number, which depends on settings, seed and number only."""
    rng = np.random.default_rng([seed, number])
    # A golden-ratio sequence: few models are spread as evenly over weak and strong as many are.
    start = float(np.random.default_rng(seed).random())
    level = min(max((start + number * GOLDEN) % 1, 1e-3), 1 - 1e-3)
    make = _MAKES[number % len(_MAKES)]
    sensor = _sensor(rng, settings, settings.sizes[number % len(settings.sizes)], level=level)
    processing = _processing(rng, settings)
    if settings.cameras == "any":
        sensor, processing = _any_camera(rng, settings, sensor, processing)
    return Model(
        number=number,
        make=make,
        name=f"{make[0]}{number + 1}",
        seed=seed,
        sensor=sensor,
        processing=processing,
    )


def _any_camera(
    rng: np.random.Generator, settings: Simulate, sensor: Sensor, processing: Processing
) -> tuple[Sensor, Processing]:
    """Return a phone's sensor and processing with properties redrawn that vary among cameras.

    The residuals of real cameras lie in a wider range than those of phones: of a collection of 35,
    the share of power below a quarter of Nyquist is 0.00–0.32, that of colour against grey
    0.10–0.79, the standard deviation of flat parts 1.0–3.4 grey levels.
    """
    reduction = float(rng.uniform(1.1, 2.0)) if rng.random() < 0.3 else 1.0
    luma, chroma = _tables(
        rng, quality=min(settings.quality + 1, 100) - int(min(rng.exponential(8), 28))
    )
    sensor = replace(
        sensor,
        width=2 * round(sensor.width * reduction / 2),
        height=2 * round(sensor.height * reduction / 2),
        full_well=float(np.exp(rng.uniform(np.log(5000), np.log(80000)))),
        read_noise=float(rng.uniform(1.5, 6)),
        lens_blur=float(rng.uniform(0.6, 2.0)),
    )
    processing = replace(
        processing,
        edge_gain=float(rng.uniform(0, 1.1)),
        smoothing=float(rng.uniform(0, 1)),
        smoothing_radius=int(rng.integers(1, 5)),
        chroma_radius=int(rng.integers(0, 5)),
        sharpening=float(rng.uniform(0, 2)),
        luma_table=luma,
        chroma_table=chroma,
        subsampling=str(rng.choice(["4:4:4", "4:2:2", "4:2:0"], p=[0.1, 0.4, 0.5])),
        reduction=reduction,
    )
    return sensor, processing


def _sensor(
    rng: np.random.Generator, settings: Simulate, size: tuple[int, int], *, level: float
) -> Sensor:
    """Return a model's sensor; ``level`` is the share of models with a weaker pattern."""
    strength = np.exp(settings.pattern_spread * min(NormalDist().inv_cdf(level), STRONGEST))
    return Sensor(
        width=size[0],
        height=size[1],
        cfa=(int(rng.integers(2)), int(rng.integers(2))),
        full_well=float(rng.uniform(6000, 16000)),
        read_noise=float(rng.uniform(1.5, 4.5)),
        row_noise=float(rng.uniform(0.1, 0.6)),
        bits=int(rng.choice([10, 12])),
        base_iso=int(rng.choice([25, 32, 50, 64, 100])),
        sensitivity=(float(rng.uniform(0.45, 0.65)), 1.0, float(rng.uniform(0.5, 0.75))),
        pattern_strength=settings.pattern_strength * float(strength),
        kinship=float(rng.uniform(*settings.kinship)),
        dark_offset=float(rng.uniform(0.3, 1.5)),
        dark_current=float(rng.uniform(1, 10)),
        lens_blur=float(rng.uniform(0.75, 1.4)),
        vignetting=float(rng.uniform(0.1, 0.6)),
    )


def _processing(rng: np.random.Generator, settings: Simulate) -> Processing:
    luma, chroma = _tables(rng, quality=settings.quality - int(min(rng.exponential(6), 22)))
    return Processing(
        shading_correction=float(rng.uniform(0.6, 1.0)),
        edge_gain=float(rng.uniform(0.3, 1.0)),
        saturation=float(rng.uniform(0.1, 0.5)),
        contrast=float(rng.uniform(0.0, 0.5)),
        smoothing=float(rng.uniform(0.3, 0.9)),
        smoothing_radius=int(rng.integers(1, 3)),
        chroma_radius=int(rng.integers(1, 4)),
        sharpening=float(rng.uniform(0.1, 1.0)),
        luma_table=luma,
        chroma_table=chroma,
        subsampling="4:2:2" if rng.random() < 0.6 else "4:2:0",
        turns_pixels=bool(rng.random() < 0.2),
    )


def _tables(rng: np.random.Generator, *, quality: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return a model's own quantisation tables: the standard's, scaled, tilted by frequency."""
    scale = (200 - 2 * quality if quality >= 50 else 5000 / quality) / 100
    frequency = np.add.outer(np.arange(8), np.arange(8)) / 14
    tilt = np.exp(rng.normal(0, 0.3) * (frequency - 0.5)) * rng.uniform(0.9, 1.1, (8, 8))
    luma, chroma = (
        tuple(int(step) for step in np.clip(np.rint(table * scale * tilt), 1, 255).ravel())
        for table in ANNEX_K
    )
    return luma, chroma
