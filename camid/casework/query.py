"""A query image: the hypotheses to try, their order, and the matches."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from camid.casework.alignment import Match, Plane, View
from camid.casework.binarized import Enrolled
from camid.casework.transforms import Hypothesis, Shape, edits, hypotheses, scales_for

THRESHOLD = 60.0
"""PCE from which the field says match: Goljan, Fridrich, Filler 2009, doi:10.1117/12.805701."""
FLOOR = 2.5
"""Score of a digest, normal among strangers, from which an entry is tested in full."""
NUM_BEST, MOST = 5, 64
"""Hypotheses that are tested whatever their score, and that are tested at most."""
CROWD = 2**12
"""Scores of digests that are held at once."""
Kind = Literal["whole", "part", "edited whole", "edited part"]
"""What a match is of: an image as a camera writes it, or one that an editor changed."""
SHARE_OF_EDITS = 0.1
"""Of false alarms, that mirrored, stretched and slightly turned images may make together."""
SHARE_OF_WHOLE = 0.5
"""Of false alarms, that whole images may make where parts are searched too."""


@dataclass(frozen=True, kw_only=True)
class Candidate(Match):
    """An entry, and where the image lies best on its sensor.

    ``num_lags`` counts the correlations of all entries that the best was taken of. The searches of
    whole images, of parts and of edited images share the false alarms, so that each counts its own
    correlations alone, over its share: Genovese, Roeder, Wasserman 2006,
    doi:10.1093/biomet/93.3.509.
    """

    device: str
    entry: str
    """Name of the entry."""


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The ranked candidates of one image, and the extent of the search."""

    candidates: tuple[Candidate, ...]
    """By energy, the highest first."""
    num_aligned: int
    """Hypotheses of whole images that were tried, of all entries: one correlation each."""
    num_searched: int
    """Hypotheses of parts that were tried."""
    num_lags: int
    """Correlations of the hypotheses of parts."""
    num_left: int
    """Hypotheses of parts that the budget left out."""


