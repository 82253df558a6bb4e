"""The case report: one HTML page, whole in itself, of what a command answered."""

import platform
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from camid import fusion
from camid.cases.reference import IDENTIFICATION_FILE, VERIFICATION_FILE
from camid.cases.words import SCALE
from camid.methods import pairnet
from camid.report import embedded, page_environment
from camid.summary import versions

LIMITS = (
    "The likelihood ratio compares two propositions. How likely either was before is not in it.",
    "It is calibrated on the reference devices that are named here, and bounded by what they "
    "support; cameras and editing that they do not have may err more often.",
    "Photographs that were resized, turned by other than quarter turns, straightened, stabilised, "
    "corrected for their lens, or taken with digital zoom may show no match although the device "
    "is right.",
    "A pattern can be copied from one photograph into another, and it can be weakened; a match "
    "says nothing of whether what is shown is true.",
    "EXIF is told as the file claims it and is not used for the answer.",
)
"""What a reader must know."""


def shipped_digests() -> dict[str, str]:
    """Return the SHA-256 of the files that camid comes with and that the answer follows from."""
    from importlib import resources

    names = (pairnet.SHIPPED_FILE, fusion.SHIPPED_FILE, VERIFICATION_FILE, IDENTIFICATION_FILE)
    folder = resources.files("camid.shipped")
    return {name: sha256((folder / name).read_bytes()).hexdigest() for name in names}


def case_facts(
    question: str,
    answers: Sequence[Mapping[str, Any]],
    *,
    command: str,
    parameters: Mapping[str, Any],
    reference: str,
) -> dict[str, Any]:
    """Return everything that the page shows, pictures apart, as JSON has it."""
    return {
        "question": question,
        "answers": list(answers),
        "command": command,
        "parameters": dict(parameters),
        "reference": reference,
        "versions": versions(),
        "shipped": shipped_digests(),
        "platform": f"{platform.system()} {platform.machine()}",
        "limits": list(LIMITS),
    }


def case_page(facts: Mapping[str, Any], pictures: Sequence[Mapping[str, bytes]]) -> str:
    """Return the page of a case.

    Parameters
    ----------
    facts
        Of :func:`case_facts`.
    pictures
        PNG files by title, for each of the answers.
    """
    shown = [{title: embedded(data) for title, data in some.items()} for some in pictures]
    template = page_environment().get_template("case.html.jinja")
    page = template.render(facts, pictures=shown, scale=SCALE)
    return page.encode("utf-8", "backslashreplace").decode()
