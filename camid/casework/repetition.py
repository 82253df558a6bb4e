"""Repetitions in a fingerprint: editors' dithers, tiles and block codecs, which devices share.

A sensor's pattern agrees with itself at no lag but 0. What agrees a period away is of software:
an editor's dither repeats every 128 px (arXiv:2401.01366), tiles of high dynamic range every 256.
"""

import math
from collections.abc import Iterable

import numpy as np

from camid.casework.alignment import Plane
from camid.casework.single_peak import PERIODS

REPEATED = 10.0
"""Standard deviations of a chance agreement from which a pattern repeats. Of 53 real cameras three
phones have 13 to 42, a whole number of tiles of 16 or 32 px away; the others have up to 9."""
PARTLY = 0.3
"""Share of what a longer period gives above which a shorter one is a period too, and no chance
likeness of parts of one tile."""
FEWEST = 3
"""Tiles along either side from which a repetition is looked for."""


def repetition(pattern: Plane, period: int) -> float:
    """Return how surely a pattern ``(height, width)`` repeats, standard normal if it does not.

    The mean correlation with itself one period to the right, below, and along both diagonals.

    Examples
    --------
    >>> tile = np.random.default_rng(1).standard_normal((16, 16)).astype(np.float32)
    >>> repetition(np.tile(tile, (8, 8)), 16) > 100
    True
    """
    scores = []
    for down, right in ((0, period), (period, 0), (period, period), (period, -period)):
        a, b = _lagged(pattern, down, right)
        norm = math.sqrt(float(np.vdot(a, a)) * float(np.vdot(b, b)))
        scores.append(float(np.vdot(a, b)) / norm * math.sqrt(a.size) if norm else 0.0)
    return sum(scores) / math.sqrt(len(scores))


def repeated_periods(pattern: Plane) -> tuple[int, ...]:
    """Return the periods, pixels, at which a pattern repeats; of multiples the shortest alone."""
    periods: list[int] = []
    for number, period in enumerate(PERIODS):
        if FEWEST * period > min(pattern.shape):
            break
        score = repetition(pattern, period)
        longer = [p for p in PERIODS[number + 1 :] if FEWEST * p <= min(pattern.shape)]
        if score > REPEATED and score > PARTLY * max(
            (repetition(pattern, other) for other in longer), default=0.0
        ):
            pattern = without_repetition(pattern, [period])
            periods.append(period)
    return tuple(periods)


def without_repetition(pattern: Plane, periods: Iterable[int]) -> Plane:
    """Return a pattern ``(height, width)`` less the mean of its tiles of each period."""
    for period in periods:
        pattern = pattern - _repeated(pattern, period)
    return pattern


def _lagged(pattern: Plane, down: int, right: int) -> tuple[Plane, Plane]:
    height, width = pattern.shape
    columns = slice(0, width - abs(right)), slice(abs(right), width)
    first, second = columns if right >= 0 else columns[::-1]
    return (
        np.ascontiguousarray(pattern[: height - down, first]),
        np.ascontiguousarray(pattern[down:, second]),
    )


def _repeated(pattern: Plane, period: int) -> Plane:
    """Return the mean of a pattern's tiles, tiled again over its shape."""
    height, width = pattern.shape
    rows, columns = -(-height // period), -(-width // period)
    padded = np.zeros((rows * period, columns * period))
    counts = np.zeros_like(padded)
    padded[:height, :width], counts[:height, :width] = pattern, 1
    tiles, numbers = (
        plane.reshape(rows, period, columns, period).sum(axis=(0, 2)) for plane in (padded, counts)
    )
    return np.tile(tiles / numbers, (rows, columns))[:height, :width].astype(np.float32)
