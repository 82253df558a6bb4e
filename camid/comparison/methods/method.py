"""A method: the estimators of two sides, the statistics of a comparison, and its score.

All statistics of a comparison add up over crops and positions, so that sides are read a position
at a time, and parts from different machines are merged.
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
"""All pairs of two sets of sides cost as much as one in this many, one by one."""


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """An image's contribution to a side."""

    of: Callable[..., NDArray[np.floating]]
    """Takes an image's residual strip ``(height, width, channel)``, grey levels, and its intensity.

    Returns ``(height, width)``, or several planes ``(plane, height, width)``.
    """
    num_planes: int = 1
    """Number of planes of a side in memory."""
    is_kept: bool = False
    """Whether the planes are kept for other sides with the image, as they take long to compute."""
    needs_intensity: bool = False
    """Whether ``of`` also takes the intensity ``(height / 4, width / 4)``: grey, uint8."""


class Context(NamedTuple):
    """The part of an image around strips that gives the same result as the whole image."""

    reach: int
    """Pixels on every side of the strips."""
    phase: int
    """The part begins at a multiple of this many pixels."""


@dataclass(frozen=True, kw_only=True)
class Estimator:
    """Estimator of a side: its images' contributions, and a function of their sum."""

    gathered: Gathered
    prepared: Callable[[Array, int], Array]
    """Takes the sum of the images' contributions, and their number."""
    scope: Scope = "strip"
    """Whether ``prepared`` gets a strip, or all of an image that strips cover."""
    context: Context | None = None
    """The part of an image that a prepared strip depends on; None for all of it."""


class Part(NamedTuple):
    """Pairs of a tile: windows of both sides, compared row by row or as ``pairs`` says."""

    some: slice
    """Slice of the tile's pairs."""
    first: Array
    """``(window, …, size, size)``."""
    second: Array
    pairs: NDArray[np.int64] | None = None
    """``(pair, 2)``: rows of ``first`` and of ``second``; row by row if None."""

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
        """Return the value of each pair's first window."""
        return np.asarray(values[self.rows()[0]])

    def of_second(self, values: Array) -> Array:
        """Return the value of each pair's second window."""
        return np.asarray(values[self.rows()[1]])


class Tile(NamedTuple):
    """Comparisons at one position: prepared sides, which of them are compared, and where."""

    first: Array
    """``(side, …, height, width)``, the first sides as a method's ``first`` prepares them."""
    second: Array
    pairs: NDArray[np.int64]
    """``(pair, 2)``: rows of ``first`` and of ``second``."""
    corners: NDArray[np.int64]
    """``(pair, 2)``: top and left of the window of each pair."""
    size: int
    """Pixels a side of the windows."""

    def parts(self) -> "Iterator[Part]":
        """Yield the pairs in batches, or all at once where whole strips are compared densely."""
        is_whole = self.size == self.first.shape[-1]
        if is_whole and DENSE * len(self.pairs) >= len(self.first) * len(self.second):
            yield Part(slice(None), self.first, self.second, self.pairs)
            return
        step = max(1, BATCH // self.size**2)
        for start in range(0, len(self.pairs), step):
            batch = slice(start, start + step)
            yield Part(
                batch, self._windows(batch, 0, self.first), self._windows(batch, 1, self.second)
            )

    def _windows(self, batch: slice, role: int, planes: Array) -> Array:
        rows, corners = self.pairs[batch, role].tolist(), self.corners[batch].tolist()
        windows = np.empty((len(rows), *planes.shape[1:-2], self.size, self.size), np.float32)
        for number, (row, (y, x)) in enumerate(zip(rows, corners, strict=True)):
            windows[number] = planes[row, ..., y : y + self.size, x : x + self.size]
        return windows


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
    takes_gpu: bool = False
    """Whether it has a network for which a GPU pays."""

    @property
    def estimators(self) -> tuple[Estimator, Estimator]:
        """Both sides' estimators."""
        return self.first, self.second

    @property
    def scope(self) -> Scope:
        """Whether a strip of both sides is enough, or an image is needed of either."""
        return "image" if any(side.scope == "image" for side in self.estimators) else "strip"
