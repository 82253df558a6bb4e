"""Synthetic cameras whose patterns are known, written with SOCRatES's names and EXIF.

A device is a pattern: the sensitivity of every photosite around 1, Gaussian and fixed. A photograph
is a scene in linear light, times the pattern, with shot and read noise, a tone curve and JPEG.
Devices of one model share its size of noise, tone curve and JPEG quality, and nothing else.
"""

import hashlib
import io
from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from scipy import fft
from scipy.ndimage import gaussian_filter

from camid.config import Simulate
from camid.folder import Folder
from camid.records import Kind

FIRST_ID = 100
"""SOCRatES's ids begin about here."""

_MAKES = ("Aurora", "Birch", "Cobalt", "Delta", "Ember")
_FULL_WELL = 6000.0
"""Electrons at full scale: small phone pixels hold a few thousand."""


@dataclass(frozen=True, kw_only=True)
class Phone:
    """One synthetic device."""

    device: str
    make: str
    model: str
    quality: int
    gamma: float
    read_noise: float
    """Electrons."""
    pattern_strength: float
    height: int
    width: int
    seed: int

    def _rng(self, *key: str | int) -> np.random.Generator:
        text = "/".join(map(str, (self.seed, self.device, *key)))
        return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16]))

    def pattern(self) -> NDArray[np.float32]:
        """Return the relative sensitivity of each photosite less 1, ``(height, width)``."""
        strength = np.float32(self.pattern_strength)
        sites = self._rng("pattern").standard_normal((self.height, self.width), np.float32)
        return strength * sites

    def photograph(self, kind: Kind, number: int) -> bytes:
        """Return a JPEG file of a scene of its own; the same bytes every time."""
        rng = self._rng(kind, number)
        scene = _background(rng, self) if kind == "background" else _foreground(rng, self)
        electrons = scene * (1 + self.pattern()[:, :, None]) * np.float32(_FULL_WELL)
        noise = rng.standard_normal(electrons.shape, np.float32)
        electrons += np.sqrt(np.maximum(electrons, 0) + self.read_noise**2) * noise
        light = np.clip(electrons / np.float32(_FULL_WELL), 0, 1)
        image = Image.fromarray(np.rint(255 * light ** np.float32(1 / self.gamma)).astype(np.uint8))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=self.quality, exif=self._exif(kind, number))
        return file.getvalue()

    def _exif(self, kind: Kind, number: int) -> Image.Exif:
        minutes = number + (1000 if kind == "background" else 0)
        taken = datetime(2019, 3, 1, 9) + timedelta(minutes=minutes)
        exif = Image.Exif()
        exif[ExifTags.Base.Make] = self.make
        exif[ExifTags.Base.Model] = self.model
        exif[ExifTags.Base.Orientation] = 1
        exif[ExifTags.Base.DateTime] = taken.strftime("%Y:%m:%d %H:%M:%S")
        return exif


def phones(settings: Simulate, *, seed: int) -> list[Phone]:
    """Return the devices, dealt to models in turn; each depends on the seed and its number only."""
    devices = []
    for number in range(settings.num_devices):
        model = number % settings.num_models
        traits = np.random.default_rng([seed, model])
        devices.append(
            Phone(
                device=str(FIRST_ID + number),
                make=_MAKES[model % len(_MAKES)],
                model=f"{_MAKES[model % len(_MAKES)][0]}{model + 1}",
                quality=settings.quality - int(traits.integers(0, 11)),
                gamma=float(traits.uniform(1.8, 2.4)),
                read_noise=float(traits.uniform(3, 10)),
                pattern_strength=settings.pattern_strength * float(traits.uniform(0.5, 1.5)),
                height=settings.height,
                width=settings.width,
                seed=seed,
            )
        )
    return devices


