"""Correlation of two sides at small lags: peak-to-correlation energy, searched."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from camid.matching import PEAK_RADIUS
from camid.methods.correlation import centred, ratio
from camid.methods.method import Array, Sums, Tile

REACH = 4
"""Pixels up and down, left and right, by which sides may be apart."""
NUM_LAGS = (2 * REACH + 1) ** 2
"""What the false-alarm probability of a searched score counts."""


def near_lags(tile: Tile) -> Sums:
    """Return each pair's products at the searched lags, and the mean square of those far off.

    ``(pair, NUM_LAGS + 1)``. Far are circular shifts of the window by more than the search and the
    surroundings of a peak at its rim.
    """
    near, reach = 2 * (REACH + PEAK_RADIUS) + 1, slice(PEAK_RADIUS, -PEAK_RADIUS)
    if tile.size <= near:
        raise ValueError(f"a search needs windows of more than {near} px, got {tile.size}")
    vertical, horizontal = _waves(tile.size, near // 2)
    found = np.empty((len(tile.pairs), NUM_LAGS + 1))
    for some, product in _spectra(tile):
        lags = (vertical @ product @ horizontal).real
        doubled = np.full(product.shape[-1], 2.0)
        doubled[[0, *([-1] if tile.size % 2 == 0 else [])]] = 1
        squares = (product.real**2 + product.imag**2).sum(axis=1) @ doubled / tile.size**2
        far = np.maximum(squares - np.sum(np.square(lags, dtype=np.float64), axis=(1, 2)), 0)
        found[some, :-1] = lags[:, reach, reach].reshape(len(lags), -1)
        found[some, -1] = far / (tile.size**2 - near**2)
    return found


def searched_energy(sums: Sums) -> Sums:
    """Return the highest product's square, with its sign, over the mean square far off.

    Goljan, Fridrich, Filler 2009, doi:10.1117/12.805701. Its probability by chance is
    ``false_alarm_probability(score, num_lags=NUM_LAGS)`` of :mod:`camid.matching`.
    """
    peak = sums[..., :-1].max(axis=-1)
    return ratio(np.sign(peak) * peak**2, sums[..., -1])


def _spectra(tile: Tile) -> Iterator[tuple[slice, NDArray[np.complex64]]]:
    """Yield some pairs at a time, and half the spectra of their correlations."""
    if not tile.is_whole:
        for some, *windows in tile.batches():
            spectra = [_spectrum(side) for side in windows]
            yield some, spectra[0] * np.conj(spectra[1])
        return
    first, second = _spectrum(tile.first), np.conj(_spectrum(tile.second))
    step = max(1, 2**24 // tile.size**2)
    for start in range(0, len(tile.pairs), step):
        some = slice(start, start + step)
        rows, columns = tile.pairs[some].T
        yield some, first[rows] * second[columns]


def _spectrum(windows: Array) -> NDArray[np.complex64]:
    spectra: NDArray[np.complex64] = fft.rfft2(centred(windows).reshape(windows.shape), workers=1)
    return spectra


def _waves(size: int, reach: int) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
    """Return what makes lags ``(2 reach + 1, 2 reach + 1)`` of half a spectrum, by both sides."""
    lags = np.arange(-reach, reach + 1)
    vertical = np.exp(2j * np.pi * np.outer(lags, np.arange(size)) / size) / size
    horizontal = np.exp(2j * np.pi * np.outer(np.arange(size // 2 + 1), lags) / size) / size
    horizontal[1 : (size + 1) // 2] *= 2  # the other half is the same, conjugate
    return vertical.astype(np.complex64), horizontal.astype(np.complex64)
