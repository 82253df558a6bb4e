"""Regions of a photograph without the pattern that the rest carries.

A cell's score is compared with the score that the content of its pixels makes expected if the
device took them: bright, flat pixels carry a pattern, dark, saturated and textured ones do not.
Windows of many sizes are tried, each against the rest of the picture, and all of them are counted.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from scipy.special import logsumexp

from camid.casework.alignment import CELL, Match, Plane, cell_samples, cell_scores, laid
from camid.casework.kernels import cell_products
from camid.casework.quality import NOISELESS
from camid.casework.spread import spread
from camid.casework.transforms import Shape
from camid.prnu.borders import inside_borders, residual_inside
from camid.prnu.fingerprint import intensity_weight
from camid.prnu.luminance import grey_levels

Scores = NDArray[np.float64]
Cells = NDArray[np.bool_]
Box = tuple[int, int, int, int]
"""Left, top, width and height, pixels of the picture as stored."""

FINE, LARGE = 32, 1024
"""Pixels a side of the cells of pictures up to so many pixels a side; of larger ones :data:`CELL`.
"""
SIDES = (1.0, 3 / 4, 2 / 3, 1 / 2, 1 / 3, 1 / 4)
"""Sides of windows, as shares of the picture's."""
LEAST_AREA, MOST_AREA = 1 / 16, 3 / 4
"""Areas of windows, as shares of the picture's."""
CARRIED = 5.0
"""Standard deviations by which the rest of a picture must carry the pattern."""
GREATEST = 30.0
"""Expected score of a window beyond which no more is told from it."""
RATIOS = np.linspace(0.02, 2.5, 125)
"""A window's strength over the rest's, at the content's expectation."""
VARIATION, UNSURE = 0.3, 0.05
"""Deviation of the ratio's logarithm in a device's own photographs, and the share of those where it
may be anything from 0.2 to 1.6. Ratios at an expected score of 4 or more had deviations of 0.21 to
0.27 in simulated photographs, compressed ones among them, and of 0.31 in the openly licensed real
ones that the project develops on, of which one in a hundred was below 0.29."""
KIN = ((0.0, 0.8), (0.1, 0.15), (0.2, 0.05))
"""Ratios where another device took the window, with their shares: models share a little."""


class Window(NamedTuple):
    """A rectangle of cells."""

    row: int
    column: int
    height: int
    width: int

    @property
    def cells(self) -> tuple[slice, slice]:
        """Index of its cells in a map."""
        return (
            slice(self.row, self.row + self.height),
            slice(self.column, self.column + self.width),
        )

    def overlap(self, other: "Window") -> float:
        """Return the shared area of two windows over that of both together."""
        rows = min(self.row + self.height, other.row + other.height) - max(self.row, other.row)
        columns = min(self.column + self.width, other.column + other.width) - max(
            self.column, other.column
        )
        both = max(rows, 0) * max(columns, 0)
        return both / (self.height * self.width + other.height * other.width - both)


class Absence(NamedTuple):
    """The window that most looks as if another device took it."""

    window: Window
    llr: float
    """Log-likelihood ratio of another device against this one, nats, for this window alone."""
    num_windows: int
    """Windows that it is the best of."""

    @property
    def counted_llr(self) -> float:
        """Log-likelihood ratio with all windows counted, nats."""
        return self.llr - math.log(self.num_windows)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Map of a match by cell, and of what the picture's content lets it be."""

    scores: Scores
    """Of each cell, standard normal among strangers, ``(row, column)``."""
    possible: Scores
    """Scores of a pattern of strength 1, ``(row, column)``; 0 where none would show."""
    cell: tuple[float, float]
    """Height and width of a cell, pixels of the query."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.scores.shape[0], self.scores.shape[1]

    def box(self, window: Window, shape: Shape) -> Box:
        """Return a window's pixels in a picture of a height and width."""
        height, width = self.cell
        top, left = round(window.row * height), round(window.column * width)
        bottom = min(shape[0], round((window.row + window.height) * height))
        right = min(shape[1], round((window.column + window.width) * width))
        return left, top, right - left, bottom - top

    def without(self, window: Window) -> "Evidence":
        """Return the map with nothing to be seen in a window."""
        possible = self.possible.copy()
        possible[window.cells] = 0
        return replace(self, possible=possible)

    def strength(self, window: Window | None = None) -> float:
        """Return the pattern's strength in a window, or in all cells; 0 at least."""
        cells = window.cells if window else ...
        possible = self.possible[cells]
        carried = float((self.scores[cells] * possible).sum())
        return max(carried, 0.0) / max(float((possible**2).sum()), 1e-9)

    def gain(self, strength: float) -> Scores:
        """Return each cell's log-likelihood ratio of a pattern of so much strength against none."""
        expected = strength * self.possible
        return np.asarray(self.scores * expected - expected**2 / 2)


def amplitude(rgb: NDArray[np.uint8]) -> Plane:
    """Return how strongly a pattern shows in each pixel of a photograph ``(height, width, 3)``.

    Its intensity weight over the local deviation of the residual, which has 1 grey level of noise
    at least, times √(E / (E + 1)) of the local energy E: where a compressor has left less than a
    sensor's noise, it has taken the pattern too. 0 where no noise is left. Relative: a device's
    strength multiplies it.
    """
    levels = grey_levels(rgb)
    noise = residual_inside(levels, inside_borders(levels))
    energy = uniform_filter(noise * noise, 9)
    shown = intensity_weight(levels) * np.sqrt(np.maximum(energy, 0)) / (energy + np.float32(1))
    return np.where(energy > NOISELESS, shown, np.float32(0)).astype(np.float32)


