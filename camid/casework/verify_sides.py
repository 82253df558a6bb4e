"""Evidence of a side of a verification: sums over its photographs' middles, strip by strip."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from camid.casework.quality import NOTHING, Visibility
from camid.comparison.methods.method import Array, Method
from camid.prnu.borders import inside_borders, residual_inside
from camid.prnu.cleaning import JPEG_BLOCK
from camid.prnu.luminance import LUMA, grey_levels
from camid.prnu.residual import quantised, restored
from camid.prnu.strips import Position, cut, intensity, positions

Image = NDArray[np.uint8]
"""``(height, width, 3)``."""
Shape = tuple[int, int]

CLASSICAL = "classical"
"""The method by which a side's strength is told."""
STRIP = 256
"""Pixels a side of strips of evidence, as calibrated."""
LEAST_SIDE = 128
"""Pixels a side that an image has at least."""
AREA = 1024
"""Pixels a side of the middle that is compared at most."""
MARGIN = 64
"""Pixels around the middle that are denoised too, as the transform reaches so far."""


def turns_between(first: Shape, second: Shape) -> tuple[int, ...]:
    """Return the turns, degrees anticlockwise, that give an image of one shape the other shape."""
    upright = (0, 180) if first == second else ()
    sideways = (90, 270) if first == second[::-1] else ()
    return tuple(sorted((*upright, *sideways)))


@dataclass(kw_only=True)
class SideEvidence:
    """Sums of a side's images, all turned alike."""

    turn: int
    num_images: int = 0
    totals: dict[str, Array] = field(default_factory=dict)
    """Sums by method, ``(strip, …, height, width)``."""
    visibility: Visibility = NOTHING
    """What the images can show of a sensor's pattern."""
    _first_half: Array = field(default_factory=lambda: np.zeros((), np.float32))
    """Sum of every other image, for ``classical``; the first is in it."""

    def add(self, image: Image, methods: Mapping[str, Method], visibility: Visibility) -> None:
        """Add an image, of which it is known what it can show of a sensor's pattern."""
        for name, planes in image_evidence(image, methods, turn=self.turn).items():
            self.totals[name] = self.totals[name] + planes if name in self.totals else planes
            if name == CLASSICAL and self.num_images % 2 == 0:
                self._first_half = self._first_half + planes
        self.num_images += 1
        self.visibility = Visibility.together([self.visibility, visibility])

    @property
    def strip_size(self) -> int:
        """Pixels a side of a strip."""
        return int(next(iter(self.totals.values())).shape[-1])

    @property
    def num_strips(self) -> int:
        """Strips of an image."""
        return len(next(iter(self.totals.values())))

    def prepared(self, name: str, method: Method) -> Array:
        """Return the strips that a method compares, ``(strip, …, height, width)``."""
        prepare, total = method.first.prepared, self.totals[name]
        return np.stack([prepare(strip, self.num_images) for strip in total])

    def halves(self) -> tuple["SideEvidence", "SideEvidence"]:
        """Return the halves of two images or more, which have the evidence for ``classical``."""
        number = (self.num_images + 1) // 2
        first = SideEvidence(turn=self.turn, num_images=number)
        second = SideEvidence(turn=self.turn, num_images=self.num_images - number)
        first.totals[CLASSICAL] = self._first_half
        second.totals[CLASSICAL] = self.totals[CLASSICAL] - self._first_half
        return first, second


def image_evidence(image: Image, methods: Mapping[str, Method], *, turn: int) -> dict[str, Array]:
    """Return an image's contribution to a side by each method, ``(strip, …, height, width)``.

    Parameters
    ----------
    turn
        Degrees anticlockwise that the image is turned by first.
    """
    turned = np.rot90(image, turn // 90)
    height, width = turned.shape[:2]
    size, corners = compared_strips(height, width)
    (top, left), (bottom, right) = corners[0], corners[-1]
    row, column = max(top - MARGIN, 0), max(left - MARGIN, 0)
    region = np.ascontiguousarray(
        turned[row : bottom + size + MARGIN, column : right + size + MARGIN]
    )
    places = [(y - row, x - column) for y, x in corners]
    residuals = residual_inside(region, inside_borders(grey_levels(region)))
    noise = cut(restored(quantised(residuals)), places, size=size)
    light = intensity(cut(region, places, size=size), LUMA)
    evidence = {}
    for name, method in methods.items():
        gathered = method.first.gathered
        strips = [
            gathered.of(strip, *([grey] if gathered.needs_intensity else []))
            for strip, grey in zip(noise, light, strict=True)
        ]
        evidence[name] = np.stack(strips).astype(np.float32)
    return evidence


def compared_strips(height: int, width: int) -> tuple[int, list[Position]]:
    """Return the side, pixels, and the corners of the strips that are compared.

    Strips cover the middle of an image, on the grid of JPEG's blocks.

    Raises
    ------
    ValueError
        If the image is too small.
    """
    if min(height, width) < LEAST_SIDE:
        raise ValueError(
            f"{width}x{height} px are too few to carry an answer: both sides need "
            f"{LEAST_SIDE} px or more"
        )
    size = STRIP if min(height, width) >= STRIP else LEAST_SIDE
    rows, columns = (min(side, AREA) // size for side in (height, width))
    top, left = (
        (side - count * size) // 2 // JPEG_BLOCK * JPEG_BLOCK
        for side, count in ((height, rows), (width, columns))
    )
    grid = positions(rows * size, columns * size, size=size)
    return size, [(top + y, left + x) for y, x in grid]
