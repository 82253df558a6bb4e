"""Strips: where they lie on the sensor grid, cutting them, and laying them out again."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from camid.jit import compiled

Position = tuple[int, int]
T = TypeVar("T", bound=np.generic)

INTENSITY_STEP = 4
"""Pixels per side of one sample of a strip's intensity."""


def positions(
    height: int, width: int, *, size: int = 256, layout: str = "grid", prepare: str = "crop"
) -> list[Position]:
    """Return the ``(top, left)`` of every strip of an image, row by row, from the grid's origin.

    ``grid`` gives as many strips of ``size`` pixels per side as fit; ``centre``, or an image
    resized to one strip, a single strip at ``(0, 0)``. An image smaller than a strip has none.
    """
    if layout not in {"grid", "centre"}:
        raise ValueError(f"expected the layout 'grid' or 'centre', got {layout!r}")
    rows, columns = height // size, width // size
    if layout == "centre" or prepare == "resize":
        rows, columns = min(rows, columns, 1), min(rows, columns, 1)
    return [(row * size, column * size) for row in range(rows) for column in range(columns)]


def origin(
    height: int, width: int, *, size: int = 256, layout: str = "grid", prepare: str = "crop"
) -> Position:
    """Return the pixel of an image at which position ``(0, 0)`` lies.

    ``centre`` puts the strip in the middle, at an even offset so that the colour filter array's
    phase is kept.
    """
    if layout == "grid" or prepare == "resize":
        return 0, 0
    return (height - size) // 4 * 2, (width - size) // 4 * 2


def cut(image: NDArray[T], where: Sequence[Position], *, size: int = 256) -> NDArray[T]:
    """Return strips ``(strip, size, size[, channel])`` of ``image`` ``(height, width[, channel])``.

    Raises
    ------
    ValueError
        If a strip reaches beyond the image.
    """
    height, width = image.shape[:2]
    for top, left in where:
        if not (0 <= top <= height - size and 0 <= left <= width - size):
            raise ValueError(
                f"a strip of {size}x{size} px at {(top, left)} reaches beyond {width}x{height} px"
            )
    return np.stack([image[top : top + size, left : left + size] for top, left in where])


def assembled(strips: NDArray[T], where: Sequence[Position]) -> NDArray[T]:
    """Return the smallest image that holds ``strips`` ``(strip, …, size, size)`` at ``where``.

    Axes between the first and the last two (images, say) are kept in front:
    ``(…, height, width)``. Pixels that no strip covers are 0.
    """
    size = strips.shape[-1]
    tops, lefts = zip(*where, strict=True)
    corner = (min(tops), min(lefts))
    shape = (max(tops) + size - corner[0], max(lefts) + size - corner[1])
    image = np.zeros((*strips.shape[1:-2], *shape), strips.dtype)
    for strip, (top, left) in zip(strips, where, strict=True):
        y, x = top - corner[0], left - corner[1]
        image[..., y : y + size, x : x + size] = strip
    return image


def intensity(strips: NDArray[np.uint8], weights: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the grey of strips ``(strip, size, size, 3)`` averaged over 4×4 pixels, rounded.

    ``weights`` are those of the channels in a grey plane. The result is
    ``(strip, size / 4, size / 4)``.
    """
    count, size = strips.shape[:2]
    reduced = np.empty((count, size // INTENSITY_STEP, size // INTENSITY_STEP), np.uint8)
    _average(strips, weights, reduced)
    return reduced


@compiled
def _average(
    strips: NDArray[np.uint8], weights: NDArray[np.float32], reduced: NDArray[np.uint8]
) -> None:
    """Fill ``reduced`` with rounded means."""
    step = INTENSITY_STEP
    for strip in range(len(strips)):
        for top in range(reduced.shape[1]):
            for left in range(reduced.shape[2]):
                red = green = blue = np.int32(0)
                for y in range(step):
                    for x in range(step):
                        pixel = strips[strip, top * step + y, left * step + x]
                        red += pixel[0]
                        green += pixel[1]
                        blue += pixel[2]
                grey = weights[0] * red + weights[1] * green + weights[2] * blue
                reduced[strip, top, left] = np.uint8(np.rint(grey / (step * step)))
