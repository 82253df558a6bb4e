"""An image that is asked about: what is to be tried for it, in which order, and what was found."""

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
"""A digest's score, of strangers a normal number, from which an entry is tested in full."""
NUM_BEST, MOST = 5, 64
"""Hypotheses that are tested whatever their score, and at most."""
CROWD = 2**12
"""Scores of digests that are held at once."""


@dataclass(frozen=True, kw_only=True)
class Candidate(Match):
    """An entry, and where the image lies best on its sensor.

    ``num_lags`` counts the correlations of all entries that the best was taken of. Where both whole
    images and parts are looked for, each of the two may err half as often, so it is doubled: each
    then counts its own alone. Genovese, Roeder, Wasserman 2006, doi:10.1093/biomet/93.3.509.
    """

    device: str
    entry: str
    """Its name."""


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The ranked candidates of one image, and how much was searched."""

    candidates: tuple[Candidate, ...]
    """By energy, the highest first."""
    num_aligned: int
    """Hypotheses of whole images that were tried, of all entries: one correlation each."""
    num_searched: int
    """Hypotheses of parts that were tried."""
    num_lags: int
    """Correlations that these looked at."""
    num_left: int
    """Hypotheses of parts that the budget left out."""


class Question:
    """An image, what is to be tried for it, and what was found."""

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
        self._found: dict[bool, list[tuple[Enrolled, Match]]] = {True: [], False: []}
        self._plan(entries, budget, scales)

    def _plan(
        self,
        entries: Mapping[Shape, Sequence[Enrolled]],
        budget: int,
        scales: Sequence[float] | None,
    ) -> None:
        """Set what is tried of whole images, and of parts in rounds of one scale each."""
        ranked: dict[Shape, list[list[Hypothesis]]] = {}
        for shape, some in entries.items():
            every = hypotheses(self.shape, shape)
            self.aligned[shape] = [one for one in every if self._num_lags(one, shape) == 1]
            self.num_aligned += len(self.aligned[shape]) * len(some)
            ranked[shape] = []
            for scale in scales_for(self.shape, shape) if scales is None else scales:
                at_scale = hypotheses(self.shape, shape, scales=[scale])
                parts = [one for one in at_scale if self._num_lags(one, shape) > 1]
                ranked[shape].append(parts)
                self.num_parts += len(parts) * len(some)
        for number in range(max(map(len, ranked.values()), default=0)):
            planned: dict[str, list[Hypothesis]] = defaultdict(list)
            for shape, some in entries.items():
                parts = ranked[shape][number] if number < len(ranked[shape]) else []
                costs = [(part, part.num_samples(self.shape, shape)) for part in parts]
                for entry, (part, cost) in product(some, costs):
                    budget -= cost
                    if budget >= 0:
                        planned[entry.name].append(part)
            self.rounds.append(planned)

    def _num_lags(self, one: Hypothesis, shape: Shape) -> int:
        return one.num_lags(self.shape, shape)

    @property
    def has_passed(self) -> bool:
        """Whether a match was found."""
        return any(match.pce >= THRESHOLD for some in self._found.values() for _, match in some)

    def scored(self, entry: Enrolled, one: Hypothesis, score: float) -> None:
        """Take the score of an entry's digest; the best are kept."""
        self._scores.append((score, entry.name, one))
        if len(self._scores) >= CROWD:
            self._scores = self._best_scores()

    def _best_scores(self) -> list[tuple[float, str, Hypothesis]]:
        return sorted(self._scores, key=lambda found: (-found[0], found[1], found[2].turn))[:MOST]

    def chosen(self) -> dict[str, list[tuple[Hypothesis, bool]]]:
        """Return the hypotheses that digests leave, by entry, and which are among the best."""
        found: dict[str, list[tuple[Hypothesis, bool]]] = defaultdict(list)
        for place, (score, name, one) in enumerate(self._best_scores()):
            if place < NUM_BEST or score >= FLOOR:
                found[name].append((one, place < NUM_BEST))
        return found

    def add(self, entry: Enrolled, match: Match | None, *, whole: bool) -> None:
        """Keep what was found of an entry."""
        if match:
            self._found[whole].append((entry, match))

    def ranking(self, num_candidates: int | None) -> Ranking:
        """Return what was found."""
        parts = [match for _, match in self._found[False]]
        num_lags = {True: self.num_aligned, False: sum(match.num_lags for match in parts)}
        best: dict[str, Candidate] = {}
        for whole, some in self._found.items():
            for entry, match in some:
                counted = num_lags[whole] * (2 if self.has_search else 1)
                facts = vars(match) | {"num_lags": counted}
                one = Candidate(device=entry.device, entry=entry.name, **facts)
                if one.entry not in best or one.energy > best[one.entry].energy:
                    best[one.entry] = one
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
