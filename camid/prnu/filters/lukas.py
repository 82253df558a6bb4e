"""The wavelet filter of Lukas, Fridrich and Goljan (appendix A; after Mıhçak et al. 1999).

doi:10.1109/TIFS.2006.873602
"""

import numpy as np
import pywt
from numpy.typing import NDArray

from camid.prnu.filters.planes import Images
from camid.prnu.filters.wavelet_kernels import shrunk_details

WINDOWS = (3, 5, 7, 9)


def residuals(
    images: Images, *, sigma: float = 5.0, wavelet: str = "db4", levels: int = 4
) -> NDArray[np.float32]:
    """Return the noise that the filter takes out of images, grey levels.

    In each detail band the signal's variance is estimated as the least of the local variances over
    windows of 3 to 9 coefficients (zeros outside), less ``sigma`` squared; what a Wiener filter
    would remove is kept, the approximation is dropped, and the inverse transform is the residual.

    Parameters
    ----------
    images
        ``(image, height, width, channel)``, 0–255; each plane on its own.
    sigma
        Standard deviation of the noise, grey levels.
    wavelet
        PyWavelets' name of a discrete wavelet.
    levels
        Times that the plane is halved.

    Returns
    -------
    float32 array of the images' shape.

    Raises
    ------
    ValueError
        If the images are too small for ``levels`` of ``wavelet``, or the wavelet is not known.
    """
    bank = pywt.Wavelet(checked_wavelet(images.shape[1:3], wavelet, levels)).filter_bank
    filters = tuple(np.array(taps, np.float32) for taps in bank)
    return shrunk_details(images, filters=filters, levels=levels, variance=sigma**2)


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
    allowed = pywt.dwt_max_level(min(shape), pywt.Wavelet(wavelet).dec_len)
    if levels > allowed:
        raise ValueError(
            f"a plane of {shape[1]}x{shape[0]} px allows at most {allowed} levels of "
            f"{wavelet!r}, got levels={levels}; use larger strips or images, or lower it"
        )
    return wavelet
