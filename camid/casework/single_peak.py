"""A single peak: a sensor's pattern agrees at one lag, what software adds at others too.

Editors' dithers, tiles and block codecs agree again a period away, stock agencies' marks and lines
wherever they repeat, diagonal structures all along a diagonal. Such lags stand out in the
correlation of a photograph with a pattern, and in that of either with itself.
"""

import math

import numpy as np
from numpy.typing import NDArray

from camid.prnu.cleaning import JPEG_BLOCK
from camid.prnu.correlation import Peak

Lags = NDArray[np.float32]
"""A correlation at all circular lags, ``(height, width)``."""

PERIODS = (16, 32, 64, 128, 256, 512)
"""Pixels at which editors' dithers, tiles and codecs repeat."""
REPEATED = 1.5
"""Mean over eight repetitions, in standard deviations, of which strangers' is normal with 0.35."""
NEAR = 12
"""Pixels around a peak that are part of it, as neighbouring samples correlate."""
CLEAR = 7.0
"""Standard deviations by which no lag stands out by chance, in all correlations together: of 10⁷
lags the highest is 5.3."""
MOST = 32
"""Lags at which a peak's repetitions are measured: those that stand out most."""
ALIKE = 0.5
"""Share of what repeats that is found again at such lags at least, as marks lie on light and
textures that vary. Of 331 pairs of strangers with marks, lines, tiles or diagonal stripes 95 % have
more."""


def once(lags: Lags, best: Peak, of_query: Lags, of_pattern: Lags) -> float:
    """Return the energy of a peak less that of its repetitions at other lags.

    Parameters
    ----------
    lags
        The correlation of a query with a pattern.
    best
        Its peak, whose row and column may be negative.
    of_query, of_pattern
        The correlations of either with itself, of the same shape.
    """
    height = float(lags[best.row, best.column])
    if best.pce <= 0 or height <= 0:
        return best.pce
    root = math.sqrt(best.pce)
    mean, period = _at_periods(lags, best)
    repeated = mean * root / height
    if repeated < REPEATED:
        repeated, period = 0.0, 0
    from_peak = np.roll(lags, (-best.row, -best.column), (0, 1))
    elsewhere = _elsewhere(from_peak, of_query, of_pattern, period)
    left = root - repeated - elsewhere / ALIKE
    return max(left, 0.0) ** 2 if left < root else best.pce


def _at_periods(lags: Lags, best: Peak) -> tuple[float, int]:
    """Return the greatest mean over eight lags a period away, and the shortest such period."""
    means: dict[int, float] = {}
    for period in PERIODS:
        if 3 * period > min(lags.shape):
            break
        steps = np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x]) * period
        rows = (best.row + steps[:, 0]) % lags.shape[0]
        columns = (best.column + steps[:, 1]) % lags.shape[1]
        means[period] = float(lags[rows, columns].mean())
    greatest = max(means.values(), default=0.0)
    return greatest, next((period for period, mean in means.items() if mean > greatest / 2), 0)


def _elsewhere(lags: Lags, of_query: Lags, of_pattern: Lags, period: int) -> float:
    """Return how much of the peak at lag 0 is found at other lags, standard deviations.

    Lags at multiples of ``period``, both ways, do not count; 0 stands for none.
    """
    scores = _standardised(lags)
    opposite = np.roll(scores[::-1, ::-1], (1, 1), (0, 1))  # what repeats does so both ways
    there_and_back = 2 * np.minimum(scores, opposite)
    together = (there_and_back + _standardised(of_query) + _standardised(of_pattern)) / 2
    rows, columns = np.nonzero(together > CLEAR)
    if period:
        around = min(NEAR, period // 8)
        on_lattice = [
            _is_multiple(places, side, period, around)
            for places, side in zip((rows, columns), lags.shape, strict=True)
        ]
        is_left = ~(on_lattice[0] & on_lattice[1])
        rows, columns = rows[is_left], columns[is_left]
    if not len(rows):
        return 0.0
    order = np.argsort(-together[rows, columns], kind="stable")[:MOST]
    overlaps = np.ones(len(order))
    for places, side in zip((rows[order], columns[order]), lags.shape, strict=True):
        overlaps *= 1 - np.minimum(places, side - places) / side
    repetitions = there_and_back[rows[order], columns[order]] / 2
    return max(float(repetitions.sum() / overlaps.sum()), 0.0)


def _is_multiple(
    places: NDArray[np.int64], side: int, period: int, around: int
) -> NDArray[np.bool_]:
    """Return whether circular lags are multiples of a period, either way, or that near one."""
    rests = [np.minimum(one % period, -one % period) for one in (places, side - places)]
    return np.asarray(np.minimum(*rests) <= around)


def _standardised(lags: Lags) -> Lags:
    """Return a correlation in standard deviations, 0 near lag 0.

    Lags at multiples of JPEG's blocks are measured against their like, where these vary more.
    """
    scores = lags - lags.mean()
    scores[np.ix_(*(np.arange(-NEAR, NEAR + 1) % side for side in lags.shape))] = 0
    spread = math.sqrt(float(np.square(scores, dtype=np.float64).mean()))
    on_blocks = scores[::JPEG_BLOCK, ::JPEG_BLOCK]
    block_spread = math.sqrt(float(np.square(on_blocks, dtype=np.float64).mean()))
    if block_spread > spread > 0:
        on_blocks *= spread / block_spread
    return np.asarray(scores / spread if spread else scores, np.float32)
