"""A method: the estimators of two sides, the statistics of a comparison, and its score.

Everything that a method makes of a comparison adds up over crops and positions, so that sides are
read a position at a time, and parts that were made on different machines are merged.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Sums = NDArray[np.float64]
Scope = Literal["strip", "image"]

BATCH = 2**22
"""Samples of windows that are held at once."""
DENSE = 8
"""All pairs of two sets of sides cost as much as a share of them one by one: 1 / this."""


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """An image's contribution to a side."""

    of: Callable[..., NDArray[np.floating]]
    """Takes an image's residual strip ``(height, width, channel)``, grey levels, and its intensity.

    Returns ``(height, width)``, or several planes ``(plane, height, width)``.
    """
    num_planes: int = 1
    """Number of planes, which a side takes in memory."""
    is_kept: bool = False
    """Whether it is kept for other sides with the image, as it takes long to make."""
    needs_intensity: bool = False
    """Whether it takes the intensity ``(height / 4, width / 4)`` too: grey, uint8."""


class Context(NamedTuple):
    """The part of an image that gives the same as the whole image, around some strips."""

    reach: int
    """Pixels on every side of the strips."""
    phase: int
    """The part begins at a multiple of this many pixels."""


@dataclass(frozen=True, kw_only=True)
class Estimator:
    """Estimator of a side: its images' contributions, and a function of their sum."""

    gathered: Gathered
    prepared: Callable[[Array, int], Array]
    """Makes it of the sum of what the images add, and their number."""
    scope: Scope = "strip"
    """Whether ``prepared`` gets a strip, or all of an image that strips cover."""
    context: Context | None = None
    """The part of an image that a prepared strip depends on; None for all of it."""


class Part(NamedTuple):
    """Some of a tile's pairs: windows of both sides, which meet row by row or as ``pairs`` says."""

    some: slice
    """Of the tile's pairs."""
    first: Array
    """``(window, …, size, size)``."""
    second: Array
    pairs: NDArray[np.int64] | None = None
    """``(pair, 2)``: rows of ``first`` and of ``second``; row by row if there is none."""

    def rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return each pair's row of the first windows, and of the second."""
        if self.pairs is None:
            return np.arange(len(self.first)), np.arange(len(self.second))
        return self.pairs[:, 0], self.pairs[:, 1]

    def products(self, first: Array, second: Array) -> Array:
        """Return each pair's inner product of rows ``(window, number)`` made of the windows."""
        if self.pairs is None:
            return np.asarray(np.einsum("ij,ij->i", first, second))
        return np.asarray((first @ second.T)[self.rows()])

    def of_first(self, values: Array) -> Array:
        """Return each pair's of the values of first windows."""
        return np.asarray(values[self.rows()[0]])

    def of_second(self, values: Array) -> Array:
        """Return each pair's of the values of second windows."""
        return np.asarray(values[self.rows()[1]])


class Tile(NamedTuple):
    """Comparisons at one position: prepared sides, which of them are compared, and where."""

    first: Array
    """``(side, …, height, width)``, what a method's ``first`` makes of the first sides."""
    second: Array
    pairs: NDArray[np.int64]
    """``(pair, 2)``: rows of ``first`` and of ``second``."""
    corners: NDArray[np.int64]
    """``(pair, 2)``: top and left of the window of each pair."""
    size: int
    """Pixels a side of the windows."""

    def parts(self) -> "Iterator[Part]":
        """Yield the pairs some at a time, or all at once where whole strips meet densely."""
        is_whole = self.size == self.first.shape[-1]
        if is_whole and DENSE * len(self.pairs) >= len(self.first) * len(self.second):
            yield Part(slice(None), self.first, self.second, self.pairs)
            return
        step = max(1, BATCH // self.size**2)
        for start in range(0, len(self.pairs), step):
            some = slice(start, start + step)
            yield Part(
                some, self._windows(some, 0, self.first), self._windows(some, 1, self.second)
            )

    def _windows(self, some: slice, which: int, planes: Array) -> Array:
        rows, corners = self.pairs[some, which].tolist(), self.corners[some].tolist()
        found = np.empty((len(rows), *planes.shape[1:-2], self.size, self.size), np.float32)
        for at, (row, (y, x)) in enumerate(zip(rows, corners, strict=True)):
            found[at] = planes[row, ..., y : y + self.size, x : x + self.size]
        return found


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to compare two sides; a score is higher the more surely they are of one device."""

    first: Estimator
    """Of the first sides: those that enrol a device, where one of the two does."""
    second: Estimator
    evidence: Callable[[Tile], Sums]
    """Statistics of each pair of a tile, ``(pair, number)``; ``score`` takes sums of them."""
    score: Callable[[Sums], Sums]
    """Scores of sums ``(…, number)``; NaN where nothing was compared or nothing varies."""

    @property
    def estimators(self) -> tuple[Estimator, Estimator]:
        """Both sides' estimators."""
        return self.first, self.second

    @property
    def scope(self) -> Scope:
        """Whether a strip of both sides is enough, or an image is needed of either."""
        return "image" if any(side.scope == "image" for side in self.estimators) else "strip"
