"""The grey plane of colour samples."""

import numpy as np
from numpy.typing import NDArray

LUMA = np.array([0.29893602, 0.58704307, 0.11402090], np.float32)
"""Weights of red, green and blue in a grey plane."""


def grey(rgb: NDArray[np.floating] | NDArray[np.integer]) -> NDArray[np.float32]:
    """Return the grey plane of ``(…, 3)`` colour samples, float32 in the same units."""
    return np.asarray(rgb, np.float32) @ LUMA


def grey_levels(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the grey plane of ``(…, 3)`` pixels in whole levels, 0–255."""
    return np.rint(grey(rgb)).astype(np.uint8)
