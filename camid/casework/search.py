"""Search of a database for the devices that may have taken an image, every hypothesis counted.

First whole images that lie as a sensor or were resized whole, by digests of all entries; then, for
an image that this finds nowhere, cropped and zoomed ones by Fourier transforms within a budget.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice

from camid.casework.alignment import Plane, View, correlation, search, shared
from camid.casework.binarized import E, Gallery, Sketches, by_shape
from camid.casework.digest_cache import rows
from camid.casework.query import Question, Ranking
from camid.casework.transforms import TURNS, Hypothesis, Shape
from camid.io.folder import Folder

PROMISING = 5.0
"""Correlation of whole planes, of strangers a normal number, from which its PCE is looked up."""
BUDGET = 10**10
"""Samples of transforms that are spent on an image that may be cropped."""
TOGETHER = 8
"""Images that share what is read."""
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
    num_threads: int | None = None,
) -> Ranking:
    """Return the entries that an image fits best.

    Parameters
    ----------
    query
        What :func:`camid.casework.alignment.query_plane` returns, ``(height, width)``.
    gallery
        The entries and their patterns.
    folder
        Where :func:`camid.casework.digest_cache.refresh` wrote digests; those that it has not are
        made.
    budget
        Samples of transforms, two of which make a hypothesis, that are spent on the search for
        parts; 0 for none. It is spent by scale, the likeliest first, then by entry and turn; once
        all entries have been searched at a scale, a match ends it.
    scales
        At which parts are searched, by default those of
        :func:`camid.casework.transforms.scales_for`.
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
        questions = [Question(query, entries, budget=budget, scales=scales) for query in group]
        tell(f"whole, among {sum(map(len, entries.values())):,} fingerprints")
        _try_aligned(questions, gallery, entries, folder, num_threads)
        wanting = [question for question in questions if not question.has_passed]
        largest = max(math.prod(shape) for shape in (*entries, *(c.shape for c in questions)))
        size = max(1, SPECTRA // (4 * len(TURNS) * largest))
        for start in range(0, len(wanting), size):
            _search(wanting[start : start + size], gallery, entries, num_threads, tell)
        yield from (question.ranking(num_candidates) for question in questions)


def _try_aligned(
    questions: Sequence[Question],
    gallery: Gallery[E],
    entries: Mapping[Shape, Sequence[E]],
    folder: Folder | None,
    num_threads: int | None,
) -> None:
    """Try whole images on all entries: their digests first, then in full those that these leave."""
    keep = max(
        1,
        SPECTRA // (4 * len(questions) * max(math.prod(question.shape) for question in questions)),
    )
    views = [View(question.query, keep=keep, num_threads=num_threads) for question in questions]
    for shape, some in entries.items():
        todo = [
            (question, view, one)
            for question, view in zip(questions, views, strict=True)
            for one in question.aligned[shape]
        ]
        if todo:
            sketches = Sketches.of([view.seen(one.turn, shape) for _, view, one in todo])
            for entry, row in rows(gallery, some, folder):
                for (question, _, one), score in zip(todo, sketches.scores(row), strict=True):
                    question.scored(entry, one, float(score))
    chosen = [question.chosen() for question in questions]
    for entry in chain.from_iterable(entries.values()):
        wanting = [
            (question, view, one, is_best)
            for question, view, left in zip(questions, views, chosen, strict=True)
            for one, is_best in left.get(entry.name, ())
        ]
        pattern = _read(gallery, entry, num_threads) if wanting else None
        if pattern is None:
            continue
        for question, view, one, is_best in wanting:
            if is_best or _score(view, pattern, one) >= PROMISING:
                match = search(view, pattern, tried=[one], num_threads=num_threads)
                question.add(entry, match, whole=True)


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
    questions: Sequence[Question],
    gallery: Gallery[E],
    entries: Mapping[Shape, Sequence[E]],
    num_threads: int | None,
    tell: Callable[[str], None],
) -> None:
    """Search parts of entries, scale by scale, until a match is found or nothing is left."""
    views = [
        View(question.query, keep=len(TURNS), num_threads=num_threads) for question in questions
    ]
    num_rounds = max(len(question.rounds) for question in questions)
    for number in range(num_rounds):
        begun = [
            (question, view, question.rounds[number])
            for question, view in zip(questions, views, strict=True)
            if number < len(question.rounds) and not question.has_passed
        ]
        for entry in chain.from_iterable(entries.values()):
            wanting = [one for one in begun if entry.name in one[2]]
            if wanting:
                tell(f"parts of {len(wanting)} in {entry.name}, scale {number + 1} of {num_rounds}")
                pattern = _read(gallery, entry, num_threads)
                if pattern is None:
                    continue
                for question, view, planned in wanting:
                    match = search(
                        view, pattern, tried=planned[entry.name], num_threads=num_threads
                    )
                    question.add(entry, match, whole=False)
