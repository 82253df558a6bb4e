"""The Forchheim image database (Hadwiger, Riess, 2020): ``D01_img_orig_0001.jpg``.

The set's folders are ``D01_Motorola_E3_1/{orig,facebook,instagram,telegram,twitter,whatsapp}``.
The last number is the scene: every device took the same 143.
"""

import re

from camid.dataset.sources.placement import ORIGINAL, Placement, folder_model, matched

NETWORKS = ("facebook", "instagram", "telegram", "twitter", "whatsapp")
NAME = re.compile(
    rf"(?P<device>D\d{{2,3}})_img_(?P<network>orig|{'|'.join(NETWORKS)})_(?P<scene>\d+)\.\w+",
    re.IGNORECASE,
)


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
    ways = " or ".join(("orig", *NETWORKS))
    expected = f"a FODB name (expected D<NN>_img_<way>_<NNNN>.jpg with the way {ways})"
    match = matched(NAME, name, expected=expected)
    device, network = match["device"].upper(), match["network"].lower()
    make, model = folder_model(name, device=device)
    return Placement(
        device=device,
        make=make,
        model=model,
        scene=f"{int(match['scene']):04d}",
        provenance=ORIGINAL if network == "orig" else network,
    )
