"""The Daxing smartphones (Tian et al., 2019, IEEE Access).

``image/<first>-<last>/<device>/<angle>/…``, some devices without the folder of their range. A
device is a code of four digits: the first is the make's, the first two are the model's. An angle
is how the phone was held: 0 and 180 lying on either side, 90 upright, and pixels are stored turned.
"""

import re

from camid.dataset.sources.placement import ORIGINAL, Placement

PLACE = re.compile(r"(?:.*/)?(?P<device>[1-9]\d{3})/(?P<angle>0|90|180|270)/.+", re.ASCII)
MODELS = {
    **{"11": "Huawei P20", "12": "Huawei Mate 9", "13": "Huawei Mate 9 Plus", "14": "Huawei P9"},
    **{"15": "Huawei P10", "16": "Huawei P10 Plus"},
    **{"21": "Apple iPhone 6", "22": "Apple iPhone 6 Plus", "23": "Apple iPhone 6S"},
    **{"24": "Apple iPhone 6S Plus", "25": "Apple iPhone 7", "26": "Apple iPhone 7 Plus"},
    **{"27": "Apple iPhone 8 Plus"},
    **{"31": "OPPO R9", "32": "OPPO R9S Plus", "33": "OPPO R11", "34": "OPPO R11T"},
    **{"41": "vivo X9", "42": "vivo X9 Plus", "43": "vivo X9i", "44": "vivo Y85"},
    **{"51": "Xiaomi 4A"},
}
"""Make and model by the first two digits of a device's code."""


def is_named(name: str) -> bool:
    """Return whether a file lies in this set's folders: a known model's device, then an angle.

    File names are the phones' own, so only folders count: a code of a known model and right below
    it an angle, which photographs sorted by device (or by year: ``2019/…``) do not have.
    """
    match = PLACE.fullmatch(name)
    return match is not None and match["device"][:2] in MODELS


def place(name: str) -> Placement:
    """Return the placement that the file's folders state; its own name means nothing.

    Raises
    ------
    ValueError
        If the file is not below a device's folder and an angle's in that.
    """
    match = PLACE.fullmatch(name)
    if match is None:
        raise ValueError(
            "not a place of Daxing's (expected …/<device, four digits>/<angle 0, 90, 180>/…)"
        )
    make, _, model = MODELS.get(match["device"][:2], "").partition(" ")
    return Placement(
        device=match["device"],
        make=make,
        model=model,
        provenance=ORIGINAL,
        angle=int(match["angle"]),
    )
