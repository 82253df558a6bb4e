"""Compiled loops over planes of 10⁷ samples: peaks of correlations, products, differing bits.

Sums are taken in one order whatever the number of threads, in double precision or as integers.
"""

import numpy as np
from numpy.typing import NDArray

from camid.jit import compiled
from camid.prnu.correlation import PEAK_RADIUS

LATTICE = 8
"""Pixels a side of JPEG's blocks."""
SURE = 4.0
"""Deviations of an estimate by which a class's mean square is surely greater than all lags'."""
BLOCK = 4096
"""Words that stay in a core's cache while all queries are compared with them: 32 KiB."""


def peak(
    lags: NDArray[np.float32],
    *,
    top: int,
    num_rows: int,
    left: int,
    num_columns: int,
    num_lags: int,
) -> tuple[float, int, int]:
    """Return the highest peak-to-correlation energy of some circular lags, its row and column.

    Its noise is the mean square of all lags but the 11×11 around it: Goljan, Fridrich, Filler 2009,
    doi:10.1117/12.805701. Strangers that JPEG wrote in blocks correlate more where their blocks
    meet, so that noise is the mean square of the lags that are a multiple of 8 pixels from it, both
    ways, where that is surely greater.

    Parameters
    ----------
    lags
        A correlation at all circular lags, ``(height, width)``.
    top, left
        The first row and column that are looked at; negative ones count from the end.
    num_rows, num_columns
        How many are.
    num_lags
        How many lags the squares of all are shared by: fewer than there are where zeros pad.

    Returns
    -------
    The energy with the sign of the peak, and its row and column (negative as given).
    """
    totals = _lattice_totals(lags)
    whole, per_class = totals.sum(), num_lags / totals.size
    mean, least = whole / num_lags, 1 + SURE * np.sqrt(2 / per_class)
    classes = totals / per_class
    noise = np.where(classes > mean * least, classes, mean)
    if not noise.all():
        return 0.0, top, left
    found, row, column = _peak(lags, 1 / np.sqrt(noise), (top, num_rows), (left, num_columns))
    around = np.arange(-PEAK_RADIUS, PEAK_RADIUS + 1)
    rows, columns = (row + around) % lags.shape[0], (column + around) % lags.shape[1]
    near = np.square(lags[np.ix_(rows, columns)], dtype=np.float64).sum()
    far = (whole - near) / (num_lags - around.size**2)
    like = totals[row % LATTICE, column % LATTICE] - np.float64(found) ** 2
    alike = like / max(per_class - 1, 1)
    noise_here = alike if alike > far * least else far
    energy = found * abs(found) / noise_here if noise_here > 0 else 0.0
    return float(energy), int(row), int(column)


@compiled
def _lattice_totals(lags: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the squares' sums of lags by their row and column modulo 8, as ``(8, 8)``.

    A circular lag beyond the middle is the negative one.
    """
    height, width = lags.shape
    totals = np.zeros((LATTICE, LATTICE))
    for y in range(height):
        line = lags[y]
        row = (y if 2 * y <= height else y - height) % LATTICE
        for x in range(width):
            column = (x if 2 * x <= width else x - width) % LATTICE
            totals[row, column] += np.float64(line[x]) * np.float64(line[x])
    return totals


@compiled
def _peak(
    lags: NDArray[np.float32],
    scales: NDArray[np.float64],
    rows: tuple[int, int],
    columns: tuple[int, int],
) -> tuple[float, int, int]:
    """Return the lag that is the highest over its class's deviation, its row and column."""
    (top, num_rows), (left, num_columns) = rows, columns
    best, row, column = lags[top, left] * scales[top % LATTICE, left % LATTICE], top, left
    for y in range(top, top + num_rows):
        line, some = lags[y], scales[y % LATTICE]
        for x in range(left, left + num_columns):
            value = line[x] * some[x % LATTICE]
            if value > best:
                best, row, column = value, y, x
    return lags[row, column], row, column


@compiled
def cell_products(a: NDArray[np.float32], b: NDArray[np.float32], cell: int) -> NDArray[np.float64]:
    """Return Σab, Σa² and Σb² of each cell of two planes ``(height, width)``.

    ``(row, column, sum)`` over cells of ``cell`` × ``cell`` samples from the top left; the last
    ones are smaller where the planes end.
    """
    height, width = a.shape
    sums = np.zeros((-(-height // cell), -(-width // cell), 3))
    for y in range(height):
        for column in range(sums.shape[1]):
            ab, aa, bb = 0.0, 0.0, 0.0
            for x in range(column * cell, min(width, (column + 1) * cell)):
                p, q = np.float64(a[y, x]), np.float64(b[y, x])
                ab += p * q
                aa += p * p
                bb += q * q
            sums[y // cell, column, 0] += ab
            sums[y // cell, column, 1] += aa
            sums[y // cell, column, 2] += bb
    return sums


@compiled
def differing(row: NDArray[np.uint64], queries: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return in how many bits a row of words ``(word,)`` differs from each of ``(query, word)``."""
    num_queries, num_words = queries.shape
    counts = np.zeros(num_queries, np.int64)
    for start in range(0, num_words, BLOCK):
        stop = min(num_words, start + BLOCK)
        for query in range(num_queries):
            other, count = queries[query], np.uint64(0)
            for i in range(start, stop):
                count += _ones(row[i] ^ other[i])
            counts[query] += np.int64(count)
    return counts


@compiled
def _ones(word: np.uint64) -> np.uint64:
    """Return the number of ones; the compiler knows this form, and has an instruction for it."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + (
        (word >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)
