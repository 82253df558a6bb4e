"""Cleaning of reference patterns and residuals: traces that a model's devices share are removed.

Colour filter arrays, row and column readout and JPEG blocks leave periodic traces that all devices
of a model have. Chen, Fridrich, Goljan, Lukáš 2008, doi:10.1109/TIFS.2007.916285, section III-B.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import uniform_filter

from camid.prnu.filters.lukas import WINDOWS

Plane = NDArray[np.float32]

JPEG_BLOCK = 8
"""Pixels per side of the blocks that JPEG compresses on their own."""


def zero_mean(plane: Plane) -> Plane:
    """Return a plane ``(height, width)`` whose chessboard phases' rows and columns have mean 0.

    The four phases are the photosites of one colour filter each: every second row and column.
    """
    result = np.array(plane, np.float32)
    for top in (0, 1):
        for left in (0, 1):
            phase = result[top::2, left::2]
            phase -= phase.mean()
            phase -= phase.mean(axis=1, keepdims=True)
            phase -= phase.mean(axis=0, keepdims=True)
    return result


def without_peaks(plane: Plane) -> Plane:
    """Return a plane ``(height, width)`` whose spectrum has no peaks: a Wiener filter in the DFT.

    A frequency's magnitude is taken as noise of the plane's variance plus a signal whose variance
    is the least over neighbourhoods of 3 to 9 frequencies; only the noise's share stays.
    """
    spectrum = fft.fft2(np.asarray(plane, np.float32))
    noise = np.float32(np.var(plane))
    energy = (spectrum.real**2 + spectrum.imag**2) / np.float32(plane.size)
    signal = np.full_like(energy, np.inf)
    for window in WINDOWS:
        local = uniform_filter(energy, window, mode="wrap") - noise
        np.minimum(signal, np.maximum(local, 0), out=signal)
    kept = noise / (signal + noise) if noise > 0 else np.zeros_like(signal)
    return np.asarray(fft.ifft2(spectrum * kept).real, np.float32)


def without_blocks(planes: Plane, *, size: int = JPEG_BLOCK) -> Plane:
    """Return planes ``(…, height, width)`` without traces of period ``size`` pixels both ways.

    JPEG's blocks, and colour filter arrays with their demosaicking, leave the same trace in all
    devices of a kind; each of the ``size`` × ``size`` phases gets the mean 0.
    """
    result = np.array(planes, np.float32)
    for top in range(size):
        for left in range(size):
            phase = result[..., top::size, left::size]
            phase -= phase.mean(axis=(-2, -1), keepdims=True)
    return result


def whitened(plane: Plane, *, window: int = 9) -> Plane:
    """Return a plane ``(height, width)`` divided by its local standard deviation.

    Textures then weigh no more in a residual than flat areas. The deviation is over ``window`` ×
    ``window`` pixels, around 0.
    """
    local = np.sqrt(np.maximum(uniform_filter(plane * plane, window), 0))
    floor = np.float32(1e-3) * (local.max() or np.float32(1))
    return np.asarray(plane / np.maximum(local, floor), np.float32)


def cleaned(plane: Plane, *, whiten: bool = False) -> Plane:
    """Return a plane ``(height, width)`` of zero mean, without peaks, and whitened if asked."""
    result = without_peaks(zero_mean(plane))
    return whitened(result) if whiten else result
