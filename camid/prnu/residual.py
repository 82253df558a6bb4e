"""Residuals of whole images, and their quantised form in the store."""

import numpy as np
from numpy.typing import NDArray

from camid.jit import compiled
from camid.prnu.filters import filtered


def residual(
    image: NDArray[np.uint8],
    *,
    filter: str = "lukas",  # noqa: A002  (the field's word, and the public name)
    sigma: float = 5.0,
    wavelet: str = "db4",
    levels: int = 4,
    window: int = 3,
    blur: float = 1.0,
) -> NDArray[np.float32]:
    """Return an image's noise residual: image − denoised image, grey levels.

    Parameters
    ----------
    image
        ``(height, width)``, ``(height, width, channel)`` or strips ``(strip, height, width,
        channel)``, 0–255; each plane on its own.
    filter
        Name of the denoiser: ``lukas`` (2006, doi:10.1109/TIFS.2006.873602), ``wiener``,
        ``gaussian``, ``report2021`` or ``none``, each a module of ``camid.prnu.filters``.
    sigma
        Standard deviation of the noise that ``lukas`` and ``wiener`` remove, grey levels.
    wavelet, levels
        The transform of ``lukas``, by PyWavelets' name.
    window
        Pixels per side of ``wiener``'s surroundings, odd.
    blur
        Standard deviation of ``gaussian``'s blur, pixels.

    Returns
    -------
    float32 array of the image's shape; ``none`` returns the image.

    Raises
    ------
    ValueError
        For an unknown filter, another number of axes, or an image too small for the filter.
    """
    if image.ndim not in {2, 3, 4}:
        raise ValueError(
            "expected (height, width[, channel]) or (strip, height, width, channel), got an array "
            f"of shape {image.shape}"
        )
    planes = image[:, :, None] if image.ndim == 2 else image
    images = planes[None] if planes.ndim == 3 else planes
    noise = filtered(
        images, filter, sigma=sigma, wavelet=wavelet, levels=levels, window=window, blur=blur
    )
    return noise.reshape(image.shape)


def quantised(noise: NDArray[np.float32], *, step: float = 0.125) -> NDArray[np.int8]:
    """Return residuals as int8 in units of ``step`` grey levels, clipped at ±127 steps."""
    steps = np.empty(noise.shape, np.int8)
    _round(np.ascontiguousarray(noise).reshape(-1), np.float32(step), steps.reshape(-1))
    return steps


@compiled
def _round(noise: NDArray[np.float32], step: np.float32, steps: NDArray[np.int8]) -> None:
    """Fill ``steps`` with the noise in units of ``step``."""
    for i in range(len(noise)):
        steps[i] = np.int8(min(max(np.rint(noise[i] / step), np.float32(-127)), np.float32(127)))


def restored(samples: NDArray[np.int8], *, step: float = 0.125) -> NDArray[np.float32]:
    """Return quantised residuals in grey levels, float32."""
    return samples * np.float32(step)
