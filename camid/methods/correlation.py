"""Correlation of two sides at zero lag: what is compared, and how crops are pooled."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from camid.images import grey
from camid.methods.method import Array, Sums, Tile

BATCH = 2**22
"""Samples of windows that are held at once."""


def grey_residual(strip: Array) -> Array:
    """Return the grey plane of a residual strip."""
    return grey(strip)


def mean(total: Array, count: int) -> Array:
    """Return the mean over a side's images (Lukas 2006, doi:10.1109/TIFS.2006.873602)."""
    return total / np.float32(count)


def moments(tile: Tile) -> Sums:
    """Return each pair's ``(products, first's squares, second's squares)`` about the means."""
    if tile.is_whole:
        return _whole_moments(tile)
    found = np.empty((len(tile.pairs), 3))
    for some, first, second in _batches(tile):
        found[some, 0] = np.einsum("ij,ij->i", first, second)
        found[some, 1] = np.einsum("ij,ij->i", first, first)
        found[some, 2] = np.einsum("ij,ij->i", second, second)
    return found


def pooled_ncc(sums: Sums) -> Sums:
    """Return the normalised correlation of all crops together: sums before they are divided."""
    scale = np.sqrt(sums[..., 1] * sums[..., 2])
    found = np.full(scale.shape, np.nan)
    np.divide(sums[..., 0], scale, out=found, where=scale > 0)
    return found


def lag_moments(tile: Tile) -> Sums:
    """Return each pair's ``(product, sum of squares at other lags, number of these)``.

    The lags are all circular shifts of the window. By Parseval's theorem the squares of a
    correlation, added up over all lags, are those of the two spectra's product.
    """
    others = tile.size**2 - 1
    found = np.full((len(tile.pairs), 3), others, np.float64)
    if tile.is_whole:
        rows, columns = tile.pairs.T
        first, second = _centred(tile.first), _centred(tile.second)
        found[:, 0] = (first @ second.T)[rows, columns]
        powers = [_power(side, tile.size) for side in (first, second)]
        found[:, 1] = (powers[0] @ powers[1].T)[rows, columns]
    else:
        for some, first, second in _batches(tile):
            powers = [_power(side, tile.size) for side in (first, second)]
            found[some, 0] = np.einsum("ij,ij->i", first, second)
            found[some, 1] = np.einsum("ij,ij->i", *powers)
    found[:, 1] = np.maximum(found[:, 1] - found[:, 0] ** 2, 0)
    return found


def lag_score(sums: Sums) -> Sums:
    """Return the product at zero lag over its deviation at other lags, of all crops together.

    Its square with its sign is the peak-to-correlation energy at zero lag; where no device is
    common it is a standard normal number, however strong the scenes' traces are.
    """
    deviation = np.sqrt(np.divide(sums[..., 1], np.maximum(sums[..., 2], 1)))
    found = np.full(deviation.shape, np.nan)
    np.divide(sums[..., 0], deviation, out=found, where=deviation > 0)
    return found


def crop_nccs(tile: Tile) -> Sums:
    """Return each pair's ``(normalised correlation, 1)``."""
    found = np.ones((len(tile.pairs), 2))
    found[:, 0] = np.nan_to_num(pooled_ncc(moments(tile)))
    return found


def mean_ncc(sums: Sums) -> Sums:
    """Return the mean of the crops' correlations: the study's extended inference."""
    count = sums[..., 1]
    found = np.full(count.shape, np.nan)
    np.divide(sums[..., 0], count, out=found, where=count > 0)
    return found


def _batches(tile: Tile) -> Iterator[tuple[slice, Array, Array]]:
    """Yield some pairs at a time, and both sides' centred windows ``(pair, sample)``."""
    step = max(1, BATCH // tile.size**2)
    for start in range(0, len(tile.pairs), step):
        some = slice(start, start + step)
        first, second = tile.windows(some)
        yield some, _centred(first), _centred(second)


def _whole_moments(tile: Tile) -> Sums:
    """Return the moments of whole strips, all firsts against all seconds in one product."""
    first, second = _centred(tile.first), _centred(tile.second)
    rows, columns = tile.pairs.T
    squares = [np.einsum("ij,ij->i", side, side) for side in (first, second)]
    products = (first @ second.T)[rows, columns]
    return np.stack([products, squares[0][rows], squares[1][columns]], axis=1).astype(np.float64)


def _power(windows: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return half the spectra's powers, scaled so that products add up to squares over lags."""
    spectra = fft.rfft2(windows.reshape(-1, size, size), workers=1)
    power = spectra.real**2 + spectra.imag**2
    power[:, :, 1 : (size + 1) // 2] *= np.float32(np.sqrt(2))  # the other half is the same
    return np.asarray(power.reshape(len(windows), -1) / np.float32(size), np.float32)


def _centred(windows: Array) -> NDArray[np.float32]:
    flat = windows.reshape(len(windows), -1)
    return np.asarray(flat - flat.mean(axis=1, keepdims=True))
