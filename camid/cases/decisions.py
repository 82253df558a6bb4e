"""What commands answer, as JSON and the case report have it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from camid.calibration import Calibrator
from camid.cases.geometry import Match
from camid.cases.identify import THRESHOLD, Candidate, Ranking
from camid.cases.photographs import Photograph, Refused
from camid.cases.quality import GRADES, REFUSED
from camid.cases.reference import Reference
from camid.cases.verify import Verdict
from camid.cases.words import DECIDED, answer, ratio_words, support

NONE = "none"
"""The decision where no enrolled device is supported."""
Answer = tuple[dict[str, Any], Mapping[str, bytes]]
"""As JSON has it, and pictures by title, PNG."""
SIDES = ("the first side", "the second side")


def rounded(value: float) -> float:
    """Return a number to six digits, as answers have it."""
    return float(f"{value:.6g}")


def candidate_facts(candidate: Candidate, reference: Reference) -> dict[str, Any]:
    """Return what is told of a candidate; log-likelihood ratios are nats."""
    named = {"device": candidate.device, "entry": candidate.entry}
    return named | match_facts(candidate, reference)


def match_facts(match: Match, reference: Reference) -> dict[str, Any]:
    """Return what is told of a match."""
    return {
        "pce": rounded(match.pce),
        "ncc": rounded(match.ncc),
        "llr": rounded(match_llr(match, reference)),
        "false_alarm": rounded(match.false_alarm),
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
    photograph: Photograph, ranking: Ranking, reference: Reference, *, num_entries: int
) -> dict[str, Any]:
    """Return the answer to: which enrolled device took this photograph?"""
    candidates = [candidate_facts(one, reference) for one in ranking.candidates]
    best = max((one["llr"] for one in candidates), default=-math.inf)
    found = next((one for one in candidates if one["llr"] == best >= DECIDED), None)
    if found:
        device = found["device"]
        words = answer(
            found["llr"],
            same=f"{device} took it",
            different="another device did",
        )
    else:
        words = (
            f"None of these: of {num_entries} enrolled entries none is supported by a likelihood "
            f"ratio of {ratio_words(DECIDED)} or more."
        )
    grade = (reference.grades or {}).get(photograph.quality.grade)
    return {
        "photograph": photograph.facts(),
        "decision": found["device"] if found else NONE,
        "answer": words,
        "llr": found["llr"] if found else (rounded(best) if candidates else None),
        "bounds": [rounded(bound) for bound in bounds(reference)],
        "grade": photograph.quality.grade,
        "grade_rates": _rates(grade) if grade else None,
        "warnings": [*photograph.quality.warnings, *_left(ranking)],
        "candidates": candidates,
        "searched": {
            "entries": num_entries,
            "whole": ranking.num_aligned,
            "parts": ranking.num_searched,
            "places": ranking.num_lags,
            "left_out": ranking.num_left,
        },
    }


def not_identified(refused: Refused) -> dict[str, Any]:
    """Return the same of a photograph that carries no answer."""
    return {
        "photograph": refused.facts(),
        "decision": NONE,
        "answer": f"No answer: {refused.reason}.",
        "llr": None,
        "bounds": None,
        "grade": REFUSED,
        "grade_rates": None,
        "warnings": [refused.reason],
        "candidates": [],
        "searched": None,
    }


def verified(
    verdict: Verdict,
    sides: Sequence[Sequence[Photograph]],
    left_out: Sequence[Refused],
) -> dict[str, Any]:
    """Return the answer to: did one camera take both sides?"""
    return {
        **_answered(verdict.llr, (verdict.low, verdict.high)),
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
    sides: Sequence[Sequence[Photograph]],
    left_out: Sequence[Refused],
) -> dict[str, Any]:
    """Return the same of sides that differ in size, where one lies best within the other."""
    facts = match_facts(match, reference)
    place = {name: facts[name] for name in ("turn", "scale", "top", "left", "false_alarm")}
    return {
        **_answered(facts["llr"], bounds(reference)),
        "scores": {name: facts[name] for name in ("pce", "ncc")},
        "turn": match.turn,
        "turns": {},
        "num_crops": 0,
        "place": place | {"places": match.num_lags},
        **_sides(sides, left_out),
    }


def _answered(llr: float, limits: tuple[float, float]) -> dict[str, Any]:
    """Return what a log-likelihood ratio, nats, says of two sides."""
    decision = "undecided" if abs(llr) < DECIDED else "same" if llr > 0 else "different"
    words = {"same": "one camera took both sides", "different": "two cameras took them"}
    return {
        "decision": decision,
        "answer": answer(llr, **words),
        "llr": rounded(llr),
        "log10_lr": rounded(llr / math.log(10)),
        "bounds": [rounded(limit) for limit in limits],
        "support": support(llr),
    }


def _sides(sides: Sequence[Sequence[Photograph]], left_out: Sequence[Refused]) -> dict[str, Any]:
    """Return what is told of two sides' photographs; the grade is that of the worst."""
    every = [photograph for side in sides for photograph in side]
    return {
        "grade": max((one.quality.grade for one in every), key=GRADES.index, default=REFUSED),
        "warnings": [
            *(f"{one.path}: {words}" for one in every for words in one.quality.warnings),
            *(f"{one.path}: left out: {one.reason}" for one in left_out),
        ],
        "sides": [[photograph.facts() for photograph in side] for side in sides],
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
        "support": None,
        "scores": {},
        "turn": None,
        "turns": {},
        "num_crops": 0,
        "place": None,
        **_sides([], left_out),
    }


def _rates(grade: Mapping[str, int]) -> dict[str, float]:
    """Return how often reference photographs of a grade had no answer, and a wrong one."""
    return {name: rounded(grade[name] / grade["count"]) for name in ("unanswered", "wrong")}


def _left(ranking: Ranking) -> list[str]:
    if not ranking.num_left or any(one.pce >= THRESHOLD for one in ranking.candidates):
        return []
    return [
        f"{ranking.num_left} crops, turns and scales were not searched, as the budget was spent; "
        "raise --budget"
    ]
