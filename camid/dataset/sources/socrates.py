"""SOCRatES (Galdi, Hartung, Dugelay, 2019): ``Eurecom_<ID>_picBG_<NNN>.jpg`` in any folders."""

import re

from camid.dataset.records import Kind
from camid.dataset.sources.placement import ORIGINAL, Placement, matched

NAME = re.compile(r"eurecom_(?P<device>\d+)_pic(?P<kind>bg|fg)_\d+(_\d+)*\.jpe?g", re.IGNORECASE)


def is_named(name: str) -> bool:
    """Return whether a file has a name of this set."""
    return NAME.fullmatch(name.rpartition("/")[2]) is not None


def place(name: str) -> Placement:
    """Return the placement that the file's name states; its folders mean nothing.

    Raises
    ------
    ValueError
        If the name is not that of a photograph of the set.
    """
    expected = "a SOCRatES name (expected Eurecom_<ID>_picBG_<NNN>.jpg or …picFG…)"
    match = matched(NAME, name, expected=expected)
    kind: Kind = "background" if match["kind"].lower() == "bg" else "foreground"
    return Placement(device=match["device"], kind=kind, provenance=ORIGINAL)
