"""What commands answer, as JSON and the case report have it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from camid.calibration import Calibrator
from camid.cases.enrol import NONE
from camid.cases.geometry import Match
from camid.cases.identify import THRESHOLD, Candidate, Ranking
from camid.cases.photographs import Photograph, Refused
from camid.cases.quality import GRADES, REFUSED
from camid.cases.reference import IDENTIFICATION_FILE, VERIFICATION_FILE, Reference
from camid.cases.verify import Verdict
from camid.cases.words import DECIDED, answer, ratio_words, support

Answer = tuple[dict[str, Any], Mapping[str, bytes]]
"""As JSON has it, and pictures by title, PNG."""
SIDES = ("the first side", "the second side")


def rounded(value: float) -> float:
    """Return a number to six digits, as answers have it."""
    return float(f"{value:.6g}")


def candidate_facts(candidate: Candidate, reference: Reference) -> dict[str, Any]:
    """Return what is told of a candidate; log-likelihood ratios are nats."""
    named = {"device": candidate.device, "entry": candidate.entry}
    return named | match_facts(candidate, reference) | {"counted": candidate.num_lags}


def match_facts(match: Match, reference: Reference) -> dict[str, Any]:
    """Return what is told of a match."""
    return {
        "pce": rounded(match.pce),
        "ncc": rounded(match.ncc),
        "llr": rounded(match_llr(match, reference)),
        "false_alarm": rounded(match.false_alarm),
        "log10_false_alarm": rounded(match.log_false_alarm / math.log(10)),
        "energy": rounded(match.energy),
        "turn": match.turn,
        "scale": rounded(match.scale),
        "top": match.top,
        "left": match.left,
    }


def match_llr(match: Match, reference: Reference) -> float:
    """Return a match's log-likelihood ratio, nats, with every hypothesis counted."""
    return float(_calibrator(reference).llr(score_of(match.energy)))


def score_of(energy: float) -> float:
    """Return the root of an energy with its sign, which is calibrated: normal if strangers."""
    return math.copysign(math.sqrt(abs(energy)), energy)


def bounds(reference: Reference) -> tuple[float, float]:
    """Return the least and the greatest log-likelihood ratio of a calibrated reference, nats."""
    low, high = _calibrator(reference).llr([-1e9, 1e9])
    return float(low), float(high)


