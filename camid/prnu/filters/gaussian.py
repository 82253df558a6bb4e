"""A high-pass filter: the plane less its blur, with nothing adapted to the scene."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from camid.prnu.filters.planes import planewise


@planewise
def residuals(plane: NDArray[np.float32], *, blur: float = 1.0) -> NDArray[np.float32]:
    """Return a plane ``(height, width)`` less its Gaussian blur, grey levels.

    I − G·I with G of standard deviation ``blur`` in pixels, cut off at four of them; the plane is
    mirrored at its borders.

    Raises
    ------
    ValueError
        If ``blur`` is not positive.
    """
    if not blur > 0:
        raise ValueError(f"expected a blur of more than 0 pixels, got blur={blur}")
    return np.asarray(plane - gaussian_filter(plane, blur), np.float32)
