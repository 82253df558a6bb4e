"""Matching: how surely two residuals, or a residual and a reference pattern, are of one sensor."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.special import ndtr

from camid.jit import compiled
from camid.prnu.cleaning import JPEG_BLOCK

PEAK_RADIUS = 5
"""Pixels around the peak that PCE leaves out of the noise: 11×11."""
SURE = 4.0
"""Deviations of an estimate by which a class's mean square is surely greater than all lags'."""


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


def cross_correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the correlation of two centred planes at all circular lags, ``(height, width)``.

    The value at ``(y, x)`` is the inner product of ``a`` with ``b`` moved down by y and right by x.

    Raises
    ------
    ValueError
        If the shapes differ or are empty.
    """
    _check_shapes(a, b)
    x = np.asarray(a, np.float64) - np.mean(a)
    y = np.asarray(b, np.float64) - np.mean(b)
    return np.asarray(fft.irfft2(fft.rfft2(x) * np.conj(fft.rfft2(y)), s=x.shape))


class Peak(NamedTuple):
    """The highest lag of a correlation, and its place."""

    pce: float
    """Peak-to-correlation energy, with the sign of the peak."""
    row: int
    column: int


def pce(a: NDArray[np.floating], b: NDArray[np.floating]) -> Peak:
    """Return the peak-to-correlation energy of two planes ``(height, width)``, and its lag.

    All height × width circular lags of :func:`cross_correlation` are searched, as :func:`peak`
    does.

    Raises
    ------
    ValueError
        If the shapes differ, or are not planes with more lags than the peak's surroundings.
    """
    side = 2 * PEAK_RADIUS + 1
    _check_shapes(a, b)
    if a.ndim != 2 or min(a.shape) <= side:
        raise ValueError(f"expected planes of more than {side}x{side} px, got shape {a.shape}")
    return peak(cross_correlation(a, b).astype(np.float32))


def peak(
    lags: NDArray[np.float32],
    *,
    top: int = 0,
    num_rows: int | None = None,
    left: int = 0,
    num_columns: int | None = None,
    num_lags: int | None = None,
) -> Peak:
    """Return the highest peak-to-correlation energy of circular lags, its row and column.

    Its noise is the mean square of all lags but the 11×11 around it: Goljan, Fridrich, Filler 2009,
    doi:10.1117/12.805701. Strangers that JPEG wrote in blocks correlate more where their blocks
    meet, so that noise is the mean square of the lags that are a multiple of 8 pixels from it, both
    ways, where that is surely greater.

    Parameters
    ----------
    lags
        A correlation at all circular lags, ``(height, width)``.
    top, left
        The first row and column that are searched; negative numbers count from the end.
    num_rows, num_columns
        How many are searched; all if None.
    num_lags
        Number of lags over which squares are averaged: fewer than all where zeros pad.

    Returns
    -------
    The row and column are negative as given; without any noise the energy is 0.
    """
    num_rows, num_columns = num_rows or lags.shape[0], num_columns or lags.shape[1]
    num_lags = num_lags or lags.size
    totals = _lattice_totals(lags)
    total, per_class = totals.sum(), num_lags / totals.size
    mean, excess = total / num_lags, 1 + SURE * np.sqrt(2 / per_class)
    classes = totals / per_class
    noise = np.where(classes > mean * excess, classes, mean)
    if not noise.all():
        return Peak(0.0, top, left)
    highest, row, column = _peak(lags, 1 / np.sqrt(noise), (top, num_rows), (left, num_columns))
    around = np.arange(-PEAK_RADIUS, PEAK_RADIUS + 1)
    rows, columns = (row + around) % lags.shape[0], (column + around) % lags.shape[1]
    near = np.square(lags[np.ix_(rows, columns)], dtype=np.float64).sum()
    far = (total - near) / (num_lags - around.size**2)
    class_sum = totals[row % JPEG_BLOCK, column % JPEG_BLOCK] - np.float64(highest) ** 2
    class_noise = class_sum / max(per_class - 1, 1)
    peak_noise = class_noise if class_noise > far * excess else far
    energy = highest * abs(highest) / peak_noise if peak_noise > 0 else 0.0
    return Peak(float(energy), int(row), int(column))


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
    per_lag = ndtr(-np.sign(energy) * np.sqrt(abs(energy)))
    return float(-np.expm1(num_lags * np.log1p(-per_lag)))


def _check_shapes(a: NDArray[np.floating], b: NDArray[np.floating]) -> None:
    if a.shape != b.shape or not a.size:
        raise ValueError(f"expected two arrays of one shape, got {a.shape} and {b.shape}")


@compiled
def _lattice_totals(lags: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the sums of squared lags by row and column modulo 8, as ``(8, 8)``.

    A circular lag beyond the middle counts as negative.
    """
    height, width = lags.shape
    totals = np.zeros((JPEG_BLOCK, JPEG_BLOCK))
    for y in range(height):
        line = lags[y]
        row = (y if 2 * y <= height else y - height) % JPEG_BLOCK
        for x in range(width):
            column = (x if 2 * x <= width else x - width) % JPEG_BLOCK
            totals[row, column] += np.float64(line[x]) * np.float64(line[x])
    return totals


@compiled
def _peak(
    lags: NDArray[np.float32],
    scales: NDArray[np.float64],
    rows: tuple[int, int],
    columns: tuple[int, int],
) -> tuple[float, int, int]:
    """Return the lag of the highest ratio to its class's deviation, its row and column."""
    (top, num_rows), (left, num_columns) = rows, columns
    best, row, column = lags[top, left] * scales[top % JPEG_BLOCK, left % JPEG_BLOCK], top, left
    for y in range(top, top + num_rows):
        line, scale_row = lags[y], scales[y % JPEG_BLOCK]
        for x in range(left, left + num_columns):
            value = line[x] * scale_row[x % JPEG_BLOCK]
            if value > best:
                best, row, column = value, y, x
    return lags[row, column], row, column
