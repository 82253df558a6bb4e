"""Identification of photographs: which enrolled device took each of them."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice

from camid.casework.alignment import CELL, Plane, heat, query_plane
from camid.casework.composite import Finder
from camid.casework.database import Fingerprints
from camid.casework.database_entry import Entry
from camid.casework.digest_cache import refresh
from camid.casework.identify_answer import (
    Answer,
    bounds,
    identified,
    match_llr,
    not_identified,
    score_of,
)
from camid.casework.photographs import Photograph, Refused, photographs
from camid.casework.query import Ranking
from camid.casework.reference_population import IDENTIFICATION_FILE, Reference, shipped_reference
from camid.casework.region_answer import region_pictures
from camid.casework.search import BUDGET, TOGETHER, rankings
from camid.casework.spread import MOST
from camid.casework.transforms import GREATEST_SCALE, LEAST_SCALE

__all__ = ["BUDGET", "answers", "state"]


class Snapshot:
    """A database at the time of a question, and its unreadable files."""

    def __init__(self, fingerprints: Fingerprints) -> None:
        self._fingerprints = fingerprints
        entries, damaged = fingerprints.contents()
        self.by_name = {entry.name: entry for entry in entries}
        self._known = {
            sha256: entry.name for entry in self.by_name.values() for sha256 in entry.sha256s
        }
        self.unreadable = dict(damaged)
        """Reasons, by file."""

    def entries(self) -> list[Entry]:
        """Return the entries, by name."""
        return list(self.by_name.values())

    def asked(self, one: Photograph | Refused) -> Photograph | Refused:
        """Return a photograph, or its refusal if it would be compared with itself."""
        name = self._known.get(one.sha256) if isinstance(one, Photograph) else None
        if name is None:
            return one
        return Refused(
            path=one.path,
            reason=f"this very file is one of those that enrolled {name}, and would be compared "
            "with itself; ask of another",
        )

    def pattern(self, entry: Entry, /) -> Plane:
        """Return the pattern of an entry.

        Raises
        ------
        ValueError, OSError
            If it cannot be read; the entry is among :attr:`unreadable` then.
        """
        try:
            return self._fingerprints.pattern(entry)
        except ConnectionError:
            raise  # the entry may be sound
        except (ValueError, OSError) as error:
            address = f"{self._fingerprints.folder.uri}/{entry.file}: "
            self.unreadable[entry.file] = str(error).removeprefix(address)
            raise

    @property
    def num_readable(self) -> int:
        """Number of entries that photographs are compared with."""
        return sum(entry.file not in self.unreadable for entry in self.by_name.values())

    def warnings(self) -> list[str]:
        """Return a sentence for each file that no photograph is compared with."""
        return [
            f"no photograph is compared with {name}: {reason}"
            for name, reason in self.unreadable.items()
        ]


def state(fingerprints: Fingerprints) -> str:
    """Return a database's address, and a digest of its entries' photographs."""
    entries = [[entry.name, *sorted(entry.sha256s)] for entry in fingerprints.entries()]
    digest = hashlib.sha256(json.dumps(entries).encode()).hexdigest()
    return (
        f"{fingerprints.uri}, {len(entries)} entries, whose photographs have the SHA-256 {digest}"
    )


def answers(
    fingerprints: Fingerprints,
    files: Sequence[str],
    *,
    budget: int = BUDGET,
    scales: Sequence[float] | None = None,
    num_candidates: int = 10,
    has_pictures: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Answer]:
    """Yield the answer for each photograph, in order; a few share one reading of the database.

    Parameters
    ----------
    files
        Photographs, as :func:`camid.casework.photographs.named` returns them.
    num_candidates
        Candidates that an answer lists at most; all of them count for the decision.
    tell
        Called with a message on each step, up to many times a second.

    Raises
    ------
    ValueError
        If a scale is out of range.
    """
    _check_scales(scales or ())
    reference, gallery = shipped_reference(IDENTIFICATION_FILE), Snapshot(fingerprints)
    cache_warning = refresh(gallery, fingerprints.folder)
    todo, number = map(gallery.asked, photographs(files)), 0
    while group := list(islice(todo, TOGETHER)):
        number += len(group)
        progress = f"{number} of {len(files)} photographs"
        tell(f"{progress}: denoising")
        readable = [photograph for photograph in group if isinstance(photograph, Photograph)]
        planes = [query_plane(photograph.rgb) for photograph in readable]
        results = rankings(
            planes,
            gallery,
            folder=fingerprints.folder,
            budget=budget,
            scales=scales,
            num_candidates=None,
            most=MOST,
            tell=partial(_tell, tell, progress),
        )
        ranked = dict(zip(map(id, readable), zip(planes, results, strict=True), strict=True))
        for photograph in group:
            if not isinstance(photograph, Photograph):
                yield not_identified(photograph), {}
                continue
            plane, ranking = ranked[id(photograph)]
            finder = Finder(
                plane=plane,
                rgb=photograph.rgb,
                gallery=gallery,
                llr=partial(match_llr, reference=reference),
                folder=fingerprints.folder,
                budget=budget,
                scales=scales,
                most=MOST,
            )
            parts = finder.composite(ranking)
            answer = identified(
                photograph,
                ranking,
                reference,
                num_entries=gallery.num_readable,
                num_candidates=num_candidates,
                composite=parts,
                warnings=[*gallery.warnings(), *([cache_warning] if cache_warning else [])],
            )
            pictures = _pictures(plane, ranking, gallery, reference) if has_pictures else {}
            yield answer, {**(region_pictures(parts) if has_pictures else {}), **pictures}


def _check_scales(scales: Sequence[float]) -> None:
    for scale in scales:
        if not LEAST_SCALE <= scale <= GREATEST_SCALE:
            raise ValueError(
                f"expected scales from {LEAST_SCALE:g} to {GREATEST_SCALE:g}, got {scale:g}"
            )


def _tell(tell: Callable[[str], None], progress: str, words: str) -> None:
    tell(f"{progress}: {words}")


def _pictures(
    plane: Plane, ranking: Ranking, gallery: Snapshot, reference: Reference
) -> dict[str, bytes]:
    """Return pictures of a photograph and its best candidate, if there is one, by title."""
    from camid.casework.figures import MAP_WORDS, heat_figure, reference_figure
    from camid.evaluation.report.figures import png

    if not ranking.candidates:
        return {}
    best = ranking.candidates[0]
    cells = heat(plane, gallery.pattern(gallery.by_name[best.entry]), best)
    scores = {candidate.device: score_of(candidate.energy) for candidate in ranking.candidates[:1]}
    low, high = bounds(reference)
    title = f"The photograph and the best candidate's fingerprint: {MAP_WORDS}"
    return {
        title: png(heat_figure(cells, cell=f"{CELL}×{CELL} px")),
        "The best candidate's score among those of the reference devices; likelihood ratios are "
        f"bounded at {low:+.1f} and {high:+.1f} nats": png(
            reference_figure(reference, scores, axis="score: root of the energy")
        ),
    }
