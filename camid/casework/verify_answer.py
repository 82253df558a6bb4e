"""The answer of a verification, as JSON and the case report have it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from camid.casework.alignment import Match
from camid.casework.decisions import DIFFERENT, SAME, UNDECIDED
from camid.casework.identify_answer import MOSTLY, UNFOUND, bounds, match_facts, rounded
from camid.casework.match_detail import FINEST_ALONE
from camid.casework.photographs import Refused
from camid.casework.quality import GRADES, REFUSED
from camid.casework.reference_population import IDENTIFICATION_FILE, VERIFICATION_FILE, Reference
from camid.casework.spread import PATCHY
from camid.casework.verbal_scale import DECIDED, answer, support
from camid.casework.verify_scores import Verdict

NOT_EXCLUDED = (
    "Not found, and not excluded: the sides do not show one camera's pattern, and sides like these "
    "need not show it if one camera took both."
)
SIDES = ("the first side", "the second side")


def verified(
    verdict: Verdict,
    sides: Sequence[Sequence[Mapping[str, Any]]],
    left_out: Sequence[Refused],
) -> dict[str, Any]:
    """Return the answer to: did one camera take both sides?

    Parameters
    ----------
    sides
        Facts of each side's photographs (:meth:`Photograph.facts`).
    """
    side_facts = _sides(sides, left_out)
    doubts = _doubts(verdict)
    return {
        **_answered(verdict.llr, (verdict.low, verdict.high)),
        "reference": VERIFICATION_FILE,
        "scores": {name: rounded(score) for name, score in verdict.scores.items()},
        "turn": verdict.turn,
        "turns": {str(turn): rounded(llr) for turn, llr in verdict.turns.items()},
        "num_crops": verdict.num_crops,
        "spread": rounded(verdict.share),
        "strength": rounded(verdict.strength),
        "absent": rounded(verdict.absent),
        "place": None,
        **side_facts,
        "warnings": [*doubts, *side_facts["warnings"]],
    }


def not_excluded(
    verdict: Verdict,
    sides: Sequence[Sequence[Mapping[str, Any]]],
    left_out: Sequence[Refused],
) -> dict[str, Any]:
    """Return the answer where one camera is not found, and would not have been for certain."""
    facts = verified(replace(verdict, llr=max(verdict.llr, UNFOUND)), sides, left_out)
    return facts | {"answer": NOT_EXCLUDED}


def verified_by_search(
    match: Match,
    reference: Reference,
    sides: Sequence[Sequence[Mapping[str, Any]]],
    left_out: Sequence[Refused],
    *,
    smaller: int,
) -> dict[str, Any]:
    """Return the answer for sides that differ in size, by the best place of one in the other.

    Two cameras are never stated: photographs may have been changed beyond what is searched.

    Parameters
    ----------
    smaller
        The side that was searched for within the other, 0 or 1.
    """
    facts = match_facts(match, reference)
    names = ("turn", "edit", "scale", "top", "left", "false_alarm")
    place = {name: facts[name] for name in names}
    side_facts = _sides(sides, left_out)
    cautions = _doubts(match)
    if len(sides[smaller]) > 1:
        cautions.append(
            f"{SIDES[smaller]}, of {len(sides[smaller])} photographs, was looked for in the other; "
            "such likelihood ratios were calibrated with single photographs against fingerprints, "
            "so that this one is approximate"
        )
    is_found = facts["llr"] > UNFOUND
    answered = _answered(facts["llr"], bounds(reference))
    return {
        **answered,
        "answer": answered["answer"] if is_found else NOT_EXCLUDED,
        "reference": IDENTIFICATION_FILE,
        "scores": {name: facts[name] for name in ("pce", "ncc")},
        "turn": match.turn,
        "turns": {},
        "num_crops": 0,
        **{name: facts[name] for name in ("spread", "strength", "absent")},
        "place": {"side": ("first", "second")[smaller], **place, "places": match.num_lags},
        **side_facts,
        "warnings": [*cautions, *side_facts["warnings"]],
    }


def _doubts(found: Verdict | Match) -> list[str]:
    """Return a sentence where most of what the sides share is no sensor's."""
    if found.is_finest_alone:
        return [f"what the sides share {FINEST_ALONE}"]
    if found.is_shared:
        return [
            f"what the sides share is {found.strength:.0%} of what one sensor's would, as devices "
            "of one model may; it is not counted"
        ]
    if found.is_patchy:
        return [f"what the sides share {PATCHY.format(absent=found.absent)}"]
    if found.share >= MOSTLY:
        return []
    return [
        f"{1 - found.share:.0%} of the energy of what the sides share lies in single places, as "
        "watermarks, dates and frames do, and is not counted"
    ]


def _answered(llr: float, limits: tuple[float, float]) -> dict[str, Any]:
    """Return the decision and answer of a log-likelihood ratio, nats, for JSON."""
    decision = UNDECIDED if abs(llr) < DECIDED else SAME if llr > 0 else DIFFERENT
    words = {SAME: "one camera took both sides", DIFFERENT: "two cameras took them"}
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
    """Return the facts and warnings of two sides' photographs, and the worst grade."""
    photographs = [photograph for side in sides for photograph in side]
    return {
        "grade": max(
            (photograph["grade"] for photograph in photographs), key=GRADES.index, default=REFUSED
        ),
        "warnings": [
            *(
                f"{photograph['path']}: {words}"
                for photograph in photographs
                for words in photograph["warnings"]
            ),
            *(f"{refused.path}: left out: {refused.reason}" for refused in left_out),
        ],
        "sides": [[dict(photograph) for photograph in side] for side in sides],
        "left_out": [refused.facts() for refused in left_out],
    }


def not_verified(reason: str, left_out: Sequence[Refused], *, decision: str) -> dict[str, Any]:
    """Return the answer for sides that carry none, with the reason."""
    return {
        "decision": decision,
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
        "spread": None,
        "strength": None,
        "absent": None,
        "place": None,
        **_sides([], left_out),
    }
