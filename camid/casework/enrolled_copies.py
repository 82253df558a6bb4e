"""Copies of enrolled photographs: they agree with the photographs' own half of a fingerprint.

A fingerprint is kept as two halves of its photographs. What a sensor leaves is in both; what a copy
shares with its original, content and noise alike, is in the original's half alone, however the copy
was cropped, resized, turned or written again.
"""

import math
from dataclasses import replace
from typing import NamedTuple, TypeVar

from camid.casework.alignment import Match, Plane, View, correlation, shared
from camid.casework.fingerprint_sums import Sums
from camid.prnu.correlation import ncc

M = TypeVar("M", bound=Match)

UNEQUAL = 2.5
"""How many times better than by their numbers of photographs one half may agree than the other."""
CHANCE = 5.0
"""Standard deviations of a chance difference that are not exceeded."""


class HalfPatterns(NamedTuple):
    """Patterns of an entry's two halves, cleaned and whitened, and the number of images of each."""

    patterns: tuple[Plane, Plane]
    counts: tuple[int, int]

    @classmethod
    def of(cls, sums: Sums) -> "HalfPatterns | None":
        """Return the patterns of sums, or None if a half has no image."""
        odd = sum(image.half for image in sums.images)
        counts = len(sums.images) - odd, odd
        if not all(counts):
            return None
        return cls(sums.half_patterns(), counts)

    def expected_ratios(self) -> tuple[float, float]:
        """Return by how many times each half's score exceeds the other's if one sensor took all.

        A photograph's share of the signal is estimated from the halves' agreement.
        """
        agreement = max(ncc(*self.patterns), 1e-6)
        mean = sum(self.counts) / 2
        signal = agreement / (1 - agreement) / mean
        first, second = (n * signal / (1 + n * signal) for n in self.counts)
        return math.sqrt(first / second), math.sqrt(second / first)


def less_copied(query: Plane, match: M, halves: HalfPatterns) -> M:
    """Return a match whose share is what the half agrees by that holds no copy of the query.

    It is the match itself where both halves agree as one sensor's do.
    """
    view = View(query)
    scores = [_score(view, View(pattern), match) for pattern in halves.patterns]
    for weak, strong, ratio in zip(scores, scores[::-1], halves.expected_ratios(), strict=True):
        least = strong * ratio / UNEQUAL
        if weak + CHANCE < least:
            share = match.share * (max(weak, 0.0) / strong) ** 2
            return replace(match, share=share, is_copy=True)
    return match


def _score(view: View, pattern: View, match: Match) -> float:
    a, b = shared(view, pattern, match.hypothesis, *match.place)
    return correlation(a, b) * math.sqrt(a.size)
