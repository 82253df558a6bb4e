"""The wavelet filter of Lukas, Fridrich and Goljan (appendix A; after Mıhçak et al. 1999).

doi:10.1109/TIFS.2006.873602
"""

import numpy as np
import pywt
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

WINDOWS = (3, 5, 7, 9)


def residual(
    plane: NDArray[np.float32], *, sigma: float = 5.0, wavelet: str = "db4", levels: int = 4
) -> NDArray[np.float32]:
    """Return the noise that the filter takes out of a plane ``(height, width)``, grey levels.

    In each detail band the signal's variance is estimated as the least of the local variances over
    windows of 3 to 9 coefficients (zeros outside), less ``sigma`` squared; what a Wiener filter
    would remove is kept, the approximation is dropped, and the inverse transform is the residual.

    Raises
    ------
    ValueError
        If the plane is too small for ``levels`` of ``wavelet``, or the wavelet is not known.
    """
    coefficients = pywt.wavedec2(plane, checked_wavelet(plane.shape, wavelet, levels), level=levels)
    noise = [np.zeros_like(coefficients[0])]
    noise += [tuple(_noise(band, sigma**2) for band in bands) for bands in coefficients[1:]]
    height, width = plane.shape
    restored: NDArray[np.float32] = pywt.waverec2(noise, wavelet)[:height, :width]
    return np.ascontiguousarray(restored, np.float32)


def checked_wavelet(shape: tuple[int, ...], wavelet: str, levels: int) -> str:
    """Return ``wavelet`` if planes of ``shape`` allow ``levels`` of it.

    Raises
    ------
    ValueError
        If they do not, or PyWavelets knows no discrete wavelet of that name.
    """
    if wavelet not in pywt.wavelist(kind="discrete"):
        raise ValueError(
            f"expected a discrete wavelet of PyWavelets such as 'db4', got {wavelet!r}"
        )
    allowed = pywt.dwt_max_level(min(shape[-2:]), pywt.Wavelet(wavelet).dec_len)
    if levels > allowed:
        raise ValueError(
            f"a plane of {shape[-1]}x{shape[-2]} px allows at most {allowed} levels of "
            f"{wavelet!r}, got levels={levels}; use larger strips or images, or lower it"
        )
    return wavelet


def _noise(band: NDArray[np.float32], variance: float) -> NDArray[np.float32]:
    energy = band * band
    signal = np.full_like(band, np.inf)
    for window in WINDOWS:
        local = uniform_filter(energy, window, mode="constant") - variance
        np.minimum(signal, np.maximum(local, 0), out=signal)
    shrunk: NDArray[np.float32] = band * (np.float32(variance) / (signal + np.float32(variance)))
    return shrunk
