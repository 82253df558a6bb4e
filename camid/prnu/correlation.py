"""Matching: how surely two residuals, or a residual and a reference pattern, are of one sensor."""

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Moments:
    """Sums over strips that centred correlations are made of: one row a residual or pattern.

    ``sums`` and ``squares`` are ``(row, position)`` float64; ``present`` ``(row, position)`` says
    which positions the row has. Rows of unequal size are compared on the positions both have.
    """

    sums: NDArray[np.float64]
    squares: NDArray[np.float64]
    present: NDArray[np.bool_]


def score_matrix(
    dots: NDArray[np.float64], queries: Moments, patterns: Moments, *, samples: int
) -> NDArray[np.float64]:
    """Return the centred NCC of every query with every pattern, ``(query, pattern)``, −1…1.

    Parameters
    ----------
    dots
        Inner products over the shared positions, ``(query, pattern)``.
    queries, patterns
        Their moments over the same list of positions.
    samples
        Samples of one strip.

    Returns
    -------
    NaN where a query and a pattern share no position, 0 where one of them has no variance.
    """
    q, p = queries.present.astype(np.float64), patterns.present.astype(np.float64)
    count = q @ p.T * samples
    sum_q, sum_p = (queries.sums * q) @ p.T, q @ (patterns.sums * p).T
    square_q, square_p = (queries.squares * q) @ p.T, q @ (patterns.squares * p).T
    with np.errstate(invalid="ignore", divide="ignore"):
        product = dots - sum_q * sum_p / count
        energy = (square_q - sum_q**2 / count) * (square_p - sum_p**2 / count)
        scores = np.where(energy > 0, product / np.sqrt(energy), 0.0)
    return np.where(count > 0, scores, np.nan)


def _check_shapes(a: NDArray[np.floating], b: NDArray[np.floating]) -> None:
    if a.shape != b.shape or not a.size:
        raise ValueError(f"expected two arrays of one shape, got {a.shape} and {b.shape}")
