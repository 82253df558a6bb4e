"""The answer of an identification, as JSON and the case report have it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from camid.casework.alignment import Match
from camid.casework.composite import Composite
from camid.casework.decisions import NONE_SUPPORTED, UNDECIDED
from camid.casework.match_detail import FINEST_ALONE
from camid.casework.photographs import Photograph, Refused
from camid.casework.quality import REFUSED
from camid.casework.query import THRESHOLD, Candidate, Ranking
from camid.casework.reference_population import IDENTIFICATION_FILE, Reference
from camid.casework.region_answer import with_regions
from camid.casework.spread import PATCHY
from camid.casework.verbal_scale import DECIDED, answer, ratio_words, support
from camid.evaluation.calibration import Logistic
from camid.io.counts import counted

NO_SUPPORT = math.log(2)
"""Log-likelihood ratio, nats, up to which no support for a device is stated.

A ratio against a device is none either: what is not found may be edited beyond what is searched.
"""
UNFOUND = -0.69
"""Log-likelihood ratio, nats, of what is not found: against a device, but less than two."""
MOSTLY = 0.5
"""Share of a match's energy below which there is a warning of where the rest lies."""
Answer = tuple[dict[str, Any], Mapping[str, bytes]]
"""Facts for JSON, and PNG pictures by title."""


def rounded(value: float) -> float | None:
    """Return a number rounded to six significant digits; None of NaN."""
    return None if math.isnan(value) else float(f"{value:.6g}")


def candidate_facts(candidate: Candidate, reference: Reference) -> dict[str, Any]:
    """Return the facts of a candidate, for JSON; log-likelihood ratios are in nats."""
    names = {"device": candidate.device, "entry": candidate.entry}
    return names | match_facts(candidate, reference) | {"counted": candidate.num_lags}


def match_facts(match: Match, reference: Reference) -> dict[str, Any]:
    """Return the facts of a match, for JSON."""
    return {
        "pce": rounded(match.pce),
        "spread": rounded(match.share),
        "strength": rounded(match.strength),
        "absent": rounded(match.absent),
        "ncc": rounded(match.ncc),
        "llr": rounded(match_llr(match, reference)),
        "false_alarm": rounded(match.false_alarm),
        "log10_false_alarm": rounded(match.log_false_alarm / math.log(10)),
        "energy": rounded(match.energy),
        "turn": match.turn,
        "edit": edit_words(match),
        "scale": rounded(match.scale),
        "top": match.top,
        "left": match.left,
    }


def edit_words(match: Match) -> str:
    """Return what an editor did to a photograph, as far as a match tells; empty for nothing."""
    edits = (
        "mirrored" if match.is_mirrored else "",
        "stretched" if match.is_stretched else "",
        f"turned by {match.angle:+.2g}°" if match.angle else "",
    )
    return ", ".join(filter(None, edits))


def match_llr(match: Match, reference: Reference) -> float:
    """Return a match's log-likelihood ratio, nats, with every hypothesis counted.

    It is :data:`UNFOUND` at least: a photograph that was edited beyond what is searched, or is too
    weak, is not found whoever took it.
    """
    return max(float(_calibrator(reference).llr(score_of(match.energy))), UNFOUND)


def device_llrs(ranking: Ranking, reference: Reference) -> dict[str, float]:
    """Return the greatest log-likelihood ratio of each device, nats."""
    llrs: dict[str, float] = {}
    for candidate in ranking.candidates:
        llr = match_llr(candidate, reference)
        llrs[candidate.device] = max(llr, llrs.get(candidate.device, -math.inf))
    return llrs


def score_of(energy: float) -> float:
    """Return the signed root of an energy, the score to calibrate: normal among strangers."""
    return math.copysign(math.sqrt(abs(energy)), energy)


def bounds(reference: Reference) -> tuple[float, float]:
    """Return the least and the greatest log-likelihood ratio of a calibrated reference, nats."""
    low, high = _calibrator(reference).llr([-1e9, 1e9])
    return max(float(low), UNFOUND), float(high)


