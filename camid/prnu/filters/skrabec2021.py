"""The filter of the study's notebooks, which differs from the filter that its text describes.

Škrabec and Ghosh 2021: eight vanishing moments (``db8``) at three levels, SciPy's ``wiener(band,
5)`` on the detail bands, where 5 is the window and not the noise's deviation, the ratio of residual
and denoised image clipped at five median deviations, and each tile stretched to 8 bits. Details
left open there are decided in :func:`residuals`.
"""

import numpy as np
import pywt
from numpy.typing import NDArray

from camid.prnu.filters.lukas import checked_wavelet
from camid.prnu.filters.planes import planewise
from camid.prnu.filters.wiener import taken_away

Plane = NDArray[np.float32]

WAVELET, LEVELS = "db8", 3
WINDOW = 5
"""Coefficients per side of the window of SciPy's ``wiener``."""
MAX_DEVIATIONS = 5
LARGEST = 127
"""Levels on each side of 0."""
LEVEL = 0.125
"""Grey levels per level: the default step of a store, so that it keeps exactly the levels."""
DARKEST = 1.0
"""Least grey level of the denoised image in the ratio."""
LEAST_RANGE = 1e-4
"""Range of a tile's ratios below which they are rounding errors."""


@planewise
def residuals(plane: Plane) -> Plane:
    """Return the notebooks' residual of a plane ``(height, width)``: −127…127 times 0.125.

    The plane is the tile: all of a strip or of a whole image, each colour on its own. Per tile:

    1. W = the inverse transform of what ``scipy.signal.wiener(band, 5)`` takes out of each detail
       band, its noise power the mean of the band's local variances; the approximation counts as
       free of noise. D = I − W is the denoised plane.
    2. R = W / max(D, 1): where D is black, or ringing has made it negative, nothing is blown up.
    3. R is clipped to median ± 5 median absolute deviations from the median.
    4. R is stretched from its least to its largest value over the levels −127…127, rounded: 255 of
       the notebooks' 256 levels, centred, as a store's int8 samples have them.

    So the unit is no longer grey levels, and differs from tile to tile. A tile that is (nearly)
    constant, whose ratios differ by rounding errors alone, gives 0.

    Raises
    ------
    ValueError
        If the plane is too small for three levels of ``db8``.
    """
    bands = pywt.wavedec2(plane, checked_wavelet(plane.shape, WAVELET, LEVELS), level=LEVELS)
    noise = [np.zeros_like(bands[0])]
    noise += [tuple(_band_noise(band) for band in level) for level in bands[1:]]
    height, width = plane.shape
    removed = pywt.waverec2(noise, WAVELET)[:height, :width]
    ratio = removed / np.maximum(plane - removed, np.float32(DARKEST))
    return _stretched(_clipped(ratio))


def _band_noise(band: Plane) -> Plane:
    return taken_away(band, window=WINDOW, mode="constant")  # zeros outside, as SciPy's


def _clipped(ratio: Plane) -> Plane:
    centre = np.median(ratio)
    reach = MAX_DEVIATIONS * np.median(np.abs(ratio - centre))
    return np.clip(ratio, centre - reach, centre + reach)


def _stretched(ratio: Plane) -> Plane:
    low, high = ratio.min(), ratio.max()
    if high - low < LEAST_RANGE:
        return np.zeros_like(ratio)
    levels = np.rint((ratio - low) * (2 * LARGEST / (high - low))) - LARGEST
    return np.asarray(levels * np.float32(LEVEL), np.float32)
