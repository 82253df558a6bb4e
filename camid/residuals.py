"""Residuals of whole images, and their quantised form in the store."""

import numpy as np
from numpy.typing import NDArray

from camid.filters import FILTERS


def residual(
    image: NDArray[np.uint8],
    *,
    filter: str = "lukas",  # noqa: A002  (the field's word, and the public name)
    sigma: float = 5.0,
    wavelet: str = "db4",
    levels: int = 4,
) -> NDArray[np.float32]:
    """Return what a denoiser takes out of an image: image − denoised image, grey levels.

    Parameters
    ----------
    image
        ``(height, width, channel)`` or ``(height, width)``, 0–255; each plane on its own.
    filter
        Name of the denoiser (METHODS.md section 2; Lukas 2006, doi:10.1109/TIFS.2006.873602).
    sigma
        Standard deviation of the noise, grey levels.

    Returns
    -------
    float32 array of the image's shape.

    Raises
    ------
    ValueError
        For an unknown filter, another number of axes, or an image too small for the filter.
    """
    if filter not in FILTERS:
        raise ValueError(f"no filter {filter!r}; there are {', '.join(sorted(FILTERS))}")
    if image.ndim not in {2, 3}:
        raise ValueError(
            f"expected (height, width[, channel]), got an array of shape {image.shape}"
        )
    denoise = FILTERS[filter]
    planes = image[:, :, None] if image.ndim == 2 else image
    noise = np.empty(planes.shape, np.float32)
    for channel in range(planes.shape[2]):
        plane = planes[:, :, channel].astype(np.float32)
        noise[:, :, channel] = denoise(plane, sigma=sigma, wavelet=wavelet, levels=levels)
    return noise.reshape(image.shape)


def quantised(noise: NDArray[np.float32], *, step: float = 0.125) -> NDArray[np.int8]:
    """Return residuals as int8 in units of ``step`` grey levels, clipped at ±127 steps."""
    steps: NDArray[np.int8] = np.clip(np.rint(noise / np.float32(step)), -127, 127).astype(np.int8)
    return steps


def restored(samples: NDArray[np.int8], *, step: float = 0.125) -> NDArray[np.float32]:
    """Return quantised residuals in grey levels, float32."""
    return samples * np.float32(step)
