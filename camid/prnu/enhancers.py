"""Li's enhancers: odd maps that weaken traces of scenes in a residual's coefficients.

C.-T. Li, "Source camera identification using enhanced sensor pattern noise", 2010,
doi:10.1109/TIFS.2010.2046268. Models 1 and 2 follow independent implementations.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
import pywt
from numpy.typing import NDArray

from camid.prnu.filters.lukas import checked_wavelet

Plane = NDArray[np.float32]
Zero = Literal["plus", "zero"]


def enhanced(noise: Plane, *, model: int = 5, alpha: float = 7.0, zero: Zero = "plus") -> Plane:
    """Return Li's map ``model`` (1–5) of every sample of ``noise``, dimensionless, within ±1.

    Model 5, the study's: exp(−n²/2α²) for n > 0 and its negative for n < 0; ``zero`` decides the
    value at exactly 0, where the formula says +1 (models 3 to 5 jump there).

    Raises
    ------
    ValueError
        If ``model`` is not 1 to 5.
    """
    if model not in _MODELS:
        raise ValueError(f"expected one of Li's models 1 to 5, got {model!r}")
    size = np.abs(noise)
    sign = np.where(noise < 0, -1, 1) if zero == "plus" else np.sign(noise)
    return (sign * _MODELS[model](size, np.float32(alpha))).astype(np.float32)


def enhanced_wavelet(
    noise: Plane,
    *,
    model: int = 5,
    alpha: float = 7.0,
    zero: Zero = "plus",
    wavelet: str = "db4",
    levels: int = 4,
) -> Plane:
    """Return the residual plane ``(height, width)`` whose detail coefficients are enhanced.

    The transform of a wavelet filter's residual gives back the filter's own noise coefficients
    (but for those that reach over the border), so this needs no photograph. The approximation is 0.

    Raises
    ------
    ValueError
        If ``model`` is not 1 to 5, or the plane is too small for ``levels`` of ``wavelet``.
    """
    coefficients = pywt.wavedec2(noise, checked_wavelet(noise.shape, wavelet, levels), level=levels)
    enhanced_bands = [np.zeros_like(coefficients[0])]
    enhanced_bands += [
        tuple(enhanced(band, model=model, alpha=alpha, zero=zero) for band in bands)
        for bands in coefficients[1:]
    ]
    height, width = noise.shape
    plane: Plane = pywt.waverec2(enhanced_bands, wavelet)[:height, :width]
    return np.ascontiguousarray(plane, np.float32)


def _model_1(n: Plane, a: np.float32) -> Plane:
    return np.asarray(np.where(n <= a, n / a, np.exp(-((n - a) ** 2) / (2 * a * a))), n.dtype)


def _model_2(n: Plane, a: np.float32) -> Plane:
    rising = (1 - np.exp(-n)) / (1 - np.exp(-a))
    return np.asarray(np.where(n <= a, rising, np.exp(a - n)), n.dtype)


def _model_3(n: Plane, a: np.float32) -> Plane:
    falling = (1 - np.exp(-a)) * np.exp(a - n)
    return np.asarray(np.where(n <= a, 1 - np.exp(-n), falling), n.dtype)


def _model_4(n: Plane, a: np.float32) -> Plane:
    return np.asarray(np.maximum(1 - n / a, 0), n.dtype)


def _model_5(n: Plane, a: np.float32) -> Plane:
    return np.asarray(np.exp(-(n**2) / (2 * a * a)), n.dtype)


_MODELS: dict[int, Callable[[Plane, np.float32], Plane]] = {
    1: _model_1,
    2: _model_2,
    3: _model_3,
    4: _model_4,
    5: _model_5,
}
