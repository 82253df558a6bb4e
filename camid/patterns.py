"""Reference patterns: a device's fixed noise, estimated from its residuals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PatternSum:
    """Residuals added up so far; parts from different images or machines are merged."""

    total: NDArray[np.float64]
    num_images: int

    @classmethod
    def of(cls, residuals: NDArray[np.float32]) -> "PatternSum":
        """Return the sum of ``(image, …)`` residuals, grey levels."""
        return cls(residuals.sum(axis=0, dtype=np.float64), len(residuals))

    def __add__(self, other: "PatternSum") -> "PatternSum":
        return PatternSum(self.total + other.total, self.num_images + other.num_images)

    def pattern(self) -> NDArray[np.float32]:
        """Return the mean of all residuals, grey levels.

        Raises
        ------
        ValueError
            If nothing was added.
        """
        if not self.num_images:
            raise ValueError("a reference pattern needs at least one residual, got none")
        return (self.total / self.num_images).astype(np.float32)


def reference_pattern(residuals: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of a device's residuals ``(image, height, width[, channel])``, grey levels.

    Lukas, Fridrich, Goljan 2006, doi:10.1109/TIFS.2006.873602.

    Raises
    ------
    ValueError
        If there is no residual.
    """
    stack = np.asarray(residuals)
    if stack.ndim < 2:
        raise ValueError(f"expected (image, height, width[, channel]), got shape {stack.shape}")
    return PatternSum.of(stack).pattern()
