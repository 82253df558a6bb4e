"""Reference patterns: a device's fixed noise, estimated from its residuals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BRIGHT = np.float32(252)
"""Grey levels from which photosites begin to saturate."""
_SATURATED = np.float32(254)


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


def likelihood_pattern(
    products: NDArray[np.floating], squares: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return the maximum-likelihood estimate of a device's sensitivity, ΣWI / (ΣI² + 1).

    Chen, Fridrich, Goljan, Lukáš 2008, doi:10.1109/TIFS.2007.916285. In grey levels at an intensity
    of 252.

    Parameters
    ----------
    products
        Residuals times the :func:`intensity_weight` of their images, added up
        ``(height, width)``, grey levels.
    squares
        The squares of the weights, added up ``(height, width)``.
    """
    return np.asarray(products / (squares + 1), np.float32)


def intensity_weight(
    intensity: NDArray[np.integer] | NDArray[np.floating], size: int | None = None
) -> NDArray[np.float32]:
    """Return the strength of a plane's pattern by its intensity ``(height, width)``, 0–1.

    I / 252 up to 252 and exp(−(I − 252)² / 6) above, as the published implementation of Chen et
    al. 2008 has it; 0 where saturated, which is where one of the four neighbours has 254 or more
    too. (There it is the plane's maximum, which a strip or a reduced plane does not have.)

    Parameters
    ----------
    intensity
        Grey levels, 0–255.
    size
        Pixels per side that a reduced plane is brought to, each sample repeated.
    """
    plane = np.asarray(intensity, np.float32)
    weight = np.where(plane <= _BRIGHT, plane / _BRIGHT, np.exp(-((plane - _BRIGHT) ** 2) / 6))
    is_top = np.pad(plane >= _SATURATED, 1)
    beside = is_top[:-2, 1:-1] | is_top[2:, 1:-1] | is_top[1:-1, :-2] | is_top[1:-1, 2:]
    weight = np.where(is_top[1:-1, 1:-1] & beside, 0, weight)
    repeats = 1 if size is None else size // len(plane)
    return np.repeat(np.repeat(weight, repeats, axis=0), repeats, axis=1).astype(np.float32)
