"""Sums over an entry's images, separately for two halves of them.

Sums are of integers, so that neither the order of images nor the number of enrolments makes a
difference.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from camid.casework.repetition import repeated_periods, without_repetition
from camid.prnu.borders import inside_borders, residual_inside
from camid.prnu.cleaning import cleaned
from camid.prnu.correlation import ncc
from camid.prnu.fingerprint import intensity_weight, likelihood_pattern
from camid.prnu.luminance import grey_levels
from camid.prnu.residual import quantised

Plane = NDArray[np.float32]

NOISE_STEP = 1 / 8
"""Grey levels a unit of an image's residual, clipped near ±16."""
WEIGHT_STEP = 1 / 255


@dataclass(frozen=True, kw_only=True)
class EnrolledImage:
    """Facts of an image that an entry keeps beside its sums."""

    sha256: str
    name: str
    make: str = ""
    model: str = ""
    warnings: tuple[str, ...] = ()
    content: str = ""
    """Hash of what it shows (:mod:`camid.io.scene_hash`), or empty."""
    focal_length: float = 0.0
    """Millimetres as its EXIF states, or 0."""
    turn: int = 0
    """Degrees, 0 or 180, by which it is turned to lie as the others do."""
    is_mirrored: bool = False
    """Whether it is mirrored left to right before it is turned."""
    detail: float = 0.0
    """Share of the detail that JPEG kept (:mod:`camid.prnu.jpeg_detail`); 0: unknown."""

    @property
    def half(self) -> int:
        """The half, 0 or 1, that the image is in, by its digest alone."""
        return int(self.sha256[-1], 16) & 1

    @property
    def camera(self) -> str:
        """Make and model."""
        return " ".join(part for part in (self.make, self.model) if part)


def placed(plane: NDArray[Any], *, turn: int, is_mirrored: bool) -> NDArray[Any]:
    """Return a plane mirrored left to right, if so, and turned by 0 or 180°."""
    plane = plane[:, ::-1] if is_mirrored else plane
    return np.ascontiguousarray(plane[::-1, ::-1] if turn else plane)


class Sample(NamedTuple):
    """An image's contribution: its grey residual and intensity weight, quantised."""

    noise: NDArray[np.int8]
    """``(height, width)``, units of :data:`NOISE_STEP` grey levels."""
    weight: NDArray[np.uint8]
    """``(height, width)``, units of :data:`WEIGHT_STEP`."""

    @classmethod
    def of(cls, rgb: NDArray[np.uint8]) -> "Sample":
        """Return the sample of an image ``(height, width, 3)``, by the filter ``lukas``.

        Both planes are 0 in flat borders (:mod:`camid.prnu.borders`).

        Raises
        ------
        ValueError
            If the image is too small for the filter.
        """
        levels = grey_levels(rgb)
        weight = np.rint(intensity_weight(levels) / np.float32(WEIGHT_STEP)).astype(np.uint8)
        window = inside_borders(levels)
        noise = quantised(residual_inside(levels, window), step=NOISE_STEP)
        inside = np.zeros_like(weight)
        inside[window] = weight[window]
        return cls(noise, inside)

    def placed(self, *, turn: int, is_mirrored: bool) -> "Sample":
        """Return the sample of the image mirrored left to right, if so, and turned by 0 or 180°."""
        noise, weight = (placed(plane, turn=turn, is_mirrored=is_mirrored) for plane in self)
        return Sample(noise, weight)

    def cut(self, window: tuple[slice, slice]) -> "Sample":
        """Return the sample of a window of the image."""
        return Sample(self.noise[window], self.weight[window])

    def half(self) -> "Half":
        """Return the sums of this image alone."""
        weight = self.weight.astype(np.int32)
        return Half(self.noise * weight, weight * weight)


