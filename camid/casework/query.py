"""A query image: the hypotheses to try, their order, and the matches."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from camid.casework.alignment import Match, Plane
from camid.casework.binarized import Enrolled
from camid.casework.transforms import Hypothesis, Shape, hypotheses, scales_for

THRESHOLD = 60.0
"""PCE from which the field says match: Goljan, Fridrich, Filler 2009, doi:10.1117/12.805701."""
FLOOR = 2.5
"""Score of a digest, normal among strangers, from which an entry is tested in full."""
NUM_BEST, MOST = 5, 64
"""Hypotheses that are tested whatever their score, and that are tested at most."""
CROWD = 2**12
"""Scores of digests that are held at once."""


@dataclass(frozen=True, kw_only=True)
class Candidate(Match):
    """An entry, and where the image lies best on its sensor.

    ``num_lags`` counts the correlations of all entries that the best was taken of. Where both whole
    images and parts are searched, each search may err half as often, so that each counts its own
    correlations alone, twice. Genovese, Roeder, Wasserman 2006, doi:10.1093/biomet/93.3.509.
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
    ) -> None:
        self.query, self.shape = query, (query.shape[0], query.shape[1])
        self.has_search = budget > 0
        self.aligned: dict[Shape, list[Hypothesis]] = {}
        self.rounds: list[dict[str, list[Hypothesis]]] = []
        self.num_aligned = self.num_parts = 0
        self._scores: list[tuple[float, str, Hypothesis]] = []
        self._matches: dict[bool, list[tuple[Enrolled, Match]]] = {True: [], False: []}
        self._plan(entries, budget, scales)

    def _plan(
        self,
        entries: Mapping[Shape, Sequence[Enrolled]],
        budget: int,
        scales: Sequence[float] | None,
    ) -> None:
        """Plan the hypotheses of whole images, and of parts in rounds of one scale each."""
        ranked: dict[Shape, list[list[Hypothesis]]] = {}
        for shape, group in entries.items():
            pool = hypotheses(self.shape, shape)
            self.aligned[shape] = [h for h in pool if self._num_lags(h, shape) == 1]
            self.num_aligned += len(self.aligned[shape]) * len(group)
            ranked[shape] = []
            for scale in scales_for(self.shape, shape) if scales is None else scales:
                at_scale = hypotheses(self.shape, shape, scales=[scale])
                parts = [part for part in at_scale if self._num_lags(part, shape) > 1]
                ranked[shape].append(parts)
                self.num_parts += len(parts) * len(group)
        for number in range(max(map(len, ranked.values()), default=0)):
            planned: dict[str, list[Hypothesis]] = defaultdict(list)
            for shape, group in entries.items():
                parts = ranked[shape][number] if number < len(ranked[shape]) else []
                costs = [(part, part.num_samples(self.shape, shape)) for part in parts]
                for entry, (part, cost) in product(group, costs):
                    budget -= cost
                    if budget >= 0:
                        planned[entry.name].append(part)
            self.rounds.append(planned)

    def _num_lags(self, hypothesis: Hypothesis, shape: Shape) -> int:
        return hypothesis.num_lags(self.shape, shape)

    @property
    def has_passed(self) -> bool:
        """Whether a match reaches the threshold."""
        return any(
            match.pce >= THRESHOLD for matches in self._matches.values() for _, match in matches
        )

    def scored(self, entry: Enrolled, one: Hypothesis, score: float) -> None:
        """Add the score of an entry's digest; only the best are kept."""
        self._scores.append((score, entry.name, one))
        if len(self._scores) >= CROWD:
            self._scores = self._best_scores()

    def _best_scores(self) -> list[tuple[float, str, Hypothesis]]:
        return sorted(self._scores, key=lambda row: (-row[0], row[1], row[2].turn))[:MOST]

    def chosen(self) -> dict[str, list[tuple[Hypothesis, bool]]]:
        """Return the shortlist of hypotheses by entry, and whether each is among the best."""
        shortlist: dict[str, list[tuple[Hypothesis, bool]]] = defaultdict(list)
        for rank, (score, name, hypothesis) in enumerate(self._best_scores()):
            if rank < NUM_BEST or score >= FLOOR:
                shortlist[name].append((hypothesis, rank < NUM_BEST))
        return shortlist

    def add(self, entry: Enrolled, match: Match | None, *, whole: bool) -> None:
        """Add a match of an entry, if there is one."""
        if match:
            self._matches[whole].append((entry, match))

    def ranking(self, num_candidates: int | None) -> Ranking:
        """Return the candidates, ranked, and the extent of the search."""
        parts = [match for _, match in self._matches[False]]
        num_lags = {True: self.num_aligned, False: sum(match.num_lags for match in parts)}
        best: dict[str, Candidate] = {}
        for is_whole, matches in self._matches.items():
            for entry, match in matches:
                counted = num_lags[is_whole] * (2 if self.has_search else 1)
                facts = vars(match) | {"num_lags": counted}
                candidate = Candidate(device=entry.device, entry=entry.name, **facts)
                if candidate.entry not in best or candidate.energy > best[candidate.entry].energy:
                    best[candidate.entry] = candidate
        num_searched = sum(match.num_hypotheses for match in parts)
        return Ranking(
            candidates=tuple(sorted(best.values(), key=_rank)[:num_candidates]),
            num_aligned=self.num_aligned,
            num_searched=num_searched,
            num_lags=num_lags[False],
            num_left=self.num_parts - num_searched,
        )


def _rank(candidate: Candidate) -> tuple[float, str]:
    return -candidate.energy, candidate.entry
