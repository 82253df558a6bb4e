"""Correlation of two sides in the wavelet domain, each band on its own."""

import numpy as np
import pywt

from camid.comparison.methods.correlation import products_and_squares, ratio
from camid.comparison.methods.method import Array, Sums, Tile

WAVELET, LEVELS = "db4", 4
"""Those of Lukas's filter; small windows have fewer levels."""


def band_moments(tile: Tile) -> Sums:
    """Return each pair's ``(product, both sides' squares, number)`` of every band of details.

    ``(pair, 4 × band)``. Windows are taken as periodic, so that the transform is orthogonal where
    a window halves evenly at every level.
    """
    sums = np.empty((len(tile.pairs), 3 * _levels(tile.size), 4))
    for part in tile.parts():
        band_pairs = zip(_bands(part.first), _bands(part.second), strict=True)
        for band, (first, second) in enumerate(band_pairs):
            sums[part.some, band, :3] = products_and_squares(part, first, second)
            sums[part.some, band, 3] = first.shape[1]
    return sums.reshape(len(sums), -1)


def band_ncc(sums: Sums) -> Sums:
    """Return the normalised correlation of all coefficients, the bands brought to one energy."""
    bands = sums.reshape(*sums.shape[:-1], -1, 4)
    product, first, second, count = np.moveaxis(bands, -1, 0)
    band_nccs = np.nan_to_num(ratio(product, np.sqrt(first * second)))
    return ratio((band_nccs * count).sum(axis=-1), count.sum(axis=-1))


def _levels(size: int) -> int:
    return min(LEVELS, int(pywt.dwt_max_level(size, WAVELET)))


def _bands(windows: Array) -> list[Array]:
    """Return the details of windows ``(window, height, width)``, a row a window, band by band."""
    levels = _levels(windows.shape[-1])
    coefficients = pywt.wavedec2(windows, WAVELET, mode="periodization", level=levels)
    return [band.reshape(len(windows), -1) for bands in coefficients[1:] for band in bands]
