"""Strength of a match: a sensor's photographs show its pattern as strongly as they let expect.

Devices of one model may share a part of their patterns (Iuliani, Fontani, Piva 2021,
arXiv:2009.04878), which agrees at its place, everywhere and at every scale as a sensor's own does,
only by less. What a photograph would show of the enrolled sensor follows from its light and texture
(:class:`camid.casework.quality.Quality`), from the detail that its JPEG kept, and from the
fingerprint's own strength; what is far below is not the sensor's, or was edited beyond telling.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from camid.casework.alignment import CELL, Match, Plane, plane_spread
from camid.casework.enrolled_copies import HalfPatterns
from camid.casework.fingerprint_sums import Sums, reliability
from camid.casework.quality import Visibility
from camid.casework.repetition import without_repetition
from camid.casework.spread import most_correlation
from camid.prnu.cleaning import cleaned
from camid.prnu.correlation import ncc

M = TypeVar("M", bound=Match)

LEAST = 0.45
"""Share of the expected score that a sensor's own photograph reaches at least. Of 212 photographs
by real cameras that were found, as they are or written again, two reach less; 207 by simulated
devices that share up to a fifth of another's pattern reach up to 0.45."""
LEAST_OF_SIDES = 0.3
"""The same share of two sides' score, which the sides themselves tell."""
TOLD = 5.0
"""Score of halves, normal if they show nothing, from which their agreement tells a strength."""


class Strength(NamedTuple):
    """How strongly an entry's photographs show their sensor's pattern."""

    amplitude: float
    """Standard deviation of the fingerprint, grey levels where a photograph is bright."""
    reliability: float
    """Share of the fingerprint's variance that is the sensor's, 0 to 1."""
    detail: float
    """Mean share of the detail that JPEG kept; 0 if not known."""

    @classmethod
    def of(cls, sums: Sums, halves: HalfPatterns) -> "Strength | None":
        """Return the strength of an entry's sums, or None if its halves do not tell it."""
        agreement, kept = agreed(*halves.patterns, *halves.counts)
        if not agreement > 0:
            return None
        pattern = without_repetition(cleaned(sums.total.pattern()), sums.periods)[kept]
        details = [image.detail for image in sums.images if image.detail]
        mean = float(np.mean(details)) if details else 0.0
        return cls(float(pattern.std(dtype=np.float64)), reliability(agreement), mean)

    def expected_score(
        self, visibility: Visibility, *, num_pixels: int, scale: float = 1.0
    ) -> float:
        """Return the score, normal among strangers, of photographs that the sensor took.

        Parameters
        ----------
        num_pixels
            Of what is compared.
        scale
            Pixels of the photographs for one of the sensor.
        """
        kept = min(1.0, visibility.detail / self.detail) if self.detail else 1.0
        score = self.amplitude * self.reliability * math.sqrt(visibility.power) * kept
        score *= min(1, 1 / scale)  # an enlarged one has no more to show
        # of many photographs the sensor's share of the variance grows, up to 1
        signal = score**2 / (num_pixels * self.reliability)
        return score / math.sqrt(1 + signal)


def agreed(
    first: Plane, second: Plane, count: int, other_count: int
) -> tuple[float, NDArray[np.bool_]]:
    """Return the correlation of halves' patterns, and the pixels where it is a sensor's.

    What stands out in places, or is too good for so many photographs, does not count.
    """
    cells = plane_spread(first, second, most=most_correlation(count, other_count))
    height, width = first.shape
    kept = cells.kept.repeat(CELL, axis=0).repeat(CELL, axis=1)[:height, :width]
    return (ncc(first[kept], second[kept]) if kept.any() else math.nan), kept


class SideStrength(NamedTuple):
    """How strongly a side of a verification shows its sensor's pattern."""

    visibility: Visibility
    """Of all its photographs together."""
    num_pixels: int
    """Of each of its photographs."""
    agreement: float
    """Correlation of its halves' patterns; NaN where one has no photograph."""

    @property
    def signal(self) -> float:
        """Variance of its pattern that is the sensor's, over the rest; NaN if that is not told."""
        if not self.agreement * math.sqrt(self.num_pixels) > TOLD:
            return math.nan
        share = reliability(self.agreement)
        return share / (1 - share)


def expected_of_sides(
    first: SideStrength, second: SideStrength, *, num_pixels: int, scale: float = 1.0
) -> float:
    """Return the score, normal among strangers, of two sides of one sensor; 0 if that is not known.

    A correlation of patterns is attenuated by what is not the sensor's in each: Spearman 1904,
    doi:10.2307/1412159. Where a side does not tell that itself, it follows from the other's, by
    their light and texture.

    Parameters
    ----------
    num_pixels
        Of what is compared.
    scale
        Pixels of one side for one of the other.
    """
    details = sorted(side.visibility.detail for side in (first, second))
    kept = details[0] / details[1] if details[0] else 1.0
    signals = [_signal(first, second, kept), _signal(second, first, kept)]
    if not all(signal > 0 for signal in signals):
        return 0.0
    shares = math.prod(signal / (1 + signal) for signal in signals)
    return math.sqrt(num_pixels * shares * kept) * min(1, 1 / scale)


def _signal(side: SideStrength, other: SideStrength, kept: float) -> float:
    """Return the signal of a side, by the other's if it does not tell its own."""
    if not math.isnan(side.signal):
        return side.signal
    if not other.visibility.power:
        return math.nan
    power = side.visibility.power / side.num_pixels
    fainter = kept if side.visibility.detail < other.visibility.detail else 1.0
    return other.signal * power / (other.visibility.power / other.num_pixels) * fainter


def less_shared(
    match: M,
    visibility: Visibility,
    strength: Strength,
    *,
    num_pixels: int,
    cells: Callable[[], NDArray[np.floating]],
) -> M:
    """Return a match with an entry, weighed by what a photograph by its sensor would reach.

    Where a part of a picture is of another camera, what is left is as strong as ever: the whole or
    one half is strong enough.

    Parameters
    ----------
    num_pixels
        Of the photograph.
    cells
        Function that returns the match's map (:func:`camid.casework.alignment.plausible_heat`).
    """
    compared = round(num_pixels / max(match.scale, 1) ** 2)
    expected = strength.expected_score(visibility, num_pixels=compared, scale=match.scale)
    weak = weighed(match, expected * math.sqrt(match.area), least=LEAST)
    if not weak.is_shared or _best_half(cells()) < LEAST * expected / math.sqrt(2):
        return weak
    return replace(match, strength=weak.strength)


def _best_half(cells: NDArray[np.floating]) -> float:
    """Return the best score of a map's upper, lower, left and right half."""
    rows, columns = ((side + 1) // 2 for side in cells.shape)
    halves = cells[:rows], cells[-rows:], cells[:, :columns], cells[:, -columns:]
    return max(float(half.sum() / math.sqrt(half.size)) for half in halves)


def weighed(match: M, expected: float, *, least: float) -> M:
    """Return a match with its strength, which counts nothing if that is too small for a sensor.

    Parameters
    ----------
    expected
        The score that one sensor reaches; 0 if that is not known.
    least
        Share of it that a sensor's own reach at least.
    """
    if expected <= 0:
        return match
    share = math.sqrt(max(match.spread_pce, 0.0)) / expected
    if share >= least:
        return replace(match, strength=share)
    return replace(match, strength=share, share=0.0, is_shared=True)
