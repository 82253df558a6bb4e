"""Photographs in, answers out: which enrolled device took each of them."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

from camid.cases.decisions import Answer, bounds, identified, not_identified, score_of
from camid.cases.fingerprints import Fingerprints
from camid.cases.geometry import CELL, heat, query_plane
from camid.cases.identify import BUDGET, TOGETHER, Ranking, rankings
from camid.cases.photographs import Photograph, named, photographs
from camid.cases.reference import IDENTIFICATION_FILE, Reference, shipped_reference
from camid.cases.shortlist import refresh

__all__ = ["BUDGET", "answers"]


def answers(
    fingerprints: Fingerprints,
    paths: Sequence[str],
    *,
    budget: int = BUDGET,
    scales: Sequence[float] | None = None,
    num_candidates: int = 10,
    has_pictures: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Answer]:
    """Yield the answer of each photograph, in order; a few share what is read of the database.

    Parameters
    ----------
    tell
        Is given words on what is being done, some of them many times a second.

    Raises
    ------
    ValueError
        If nothing is at a path.
    """
    told = shipped_reference(IDENTIFICATION_FILE)
    refresh(fingerprints, fingerprints.folder)
    every = {entry.name: entry for entry in fingerprints.entries()}
    files = named(paths)
    todo = photographs(files)
    number = 0
    while group := list(islice(todo, TOGETHER)):
        number += len(group)
        where = f"{number} of {len(files)} photographs"
        tell(f"{where}: denoising")
        taken = [one for one in group if isinstance(one, Photograph)]
        planes = [query_plane(one.rgb) for one in taken]
        found = rankings(
            planes,
            fingerprints,
            folder=fingerprints.folder,
            budget=budget,
            scales=scales,
            num_candidates=num_candidates,
            tell=partial(_tell, tell, where),
        )
        ranked = dict(zip(map(id, taken), zip(planes, found, strict=True), strict=True))
        for one in group:
            if not isinstance(one, Photograph):
                yield not_identified(one), {}
                continue
            plane, ranking = ranked[id(one)]
            answer = identified(one, ranking, told, num_entries=len(every))
            pictures = {}
            if has_pictures and ranking.candidates:
                best = ranking.candidates[0]
                pattern = fingerprints.pattern(every[best.entry])
                pictures = _pictures(heat(plane, pattern, best), ranking, told)
            yield answer, pictures


def _tell(tell: Callable[[str], None], where: str, words: str) -> None:
    tell(f"{where}: {words}")


def _pictures(cells: Any, ranking: Ranking, told: Reference) -> dict[str, bytes]:
    from camid.cases.pictures import heat_figure, reference_figure
    from camid.figures import png

    scores = {one.device: score_of(one.energy) for one in ranking.candidates[:1]}
    low, high = bounds(told)
    title = (
        "Where the photograph and the best candidate's fingerprint agree: blue where they do, "
        "white where they are strangers"
    )
    return {
        title: png(heat_figure(cells, cell=f"{CELL}×{CELL} px")),
        "The best candidate's score among those of the reference devices; likelihood ratios are "
        f"bounded at {low:+.1f} and {high:+.1f} nats": png(
            reference_figure(told, scores, axis="score: root of the energy")
        ),
    }
