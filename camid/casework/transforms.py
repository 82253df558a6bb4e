"""Transforms between a sensor and an image: turns, resizing, cropping, and an editor's changes.

EXIF orientation is ignored. An image and a pattern are compared at the coarser of their two
scales: a pattern is shrunk to an image that was made smaller, an enlarged image to the pattern.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scipy import fft

from camid.prnu.correlation import PEAK_RADIUS

Shape = tuple[int, int]
"""Height and width, pixels."""

TURNS = (0, 90, 180, 270)
"""Degrees anticlockwise that an image is turned by, to lie as the sensor."""
COMMON_SCALES = (0.5, 0.75, 0.7, 0.8, 1.25, 1.5, 2.0)
"""Scales of resized images and digital zoom, tried after 1 and the ratios of two sizes."""
LEAST_SCALE, GREATEST_SCALE = 0.2, 5.0
MOST_STRETCHED = 1.35
"""Change of aspect of a whole image that is looked for at most."""
ANGLE_STEP = 0.25
"""Degrees; a pixel 230 px from the middle then lies half a pixel off at most, halfway between."""
ANGLES = tuple(ANGLE_STEP * number for number in range(1, 13))
"""Degrees either way by which horizons are set right."""
SLACK = 1
"""Pixels by which a program's rounding may change an image's side."""
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
    is_mirrored
        Whether the image is mirrored left to right before it is turned.
    is_stretched
        Whether the whole image was given another aspect; ``scale`` is the root of both sides'.
    angle
        Degrees anticlockwise, a few at most, by which the image is turned beside ``turn``.
    """

    turn: int
    scale: float
    is_mirrored: bool = False
    is_stretched: bool = False
    angle: float = 0.0

    @property
    def is_edited(self) -> bool:
        """Whether only an editor makes such an image."""
        return self.is_mirrored or self.is_stretched or self.angle != 0

    def shapes(self, query: Shape, entry: Shape) -> tuple[Shape, Shape]:
        """Return the shapes at which the turned query and the pattern of an entry are compared.

        Shapes of a resized image that differ by rounding alone are made equal.
        """
        view = query if self.turn % 180 == 0 else query[::-1]
        if self.is_stretched:
            height, width = (min(pair) for pair in zip(view, entry, strict=True))
            return (height, width), (height, width)
        if self.scale == 1:
            return view, entry
        if self.scale < 1:
            return view, _near(_times(entry, self.scale), view)
        return _near(_times(view, 1 / self.scale), entry), entry

    def fits(self, query: Shape, entry: Shape) -> bool:
        """Return whether a query and an entry can be compared.

        A resized query must lie within the pattern. At scale 1 it may reach beyond, as entries may
        be of a sensor's part too.
        """
        view, pattern = self.shapes(query, entry)
        is_inside = (
            self.scale == 1
            or self.is_stretched
            or all(a <= b for a, b in zip(view, pattern, strict=True))
        )
        return is_inside and min(*view, *pattern) >= LEAST_SIDE

    def num_lags(self, query: Shape, entry: Shape) -> int:
        """Return the number of places of one within the other: 1 if their shapes are equal."""
        view, pattern = self.shapes(query, entry)
        return math.prod(abs(a - b) + 1 for a, b in zip(view, pattern, strict=True))

    def num_samples(self, query: Shape, entry: Shape) -> int:
        """Return the search's cost: samples of two transforms, the pattern's and the inverse."""
        return 2 * math.prod(transform_shape(*self.shapes(query, entry)))


UPRIGHT = Hypothesis(0, 1.0)
"""The sensor's own."""


def scales_for(query: Shape, entry: Shape) -> tuple[float, ...]:
    """Return the scales at which a query may lie on an entry's sensor, the likeliest first.

    1, the ratio of the whole images if both sides have it, those of single sides, and
    :data:`COMMON_SCALES`. Scales that differ by less than half a pixel over the query count once.
    """
    ratios = {a / b for a in query for b in entry}
    ratio = math.sqrt(math.prod(query) / math.prod(entry))
    is_whole = any(len({*Hypothesis(turn, ratio).shapes(query, entry)}) == 1 for turn in (0, 90))
    whole_ratios = [ratio] if is_whole else []
    scales: list[float] = []
    for scale in (1.0, *whole_ratios, *sorted(sorted(ratios), key=_change), *COMMON_SCALES):
        is_new = all(abs(scale / other - 1) * max(query) > 0.5 for other in scales)
        if is_new and LEAST_SCALE <= scale <= GREATEST_SCALE:
            scales.append(scale)
    return tuple(scales)


def hypotheses(
    query: Shape,
    entry: Shape,
    *,
    scales: Sequence[float] | None = None,
    turns: Sequence[int] = TURNS,
) -> list[Hypothesis]:
    """Return the hypotheses that fit two shapes, by scale (:func:`scales_for`), then by turn."""
    scales = scales_for(query, entry) if scales is None else scales
    pool = [Hypothesis(turn, scale) for scale in scales for turn in turns]
    return [hypothesis for hypothesis in pool if hypothesis.fits(query, entry)]


def edits(query: Shape, entry: Shape, *, scales: Sequence[float]) -> list[Hypothesis]:
    """Return the hypotheses of edited images that fit two shapes.

    Mirrored ones as they are and at the ratio of the whole images, which of ``scales`` count;
    whole images of another aspect; and images at scale 1 that were turned by a few degrees.
    """
    ratio = math.sqrt(math.prod(query) / math.prod(entry))
    whole = [scale for scale in scales if scale == 1 or abs(scale / ratio - 1) < 1e-9]
    pool = [Hypothesis(turn, scale, is_mirrored=True) for scale in whole for turn in TURNS]
    for turn in TURNS:
        view = query if turn % 180 == 0 else query[::-1]
        change = (view[0] / entry[0]) / (view[1] / entry[1])
        is_aspect = 1 / MOST_STRETCHED <= change <= MOST_STRETCHED
        if is_aspect and abs(change - 1) * max(query) > 2 and ratio >= LEAST_SCALE:
            pool += [
                Hypothesis(turn, ratio, is_mirrored=is_mirrored, is_stretched=True)
                for is_mirrored in (False, True)
            ]
    pool += [Hypothesis(0, 1.0, angle=sign * angle) for angle in ANGLES for sign in (1, -1)]
    return [hypothesis for hypothesis in pool if hypothesis.fits(query, entry)]


def finer(hypothesis: Hypothesis) -> list[Hypothesis]:
    """Return the angles between a hypothesis's own and its neighbours'."""
    steps = (-ANGLE_STEP / 2, -ANGLE_STEP / 4, ANGLE_STEP / 4, ANGLE_STEP / 2)
    return [replace(hypothesis, angle=hypothesis.angle + step) for step in steps]


def transform_shape(query: Shape, pattern: Shape) -> Shape:
    """Return the shape of transforms whose lags hold all places without wrapping around."""
    height, width = (max(a, b) for a, b in zip(query, pattern, strict=True))
    return fft.next_fast_len(height, real=True), fft.next_fast_len(width, real=True)


def _change(scale: float) -> float:
    return abs(math.log(scale))


def _times(shape: Shape, scale: float) -> Shape:
    return round(shape[0] * scale), round(shape[1] * scale)


def _near(shape: Shape, other: Shape) -> Shape:
    """Return the other shape if the two differ by rounding alone, else this shape."""
    return other if all(abs(a - b) <= SLACK for a, b in zip(shape, other, strict=True)) else shape
