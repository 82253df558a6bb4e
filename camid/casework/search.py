"""Search of a database for the devices that may have taken an image, every hypothesis counted.

First whole images, turned or resized at most, by digests of all entries; then, for images without
a match, crops and zooms by Fourier transforms within a budget.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice

from camid.casework.alignment import Match, Plane, View, correlation, search, shared
from camid.casework.binarized import E, Gallery, Sketches, by_shape
from camid.casework.digest_cache import rows
from camid.casework.query import Question, Ranking
from camid.casework.transforms import TURNS, Hypothesis, Shape, finer
from camid.io.counts import counted
from camid.io.folder import Folder

PROMISING = 5.0
"""Correlation of whole planes, normal among strangers, from which the PCE is computed."""
BUDGET = 10**10
"""Samples of transforms that are spent on an image that may be cropped."""
TOGETHER = 8
"""Images that share one reading of the database."""
SPECTRA = 2**29
"""Bytes of queries' spectra that are held at once."""


def identify(
    query: Plane,
    gallery: Gallery[E],
    *,
    folder: Folder | None = None,
    budget: int = BUDGET,
    scales: Sequence[float] | None = None,
    num_candidates: int | None = 10,
    most: float = math.inf,
    num_threads: int | None = None,
) -> Ranking:
    """Return the entries that an image fits best.

    Parameters
    ----------
    query
        Plane of :func:`camid.casework.alignment.query_plane`, ``(height, width)``.
    gallery
        The entries and their patterns.
    folder
        Folder with the digests of :func:`camid.casework.digest_cache.refresh`; missing digests are
        computed.
    budget
        Samples of transforms, two of which make a hypothesis, that are spent on the search for
        parts; 0 for none. It is spent by scale, the likeliest first, then by entry and turn; once
        all entries have been searched at a scale, a match ends it.
    scales
        Scales at which parts are searched, by default those of
        :func:`camid.casework.transforms.scales_for`.
    num_candidates
        Number of entries to return at most; None for all that were tested in full.
    most
        Correlation of a part of an image with a pattern that a sensor gives at most; what exceeds
        it does not count (:func:`camid.casework.spread.most_correlation`).
    num_threads
        Of the transforms; the result is the same for any number.
    """
    (ranking,) = rankings(
        [query],
        gallery,
        folder=folder,
        budget=budget,
        scales=scales,
        num_candidates=num_candidates,
        most=most,
        num_threads=num_threads,
    )
    return ranking


