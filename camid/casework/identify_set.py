"""Identification of a set: which enrolled device took all of these photographs?"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from camid.casework.alignment import Plane
from camid.casework.database import Fingerprints
from camid.casework.digest_cache import refresh
from camid.casework.entry_checks import checked_ranking
from camid.casework.identify import Snapshot, check_scales, drawn
from camid.casework.identify_answer import Answer
from camid.casework.identify_set_answer import Searched, identified_set, not_identified_set
from camid.casework.photograph_set import File, added
from camid.casework.photographs import Refused, opened
from camid.casework.query import Ranking
from camid.casework.reference_population import IDENTIFICATION_FILE, shipped_reference
from camid.casework.search import BUDGET, rankings
from camid.casework.spread import most_correlation
from camid.casework.transforms import Shape
from camid.io.counts import counted

Tell = Callable[[str], None]


def answer_together(
    fingerprints: Fingerprints,
    files: Sequence[str],
    *,
    budget: int = BUDGET,
    scales: Sequence[float] | None = None,
    num_candidates: int = 10,
    has_pictures: bool = False,
    tell: Tell = lambda _: None,
) -> Answer:
    """Return the one answer for all photographs, which are taken to be of one camera.

    Those of a size are added up and searched as one photograph is; the sizes' log-likelihood
    ratios add up. A photograph that is a copy of another, that carries no answer, or that does not
    carry the others' pattern is left out, with the reason. One photograph is in memory at a time.

    Parameters
    ----------
    budget
        Samples of transforms that are spent on each size.
    files, scales, num_candidates, tell
        As of :func:`camid.casework.identify.answers`.

    Raises
    ------
    ValueError
        If a scale is out of range, or a photograph is changed meanwhile.
    """
    check_scales(scales or ())
    reference, gallery = shipped_reference(IDENTIFICATION_FILE), Snapshot(fingerprints)
    cache_warning = refresh(gallery, fingerprints.folder)
    groups, left_out = _grouped(files, gallery, tell)
    search = partial(
        rankings,
        gallery=gallery,
        folder=fingerprints.folder,
        budget=budget,
        scales=scales,
        num_candidates=None,
    )
    sizes, best = _searched(groups, left_out, gallery, search, has_pictures=has_pictures, tell=tell)
    if not sizes:
        return not_identified_set(left_out), {}
    answer = identified_set(
        sizes,
        left_out,
        reference,
        num_entries=gallery.num_readable,
        num_damaged=len(gallery.unreadable),
        num_candidates=num_candidates,
        warnings=[*gallery.warnings(), *([cache_warning] if cache_warning else [])],
    )
    if best is None:
        return answer, {}
    plane, ranking = best
    return answer, drawn(plane, ranking, gallery, reference, name=_name(sizes, ranking))


def _searched(
    groups: Mapping[Shape, Sequence[File]],
    left_out: list[Refused],
    gallery: Snapshot,
    search: Callable[..., Iterator[Ranking]],
    *,
    has_pictures: bool,
    tell: Tell,
) -> tuple[list[Searched], tuple[Plane, Ranking] | None]:
    """Return each size's photographs and ranking, and the plane and ranking of the best.

    Photographs that are left out are added to ``left_out``.
    """
    reference = shipped_reference(IDENTIFICATION_FILE)
    sizes: list[Searched] = []
    best, most_energy = None, -math.inf
    contents = gallery.contents()
    for shape in sorted(groups, key=lambda shape: (-len(groups[shape]), -math.prod(shape), shape)):
        photographs = added(groups[shape], shape, contents=contents, tell=tell)
        left_out += photographs.left_out
        if photographs.plane is None:
            continue
        number = len(photographs.facts)
        progress = f"{counted(number, 'photograph')} of {photographs.size} px"
        (ranking,) = search(
            [photographs.plane],
            most=most_correlation(number),
            tell=partial(_tell, tell, progress),
        )
        ranking = checked_ranking(
            ranking, photographs.plane, photographs.visibility, gallery.checks, reference
        )
        energy = max((candidate.energy for candidate in ranking.candidates), default=-math.inf)
        if has_pictures and (best is None or energy > most_energy):
            best, most_energy = (photographs.plane, ranking), energy
        photographs.plane = None
        sizes.append(Searched(photographs=photographs, ranking=ranking))
    return sizes, best


def _tell(tell: Tell, progress: str, words: str) -> None:
    tell(f"{progress}: {words}")


def _name(sizes: Sequence[Searched], ranking: Ranking) -> str:
    """Return what a picture shows."""
    (one,) = (one for one in sizes if one.ranking is ranking)
    if one.number == 1:
        return "The photograph"
    return f"The sum of {counted(one.number, 'photograph')} of {one.size} px"


def _grouped(
    files: Sequence[str], gallery: Snapshot, tell: Tell
) -> tuple[dict[Shape, list[File]], list[Refused]]:
    """Return files by the height and width of their headers, and those that are left out."""
    groups: dict[Shape, list[File]] = defaultdict(list)
    left_out: list[Refused] = []
    seen: dict[str, str] = {}
    for number, path in enumerate(files, 1):
        tell(f"header {number} of {len(files)}")
        try:
            _, sha256, head = opened(path)
        except ValueError as error:
            left_out.append(Refused.unreadable(path, error))
            continue
        refused = gallery.refusal(path, sha256)
        if sha256 in seen:
            refused = Refused(path=path, reason=f"the very file is {seen[sha256]}, which counts")
        if refused:
            left_out.append(refused)
        else:
            seen[sha256] = path
            groups[head.height, head.width].append(File(path, sha256))
    return dict(groups), left_out
