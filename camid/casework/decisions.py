"""Decisions of answers: words that stand where a device's name may stand."""

NONE_SUPPORTED = "none supported"
"""All that was planned was searched, and no device reaches a likelihood ratio of two."""
EXCLUDED = "excluded"
"""Every enrolled device has a likelihood ratio below a tenth; kept, as identification excludes
nobody."""
UNDECIDED = "undecided"
"""Something speaks for an answer, but less than a likelihood ratio of ten, or for several devices
alike, or not all was seen."""
REFUSED = "refused"
"""Photographs were read and carry no answer."""
UNREADABLE = "unreadable"
"""Files cannot be read or decoded."""
NO_ANSWER = frozenset({REFUSED, UNREADABLE})
"""Decisions where no photograph could be used."""
SAME, DIFFERENT = "same", "different"
"""Of two sides: one camera took them, or two did."""
NO_DEVICE = "none"
"""Device of a region without one; also the decision of answers without one in earlier versions."""
RESERVED = frozenset(
    {NONE_SUPPORTED, EXCLUDED, UNDECIDED, REFUSED, UNREADABLE, SAME, DIFFERENT, NO_DEVICE}
)
"""Words that no device may be called, in small letters."""


def is_reserved(device: str) -> bool:
    """Return whether a device's name can be taken for a decision, whatever its capitals."""
    return " ".join(device.split()).casefold() in RESERVED
