"""Transforms between a sensor and an image: quarter turns, resizing, cropping.

EXIF orientation is no part of it. An image and a pattern are compared at the coarser of their two
scales: a pattern is shrunk to an image that was made smaller, an enlarged image to the pattern.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import fft

from camid.prnu.correlation import PEAK_RADIUS

Shape = tuple[int, int]
"""Height and width, pixels."""

TURNS = (0, 90, 180, 270)
"""Degrees anticlockwise that an image is turned by, to lie as the sensor."""
COMMON_SCALES = (0.5, 0.75, 0.7, 0.8, 1.25, 1.5, 2.0)
"""Of resized images and digital zoom, after 1 and the ratios that two sizes imply."""
LEAST_SCALE, GREATEST_SCALE = 0.2, 5.0
SLACK = 1
"""Pixels that a program's rounding may make an image's side longer or shorter."""
LEAST_SIDE = 2 * (2 * PEAK_RADIUS + 1)
"""Pixels a side from which planes have enough lags beside a peak's."""


@dataclass(frozen=True)
class Hypothesis:
    """A turn and a scale by which an image may have been made from the sensor's pixels.

    Parameters
    ----------
    turn
        Degrees anticlockwise that turn the image as the sensor: 0, 90, 180 or 270.
    scale
        Pixels of the image for one of the sensor: 0.5 for an image made half as wide.
    """

    turn: int
    scale: float

    def shapes(self, query: Shape, entry: Shape) -> tuple[Shape, Shape]:
        """Return the shapes at which the turned query and the pattern of an entry are compared.

        They are made one where rounding alone keeps those of a resized image apart.
        """
        view = query if self.turn % 180 == 0 else query[::-1]
        if self.scale == 1:
            return view, entry
        if self.scale < 1:
            return view, _near(_times(entry, self.scale), view)
        return _near(_times(view, 1 / self.scale), entry), entry

    def fits(self, query: Shape, entry: Shape) -> bool:
        """Return whether the two can be compared.

        A resized query must lie within the pattern. At scale 1 it may reach beyond, as entries may
        be of a sensor's part too.
        """
        view, pattern = self.shapes(query, entry)
        inside = self.scale == 1 or all(a <= b for a, b in zip(view, pattern, strict=True))
        return inside and min(*view, *pattern) >= LEAST_SIDE

    def num_lags(self, query: Shape, entry: Shape) -> int:
        """Return at how many places one lies within the other: 1 if they are of one shape."""
        view, pattern = self.shapes(query, entry)
        return math.prod(abs(a - b) + 1 for a, b in zip(view, pattern, strict=True))

    def num_samples(self, query: Shape, entry: Shape) -> int:
        """Return what the search costs: samples of its two transforms, the pattern's and back."""
        return 2 * math.prod(transform_shape(*self.shapes(query, entry)))


def scales_for(query: Shape, entry: Shape) -> tuple[float, ...]:
    """Return the scales at which a query may lie on an entry's sensor, the likeliest first.

    1, the ratio of the whole images if both sides have it, those of single sides, and
    :data:`COMMON_SCALES`. Those that differ by less than half a pixel over the query are one.
    """
    ratios = {a / b for a in query for b in entry}
    whole = math.sqrt(math.prod(query) / math.prod(entry))
    is_whole = any(len({*Hypothesis(turn, whole).shapes(query, entry)}) == 1 for turn in (0, 90))
    wholes = [whole] if is_whole else []
    found: list[float] = []
    for scale in (1.0, *wholes, *sorted(sorted(ratios), key=_change), *COMMON_SCALES):
        apart = all(abs(scale / other - 1) * max(query) > 0.5 for other in found)
        if apart and LEAST_SCALE <= scale <= GREATEST_SCALE:
            found.append(scale)
    return tuple(found)


def hypotheses(
    query: Shape,
    entry: Shape,
    *,
    scales: Sequence[float] | None = None,
    turns: Sequence[int] = TURNS,
) -> list[Hypothesis]:
    """Return the hypotheses that fit two shapes, by scale (:func:`scales_for`), then by turn."""
    scales = scales_for(query, entry) if scales is None else scales
    every = [Hypothesis(turn, scale) for scale in scales for turn in turns]
    return [one for one in every if one.fits(query, entry)]


def transform_shape(query: Shape, pattern: Shape) -> Shape:
    """Return the shape of transforms whose lags hold all places without going round."""
    height, width = (max(a, b) for a, b in zip(query, pattern, strict=True))
    return fft.next_fast_len(height, real=True), fft.next_fast_len(width, real=True)


def _change(scale: float) -> float:
    return abs(math.log(scale))


def _times(shape: Shape, scale: float) -> Shape:
    return round(shape[0] * scale), round(shape[1] * scale)


def _near(shape: Shape, other: Shape) -> Shape:
    """Return the other shape where rounding alone keeps this one from it."""
    return other if all(abs(a - b) <= SLACK for a, b in zip(shape, other, strict=True)) else shape