class Question:
    """An image, the hypotheses to try, and the matches."""

    def __init__(
        self,
        query: Plane,
        entries: Mapping[Shape, Sequence[Enrolled]],
        *,
        budget: int,
        scales: Sequence[float] | None,
        most: float,
    ) -> None:
        self._most = most
        self.query, self.shape = query, (query.shape[0], query.shape[1])
        self.has_search = budget > 0
        self.aligned: dict[Shape, list[Hypothesis]] = {}
        self.rounds: list[dict[str, list[Hypothesis]]] = []
        self.num_aligned = self.num_edited = self.num_parts = 0
        self._scores: list[tuple[float, str, Hypothesis]] = []
        self._matches: dict[Kind, list[tuple[Enrolled, Match]]] = {
            "whole": [],
            "part": [],
            "edited whole": [],
            "edited part": [],
        }
        self._plan(entries, budget, scales)

    def _plan(
        self,
        entries: Mapping[Shape, Sequence[Enrolled]],
        budget: int,
        scales: Sequence[float] | None,
    ) -> None:
        """Plan the hypotheses of whole images, and of parts in rounds: a scale each, then edits."""
        ranked: dict[Shape, list[list[Hypothesis]]] = {}
        edited_parts: dict[Shape, list[Hypothesis]] = {}
        for shape, group in entries.items():
            own_scales = scales_for(self.shape, shape)
            edited = edits(self.shape, shape, scales=own_scales)
            pool = [*hypotheses(self.shape, shape, scales=own_scales), *edited]
            self.aligned[shape] = [h for h in pool if self._num_lags(h, shape) == 1 and not h.angle]
            num_edited = sum(h.is_edited for h in self.aligned[shape])
            self.num_edited += num_edited * len(group)
            self.num_aligned += (len(self.aligned[shape]) - num_edited) * len(group)
            rounds = [
                hypotheses(self.shape, shape, scales=[scale])
                for scale in (own_scales if scales is None else scales)
            ]
            aligned = set(self.aligned[shape])
            ranked[shape] = [[h for h in parts if h not in aligned] for parts in rounds]
            edited_parts[shape] = [
                h for h in edited if h not in aligned and (scales is None or h.scale in scales)
            ]
            num_parts = sum(map(len, ranked[shape])) + len(edited_parts[shape])
            self.num_parts += len(group) * num_parts
        num_scales = max(map(len, ranked.values()), default=0)
        for number in range(num_scales + 1):
            planned: dict[str, list[Hypothesis]] = defaultdict(list)
            for shape, group in entries.items():
                rounds = [*ranked[shape], *[[]] * (num_scales - len(ranked[shape]))]
                parts = [*rounds, edited_parts[shape]][number]
                costs = [(part, part.num_samples(self.shape, shape)) for part in parts]
                for entry, (part, cost) in product(group, costs):
                    budget -= cost
                    if budget >= 0:
                        planned[entry.name].append(part)
            self.rounds.append(planned)

    def view(self, *, keep: int, num_threads: int | None) -> View:
        """Return the image as hypotheses see it."""
        return View(self.query, keep=keep, num_threads=num_threads, most=self._most)

    def _num_lags(self, hypothesis: Hypothesis, shape: Shape) -> int:
        return hypothesis.num_lags(self.shape, shape)

    @property
    def has_passed(self) -> bool:
        """Whether a match reaches the threshold."""
        return any(
            match.spread_pce >= THRESHOLD
            for matches in self._matches.values()
            for _, match in matches
        )

    def scored(self, entry: Enrolled, one: Hypothesis, score: float) -> None:
        """Add the score of an entry's digest; only the best are kept."""
        self._scores.append((score, entry.name, one))
        if len(self._scores) >= CROWD:
            self._scores = self._best_scores()

    def _best_scores(self) -> list[tuple[float, str, Hypothesis]]:
        return sorted(self._scores, key=_order)[:MOST]

    def chosen(self) -> dict[str, list[tuple[Hypothesis, bool]]]:
        """Return the shortlist of hypotheses by entry, and whether each is among the best."""
        shortlist: dict[str, list[tuple[Hypothesis, bool]]] = defaultdict(list)
        for rank, (score, name, hypothesis) in enumerate(self._best_scores()):
            if rank < NUM_BEST or score >= FLOOR:
                shortlist[name].append((hypothesis, rank < NUM_BEST))
        return shortlist

    def add(self, entry: Enrolled, match: Match | None, *, kind: Kind) -> None:
        """Add a match of an entry, if there is one."""
        if match:
            self._matches[kind].append((entry, match))

    def ranking(self, num_candidates: int | None) -> Ranking:
        """Return the candidates, ranked, and the extent of the search."""
        parts = [match for _, match in self._matches["part"]]
        edited = [match for _, match in self._matches["edited part"]]
        num_edited_lags = self.num_edited + sum(match.num_lags for match in edited)
        share = SHARE_OF_WHOLE if self.has_search else 1 - SHARE_OF_EDITS
        counted: dict[Kind, float] = {
            "whole": self.num_aligned / share,
            "part": sum(match.num_lags for match in parts) / (1 - SHARE_OF_EDITS - SHARE_OF_WHOLE),
            "edited whole": num_edited_lags / SHARE_OF_EDITS,
            "edited part": num_edited_lags / SHARE_OF_EDITS,
        }
        best: dict[str, Candidate] = {}
        for kind, matches in self._matches.items():
            for entry, match in matches:
                facts = vars(match) | {"num_lags": math.ceil(counted[kind])}
                candidate = Candidate(device=entry.device, entry=entry.name, **facts)
                if candidate.entry not in best or candidate.energy > best[candidate.entry].energy:
                    best[candidate.entry] = candidate
        parts += edited
        num_searched = sum(match.num_hypotheses for match in parts)
        return Ranking(
            candidates=tuple(sorted(best.values(), key=_rank)[:num_candidates]),
            num_aligned=self.num_aligned,
            num_searched=num_searched,
            num_lags=sum(match.num_lags for match in parts),
            num_left=self.num_parts - num_searched,
        )


def _order(row: tuple[float, str, Hypothesis]) -> tuple[float, str, int, bool, bool]:
    score, name, hypothesis = row
    return -score, name, hypothesis.turn, hypothesis.is_mirrored, hypothesis.is_stretched


def _rank(candidate: Candidate) -> tuple[float, str]:
    return -candidate.energy, candidate.entry
