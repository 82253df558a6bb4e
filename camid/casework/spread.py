"""Spread of a match: what a sensor leaves lies all over a photograph, an overlay in one place.

Watermarks, dates, frames and stamps agree between photographs of different cameras, and a
fingerprint holds them beside the sensor's pattern. Their agreement stands out in a few cells of a
map of the match, in a row, a column, a corner or the border. So do the grain of portrait modes and
other noise that software adds, by correlations that no sensor reaches. Such parts are taken out,
and what the other cells tell is the evidence. Noise that software adds to a part, such as the
background, is missing from the rest, where a sensor's pattern would show too.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

Cells = NDArray[np.bool_]
Scores = NDArray[np.float64]

FEWEST = 12
"""Cells of a map from which on parts are told from the rest."""
LEAST = 3.5
"""Standard deviations by which a part stands out …"""
TIMES = 4.0
"""… over so many times what the other cells make expected: textures and light vary as much."""
CLEAR = 8.0
"""Score of a cell from which its row and column are taken out too, as cleaning smears it there."""
KEPT = 0.25
"""Share of the cells that stays in any case, of those that a sensor can make."""
MOST = 0.45
"""Correlation of a part of a photograph with its sensor's pattern at most: up to 0.16 of real
cameras, 0.5 and more of the grain that portrait modes and editors add."""
CORNERS = (2, 3, 4)
"""Cells a side of corners."""


CERTAIN = 8.0
"""Score of the better quarter of places from which others are said to lack it."""
LACKING = 0.2
"""Share of that score up to which a place lacks it."""
MOST_ABSENT = 0.12
"""Share of the places that may lack what the others show. Sides of four photographs by 14 real
cameras that show it had up to 0.04, where all are white; a portrait mode's grain leaves 0.25."""


PATCHY = (
    "is missing from {absent:.0%} of the picture and clear in the rest, as noise that software "
    "adds to a part is; a sensor's pattern lies all over, so that it is not counted"
)
"""What is said of an agreement that is no sensor's."""


class Spread(NamedTuple):
    """Cells that count, and how much of a match's energy they leave."""

    kept: Cells
    """``(row, column)``."""
    share: float
    """Of the energy, 0 to 1."""

    @property
    def is_local(self) -> bool:
        """Whether parts stand out that no sensor makes."""
        return self.share < 1

    def area(self, compared: Cells) -> float:
        """Return the share of the compared cells that count."""
        return float(self.kept.sum() / max(compared.sum(), 1))


def most_correlation(first: float, second: float = math.inf) -> float:
    """Return the greatest correlation that one sensor gives averages of so many photographs.

    A single photograph correlates with its sensor's own pattern by :data:`MOST` at most; averages
    by what their signal-to-noise ratios then allow.
    """
    signal = MOST**2 / (1 - MOST**2)
    shares = (1.0 if math.isinf(n) else n * signal / (1 + n * signal) for n in (first, second))
    return math.sqrt(math.prod(shares))


def spread(
    scores: NDArray[np.floating], *, most: float | NDArray[np.floating] = math.inf
) -> Spread:
    """Return how a match is spread over the cells of its map.

    Parameters
    ----------
    scores
        Of each cell, standard normal among strangers, ``(row, column)``; exactly 0 where nothing
        is compared.
    most
        Scores above are no sensor's, and their cells do not count.
    """
    values = np.asarray(scores, np.float64)
    valid = values != 0
    total = _score(values, valid)
    if total <= 0:
        return Spread(valid, 1.0)
    plausible = valid & ~too_good(values, most)
    kept, clear, least = plausible, np.zeros_like(valid), KEPT * plausible.sum()
    while plausible.sum() >= FEWEST and kept.sum() > least:
        excess, part = max(_parts(values, kept), key=lambda part: part[0])
        if excess <= LEAST:
            break
        clear |= part & kept & (values > CLEAR)
        kept = kept & ~part
    smeared = clear.any(axis=1)[:, None] | clear.any(axis=0)[None]
    if (kept & ~smeared).sum() >= least:
        kept = kept & ~smeared
    left = _score(values, kept)
    return Spread(kept, min(1.0, max(left, 0.0) ** 2 / total**2))


