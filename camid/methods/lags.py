"""Correlation of two sides at zero and small lags, against that at all others."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from scipy import fft

from camid.matching import PEAK_RADIUS
from camid.methods.correlation import centred, ratio
from camid.methods.method import BATCH, Array, Sums, Tile

NUM_SEARCHED = (2 * PEAK_RADIUS + 1) ** 2
"""Lags of a search, up to five pixels each way: what its false-alarm probability counts."""
MIN_WINDOWS = 4
"""How many times as wide as the searched lags windows are at least."""
LEAST_FAR = 1e-3
"""Share of the squares that other lags have at least, where sides are alike but for their rims."""


def lag_moments(tile: Tile, *, reach: int = 0) -> Sums:
    """Return each pair's products at small lags, and the mean square of those at all others.

    A lag is a shift of the second window over the first, by up to ``reach`` pixels up, down, left
    and right: ``(pair, (2 reach + 1)² + 1)``. Products of windows that overlap in part are scaled
    to the deviation of whole ones. The others are circular shifts: by Parseval's theorem the
    squares of a correlation, added up over all of them, are those of the two spectra's product.

    Raises
    ------
    ValueError
        If the windows are small for the search.
    """
    num_lags = (2 * reach + 1) ** 2
    if tile.size < MIN_WINDOWS * (2 * reach + 1):
        raise ValueError(
            f"a search of {reach} px each way needs windows of {MIN_WINDOWS * (2 * reach + 1)} px, "
            f"got {tile.size} px; raise comparisons.crop_size or leave the method pce out"
        )
    found = np.empty((len(tile.pairs), num_lags + 1))
    if tile.is_dense:  # all firsts against all seconds in one product a lag
        rows, columns = tile.pairs.T
        first, second = centred(tile.first), centred(tile.second)
        for lag, (one, other) in enumerate(_shifted(first, second, size=tile.size, reach=reach)):
            found[:, lag] = (one @ other.T)[rows, columns]
        powers = [_power(side, tile.size) for side in (first, second)]
        found[:, -1] = (powers[0] @ powers[1].T)[rows, columns]
    else:
        for some, *windows in tile.batches():
            first, second = map(centred, windows)
            found[some, :-1] = _products(first, second, size=tile.size, reach=reach)
            powers = [_power(side, tile.size) for side in (first, second)]
            found[some, -1] = np.einsum("ij,ij->i", *powers)
    lags = np.arange(-reach, reach + 1)
    share = (1 - np.abs(lags) / tile.size)[:, None] * (1 - np.abs(lags) / tile.size)
    found[:, :-1] /= np.sqrt(share.ravel())  # fewer samples meet: the deviation is made equal
    near = np.square(found[:, :-1]).sum(axis=1)
    far = np.maximum(found[:, -1] - near, LEAST_FAR * found[:, -1])
    found[:, -1] = far / (tile.size**2 - num_lags)
    return found


searched_moments = partial(lag_moments, reach=PEAK_RADIUS)


def lag_score(sums: Sums) -> Sums:
    """Return the product at zero lag, of all windows together, over its deviation at other lags.

    Its square with its sign is the peak-to-correlation energy at zero lag. Of strangers it is a
    standard normal number, however strong the scenes' traces are, as long as these are the same all
    over a window and windows do not overlap.
    """
    return ratio(sums[..., 0], np.sqrt(sums[..., -1]))


def searched_energy(sums: Sums) -> Sums:
    """Return the highest product's square, with its sign, over the mean square at other lags.

    Goljan, Fridrich, Filler 2009, doi:10.1117/12.805701. Its probability by chance is
    ``false_alarm_probability(score, num_lags=NUM_SEARCHED)`` of :mod:`camid.matching`, where the
    score of one lag would be a normal number.
    """
    peak = sums[..., :-1].max(axis=-1)
    return ratio(np.sign(peak) * peak**2, sums[..., -1])


def _shifted(
    first: Array, second: Array, *, size: int, reach: int
) -> Iterator[tuple[Array, Array]]:
    """Yield rows of all firsts and seconds, the seconds shifted, lag by lag.

    Zeros between a plane's lines, and above and below, meet what a shift moves over the border.
    """
    between = ((0, 0), (0, 0), (0, 2 * reach))
    one = np.pad(first.reshape(-1, size, size), between).reshape(len(first), -1)
    other = np.pad(second.reshape(-1, size, size), between).reshape(len(second), -1)
    line, margin = size + 2 * reach, reach * (size + 2 * reach + 1)
    other = np.pad(other, ((0, 0), (margin, margin)))
    for y in range(-reach, reach + 1):
        for x in range(-reach, reach + 1):
            start = margin - y * line - x
            yield one, other[:, start : start + one.shape[1]]


def _products(first: Array, second: Array, *, size: int, reach: int) -> Array:
    """Return the products of each pair's windows, lag by lag ``(pair, lag)``."""
    if not reach:
        return np.asarray(np.einsum("ij,ij->i", first, second)[:, None])
    shape = 2 * (fft.next_fast_len(size + reach, real=True),)
    spectra = [fft.rfft2(side.reshape(-1, size, size), shape) for side in (first, second)]
    lags = np.arange(-reach, reach + 1)
    every = fft.irfft2(spectra[0] * np.conj(spectra[1]), shape)
    return np.asarray(every[:, lags[:, None], lags].reshape(len(first), -1))


def _power(windows: Array, size: int) -> Array:
    """Return half the spectra's powers, scaled so that products add up to squares over lags."""
    planes = windows.reshape(-1, size, size)
    power = np.empty((len(planes), size, size // 2 + 1), np.float32)
    step = max(1, BATCH // size**2)
    for start in range(0, len(planes), step):
        spectra = fft.rfft2(planes[start : start + step], workers=1)
        power[start : start + step] = (spectra.real**2 + spectra.imag**2) / np.float32(size)
    power[:, :, 1 : (size + 1) // 2] *= np.float32(np.sqrt(2))  # the other half is the same
    return power.reshape(len(planes), -1)