class Half(NamedTuple):
    """Sums over images, ``(height, width)`` int32 each, in units of the steps."""

    products: NDArray[np.int32]
    squares: NDArray[np.int32]

    def plus(self, other: "Half") -> "Half":
        """Return the sums over the images of both halves."""
        return Half(self.products + other.products, self.squares + other.squares)

    def less(self, other: "Half") -> "Half":
        """Return the sums without the images of another half."""
        return Half(self.products - other.products, self.squares - other.squares)

    def pattern(self) -> Plane:
        """Return the likelihood pattern, not cleaned, grey levels."""
        return likelihood_pattern(
            self.products * np.float32(NOISE_STEP * WEIGHT_STEP),
            self.squares * np.float32(WEIGHT_STEP**2),
        )

    def whitened(self) -> Plane:
        """Return the pattern, cleaned and whitened; 0 where no image tells of it."""
        return np.where(self.squares, cleaned(self.pattern(), whiten=True), np.float32(0))


def reliability(agreement: float) -> float:
    """Return the share of a pattern's variance that is its sensor's, by its halves' correlation.

    Spearman 1910, Brown 1910; 0 where the halves do not agree.
    """
    return 2 * agreement / (1 + agreement) if agreement > 0 else 0.0


def _placed_half(image: EnrolledImage, sample: Sample) -> Half:
    return sample.placed(turn=image.turn, is_mirrored=image.is_mirrored).half()


@dataclass(frozen=True, kw_only=True, eq=False)
class Sums:
    """Images, ordered by digest, and the sums of their two halves."""

    images: tuple[EnrolledImage, ...]
    halves: tuple[Half, Half]
    left_out: tuple[str, ...] = ()
    """Names of photographs that were given with these and show another sensor's pattern."""

    @classmethod
    def empty(cls, height: int, width: int) -> "Sums":
        """Return the sums of no image."""
        zeros = np.zeros((height, width), np.int32)
        return cls(images=(), halves=(Half(zeros, zeros), Half(zeros, zeros)))

    def plus(self, image: EnrolledImage, sample: Sample) -> "Sums":
        """Return the sums with an image that is not yet in them, its sample as the image lies."""
        images = tuple(sorted((*self.images, image), key=lambda member: member.sha256))
        half = self.halves[image.half].plus(_placed_half(image, sample))
        first, second = self.halves
        return replace(self, images=images, halves=(first, half) if image.half else (half, second))

    def minus(self, image: EnrolledImage, sample: Sample) -> "Sums":
        """Return the sums without an image that is in them, its sample as the image lies."""
        (known,) = (member for member in self.images if member.sha256 == image.sha256)
        images = tuple(member for member in self.images if member is not known)
        half = self.halves[image.half].less(_placed_half(known, sample))
        first, second = self.halves
        return replace(self, images=images, halves=(first, half) if image.half else (half, second))

    def without(self, names: Iterable[str]) -> "Sums":
        """Return the sums with names added to those of photographs that were left out."""
        return replace(self, left_out=tuple(sorted({*self.left_out, *names})))

    @property
    def total(self) -> Half:
        """The sums over all images."""
        return self.halves[0].plus(self.halves[1])

    @cached_property
    def periods(self) -> tuple[int, ...]:
        """Pixels after which the pattern repeats, as software's does (:mod:`.repetition`)."""
        return repeated_periods(self.total.whitened())

    def pattern(self) -> Plane:
        """Return the pattern of all images ``(height, width)``, cleaned and whitened.

        What repeats in it is of software, which other devices share, and is taken out.
        """
        return self._cleaned(self.total)

    def half_patterns(self) -> tuple[Plane, Plane]:
        """Return the patterns of both halves, made as :meth:`pattern`."""
        first, second = map(self._cleaned, self.halves)
        return first, second

    def split_half(self) -> float:
        """Return the correlation of the halves' patterns, NaN if a half has no image."""
        if len({image.half for image in self.images}) < 2:
            return math.nan
        return ncc(*self.half_patterns())

    def _cleaned(self, half: Half) -> Plane:
        return without_repetition(half.whitened(), self.periods)
