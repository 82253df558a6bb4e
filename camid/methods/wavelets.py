"""Two sides in the wavelet domain: Li's enhancers, and correlation of each band on its own."""

import numpy as np
import pywt

from camid.enhancers import enhanced_wavelet
from camid.methods.correlation import ratio
from camid.methods.method import Array, Sums, Tile

WAVELET, LEVELS = "db4", 4
"""Those of Lukas's filter; small windows have fewer levels."""


def band_moments(tile: Tile) -> Sums:
    """Return each pair's ``(product, both sides' squares, number)`` of every band of details.

    ``(pair, 4 × band)``. Windows are taken as periodic, so that the transform is orthogonal where
    a window halves evenly at every level.
    """
    found = np.empty((len(tile.pairs), 3 * _levels(tile.size), 4))
    if tile.is_dense:
        rows, columns = tile.pairs.T
        for band, (first, second) in enumerate(zip(*map(_bands, tile[:2]), strict=True)):
            found[:, band, 0] = (first @ second.T)[rows, columns]
            found[:, band, 1] = np.einsum("ij,ij->i", first, first)[rows]
            found[:, band, 2] = np.einsum("ij,ij->i", second, second)[columns]
            found[:, band, 3] = first.shape[1]
    else:
        for some, *windows in tile.batches():
            for band, (first, second) in enumerate(zip(*map(_bands, windows), strict=True)):
                found[some, band, 0] = np.einsum("ij,ij->i", first, second)
                found[some, band, 1] = np.einsum("ij,ij->i", first, first)
                found[some, band, 2] = np.einsum("ij,ij->i", second, second)
                found[some, band, 3] = first.shape[1]
    return found.reshape(len(found), -1)


def band_ncc(sums: Sums) -> Sums:
    """Return the normalised correlation of all coefficients, the bands brought to one energy."""
    bands = sums.reshape(*sums.shape[:-1], -1, 4)
    product, first, second, count = np.moveaxis(bands, -1, 0)
    own = np.nan_to_num(ratio(product, np.sqrt(first * second)))
    return ratio((own * count).sum(axis=-1), count.sum(axis=-1))


def enhanced_details(plane: Array, *, model: int) -> Array:
    """Return a plane ``(height, width)`` whose details one of Li's enhancers has changed."""
    return enhanced_wavelet(plane, model=model, wavelet=WAVELET, levels=_levels(min(plane.shape)))


def _levels(size: int) -> int:
    return min(LEVELS, int(pywt.dwt_max_level(size, WAVELET)))


def _bands(windows: Array) -> list[Array]:
    """Return the details of windows ``(window, height, width)``, a row a window, band by band."""
    levels = _levels(windows.shape[-1])
    coefficients = pywt.wavedec2(windows, WAVELET, mode="periodization", level=levels)
    return [band.reshape(len(windows), -1) for bands in coefficients[1:] for band in bands]