def _calibrator(reference: Reference) -> Calibrator:
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
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the answer to: which enrolled device took this photograph?

    Parameters
    ----------
    num_candidates
        That are told at most; all of them count for the decision.
    warnings
        Of the database.
    """
    candidates = [candidate_facts(one, reference) for one in ranking.candidates]
    llrs: dict[str, float] = {}
    for one in candidates:
        llrs[one["device"]] = max(one["llr"], llrs.get(one["device"], -math.inf))
    best = max(llrs.values(), default=-math.inf)
    supported = [device for device, llr in llrs.items() if llr >= DECIDED]
    alike = [device for device in supported if llrs[device] > best - DECIDED]
    if supported:
        different = (
            "another device did" if len(alike) == 1 else "a device that is none of these did"
        )
        took = f"{_listed(alike, 'or')} took it"
        words = answer(best, same=took, different=different, bounds=bounds(reference))
    else:
        words = _none(llrs, num_entries)
    grade = (reference.grades or {}).get(photograph.quality.grade)
    return {
        "photograph": photograph.facts(),
        "decision": supported[0] if supported else NONE,
        "answer": words,
        "llr": rounded(best) if candidates else None,
        "log10_lr": rounded(best / math.log(10)) if candidates else None,
        "support": support(best) if candidates else None,
        "bounds": [rounded(bound) for bound in bounds(reference)],
        "reference": IDENTIFICATION_FILE,
        "grade": photograph.quality.grade,
        "grade_rates": dict(grade) if grade else None,
        "warnings": [
            *_several(supported),
            *photograph.quality.warnings,
            *warnings,
            *_left(ranking),
        ],
        "candidates": candidates[:num_candidates],
        "searched": {
            "entries": num_entries,
            "whole": ranking.num_aligned,
            "parts": ranking.num_searched,
            "places": ranking.num_lags,
            "left_out": ranking.num_left,
            "is_ended": _is_ended(ranking),
        },
    }


def _none(llrs: Mapping[str, float], num_entries: int) -> str:
    """Return the sentence where no device is supported, by their log-likelihood ratios."""
    if not llrs:
        return "No answer: it could be compared with none of the enrolled devices."
    ten = ratio_words(DECIDED)
    device = max(llrs, key=lambda name: llrs[name])
    if llrs[device] <= -DECIDED:
        return (
            f"None of these: of {num_entries} enrolled entries none fits; what is seen is "
            f"{ratio_words(llrs[device])} times likelier if another device took it than if "
            f"{device} did, which fits best."
        )
    return (
        f"None of these is supported: of {num_entries} enrolled entries none reaches a likelihood "
        f"ratio of {ten}. {device} fits best, and is neither supported nor excluded: "
        f"{answer(llrs[device], same=f'{device} took it', different='another device did')}"
    )


def _several(devices: Sequence[str]) -> list[str]:
    """Return what is to be said where more than one device is supported."""
    if len(devices) < 2:
        return []
    return [
        f"{_listed(devices, 'and')} are all supported: one camera under several names, or "
        "fingerprints that share what is no device's own; `camid check` compares them"
    ]


def _listed(words: Sequence[str], last: str) -> str:
    """Return words as a sentence lists them: ``a, b or c``."""
    return f" {last} ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def not_identified(refused: Refused) -> dict[str, Any]:
    """Return the same of a photograph that carries no answer."""
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
    }


def verified(
    verdict: Verdict,
    sides: Sequence[Sequence[Mapping[str, Any]]],
    left_out: Sequence[Refused],
) -> dict[str, Any]:
    """Return the answer to: did one camera take both sides?

    Parameters
    ----------
    sides
        Of each side, what is told of its photographs (:meth:`Photograph.facts`).
    """
    return {
        **_answered(verdict.llr, (verdict.low, verdict.high)),
        "reference": VERIFICATION_FILE,
        "scores": {name: rounded(score) for name, score in verdict.scores.items()},
        "turn": verdict.turn,
        "turns": {str(turn): rounded(llr) for turn, llr in verdict.turns.items()},
        "num_crops": verdict.num_crops,
        "place": None,
        **_sides(sides, left_out),
    }


def verified_by_search(
    match: Match,
    reference: Reference,
    sides: Sequence[Sequence[Mapping[str, Any]]],
    left_out: Sequence[Refused],
    *,
    smaller: int,
) -> dict[str, Any]:
    """Return the same of sides that differ in size, where one lies best within the other.

    Parameters
    ----------
    smaller
        The side that was looked for within the other, 0 or 1.
    """
    facts = match_facts(match, reference)
    place = {name: facts[name] for name in ("turn", "scale", "top", "left", "false_alarm")}
    told = _sides(sides, left_out)
    cautions = []
    if len(sides[smaller]) > 1:
        cautions.append(
            f"{SIDES[smaller]}, of {len(sides[smaller])} photographs, was looked for in the other; "
            "such likelihood ratios were calibrated with single photographs against fingerprints, "
            "so that this one is approximate"
        )
    return {
        **_answered(facts["llr"], bounds(reference)),
        "reference": IDENTIFICATION_FILE,
        "scores": {name: facts[name] for name in ("pce", "ncc")},
        "turn": match.turn,
        "turns": {},
        "num_crops": 0,
        "place": {"side": ("first", "second")[smaller], **place, "places": match.num_lags},
        **told,
        "warnings": [*cautions, *told["warnings"]],
    }


def _answered(llr: float, limits: tuple[float, float]) -> dict[str, Any]:
    """Return what a log-likelihood ratio, nats, says of two sides."""
    decision = "undecided" if abs(llr) < DECIDED else "same" if llr > 0 else "different"
    words = {"same": "one camera took both sides", "different": "two cameras took them"}
    return {
        "decision": decision,
        "answer": answer(llr, **words, bounds=limits),
        "llr": rounded(llr),
        "log10_lr": rounded(llr / math.log(10)),
        "bounds": [rounded(limit) for limit in limits],
        "support": support(llr),
    }


def _sides(
    sides: Sequence[Sequence[Mapping[str, Any]]], left_out: Sequence[Refused]
) -> dict[str, Any]:
    """Return what is told of two sides' photographs; the grade is that of the worst."""
    every = [photograph for side in sides for photograph in side]
    return {
        "grade": max((one["grade"] for one in every), key=GRADES.index, default=REFUSED),
        "warnings": [
            *(f"{one['path']}: {words}" for one in every for words in one["warnings"]),
            *(f"{one.path}: left out: {one.reason}" for one in left_out),
        ],
        "sides": [[dict(photograph) for photograph in side] for side in sides],
        "left_out": [refused.facts() for refused in left_out],
    }


def not_verified(reason: str, left_out: Sequence[Refused]) -> dict[str, Any]:
    """Return the same where the sides carry no answer."""
    return {
        "decision": "refused",
        "answer": f"No answer: {reason}.",
        "llr": None,
        "log10_lr": None,
        "bounds": None,
        "reference": None,
        "support": None,
        "scores": {},
        "turn": None,
        "turns": {},
        "num_crops": 0,
        "place": None,
        **_sides([], left_out),
    }


def _is_ended(ranking: Ranking) -> bool:
    """Return whether a match ended the search."""
    return any(one.pce >= THRESHOLD for one in ranking.candidates)


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
