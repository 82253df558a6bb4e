"""The spatial adaptive Wiener filter (Lim, Two-Dimensional Signal and Image Processing, 1990).

MATLAB knows it as ``wiener2``.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from camid.prnu.filters.planes import planewise

Plane = NDArray[np.float32]


@planewise
def residuals(plane: Plane, *, sigma: float = 5.0, window: int = 3) -> Plane:
    """Return the noise that the filter takes out of a plane ``(height, width)``, grey levels.

    With the mean m and the variance v of ``window`` × ``window`` pixels around each, the plane
    mirrored at its borders, the denoised pixel is m + (I − m)·max(v − σ², 0)/max(v, σ²); what is
    taken away is (I − m)·σ²/max(v, σ²). Where v is at most σ² that is all of I − m.

    Raises
    ------
    ValueError
        If ``window`` is not an odd number of at least 3.
    """
    if window < 3 or window % 2 == 0:
        raise ValueError(f"expected a window of 3, 5, 7 … pixels, got window={window}")
    # Grey levels squared leave float32 few digits of a variance: levels around 0 leave more.
    return taken_away(plane - plane.mean(), window=window, variance=sigma**2)


def taken_away(
    plane: Plane,
    *,
    window: int,
    variance: float | None = None,
    mode: Literal["reflect", "constant"] = "reflect",
) -> Plane:
    """Return the noise that a Wiener filter of local mean and variance removes from a plane.

    The plane's mean is 0. ``variance`` is the noise's; ``None`` takes the mean of all local
    variances. ``mode`` is SciPy's name for the extension beyond the borders.
    """
    mean = uniform_filter(plane, window, mode=mode)
    local = uniform_filter(plane * plane, window, mode=mode)
    local -= mean * mean
    noise = np.float32(local.mean(dtype=np.float64) if variance is None else variance)
    difference = np.subtract(plane, mean, out=mean)
    if noise > 0:
        difference *= noise / np.maximum(local, noise, out=local)
    return difference
