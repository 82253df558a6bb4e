"""The case report: a self-contained HTML page of a command's answers."""

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from camid.casework.reference_population import (
    IDENTIFICATION_FILE,
    VERIFICATION_FILE,
    shipped_reference,
)
from camid.casework.verbal_scale import SCALE
from camid.comparison.methods import pairnet
from camid.evaluation import fusion
from camid.evaluation.report.data_summary import versions
from camid.evaluation.report.page import embedded, page_environment
from camid.io.counts import counted

LIMITS = (
    "The likelihood ratio compares two propositions. How likely either was before is not in it.",
    "It is calibrated on the reference devices that are named here, and bounded by what they "
    "support; cameras and editing that they do not have may err more often.",
    "Devices of one model share more than others do, and few of the reference's pairs are of one "
    "model: where another device of the model may have taken a photograph, enrol it too.",
    "Photographs that were resized, turned by other than quarter turns, straightened, stabilised, "
    "corrected for their lens, or taken with digital zoom may show no match although the device "
    "is right.",
    "A pattern can be copied from one photograph into another, and it can be weakened; a match "
    "says nothing of whether what is shown is true.",
    "A photograph agrees with every copy of itself, also one that was changed or written again: "
    "what is compared must be different pictures.",
    "EXIF is told as the file claims it and is not used for the answer.",
)
"""Limits of the method that a reader must know."""
TERMS = {
    "Likelihood ratio": "how many times likelier what was seen is under one proposition than under "
    "the other; its natural logarithm is in nats: 2.3 nats are a ratio of 10, 4.6 of 100.",
    "PCE": "peak-to-correlation energy: how far the correlation with a fingerprint stands out "
    "among all others, squared. Of strangers it is about 1 at one place, and greater for the best "
    "of many; the field takes 60 for a match.",
    "NCC": "normalised correlation of the photograph's noise with a fingerprint, −1 to 1; a match "
    "of one photograph is often below 0.1.",
    "False alarm": "the probability that the best of all places that were tried is as good if no "
    "enrolled device took the photograph.",
    "Grade": "what a photograph's pixels can carry: A the most, C the least.",
    "Entry": "a device's fingerprint of one lens and pixel size.",
}
"""Terms of the page and their meanings."""


def shipped_digests() -> dict[str, str]:
    """Return the SHA-256 of the shipped files that answers depend on, by name."""
    from importlib import resources

    names = (pairnet.SHIPPED_FILE, fusion.SHIPPED_FILE, VERIFICATION_FILE, IDENTIFICATION_FILE)
    folder = resources.files("camid.comparison.pretrained")
    return {name: sha256((folder / name).read_bytes()).hexdigest() for name in names}


def case_facts(
    question: str,
    answers: Sequence[Mapping[str, Any]],
    *,
    command: str,
    parameters: Mapping[str, Any],
    missing: str = "",
) -> dict[str, Any]:
    """Return the facts of the page, all but its pictures, for JSON.

    Parameters
    ----------
    missing
        What was asked and has no answer, as the work was stopped.
    """
    return {
        "question": question,
        "missing": missing,
        "made": datetime.now(UTC).isoformat(sep=" ", timespec="seconds"),
        "folder": str(Path.cwd()),
        "answers": list(answers),
        "command": command,
        "parameters": dict(parameters),
        "references": {name: _reference(name) for name in _named(answers)},
        "versions": versions(),
        "shipped": shipped_digests(),
        "platform": f"{platform.system()} {platform.machine()}",
        "limits": list(LIMITS),
    }


def _named(answers: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the answers' references, each once."""
    return list(dict.fromkeys(answer["reference"] for answer in answers if answer["reference"]))


def _reference(name: str) -> str:
    """Return a sentence about a shipped reference."""
    reference = shipped_reference(name)
    return (
        f"{reference.num_devices} devices: {reference.made_of}; "
        f"{reference.num_positives:,} comparisons of one device and "
        f"{reference.num_negatives:,} of two"
    )


def extent_words(searched: Mapping[str, Any]) -> str:
    """Return the extent of a search as a sentence."""
    words = (
        f"{counted(searched['entries'], 'entry', 'entries')}; "
        f"{counted(searched['whole'], 'hypothesis', 'hypotheses')} of whole images"
    )
    if searched["parts"]:
        words += f", {searched['parts']:,} of parts at {counted(searched['places'], 'place')}"
    if number := searched["left_out"]:
        why = "a match ended the search" if searched["is_ended"] else "the budget was spent"
        words += f"; {number:,} {'was' if number == 1 else 'were'} not tried, as {why}"
    return f"{words}."


def grade_words(rates: Mapping[str, int]) -> str:
    """Return how often answers of a grade's reference photographs were missing and wrong."""
    words = []
    if rates["count"]:
        words.append(
            f"of {counted(rates['count'], 'reference photograph')} of this grade "
            f"{rates['unanswered'] or 'none'} had no answer and {rates['wrong'] or 'none'} a wrong "
            "one"
        )
    if rates.get("stranger_count"):
        number = rates["stranger_named"]
        words.append(
            f"of {rates['stranger_count']:,} by a device that was not enrolled {number or 'none'} "
            f"{'were' if number > 1 else 'was'} given to one that was"
        )
    return "; ".join(words)


def case_page(facts: Mapping[str, Any], pictures: Sequence[Mapping[str, bytes]]) -> str:
    """Return the HTML page of a case.

    Parameters
    ----------
    facts
        Facts of :func:`case_facts`.
    pictures
        PNG files by title, for each answer.
    """
    sources = [{title: embedded(data) for title, data in images.items()} for images in pictures]
    template = page_environment(__package__).get_template("case.html.jinja")
    page = template.render(
        facts,
        pictures=sources,
        scale=SCALE,
        terms=TERMS,
        counted=counted,
        extent_words=extent_words,
        grade_words=grade_words,
    )
    return page.encode("utf-8", "backslashreplace").decode()
