"""Matching: how surely two residuals, or a residual and a reference pattern, are of one sensor."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.special import ndtr

PEAK_RADIUS = 5
"""Pixels around the peak that PCE leaves out of the noise: 11×11."""


def ncc(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Return the normalised correlation of two arrays of one shape at zero lag, in −1…1.

    Both are centred. An array without variance correlates with nothing: 0.

    Raises
    ------
    ValueError
        If the shapes differ or are empty.
    """
    _check_shapes(a, b)
    x = np.asarray(a, np.float64).ravel()
    y = np.asarray(b, np.float64).ravel()
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt(x @ x) * np.sqrt(y @ y))
    return float(x @ y) / scale if scale > 0 else 0.0


def pce(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Return the signed peak-to-correlation energy of two planes ``(height, width)``.

    The circular cross-correlation of the centred planes is searched over all height × width lags;
    the peak's square over the mean square outside the 11×11 lags around it, with the peak's sign.
    Goljan, Fridrich, Filler 2009, doi:10.1117/12.805701.

    Raises
    ------
    ValueError
        If the shapes differ, or are not planes with more lags than the peak's surroundings.
    """
    _check_shapes(a, b)
    side = 2 * PEAK_RADIUS + 1
    if a.ndim != 2 or min(a.shape) <= side:
        raise ValueError(f"expected planes of more than {side}x{side} px, got shape {a.shape}")
    x = np.asarray(a, np.float64) - np.mean(a)
    y = np.asarray(b, np.float64) - np.mean(b)
    lags = fft.irfft2(fft.rfft2(x) * np.conj(fft.rfft2(y)), s=x.shape)
    row, column = np.unravel_index(int(np.argmax(lags)), lags.shape)
    peak = float(lags[row, column])
    around = np.roll(lags, (PEAK_RADIUS - int(row), PEAK_RADIUS - int(column)), axis=(0, 1))
    outside = np.sum(lags**2) - np.sum(around[:side, :side] ** 2)
    energy = float(outside) / (lags.size - side * side)
    return float(np.sign(peak) * peak**2 / energy) if energy > 0 else 0.0


def false_alarm_probability(energy: float, *, num_lags: int) -> float:
    """Return the chance that strangers' highest PCE of ``num_lags`` lags is ``energy`` or more.

    1 − (1 − Q(√PCE))^k, as correlations at lags without a common pattern are normal and nearly
    independent: Goljan, Fridrich, Filler 2009, doi:10.1117/12.805701. A whole circular search of
    planes, as :func:`pce` makes, has height × width lags; zero lag alone is one.

    Raises
    ------
    ValueError
        If no lag is searched.
    """
    if num_lags < 1:
        raise ValueError(f"expected a search of at least one lag, got num_lags={num_lags}")
    one = ndtr(-np.sign(energy) * np.sqrt(abs(energy)))
    return float(-np.expm1(num_lags * np.log1p(-one)))


def _check_shapes(a: NDArray[np.floating], b: NDArray[np.floating]) -> None:
    if a.shape != b.shape or not a.size:
        raise ValueError(f"expected two arrays of one shape, got {a.shape} and {b.shape}")
