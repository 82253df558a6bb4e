"""The answer of an identification, as JSON and the case report have it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from camid.casework.alignment import Match
from camid.casework.composite import Composite
from camid.casework.enrol import NONE
from camid.casework.photographs import Photograph, Refused
from camid.casework.quality import REFUSED
from camid.casework.query import THRESHOLD, Candidate, Ranking
from camid.casework.reference_population import IDENTIFICATION_FILE, Reference
from camid.casework.region_answer import with_regions
from camid.casework.verbal_scale import DECIDED, answer, ratio_words, support
from camid.evaluation.calibration import Logistic

NO_SUPPORT = math.log(2)
"""Log-likelihood ratio, nats, up to which no support for a device is stated.

A ratio against a device is none either: what is not found may be edited beyond what is searched.
"""
MOSTLY = 0.5
"""Share of a match's energy below which there is a warning of where the rest lies."""
Answer = tuple[dict[str, Any], Mapping[str, bytes]]
"""Facts for JSON, and PNG pictures by title."""


def rounded(value: float) -> float:
    """Return a number rounded to six significant digits."""
    return float(f"{value:.6g}")


def candidate_facts(candidate: Candidate, reference: Reference) -> dict[str, Any]:
    """Return the facts of a candidate, for JSON; log-likelihood ratios are in nats."""
    names = {"device": candidate.device, "entry": candidate.entry}
    return names | match_facts(candidate, reference) | {"counted": candidate.num_lags}


def match_facts(match: Match, reference: Reference) -> dict[str, Any]:
    """Return the facts of a match, for JSON."""
    return {
        "pce": rounded(match.pce),
        "spread": rounded(match.share),
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
    """Return a match's log-likelihood ratio, nats, with every hypothesis counted."""
    return float(_calibrator(reference).llr(score_of(match.energy)))


def score_of(energy: float) -> float:
    """Return the signed root of an energy, the score to calibrate: normal among strangers."""
    return math.copysign(math.sqrt(abs(energy)), energy)


def bounds(reference: Reference) -> tuple[float, float]:
    """Return the least and the greatest log-likelihood ratio of a calibrated reference, nats."""
    low, high = _calibrator(reference).llr([-1e9, 1e9])
    return float(low), float(high)


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
    composite: Composite | None = None,
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the answer to: which enrolled device took this photograph?

    Parameters
    ----------
    num_candidates
        Candidates to list at most; all of them count for the decision.
    composite
        Regions of the photograph, where they were looked for.
    warnings
        Warnings about the database.
    """
    is_composite = composite is not None and composite.is_composite
    candidates = [candidate_facts(candidate, reference) for candidate in ranking.candidates]
    llrs: dict[str, float] = {}
    for facts in candidates:
        llrs[facts["device"]] = max(facts["llr"], llrs.get(facts["device"], -math.inf))
    best = max(llrs.values(), default=-math.inf)
    supported = [device for device, llr in llrs.items() if llr >= DECIDED]
    alike = [device for device in supported if llrs[device] > best - DECIDED]
    if supported:
        different = (
            "another device did" if len(alike) == 1 else "a device that is none of these did"
        )
        claim = f"{_listed(alike, 'or')} took it"
        words = answer(best, same=claim, different=different, bounds=bounds(reference))
    else:
        words = _none(llrs, num_entries)
    grade_rates = (reference.grades or {}).get(photograph.quality.grade)
    facts = {
        "photograph": photograph.facts(),
        "decision": supported[0] if supported else NONE,
        "answer": words,
        "llr": rounded(best) if candidates else None,
        "log10_lr": rounded(best / math.log(10)) if candidates else None,
        "support": support(max(best, 0.0)) if candidates else None,
        "bounds": [rounded(bound) for bound in bounds(reference)],
        "reference": IDENTIFICATION_FILE,
        "grade": photograph.quality.grade,
        "grade_rates": dict(grade_rates) if grade_rates else None,
        "warnings": [
            *([] if is_composite else _several(supported)),
            *_local(ranking.candidates),
            *photograph.quality.warnings,
            *warnings,
            *_left(ranking),
        ],
        "candidates": candidates[:num_candidates],
        "searched": {"entries": num_entries, **_searched(ranking)},
    }
    shape = photograph.rgb.shape[0], photograph.rgb.shape[1]
    return with_regions(facts, composite, shape, most=bounds(reference)[1])


def _searched(ranking: Ranking) -> dict[str, Any]:
    """Return the extent of the search, for JSON."""
    return {
        "whole": ranking.num_aligned,
        "parts": ranking.num_searched,
        "places": ranking.num_lags,
        "left_out": ranking.num_left,
        "is_ended": _is_ended(ranking),
    }


def _none(llrs: Mapping[str, float], num_entries: int) -> str:
    """Return the answer that supports no device, by the devices' log-likelihood ratios."""
    if not llrs:
        return "No answer: it could be compared with none of the enrolled devices."
    least = ratio_words(DECIDED)
    device = max(llrs, key=lambda name: llrs[name])
    words = (
        f"Not found, and not excluded: of {num_entries} enrolled entries none reaches a likelihood "
        f"ratio of {least}; {device} fits best."
    )
    if llrs[device] <= NO_SUPPORT:
        return f"{words} An edited photograph, or a weak one, may look so whoever took it."
    return (
        f"{words} {answer(llrs[device], same=f'{device} took it', different='another device did')}"
    )


def _several(devices: Sequence[str]) -> list[str]:
    """Return the warning if more than one device is supported."""
    if len(devices) < 2:
        return []
    return [
        f"{_listed(devices, 'and')} are all supported: one camera under several names, or "
        "fingerprints that share what is no device's own; `camid check` compares them"
    ]


def _local(candidates: Sequence[Candidate]) -> list[str]:
    """Return a sentence for each candidate whose agreement lies in parts of the picture."""
    return [
        f"{1 - candidate.share:.0%} of the energy of what it shares with {candidate.entry} lies in "
        "single places, as watermarks, dates and frames do, and is not counted"
        for candidate in candidates
        if candidate.share < MOSTLY and candidate.pce >= THRESHOLD
    ]


def _listed(words: Sequence[str], last: str) -> str:
    """Return words listed in a sentence: ``a, b or c``."""
    return f" {last} ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def not_identified(refused: Refused) -> dict[str, Any]:
    """Return the answer for a photograph that was refused."""
    return {
        "photograph": refused.facts(),
        "decision": NONE,
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


def _left(ranking: Ranking) -> list[str]:
    if not ranking.num_left or _is_ended(ranking):
        return []
    if not ranking.num_searched:
        return [
            f"whole photographs alone were looked for, not {ranking.num_left} crops, turns and "
            "scales; a greater --budget does"
        ]
    return [
        f"{ranking.num_left} crops, turns and scales were not searched, as the budget was spent; "
        "a greater --budget does"
    ]