def photograph_names(phone: Phone, settings: Simulate) -> Iterator[tuple[Kind, int, str]]:
    """Yield kind, number and SOCRatES file name of each of a device's photographs."""
    kinds: tuple[tuple[Kind, str, int], ...] = (
        ("background", "BG", settings.num_background),
        ("foreground", "FG", settings.num_foreground),
    )
    for kind, tag, count in kinds:
        for number in range(1, count + 1):
            yield kind, number, f"Eurecom_{phone.device}_pic{tag}_{number:03d}.jpg"


def write_photographs(
    phone: Phone, folder: Folder, settings: Simulate, *, names: Container[str]
) -> None:
    """Write those of a device's photographs whose names are in ``names``."""
    for kind, number, name in photograph_names(phone, settings):
        if name in names:
            folder.write(name, phone.photograph(kind, number))


def _background(rng: np.random.Generator, phone: Phone) -> NDArray[np.float32]:
    """Return a wall or a sky ``(height, width, 3)``: a faint gradient of one colour, 0…1."""
    tilt = _ramp(rng, phone) * np.float32(rng.uniform(0.02, 0.15))
    level = rng.uniform(0.25, 0.6) * rng.uniform(0.9, 1.1, 3)
    return np.asarray((1 + tilt)[:, :, None] * level, np.float32)


def _foreground(rng: np.random.Generator, phone: Phone) -> NDArray[np.float32]:
    """Return a natural-looking scene ``(height, width, 3)``: textures, objects, light, 0…1."""
    shape = (phone.height, phone.width)
    scene = _clouds(rng, shape, slope=rng.uniform(1.0, 1.6)) * np.float32(rng.uniform(0.3, 0.8))
    planes = scene[:, :, None] + rng.uniform(-0.3, 0.3, 3).astype(np.float32)
    textures = [_clouds(rng, shape, slope=slope) for slope in (0.6, 0.9, 1.3)]
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    for _ in range(int(rng.integers(4, 16))):
        y, x = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        height, width = rng.uniform(0.05, 0.35, 2) * min(shape)
        angle = rng.uniform(0, np.pi)
        u = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
        v = (rows - y) * np.cos(angle) - (columns - x) * np.sin(angle)
        inside = (np.abs(u) < width) & (np.abs(v) < height)
        if rng.random() < 0.5:
            inside = (u / width) ** 2 + (v / height) ** 2 < 1
        texture = textures[int(rng.integers(len(textures)))][inside] * rng.uniform(0.05, 0.6)
        colour = rng.uniform(-1.2, 1.2) + rng.uniform(-0.4, 0.4, 3)
        planes[inside] = texture[:, None] + colour
    planes += _ramp(rng, phone)[:, :, None] * np.float32(rng.uniform(0, 0.5))
    planes = gaussian_filter(planes, (0.7, 0.7, 0))  # no lens is sharper than its pixels
    light = rng.uniform(0.08, 0.35) * np.exp(planes)
    return np.asarray(np.clip(light, 0, 1), np.float32)


def _ramp(rng: np.random.Generator, phone: Phone) -> NDArray[np.float32]:
    """Return a plane that rises in some direction, about −1…1."""
    angle = rng.uniform(0, 2 * np.pi)
    rows = np.linspace(-1, 1, phone.height, dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, phone.width, dtype=np.float32)[None, :]
    return np.asarray(rows * np.sin(angle) + columns * np.cos(angle), np.float32)


def _clouds(
    rng: np.random.Generator, shape: tuple[int, int], *, slope: float
) -> NDArray[np.float32]:
    """Return Gaussian noise whose amplitude falls with frequency to the ``slope``, deviation 1."""
    white = fft.rfft2(rng.standard_normal(shape, np.float32))
    y = fft.fftfreq(shape[0])[:, None]
    x = fft.rfftfreq(shape[1])[None, :]
    radius = np.hypot(y, x)
    radius[0, 0] = np.inf
    plane = fft.irfft2(white / radius.astype(np.float32) ** np.float32(slope), s=shape)
    return np.asarray(plane / plane.std(), np.float32)