def evidence(
    query: Plane, shown: Plane, pattern: Plane, match: Match, *, most: float = math.inf
) -> Evidence:
    """Return the map of a match.

    Parameters
    ----------
    query
        Plane of :func:`camid.casework.alignment.query_plane`, ``(height, width)``.
    shown
        Its photograph's :func:`amplitude`.
    pattern
        The entry's pattern, cleaned and whitened.
    match
        Its place.
    most
        Correlation of a cell that a sensor gives at most; what exceeds it is left out.
    """
    query_plane, pattern_plane = laid(query, pattern, match)
    shown_plane, _ = laid(shown, pattern, match)
    cell = FINE if max(query_plane.shape) <= LARGE else CELL
    samples = cell_samples(query_plane, pattern_plane, cell)
    sums = cell_products(shown_plane, np.abs(np.sign(pattern_plane)), cell)[..., 0]
    possible = sums / np.sqrt(np.maximum(samples, 1))
    if match.share < 1:
        coarse = cell_scores(query_plane, pattern_plane, CELL)
        sizes = np.sqrt(np.maximum(cell_samples(query_plane, pattern_plane, CELL), 1))
        kept = np.kron(spread(coarse, most=most * sizes).kept, np.ones((CELL // cell,) * 2))
        possible = possible * kept[: possible.shape[0], : possible.shape[1]]
    height, width = (
        cell * side / compared
        for side, compared in zip(query.shape, query_plane.shape, strict=True)
    )
    scores = np.asarray(cell_scores(query_plane, pattern_plane, cell), np.float64)
    return Evidence(scores, np.maximum(possible, 0), (height, width))


def absent(evidence: Evidence) -> Absence | None:
    """Return the window that least carries the pattern that the rest carries, if the rest does."""
    rows = np.array(windows(*evidence.shape))
    if not len(rows):
        return None
    carried, squares = (
        _integral(plane) for plane in (evidence.scores * evidence.possible, evidence.possible**2)
    )
    inside, possible = _sums(carried, rows), _sums(squares, rows)
    outside, rest = carried[-1, -1] - inside, squares[-1, -1] - possible
    roots = np.sqrt(np.maximum(possible, 1e-9))
    is_carried = outside > CARRIED * np.sqrt(np.maximum(rest, 1e-9))
    if not is_carried.any():
        return None
    expected = np.minimum(np.maximum(outside, 0) / np.maximum(rest, 1e-9) * roots, GREATEST)
    llrs = np.where(is_carried, absence_llr(inside / roots, expected), -np.inf)
    best = int(llrs.argmax())
    return Absence(Window(*map(int, rows[best])), float(llrs[best]), len(rows))


def absence_llr(scores: Scores, expected: Scores) -> Scores:
    """Return log-likelihood ratios, nats, of another device against one that makes scores expected.

    Of windows ``(window,)``. Where little is expected, it is near 0 whatever the score.
    """
    own = np.exp(-(np.log(RATIOS) ** 2) / (2 * VARIATION**2)) / RATIOS
    unsure = (RATIOS >= 0.2) & (RATIOS <= 1.6)
    own_shares = (1 - UNSURE) * own / own.sum() + UNSURE * unsure / unsure.sum()
    kin_ratios, kin_shares = np.array(KIN).T
    return _mixture(scores, expected, kin_ratios, kin_shares) - _mixture(
        scores, expected, RATIOS, own_shares
    )


def _mixture(scores: Scores, expected: Scores, ratios: Scores, shares: Scores) -> Scores:
    """Return the log-density of scores over a stranger's, of a mixture of strengths."""
    means = ratios * np.asarray(expected)[:, None]
    return np.asarray(
        logsumexp(means * np.asarray(scores)[:, None] - means**2 / 2, axis=1, b=shares)
    )


def outlined(gain: Scores, near: Window) -> Window:
    """Return the rectangle with the greatest sum of gains, if it overlaps a window, or the window.

    Kadane's algorithm on the sums of all runs of rows.
    """
    height = len(gain)
    sums = np.pad(gain, ((1, 0), (0, 0))).cumsum(axis=0)
    best, outline = 0.0, near
    for top, bottom in product(range(height), range(1, height + 1)):
        if top >= bottom:
            continue
        ends = np.pad((sums[bottom] - sums[top]).cumsum(), (1, 0))
        least = np.minimum.accumulate(ends)
        right = int((ends - least).argmax())
        if ends[right] - least[right] > best:
            left = int(ends[: right + 1].argmin())
            best, outline = (
                float(ends[right] - least[right]),
                Window(top, left, bottom - top, right - left),
            )
    return outline if outline.overlap(near) > 0.2 else near


@lru_cache(maxsize=64)
def windows(height: int, width: int) -> tuple[Window, ...]:
    """Return the windows that are tried on a map: halves, thirds, quarters, half overlapping."""
    pool = set()
    for tall, wide in product(SIDES, SIDES):
        rows, columns = max(1, round(tall * height)), max(1, round(wide * width))
        if LEAST_AREA <= tall * wide <= MOST_AREA:
            places = product(_starts(height, rows), _starts(width, columns))
            pool |= {Window(row, column, rows, columns) for row, column in places}
    return tuple(sorted(pool))


def _starts(side: int, length: int) -> list[int]:
    """Return where windows of a length begin along a side."""
    number = 1 + math.ceil(2 * (side - length) / length)
    return sorted({round(start) for start in np.linspace(0, side - length, number)})


def _integral(plane: Scores) -> Scores:
    return np.asarray(np.pad(plane, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1))


def _sums(integral: Scores, rows: NDArray[np.int64]) -> Scores:
    """Return the sums of windows' cells, ``(window,)``."""
    top, left, height, width = rows.T
    bottom, right = top + height, left + width
    return np.asarray(
        integral[bottom, right]
        - integral[top, right]
        - integral[bottom, left]
        + integral[top, left]
    )