def rankings(
    queries: Iterable[Plane],
    gallery: Gallery[E],
    *,
    folder: Folder | None = None,
    budget: int = BUDGET,
    scales: Sequence[float] | None = None,
    num_candidates: int | None = 10,
    most: float = math.inf,
    num_threads: int | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Ranking]:
    """Yield the ranking of each image, in order, as :func:`identify` returns it.

    A few images at a time share the digests and patterns that are read, and entries' spectra; the
    ranking of each is the same on its own. An entry whose pattern cannot be read is left out.
    ``tell`` is called with a message on each step.
    """
    entries, todo = by_shape(gallery.entries()), iter(queries)
    while group := list(islice(todo, TOGETHER)):
        questions = [
            Question(query, entries, budget=budget, scales=scales, most=most) for query in group
        ]
        tell(f"whole, among {counted(sum(map(len, entries.values())), 'fingerprint')}")
        _try_aligned(questions, gallery, entries, folder, num_threads)
        unmatched = [question for question in questions if not question.has_passed]
        largest = max(
            math.prod(shape) for shape in (*entries, *(question.shape for question in questions))
        )
        batch_size = max(1, SPECTRA // (4 * len(TURNS) * largest))
        for start in range(0, len(unmatched), batch_size):
            _search(unmatched[start : start + batch_size], gallery, entries, num_threads, tell)
        yield from (question.ranking(num_candidates) for question in questions)


def _try_aligned(
    questions: Sequence[Question],
    gallery: Gallery[E],
    entries: Mapping[Shape, Sequence[E]],
    folder: Folder | None,
    num_threads: int | None,
) -> None:
    """Match whole images with all entries: first their digests, then the shortlist in full."""
    keep = max(
        1,
        SPECTRA // (4 * len(questions) * max(math.prod(question.shape) for question in questions)),
    )
    views = [question.view(keep=keep, num_threads=num_threads) for question in questions]
    for shape, group in entries.items():
        trials = [
            (question, view, hypothesis)
            for question, view in zip(questions, views, strict=True)
            for hypothesis in question.aligned[shape]
        ]
        if trials:
            sketches = Sketches.of([view.seen(hypothesis, shape) for _, view, hypothesis in trials])
            for entry, row in rows(gallery, group, folder):
                for (question, _, hypothesis), score in zip(
                    trials, sketches.scores(row), strict=True
                ):
                    question.scored(entry, hypothesis, float(score))
    shortlists = [question.chosen() for question in questions]
    for entry in chain.from_iterable(entries.values()):
        tests = [
            (question, view, hypothesis, is_best)
            for question, view, shortlist in zip(questions, views, shortlists, strict=True)
            for hypothesis, is_best in shortlist.get(entry.name, ())
        ]
        pattern = _read(gallery, entry, num_threads) if tests else None
        if pattern is None:
            continue
        for question, view, hypothesis, is_best in tests:
            if is_best or _score(view, pattern, hypothesis) >= PROMISING:
                match = search(view, pattern, tried=[hypothesis], num_threads=num_threads)
                question.add(entry, match, kind="edited whole" if hypothesis.is_edited else "whole")


def _read(gallery: Gallery[E], entry: E, num_threads: int | None) -> View | None:
    """Return an entry's pattern, or None if the gallery cannot read the pattern."""
    try:
        return View(gallery.pattern(entry), num_threads=num_threads)
    except ConnectionError:
        raise
    except (ValueError, OSError):
        return None


def _score(query: View, pattern: View, hypothesis: Hypothesis) -> float:
    """Return the correlation of a whole image and a pattern, normal among strangers."""
    a, b = shared(query, pattern, hypothesis, 0, 0)
    return correlation(a, b) * math.sqrt(a.size)


def _search(
    questions: Sequence[Question],
    gallery: Gallery[E],
    entries: Mapping[Shape, Sequence[E]],
    num_threads: int | None,
    tell: Callable[[str], None],
) -> None:
    """Search parts of entries, scale by scale, until a match is found or the plan is done."""
    views = [question.view(keep=len(TURNS), num_threads=num_threads) for question in questions]
    num_rounds = max(len(question.rounds) for question in questions)
    for number in range(num_rounds):
        active = [
            (question, view, question.rounds[number])
            for question, view in zip(questions, views, strict=True)
            if number < len(question.rounds) and not question.has_passed
        ]
        for entry in chain.from_iterable(entries.values()):
            jobs = [job for job in active if entry.name in job[2]]
            if jobs:
                parts = f"parts of {counted(len(jobs), 'photograph')} in {entry.name}"
                tell(f"{parts}, scale {number + 1} of {num_rounds}")
                pattern = _read(gallery, entry, num_threads)
                if pattern is None:
                    for question, _, planned in jobs:
                        question.num_parts -= len(planned[entry.name])  # no budget left these out
                    continue
                for question, view, planned in jobs:
                    tried = planned[entry.name]
                    match = search(view, pattern, tried=tried, num_threads=num_threads)
                    is_edited = any(hypothesis.is_edited for hypothesis in tried)
                    if match and match.angle:
                        match = _refined(match, view, pattern, num_threads)
                    question.add(entry, match, kind="edited part" if is_edited else "part")


def _refined(match: Match, view: View, pattern: View, num_threads: int | None) -> Match:
    """Return the best of a match and of those at angles between its own and its neighbours'."""
    pool = finer(match.hypothesis)
    other = search(view, pattern, tried=pool, num_threads=num_threads)
    num_lags = match.num_lags + (other.num_lags if other else 0)
    best = other if other and other.pce > match.pce else match
    return replace(best, num_lags=num_lags, num_hypotheses=match.num_hypotheses)
