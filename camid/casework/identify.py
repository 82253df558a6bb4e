"""Identification of photographs: which enrolled device took each of them."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

from cachetools import LRUCache

from camid.casework.alignment import CELL, Plane, heat, query_plane
from camid.casework.composite import Finder
from camid.casework.database import Fingerprints
from camid.casework.database_entry import MIXED, Entry
from camid.casework.digest_cache import refresh
from camid.casework.entry_checks import EntryChecks, checked_ranking
from camid.casework.identify_answer import (
    Answer,
    bounds,
    identified,
    match_llr,
    not_identified,
    score_of,
)
from camid.casework.photographs import Photograph, Refused, photographs
from camid.casework.query import Candidate, Ranking
from camid.casework.reference_population import IDENTIFICATION_FILE, Reference, shipped_reference
from camid.casework.region_answer import region_pictures
from camid.casework.search import BUDGET, TOGETHER, rankings
from camid.casework.spread import MOST
from camid.casework.transforms import GREATEST_SCALE, LEAST_SCALE
from camid.casework.verbal_scale import DECIDED
from camid.io.counts import counted
from camid.io.scene_hash import Contents, turned_hashes

__all__ = ["BUDGET", "Snapshot", "answers", "check_scales", "drawn", "state"]


class Snapshot:
    """A database at the time of a question, and its unreadable files."""

    def __init__(self, fingerprints: Fingerprints) -> None:
        self._fingerprints = fingerprints
        entries, damaged = fingerprints.contents()
        self.by_name = {entry.name: entry for entry in entries}
        self._known = {
            sha256: entry.name for entry in self.by_name.values() for sha256 in entry.sha256s
        }
        self._contents = self.contents()
        self._checks: LRUCache[str, EntryChecks | None] = LRUCache(1)
        self.unreadable = dict(damaged)
        """Reasons, by file."""

    def entries(self) -> list[Entry]:
        """Return the entries, by name."""
        return list(self.by_name.values())

    def asked(self, one: Photograph | Refused) -> Photograph | Refused:
        """Return a photograph, or its refusal if it would be compared with itself."""
        if isinstance(one, Refused):
            return one
        return self.refusal(one.path, one.sha256, turned_hashes(one.rgb)) or one

    def refusal(self, path: str, sha256: str, hashes: Iterable[str] = ()) -> Refused | None:
        """Return the refusal of a file that would be compared with itself, or None.

        Parameters
        ----------
        hashes
            Of what it shows, turned and mirrored.
        """
        if name := self._known.get(sha256):
            which = f"this very file is one of those that enrolled {name}"
        elif name := self._contents.find(hashes):
            which = f"it shows what {name} shows, as copies do"
        else:
            return None
        reason = f"{which}, and would be compared with itself; ask of another"
        return Refused(path=path, reason=reason)

    def contents(self) -> Contents:
        """Return what enrolled photographs show."""
        return Contents(
            (content, f"one that enrolled {entry.name}")
            for entry in self.by_name.values()
            for content in entry.contents
        )

    def checks(self, candidate: Candidate) -> EntryChecks | None:
        """Return what matches with a candidate's entry are held against, None if unreadable."""
        name = candidate.entry
        if name not in self._checks:
            try:
                sums = self._fingerprints.sums(self.by_name[name])
            except ConnectionError:
                raise
            except (ValueError, OSError):
                return None
            self._checks[name] = EntryChecks.of(sums)
        return self._checks[name]

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

    def doubts(self, photograph: Photograph, ranking: Ranking, reference: Reference) -> list[str]:
        """Return sentences on supported entries that are of mixed input or of another model."""
        sentences = []
        for candidate in ranking.candidates:
            if match_llr(candidate, reference) < DECIDED:
                continue
            entry = self.by_name[candidate.entry]
            model = " ".join(part for part in (entry.make, entry.model) if part)
            if photograph.claimed and model and photograph.claimed != model:
                sentences.append(
                    f"its EXIF names {photograph.claimed}, and {entry.device} is {model}: EXIF can "
                    "be changed, and is not used for the answer"
                )
            sentences += [f"{entry.name}: {w}" for w in entry.warnings if w.startswith(MIXED)]
        return sentences

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
        f"{fingerprints.uri}, {counted(len(entries), 'entry', 'entries')}, whose photographs have "
        f"the SHA-256 {digest}"
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
    check_scales(scales or ())
    reference, gallery = shipped_reference(IDENTIFICATION_FILE), Snapshot(fingerprints)
    cache_warning = refresh(gallery, fingerprints.folder)
    search: dict[str, Any] = {"budget": budget, "scales": scales, "most": MOST}
    search["folder"] = fingerprints.folder
    llr = partial(match_llr, reference=reference)
    check = partial(checked_ranking, checks=gallery.checks, reference=reference)
    finder = partial(Finder, gallery=gallery, llr=llr, check=check, **search)
    todo, number = map(gallery.asked, photographs(files)), 0
    while group := list(islice(todo, TOGETHER)):
        number += len(group)
        progress = f"{number} of {counted(len(files), 'photograph')}"
        tell(f"{progress}: denoising")
        planes = {
            place: query_plane(photograph.rgb)
            for place, photograph in enumerate(group)
            if isinstance(photograph, Photograph)
        }
        results = rankings(
            [*planes.values()],
            gallery,
            num_candidates=None,
            tell=partial(_tell, tell, progress),
            **search,
        )
        ranked = dict(zip(planes, results, strict=True))
        for place, photograph in enumerate(group):
            if not isinstance(photograph, Photograph):
                yield not_identified(photograph), {}
                continue
            plane, ranking = planes[place], ranked[place]
            yield _answered(
                photograph,
                check(ranking, plane, photograph.visibility),
                gallery,
                finder(plane=plane, rgb=photograph.rgb),
                num_candidates=num_candidates,
                has_pictures=has_pictures,
                warnings=[cache_warning] if cache_warning else [],
            )