def absent(scores: NDArray[np.floating], kept: Cells) -> float:
    """Return the share of places that lack what others clearly show; 0 if none show it clearly.

    Places are cells, or 2×2 of them where single ones show too little.

    Parameters
    ----------
    scores
        As of :func:`spread`.
    kept
        Cells that count.
    """
    values = np.where(kept, scores, 0.0).astype(np.float64)
    valid = kept & (scores != 0)
    return max(_lacking(values[valid]), _lacking(_together(values, valid)))


def _together(values: Scores, valid: Cells) -> Scores:
    """Return the score of each 2×2 cells of which three are valid."""
    sums, counts = (
        part[:-1, :-1] + part[1:, :-1] + part[:-1, 1:] + part[1:, 1:]
        for part in (values, valid.astype(np.float64))
    )
    return np.asarray(sums[counts >= 3] / np.sqrt(counts[counts >= 3]))


def _lacking(places: Scores) -> float:
    """Return the share of places that lack what the better quarter clearly shows."""
    if places.size < FEWEST:
        return 0.0
    better = float(np.quantile(places, 0.75))
    return float(np.mean(places < LACKING * better)) if better >= CERTAIN else 0.0


def too_good(scores: NDArray[np.floating], most: float | NDArray[np.floating]) -> Cells:
    """Return the cells whose scores are above ``most``, and those around them."""
    return np.asarray(binary_dilation(scores > most, np.ones((3, 3), bool)))


def _score(values: Scores, cells: Cells) -> float:
    """Return the score of cells together, standard normal among strangers."""
    return float(values[cells].sum() / np.sqrt(max(cells.sum(), 1)))


def _parts(values: Scores, kept: Cells) -> Iterator[tuple[float, Cells]]:
    """Yield the parts of a map that may stand out, and by how much they do."""
    sums, counts = np.where(kept, values, 0.0), kept.astype(np.float64)
    total, number = sums.sum(), counts.sum()

    def excess(added: Scores, count: Scores) -> Scores:
        """Return by how much parts of such sums exceed what all other cells make expected."""
        others = np.maximum(number - count, 1)
        mean = np.maximum((total - added) / others, 0)
        roots = np.sqrt(np.maximum(count, 1))
        beyond = added / roots - TIMES * mean * roots
        return np.where((count > 0) & (count <= number / 2), beyond, -np.inf)

    single = excess(sums, counts)
    place = np.unravel_index(int(single.argmax()), single.shape)
    part = np.zeros_like(kept)
    part[place] = True
    yield float(single[place]), part
    for axis in (0, 1):
        lines = excess(sums.sum(axis=1 - axis), counts.sum(axis=1 - axis))
        line = int(lines.argmax())
        part = np.zeros_like(kept)
        part[(line, slice(None)) if axis == 0 else (slice(None), line)] = True
        yield float(lines[line]), part
    for part in _outer(kept.shape):
        inside = part & kept
        yield (
            float(excess(np.array(values[inside].sum()), np.array(inside.sum(), np.float64))),
            part,
        )


def _outer(shape: tuple[int, ...]) -> Iterator[Cells]:
    """Yield the border of a map, its four corner cells, and its larger corners."""
    border = np.ones(shape, bool)
    border[1:-1, 1:-1] = False
    yield border
    cells = np.zeros(shape, bool)
    cells[np.ix_((0, -1), (0, -1))] = True
    yield cells
    for side in CORNERS:
        for rows in (slice(0, side), slice(-side, None)):
            for columns in (slice(0, side), slice(-side, None)):
                part = np.zeros(shape, bool)
                part[rows, columns] = True
                yield part
