"""VISION (Shullani et al., 2017, doi:10.1186/s13635-017-0067-2): ``D01_I_nat_0001.jpg``.

The set's folders are ``D01_Samsung_GalaxyS3Mini/images/{flat,nat,natFBH,natFBL,natWA}``. A shot
keeps its number in all copies: the original, Facebook's in high and low quality, WhatsApp's.
"""

import re

from camid.dataset.sources.placement import ORIGINAL, Placement, folder_model, matched

PROVENANCES = {
    "flat": ORIGINAL,
    "nat": ORIGINAL,
    "natFBH": "facebook-high",
    "natFBL": "facebook-low",
    "natWA": "whatsapp",
}
NAME = re.compile(
    rf"(?P<device>D\d{{2,3}})_I_(?P<copies>{'|'.join(PROVENANCES)})_(?P<shot>\d+)\.\w+",
    re.IGNORECASE,
)
_LOWER = {copies.lower(): provenance for copies, provenance in PROVENANCES.items()}


def is_named(name: str) -> bool:
    """Return whether a file has a name of this set."""
    return NAME.fullmatch(name.rpartition("/")[2]) is not None


def place(name: str) -> Placement:
    """Return the placement by the file's name, make and model by the device's folder.

    Raises
    ------
    ValueError
        If the name is not that of a photograph of the set.
    """
    kinds = " or ".join(PROVENANCES)
    expected = f"a VISION name (expected D<NN>_I_<kind>_<NNNN>.jpg with the kind {kinds})"
    match = matched(NAME, name, expected=expected)
    device, copies = match["device"].upper(), match["copies"].lower()
    make, model = folder_model(name, device=device)
    natural = copies != "flat"
    return Placement(
        device=device,
        kind="foreground" if natural else "background",
        make=make,
        model=model,
        scene=f"{device} nat {int(match['shot']):04d}" if natural else "",
        provenance=_LOWER[copies],
    )
