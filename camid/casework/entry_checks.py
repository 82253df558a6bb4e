"""Checks of matches against more of an entry than its pattern: copies, and shared patterns.

They read the sums that an entry is made of, and so are made of what would be supported alone.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from camid.casework.alignment import Plane, laid, less_patchy, plane_absent, plausible_heat
from camid.casework.enrolled_copies import HalfPatterns, less_copied
from camid.casework.fingerprint_sums import Sums
from camid.casework.identify_answer import NO_SUPPORT, match_llr
from camid.casework.quality import Visibility
from camid.casework.query import Candidate, Ranking
from camid.casework.reference_population import Reference
from camid.casework.spread import most_correlation
from camid.casework.strength import Strength, less_shared


class EntryChecks(NamedTuple):
    """What matches with one entry are held against; None where it has too few images for it."""

    pattern: Plane
    halves: HalfPatterns | None
    strength: Strength | None
    absent: float
    """Share of the picture that lacks what the halves share elsewhere."""

    @classmethod
    def of(cls, sums: Sums) -> "EntryChecks":
        """Return the checks of an entry's sums."""
        halves = HalfPatterns.of(sums)
        if not halves:
            return cls(sums.pattern(), None, None, 0.0)
        lacking = plane_absent(*halves.patterns, most=most_correlation(*halves.counts))
        return cls(sums.pattern(), halves, Strength.of(sums, halves), lacking)

    def checked(self, candidate: Candidate, plane: Plane, visibility: Visibility) -> Candidate:
        """Return a candidate less what a copy shares, a device of the same model, or software."""
        if self.halves:
            candidate = less_copied(plane, candidate, self.halves)
        if self.strength and not candidate.is_copy:
            candidate = less_shared(
                candidate,
                visibility,
                self.strength,
                num_pixels=plane.size,
                cells=partial(plausible_heat, plane, self.pattern, candidate),
            )
        if self.halves:
            return less_patchy(candidate, self.absent)
        return less_patchy(candidate, plane_absent(*laid(plane, self.pattern, candidate)))


def checked_ranking(
    ranking: Ranking,
    plane: Plane,
    visibility: Visibility,
    checks: Callable[[Candidate], EntryChecks | None],
    reference: Reference,
) -> Ranking:
    """Return a ranking whose supported candidates pass the checks of their entries.

    Parameters
    ----------
    plane, visibility
        What was asked.
    checks
        Function from a candidate to its entry's checks; None if the entry cannot be read.
    """

    def checked(candidate: Candidate) -> Candidate:
        if match_llr(candidate, reference) < NO_SUPPORT:
            return candidate
        of_entry = checks(candidate)
        return of_entry.checked(candidate, plane, visibility) if of_entry else candidate

    candidates = sorted(map(checked, ranking.candidates), key=lambda one: -one.energy)
    return replace(ranking, candidates=tuple(candidates))
