"""One synthetic phone: its pattern, and the photographs it takes."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from camid.dataset.records import Kind
from camid.dataset.simulate.development import developed, jpeg, midtone_slope, reduced
from camid.dataset.simulate.models import Model
from camid.dataset.simulate.scenes import background, foreground
from camid.dataset.simulate.sensor import Exposure, falloff, raw_signal

TURNED = 6
"""EXIF orientation of a portrait that is stored as the sensor has it."""
HOT_SHARE = 2e-5
"""Share of photosites whose dark current is a hundred times the others'."""


@dataclass(frozen=True, kw_only=True)
class Phone:
    """One synthetic device: a model, and a pattern of its own."""

    device: str
    model: Model
    portraits: float
    """Share of foregrounds in portrait format."""

    def pattern(self) -> NDArray[np.float32]:
        """Return the device's own part of each photosite's sensitivity, ``(height, width)``.

        It is relative, less 1, and without the model's part (:meth:`Model.shared_gain`).
        """
        return _pattern(self)

    def photograph(self, kind: Kind, number: int) -> bytes:
        """Return a photograph of a scene of its own as JPEG, the same bytes every time."""
        model, rng = self.model, self._rng(kind, number)
        sensor, processing = model.sensor, model.processing
        is_portrait = kind == "foreground" and rng.random() < self.portraits
        exposure = self._exposure(rng, kind)
        scene = self._scene(rng, kind, is_portrait=is_portrait)
        dark_offset, dark_current = _dark(self)
        raw = raw_signal(
            scene,
            sensor,
            exposure,
            gain=_gain(self),
            dark=dark_offset + dark_current * np.float32(exposure.seconds),
            rng=rng,
        )
        raw /= falloff(sensor, share=processing.shading_correction)
        electrons = sensor.full_well / 2**exposure.stops
        noise = np.sqrt(0.18 * electrons + sensor.read_noise**2) / electrons * midtone_slope()
        planes = developed(raw, sensor, processing, noise=float(noise))
        if processing.reduction > 1:
            planes = reduced(planes, processing.reduction)
        if is_portrait and processing.turns_pixels:
            planes = np.rot90(planes, -1, axes=(1, 2))
        orientation = TURNED if is_portrait and not processing.turns_pixels else 1
        exif = self._exif(kind, number, exposure, orientation=orientation)
        return jpeg(planes, processing, exif=exif)

    def receives(self, number: int, share: float) -> bool:
        """Return whether a foreground is among the share that others took and sent."""
        return bool(self._rng("received", number).random() < share)

    def _rng(self, *key: str | int) -> np.random.Generator:
        text = "/".join(map(str, (self.model.seed, self.device, *key)))
        return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16]))

    def _exposure(self, rng: np.random.Generator, kind: Kind) -> Exposure:
        stops = int(min(rng.exponential(0.8), 5))
        is_background = kind == "background"
        light = rng.uniform(0.15, 0.45) if is_background else np.exp(rng.normal(-1.7, 0.65))
        blur = rng.uniform(0, 0.4)
        return Exposure(
            light=float(light),
            stops=stops,
            seconds=float(np.exp2(rng.uniform(-9, -6) + 0.7 * stops)),
            blur=float(np.hypot(self.model.sensor.lens_blur, blur)),
        )

    def _scene(
        self, rng: np.random.Generator, kind: Kind, *, is_portrait: bool
    ) -> NDArray[np.float32]:
        shape = (self.model.sensor.height, self.model.sensor.width)
        if kind == "background":
            return background(rng, shape)
        if is_portrait:
            return np.ascontiguousarray(np.rot90(foreground(rng, shape[::-1]), axes=(1, 2)))
        return foreground(rng, shape)

    def _exif(self, kind: Kind, number: int, exposure: Exposure, *, orientation: int) -> Image.Exif:
        minutes = number + (1000 if kind == "background" else 0)
        time = datetime(2019, 3, 1, 9) + timedelta(minutes=minutes)
        exif = Image.Exif()
        exif[ExifTags.Base.Make] = self.model.make
        exif[ExifTags.Base.Model] = self.model.name
        exif[ExifTags.Base.Orientation] = orientation
        exif[ExifTags.Base.DateTime] = time.strftime("%Y:%m:%d %H:%M:%S")
        details = exif.get_ifd(ExifTags.IFD.Exif)
        details[ExifTags.Base.ISOSpeedRatings] = self.model.sensor.base_iso * 2**exposure.stops
        details[ExifTags.Base.ExposureTime] = round(exposure.seconds, 6)
        return exif


@lru_cache(maxsize=1)
def _pattern(phone: Phone) -> NDArray[np.float32]:
    sensor = phone.model.sensor
    sites = phone._rng("pattern").standard_normal((sensor.height, sensor.width), np.float32)
    return _frozen(np.float32(sensor.pattern_strength) * sites)


@lru_cache(maxsize=1)
def _gain(phone: Phone) -> NDArray[np.float32]:
    light = falloff(phone.model.sensor, share=1)
    return _frozen((1 + phone.pattern()) * phone.model.shared_gain() * light)


@lru_cache(maxsize=1)
def _dark(phone: Phone) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return each photosite's dark offset, electrons, and dark current, electrons per second."""
    sensor, rng = phone.model.sensor, phone._rng("dark")
    shape = (sensor.height, sensor.width)
    offset = np.float32(sensor.dark_offset) * rng.standard_normal(shape, np.float32)
    current = np.float32(sensor.dark_current) * rng.standard_exponential(shape, np.float32)
    current[rng.random(shape, np.float32) < HOT_SHARE] *= 100
    return _frozen(offset), _frozen(current)


def _frozen(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a plane made read-only, as callers share it."""
    plane.flags.writeable = False
    return plane