def _calibrator(reference: Reference) -> Logistic:
    if reference.calibrator is None:
        raise ValueError("the reference devices have no calibrator")
    return reference.calibrator


def identified(
    photograph: Photograph,
    ranking: Ranking,
    reference: Reference,
    *,
    num_entries: int,
    num_candidates: int | None = None,
    num_damaged: int = 0,
    composite: Composite | None = None,
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the answer to: which enrolled device took this photograph?

    Parameters
    ----------
    num_entries
        Entries that the photograph was compared with.
    num_damaged
        Entries that it could not be compared with.
    num_candidates
        Candidates to list at most; all of them count for the decision.
    composite
        Regions of the photograph, where they were looked for.
    warnings
        Warnings about the database.
    """
    is_composite = composite is not None and composite.is_composite
    candidates = [candidate_facts(candidate, reference) for candidate in ranking.candidates]
    llrs = device_llrs(ranking, reference)
    is_searched = not ranking.num_left and not num_damaged
    facts = decided(llrs, reference, num_entries=num_entries, is_searched=is_searched)
    grade_rates = (reference.grades or {}).get(photograph.quality.grade)
    facts = {
        "photograph": photograph.facts(),
        **facts,
        "grade": photograph.quality.grade,
        "grade_rates": dict(grade_rates) if grade_rates else None,
        "warnings": [
            *([] if is_composite else several(facts["supported"])),
            *local(ranking.candidates),
            *copied(ranking.candidates),
            *photograph.warnings,
            *warnings,
            *left(ranking),
        ],
        "candidates": candidates[:num_candidates],
        "searched": {"entries": num_entries, **searched(ranking)},
    }
    shape = photograph.rgb.shape[0], photograph.rgb.shape[1]
    return with_regions(facts, composite, shape, most=bounds(reference)[1])


def decided(
    llrs: Mapping[str, float],
    reference: Reference,
    *,
    num_entries: int,
    is_searched: bool,
    it: str = "it",
) -> dict[str, Any]:
    """Return the decision and the answer of devices' log-likelihood ratios, for JSON.

    Parameters
    ----------
    llrs
        By device, nats, the likeliest first.
    is_searched
        Whether all that was planned was searched, in all entries.
    it
        What was asked, as an object: ``it`` or ``them``.
    """
    best = max(llrs.values(), default=-math.inf)
    supported = [device for device, llr in llrs.items() if llr >= DECIDED]
    alike = [device for device in supported if llrs[device] > best - DECIDED]
    decision = NONE_SUPPORTED
    if supported:
        decision = supported[0] if len(alike) == 1 else UNDECIDED
        different = (
            "another device did" if len(alike) == 1 else "a device that is none of these did"
        )
        claim = f"{_listed(alike, 'or')} took {it}"
        words = answer(best, same=claim, different=different, bounds=bounds(reference))
    else:
        words = _none(llrs, num_entries, it)
        if not llrs or best >= NO_SUPPORT or not is_searched:
            decision = UNDECIDED
    return {
        "decision": decision,
        "supported": supported,
        "answer": words,
        "llr": rounded(best) if llrs else None,
        "log10_lr": rounded(best / math.log(10)) if llrs else None,
        "support": support(max(best, 0.0)) if llrs else None,
        "bounds": [rounded(bound) for bound in bounds(reference)],
        "reference": IDENTIFICATION_FILE,
    }


def searched(ranking: Ranking) -> dict[str, Any]:
    """Return the extent of the search, for JSON."""
    return {
        "whole": ranking.num_aligned,
        "parts": ranking.num_searched,
        "places": ranking.num_lags,
        "left_out": ranking.num_left,
        "is_ended": _is_ended(ranking),
    }


def _none(llrs: Mapping[str, float], num_entries: int, it: str) -> str:
    """Return the answer that supports no device, by the devices' log-likelihood ratios."""
    if not llrs:
        they = {"it": "it"}.get(it, "they")
        return f"No answer: {they} could be compared with none of the enrolled devices."
    device = max(llrs, key=lambda name: llrs[name])
    entries = counted(num_entries, "enrolled entry", "enrolled entries")
    words = (
        f"Not found, and not excluded: of {entries} none reaches a likelihood "
        f"ratio of {ratio_words(DECIDED)}; {device} fits best."
    )
    if llrs[device] < NO_SUPPORT:
        asked = {"it": "An edited photograph, or a weak one,"}.get(it, "Edited or weak photographs")
        return f"{words} {asked} may look so whoever took {it}."
    claim = f"{device} took {it}"
    return f"{words} {answer(llrs[device], same=claim, different='another device did')}"


def several(devices: Sequence[str]) -> list[str]:
    """Return the warning if more than one device is supported."""
    if len(devices) < 2:
        return []
    return [
        f"{_listed(devices, 'and')} are all supported: one camera under several names, or "
        "fingerprints that share what is no device's own; `camid check` compares them"
    ]


def local(candidates: Sequence[Candidate]) -> list[str]:
    """Return a sentence for each candidate whose agreement is no sensor's: local, finest, weak …"""
    finest = [
        f"what it shares with {candidate.entry} {FINEST_ALONE}"
        for candidate in candidates
        if candidate.is_finest_alone and candidate.pce >= THRESHOLD
    ]
    shared = [
        f"what it shares with {candidate.entry} is {candidate.strength:.0%} of what a photograph "
        "like it by that sensor would show, as devices of one model may share; it is not counted"
        for candidate in candidates
        if candidate.is_shared
    ]
    patchy = [
        f"what it shares with {candidate.entry} {PATCHY.format(absent=candidate.absent)}"
        for candidate in candidates
        if candidate.is_patchy and candidate.pce >= THRESHOLD
    ]
    return [*finest, *shared, *patchy] + [
        f"{1 - candidate.share:.0%} of the energy of what it shares with {candidate.entry} lies in "
        "single places, as watermarks, dates and frames do, and is not counted"
        for candidate in candidates
        if candidate.share < MOSTLY
        and candidate.pce >= THRESHOLD
        and not (candidate.is_copy or candidate.is_finest_alone or candidate.is_shared)
        and not candidate.is_patchy
    ]


def copied(candidates: Sequence[Candidate]) -> list[str]:
    """Return a sentence for each candidate one of whose photographs was copied."""
    return [
        f"it agrees far better with one half of the photographs that enrolled {candidate.entry} "
        "than with the other, as a copy of one of them does; what the other half shows is counted"
        for candidate in candidates
        if candidate.is_copy
    ]


def _listed(words: Sequence[str], last: str) -> str:
    """Return words listed in a sentence: ``a, b or c``."""
    return f" {last} ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def not_identified(refused: Refused) -> dict[str, Any]:
    """Return the answer for a photograph that was refused."""
    return {
        "photograph": refused.facts(),
        "decision": refused.decision,
        "supported": [],
        "answer": f"No answer: {refused.reason}.",
        "llr": None,
        "log10_lr": None,
        "support": None,
        "bounds": None,
        "reference": None,
        "grade": REFUSED,
        "grade_rates": None,
        "warnings": [refused.reason],
        "candidates": [],
        "searched": None,
        "regions": [],
    }


def _is_ended(ranking: Ranking) -> bool:
    """Return whether a match ended the search."""
    return any(candidate.spread_pce >= THRESHOLD for candidate in ranking.candidates)


def left(ranking: Ranking) -> list[str]:
    """Return the warning if the budget left out a part of the search."""
    if not ranking.num_left or _is_ended(ranking):
        return []
    is_single = ranking.num_left == 1
    parts = (
        "1 crop, turn or scale" if is_single else f"{ranking.num_left:,} crops, turns and scales"
    )
    if not ranking.num_searched:
        return [f"whole photographs alone were looked for, not {parts}; a greater --budget does"]
    return [
        f"{parts} {'was' if is_single else 'were'} not searched, as the budget was spent; "
        "a greater --budget does"
    ]
