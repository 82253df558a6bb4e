"""Flat borders of photographs: frames and bars that an application drew around what was taken.

All photographs with a frame have its edges and the ringing of JPEG beside them at the same places,
whichever camera took them. So the noise is taken of what lies inside alone.
"""

import numpy as np
from numpy.typing import NDArray

from camid.prnu.residual import residual

Window = tuple[slice, slice]
"""Rows and columns of a plane."""

FLAT = 4
"""Grey levels between the lightest and the darkest pixel of a border at most."""
RINGING = 8
"""Pixels beside a border that JPEG's blocks or a resizing change with it."""
LEAST_INSIDE = 64
"""Pixels a side that lie inside borders at least."""


def inside_borders(levels: NDArray[np.uint8]) -> Window:
    """Return the rows and columns of a picture that lie inside its borders, each of one grey.

    All of them if it has none, or where hardly anything would be left.

    Parameters
    ----------
    levels
        Grey, ``(height, width)``, 0–255.

    Examples
    --------
    >>> picture = np.random.default_rng(1).integers(0, 255, (200, 300), np.uint8)
    >>> picture[:, :12] = 255
    >>> inside_borders(picture)
    (slice(0, 200, None), slice(20, 300, None))
    """
    whole = slice(0, levels.shape[0]), slice(0, levels.shape[1])
    before, window = None, whole
    while window != before:
        before = window
        for axis in (0, 1):
            window = _without_flat_edge(levels, window, axis)
            if window[axis].stop - window[axis].start < LEAST_INSIDE:
                return whole
    return window


def residual_inside(levels: NDArray[np.uint8], window: Window) -> NDArray[np.float32]:
    """Return the residual of a picture's window by the filter ``lukas``; exactly 0 outside.

    Parameters
    ----------
    levels
        ``(height, width)`` or ``(height, width, channel)``, 0–255.
    window
        What lies inside its borders (:func:`inside_borders`).

    Raises
    ------
    ValueError
        If the window is too small for the filter.
    """
    noise = np.zeros(levels.shape, np.float32)
    noise[window] = residual(np.ascontiguousarray(levels[window]))
    return noise


def _without_flat_edge(levels: NDArray[np.uint8], window: Window, axis: int) -> Window:
    """Return a window without the flat rows, or columns, at its edges and the ringing there."""
    lines, part = np.moveaxis(levels[window], axis, 0), window[axis]
    first, last = _num_flat(lines), _num_flat(lines[::-1])
    start = part.start + first + RINGING * (first > 0)
    left = slice(start, part.stop - last - RINGING * (last > 0))
    return (left, window[1]) if axis == 0 else (window[0], left)


def _num_flat(lines: NDArray[np.uint8]) -> int:
    """Return how many of the first lines are of one grey."""
    darkest, lightest = 255, 0
    for number, line in enumerate(lines):
        darkest, lightest = min(darkest, int(line.min())), max(lightest, int(line.max()))
        if lightest - darkest > FLAT:
            return number
    return len(lines)
