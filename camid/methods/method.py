"""What a method is: what an image adds to a side, what a side becomes, how two of them compare.

Everything that a method makes of a comparison adds up over crops and positions, so that sides are
read a position at a time, and parts that were made on different machines are merged.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Sums = NDArray[np.float64]
Gathered = Callable[[Array], Array]
Prepared = Callable[[Array, int], Array]


class Tile(NamedTuple):
    """Comparisons at one position: prepared sides, which of them are compared, and where."""

    first: Array
    """``(side, height, width)``, what a method's ``first`` makes of the first sides."""
    second: Array
    pairs: NDArray[np.int64]
    """``(pair, 2)``: rows of ``first`` and of ``second``."""
    corners: NDArray[np.int64]
    """``(pair, 2)``: top and left of the window of each pair."""
    size: int
    """Pixels a side of the windows."""

    @property
    def is_whole(self) -> bool:
        """Whether the windows are the whole strips."""
        return bool(self.size == self.first.shape[1])

    def windows(self, some: slice) -> tuple[Array, Array]:
        """Return both sides' windows of some pairs, ``(pair, size, size)``."""
        found = np.empty((2, len(self.pairs[some]), self.size, self.size), np.float32)
        for at, (pair, (y, x)) in enumerate(zip(self.pairs[some], self.corners[some], strict=True)):
            for side, planes in enumerate((self.first, self.second)):
                found[side, at] = planes[pair[side], y : y + self.size, x : x + self.size]
        return found[0], found[1]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to compare two sides; a score is higher the more surely they are of one device."""

    gathered: Gathered
    """What an image's residual strip ``(height, width, channel)``, grey levels, adds to a side."""
    first: Prepared
    """What is compared, ``(height, width)``, of a first side's sum and its number of images."""
    second: Prepared
    """The same of a second side."""
    evidence: Callable[[Tile], Sums]
    """What each pair of a tile tells, ``(pair, number)``; sums of it are what ``score`` takes."""
    score: Callable[[Sums], Sums]
    """Scores of sums ``(…, number)``; NaN where nothing was compared."""
    scope: Literal["strip", "image"] = "strip"
    """Whether ``first`` and ``second`` get a strip, or all of an image that strips cover."""
