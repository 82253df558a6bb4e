"""Correlation of two sides at zero and small lags, against that at all others."""

from functools import partial

import numpy as np
from scipy import fft

from camid.comparison.methods.correlation import centred, ratio
from camid.comparison.methods.method import BATCH, Array, Part, Sums, Tile
from camid.prnu.correlation import PEAK_RADIUS

NUM_SEARCHED = (2 * PEAK_RADIUS + 1) ** 2
"""Lags of a search, up to five pixels each way: what its false-alarm probability counts."""
MIN_WINDOWS = 4
"""Least width of a window, in widths of the searched lags."""
LEAST_FAR = 1e-5
"""Least share of the squares at other lags, as single precision resolves no less."""
FEW = 2**18
"""Samples of spectra that are multiplied at once, so that they stay in a core's cache."""


def lag_moments(tile: Tile, *, reach: int = 0) -> Sums:
    """Return each pair's products at small lags, and the mean square of those at all others.

    Lags are circular shifts of the windows, by up to ``reach`` pixels up, down, left and right:
    ``(pair, (2 reach + 1)² + 1)``. By Parseval's theorem the squares of a correlation, added up
    over all lags, are those of the two spectra's product.

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
    sums = np.empty((len(tile.pairs), num_lags + 1))
    for part in tile.parts():
        first, second = centred(part.first), centred(part.second)
        if reach:
            sums[part.some, :-1] = _products(part, first, second, size=tile.size, reach=reach)
        else:
            sums[part.some, 0] = part.products(first, second)
        powers = [_power(side, tile.size) for side in (first, second)]
        sums[part.some, -1] = part.products(*powers)
    near = np.square(sums[:, :-1]).sum(axis=1)
    far = np.maximum(sums[:, -1] - near, LEAST_FAR * sums[:, -1])
    sums[:, -1] = far / (tile.size**2 - num_lags)
    return sums


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
    ``false_alarm_probability(score, num_lags=NUM_SEARCHED)`` of :mod:`camid.prnu.correlation`,
    where the score of one lag would be a normal number.
    """
    peak = sums[..., :-1].max(axis=-1)
    return ratio(np.sign(peak) * peak**2, sums[..., -1])


def _products(part: Part, first: Array, second: Array, *, size: int, reach: int) -> Array:
    """Return each pair's products at the searched lags ``(pair, lag)``.

    Only those lags of the inverse transform of the spectra's product are computed.
    """
    spectra = [fft.rfft2(side.reshape(-1, size, size), workers=1) for side in (first, second)]
    rows, columns = part.rows()
    lags = np.arange(-reach, reach + 1)
    vertical = np.exp(2j * np.pi * np.outer(lags, np.arange(size)) / size) / size
    horizontal = np.exp(2j * np.pi * np.outer(np.arange(size // 2 + 1), lags) / size) / size
    horizontal[1 : (size + 1) // 2] *= 2  # the other half of the spectrum is the same, conjugate
    vertical, horizontal = vertical.astype(np.complex64), horizontal.astype(np.complex64)
    products = np.empty((len(rows), len(lags), len(lags)), np.float32)
    step = max(1, FEW // size**2)
    for start in range(0, len(rows), step):
        batch = slice(start, start + step)
        product = spectra[0][rows[batch]] * np.conj(spectra[1][columns[batch]])
        products[batch] = (vertical @ product @ horizontal).real
    return products.reshape(len(rows), -1)


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
