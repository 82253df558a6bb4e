"""Which enrolled devices may have taken an image: ranked candidates, every hypothesis counted.

First whole images that lie as a sensor or were resized whole, by digests of all entries; then, for
an image that this finds nowhere, cropped and zoomed ones by Fourier transforms within a budget.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, product

from camid.cases.geometry import Match, Plane, View, correlation, search, shared
from camid.cases.hypotheses import TURNS, Hypothesis, Shape, hypotheses, scales_for
from camid.cases.shortlist import E, Enrolled, Gallery, Sketches, by_shape, rows
from camid.folder import Folder

THRESHOLD = 60.0
"""PCE from which the field says match: Goljan, Fridrich, Filler 2009, doi:10.1117/12.805701."""
FLOOR = 2.5
"""A digest's score, of strangers a normal number, from which an entry is tested in full."""
NUM_BEST, MOST = 5, 64
"""Hypotheses that are tested whatever their score, and at most."""
PROMISING = 5.0
"""Correlation of whole planes, of strangers a normal number, from which its PCE is looked up."""
BUDGET = 10**10
"""Samples of transforms that are spent on an image that may be cropped."""
TOGETHER = 8
"""Images that share what is read."""
CROWD = 2**12
"""Scores of digests that are held at once."""
SPECTRA = 2**29
"""Bytes of queries' spectra that are held at once."""


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
    """What was found of one image."""

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


def identify(
    query: Plane,
    gallery: Gallery[E],
    *,
    folder: Folder | None = None,
    budget: int = BUDGET,
    scales: Sequence[float] | None = None,
    num_candidates: int | None = 10,
    num_threads: int | None = None,
) -> Ranking:
    """Return the entries that an image fits best.

    Parameters
    ----------
    query
        What :func:`camid.cases.geometry.query_plane` returns, ``(height, width)``.
    gallery
        The entries and their patterns.
    folder
        Where :func:`camid.cases.shortlist.refresh` wrote digests; those that it has not are made.
    budget
        Samples of transforms, two of which make a hypothesis, that are spent on the search for
        parts; 0 for none. It is spent by scale, the likeliest first, then by entry and turn; once
        all entries have been searched at a scale, a match ends it.
    scales
        At which parts are searched, by default those of
        :func:`camid.cases.hypotheses.scales_for`.
    num_candidates
        How many are returned at most; None for all that were tested in full.
    num_threads
        Of transforms; the result is the same for any number.
    """
    (found,) = rankings(
        [query],
        gallery,
        folder=folder,
        budget=budget,
        scales=scales,
        num_candidates=num_candidates,
        num_threads=num_threads,
    )
    return found


def rankings(
    queries: Iterable[Plane],
    gallery: Gallery[E],
    *,
    folder: Folder | None = None,
    budget: int = BUDGET,
    scales: Sequence[float] | None = None,
    num_candidates: int | None = 10,
    num_threads: int | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Ranking]:
    """Yield what :func:`identify` returns for each of many images, in their order.

    Some images at a time share the digests and patterns that are read, and entries' spectra. The
    answer for each is what it is on its own. An entry whose pattern cannot be read is left out.
    ``tell`` is given words on what is being done.
    """
    entries, todo = by_shape(gallery.entries()), iter(queries)
    while group := list(islice(todo, TOGETHER)):
        cases = [_Case(query, entries, budget=budget, scales=scales) for query in group]
        tell(f"whole, among {sum(map(len, entries.values())):,} fingerprints")
        _try_aligned(cases, gallery, entries, folder, num_threads)
        wanting = [case for case in cases if not case.has_passed]
        largest = max(math.prod(shape) for shape in (*entries, *(c.shape for c in cases)))
        size = max(1, SPECTRA // (4 * len(TURNS) * largest))
        for start in range(0, len(wanting), size):
            _search(wanting[start : start + size], gallery, entries, num_threads, tell)
        yield from (case.ranking(num_candidates) for case in cases)


class _Case:
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


def _try_aligned(
    cases: Sequence[_Case],
    gallery: Gallery[E],
    entries: Mapping[Shape, Sequence[E]],
    folder: Folder | None,
    num_threads: int | None,
) -> None:
    """Try whole images on all entries: their digests first, then in full those that these leave."""
    keep = max(1, SPECTRA // (4 * len(cases) * max(math.prod(case.shape) for case in cases)))
    views = [View(case.query, keep=keep, num_threads=num_threads) for case in cases]
    for shape, some in entries.items():
        todo = [
            (case, view, one)
            for case, view in zip(cases, views, strict=True)
            for one in case.aligned[shape]
        ]
        if todo:
            sketches = Sketches.of([view.seen(one.turn, shape) for _, view, one in todo])
            for entry, row in rows(gallery, some, folder):
                for (case, _, one), score in zip(todo, sketches.scores(row), strict=True):
                    case.scored(entry, one, float(score))
    chosen = [case.chosen() for case in cases]
    for entry in chain.from_iterable(entries.values()):
        wanting = [
            (case, view, one, is_best)
            for case, view, left in zip(cases, views, chosen, strict=True)
            for one, is_best in left.get(entry.name, ())
        ]
        pattern = _read(gallery, entry, num_threads) if wanting else None
        if pattern is None:
            continue
        for case, view, one, is_best in wanting:
            if is_best or _score(view, pattern, one) >= PROMISING:
                match = search(view, pattern, tried=[one], num_threads=num_threads)
                case.add(entry, match, whole=True)


def _read(gallery: Gallery[E], entry: E, num_threads: int | None) -> View | None:
    """Return an entry's pattern, or None where it cannot be read, which the gallery tells."""
    try:
        return View(gallery.pattern(entry), num_threads=num_threads)
    except ConnectionError:
        raise
    except (ValueError, OSError):
        return None


def _score(query: View, pattern: View, one: Hypothesis) -> float:
    """Return the correlation of a whole image and a pattern, of strangers a normal number."""
    a, b = shared(query, pattern, one, 0, 0)
    return correlation(a, b) * math.sqrt(a.size)


def _search(
    cases: Sequence[_Case],
    gallery: Gallery[E],
    entries: Mapping[Shape, Sequence[E]],
    num_threads: int | None,
    tell: Callable[[str], None],
) -> None:
    """Search parts of entries, scale by scale, until a match is found or nothing is left."""
    views = [View(case.query, keep=len(TURNS), num_threads=num_threads) for case in cases]
    num_rounds = max(len(case.rounds) for case in cases)
    for number in range(num_rounds):
        begun = [
            (case, view, case.rounds[number])
            for case, view in zip(cases, views, strict=True)
            if number < len(case.rounds) and not case.has_passed
        ]
        for entry in chain.from_iterable(entries.values()):
            wanting = [one for one in begun if entry.name in one[2]]
            if wanting:
                tell(f"parts of {len(wanting)} in {entry.name}, scale {number + 1} of {num_rounds}")
                pattern = _read(gallery, entry, num_threads)
                if pattern is None:
                    continue
                for case, view, planned in wanting:
                    match = search(
                        view, pattern, tried=planned[entry.name], num_threads=num_threads
                    )
                    case.add(entry, match, whole=False)