def _answered(
    photograph: Photograph,
    ranking: Ranking,
    gallery: Snapshot,
    finder: Finder[Entry],
    *,
    num_candidates: int,
    has_pictures: bool,
    warnings: Sequence[str],
) -> Answer:
    """Return the answer for a ranked photograph, and pictures if they are asked for."""
    reference = shipped_reference(IDENTIFICATION_FILE)
    composite = finder.composite(ranking)
    answer = identified(
        photograph,
        ranking,
        reference,
        num_entries=gallery.num_readable,
        num_candidates=num_candidates,
        num_damaged=len(gallery.unreadable),
        composite=composite,
        warnings=[
            *gallery.doubts(photograph, ranking, reference),
            *gallery.warnings(),
            *warnings,
        ],
    )
    if not has_pictures:
        return answer, {}
    return answer, {
        **region_pictures(composite),
        **drawn(finder.plane, ranking, gallery, reference),
    }


def check_scales(scales: Sequence[float]) -> None:
    """Raise ``ValueError`` if a scale is out of range."""
    for scale in scales:
        if not LEAST_SCALE <= scale <= GREATEST_SCALE:
            raise ValueError(
                f"expected scales from {LEAST_SCALE:g} to {GREATEST_SCALE:g}, got {scale:g}"
            )


def _tell(tell: Callable[[str], None], progress: str, words: str) -> None:
    tell(f"{progress}: {words}")


def drawn(
    plane: Plane,
    ranking: Ranking,
    gallery: Snapshot,
    reference: Reference,
    *,
    name: str = "The photograph",
) -> dict[str, bytes]:
    """Return pictures of what was asked and its best candidate, if there is one, by title."""
    from camid.casework.figures import MAP_WORDS, heat_figure, reference_figure
    from camid.evaluation.report.figures import png

    if not ranking.candidates:
        return {}
    best = ranking.candidates[0]
    cells = heat(plane, gallery.pattern(gallery.by_name[best.entry]), best)
    scores = {candidate.device: score_of(candidate.energy) for candidate in ranking.candidates[:1]}
    low, high = bounds(reference)
    title = f"{name} and the best candidate's fingerprint: {MAP_WORDS}"
    return {
        title: png(heat_figure(cells, cell=f"{CELL}×{CELL} px")),
        "The best candidate's score among those of the reference devices; likelihood ratios are "
        f"bounded at {low:+.1f} and {high:+.1f} nats": png(
            reference_figure(reference, scores, axis="score: root of the energy")
        ),
    }
