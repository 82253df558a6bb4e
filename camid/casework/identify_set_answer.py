"""The answer of an identification of a set, as JSON and the case report have it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from camid.casework.decisions import REFUSED, UNREADABLE
from camid.casework.identify_answer import (
    bounds,
    candidate_facts,
    decided,
    device_llrs,
    left,
    local,
    rounded,
    searched,
    several,
)
from camid.casework.photograph_set import PhotographSet
from camid.casework.photographs import Refused
from camid.casework.quality import GRADES
from camid.casework.quality import REFUSED as REFUSED_GRADE
from camid.casework.query import Ranking
from camid.casework.reference_population import Reference
from camid.io.counts import counted


@dataclass(frozen=True, kw_only=True)
class Searched:
    """The photographs of one size, and the candidates that they have together."""

    photographs: PhotographSet
    ranking: Ranking

    @property
    def number(self) -> int:
        """Number of photographs."""
        return len(self.photographs.facts)

    @property
    def size(self) -> str:
        """Width and height, as ``<width>x<height>``."""
        return self.photographs.size


def identified_set(
    sizes: Sequence[Searched],
    left_out: Sequence[Refused],
    reference: Reference,
    *,
    num_entries: int,
    num_damaged: int = 0,
    num_candidates: int | None = None,
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the answer to: which enrolled device took these photographs?

    Parameters
    ----------
    sizes
        Sets of one size each, the largest first.
    num_entries, num_damaged, num_candidates, warnings
        As of :func:`camid.casework.identify_answer.identified`.
    """
    llrs = summed(sizes, reference)
    is_searched = not num_damaged and not any(one.ranking.num_left for one in sizes)
    facts = decided(llrs, reference, num_entries=num_entries, is_searched=is_searched, it="them")
    photographs = [photograph for one in sizes for photograph in one.photographs.facts]
    extents = [searched(one.ranking) for one in sizes]
    candidates = [
        candidate_facts(candidate, reference) | {"size": one.size, "photographs": one.number}
        for one in sizes
        for candidate in one.ranking.candidates
    ]
    candidates.sort(key=lambda row: -row["energy"])
    return {
        "photographs": photographs,
        "left_out": [refused.facts() for refused in left_out],
        **facts,
        "devices": [{"device": device, "llr": rounded(llr)} for device, llr in llrs.items()],
        "grade": max((row["grade"] for row in photographs), key=GRADES.index),
        "grade_rates": None,
        "warnings": [
            *several(facts["supported"]),
            *_mixed(facts["supported"]),
            *dict.fromkeys(words for one in sizes for words in local(one.ranking.candidates)),
            *_cautions(sizes, photographs),
            *(f"{row['path']}: {words}" for row in photographs for words in row["warnings"]),
            *_left_out(left_out),
            *warnings,
            *_unsearched(sizes),
        ],
        "candidates": candidates[:num_candidates],
        "searched": {
            "entries": num_entries,
            **{name: sum(extent[name] for extent in extents) for name in extents[0]},
            "is_ended": _are_ended(extents),
        },
        "sizes": [{"size": one.size, "photographs": one.number} for one in sizes],
    }


def _are_ended(extents: Sequence[dict[str, Any]]) -> bool:
    """Return whether matches ended all searches that left something out, or all if none did."""
    unfinished = [extent for extent in extents if extent["left_out"]]
    return all(extent["is_ended"] for extent in unfinished or extents)


def summed(sizes: Sequence[Searched], reference: Reference) -> dict[str, float]:
    """Return the log-likelihood ratio of each device, nats, the likeliest first.

    Sizes are searched apart, each with a penalty of its own for what was tried, and their
    photographs are different ones: their log-likelihood ratios add up, and the bounds are those
    of one. A device that the search of a size did not come to counts there as the least of those
    that it came to, if that speaks against it.
    """
    low, high = bounds(reference)
    by_size = [device_llrs(one.ranking, reference) for one in sizes]
    devices = dict.fromkeys(device for llrs in by_size for device in llrs)
    sums = {
        device: min(max(sum(_llr(device, llrs) for llrs in by_size), low), high)
        for device in devices
    }
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))


def _llr(device: str, llrs: dict[str, float]) -> float:
    return llrs[device] if device in llrs else min([0.0, *llrs.values()])


def _mixed(devices: Sequence[str]) -> list[str]:
    if len(devices) < 2:
        return []
    return ["or photographs of several cameras are in the set; ask of each photograph alone"]


def _cautions(sizes: Sequence[Searched], photographs: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield what is to be known of an answer for several photographs."""
    if any(one.number > 1 for one in sizes):
        yield (
            f"{counted(len(photographs), 'photograph')} were asked together; likelihood ratios "
            "were calibrated with single photographs against fingerprints, so that this one is "
            "approximate"
        )
    if len(sizes) > 1:
        groups = ", ".join(f"{one.number:,} of {one.size} px" for one in sizes)
        yield f"each size was searched apart, and the log-likelihood ratios added up: {groups}"
    untold = sum(one.photographs.num_untold for one in sizes)
    untold += sum(one.number == 1 for one in sizes) if len(photographs) > 1 else 0
    if untold:
        yield (
            f"whether one camera took all cannot be told of {counted(untold, 'photograph')}: "
            "too few of a size, or too little that they share"
        )
    claims = Counter(row["exif_claims"] for row in photographs if row["exif_claims"])
    if len(claims) > 1:
        words = ", ".join(f"{count} of {name}" for name, count in sorted(claims.items()))
        yield f"by their EXIF the photographs are of several models: {words}"


def _left_out(left_out: Sequence[Refused]) -> list[str]:
    return [f"{refused.path}: left out: {refused.reason}" for refused in left_out]


def _unsearched(sizes: Sequence[Searched]) -> Iterator[str]:
    for one in sizes:
        for words in left(one.ranking):
            yield f"{one.size} px: {words}" if len(sizes) > 1 else words


def not_identified_set(left_out: Sequence[Refused]) -> dict[str, Any]:
    """Return the answer for a set of which no photograph can be used."""
    is_read = any(refused.decision != UNREADABLE for refused in left_out)
    return {
        "photographs": [],
        "left_out": [refused.facts() for refused in left_out],
        "decision": REFUSED if is_read else UNREADABLE,
        "supported": [],
        "answer": "No answer: no photograph of the set can be used.",
        "llr": None,
        "log10_lr": None,
        "support": None,
        "bounds": None,
        "reference": None,
        "devices": [],
        "grade": REFUSED_GRADE,
        "grade_rates": None,
        "warnings": _left_out(left_out),
        "candidates": [],
        "searched": None,
        "sizes": [],
    }
