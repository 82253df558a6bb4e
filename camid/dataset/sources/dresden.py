"""The Dresden image database (Gloe, Böhme, 2010): ``<Make>_<Model>_<Body>_<Shot>.JPG``.

Natural and flat-field shots have the same names: only a folder tells which is which.
"""

import re

from camid.dataset.records import Kind
from camid.dataset.sources.placement import ORIGINAL, Placement

NAME = re.compile(r"(?P<camera>[^_]+_.+)_(?P<body>\d{1,2})_\d+\.\w+", re.ASCII)
CAMERAS = (
    *("Agfa_DC-504", "Agfa_DC-733s", "Agfa_DC-830i", "Agfa_Sensor505-x", "Agfa_Sensor530s"),
    *("Canon_Ixus55", "Canon_Ixus70", "Canon_PowerShotA640", "Casio_EX-Z150"),
    *("FujiFilm_FinePixJ50", "Kodak_M1063", "Nikon_CoolPixS710", "Nikon_D200", "Nikon_D70"),
    *("Nikon_D70s", "Olympus_mju_1050SW", "Panasonic_DMC-FZ50", "Pentax_OptioA40"),
    *("Pentax_OptioW60", "Praktica_DCZ5.9", "Ricoh_GX100", "Rollei_RCP-7325XS"),
    *("Samsung_L74wide", "Samsung_NV15", "Sony_DSC-H50", "Sony_DSC-T77", "Sony_DSC-W170"),
)
FLAT = {"background", "ff", "flat", "flats", "flatfield", "flatfields"}
DARK = {"dark", "darks", "darkfield", "darkfields", "darkframe", "darkframes"}


def _key(text: str) -> str:
    """Return a camera's name in lower case without punctuation, as copies spell it differently."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


_CAMERAS = {_key(camera): camera for camera in CAMERAS}
_MAKES = {_key(camera.split("_")[0]): camera.split("_")[0] for camera in CAMERAS}


def is_named(name: str) -> bool:
    """Return whether a file's name has this set's form and a camera of the set.

    Names of this form are common (``IMG_2019_01_0001.jpg``), and a user's own
    ``Canon_EOS5D_1_0001.jpg`` may lie in two people's folders; the set's cameras are few and known.
    """
    match = NAME.fullmatch(name.rpartition("/")[2])
    return match is not None and _key(match["camera"]) in _CAMERAS


def place(name: str) -> Placement:
    """Return the placement that the file's name states, its kind by the folders.

    Raises
    ------
    ValueError
        If the name has another form or make than the set's, or the file is a dark frame.
    """
    *folders, file = name.split("/")
    match = NAME.fullmatch(file)
    camera = "" if match is None else _CAMERAS.get(_key(match["camera"]), match["camera"])
    make, _, model = camera.partition("_")
    if match is None or _key(make) not in _MAKES:
        raise ValueError(
            "not a Dresden name (expected <Make>_<Model>_<Body>_<Shot>.JPG "
            f"of one of the makes {', '.join(_MAKES.values())})"
        )
    words = {word for folder in folders for word in re.split(r"[^a-z]+", folder.lower())}
    if words & DARK:
        raise ValueError("a dark frame by its folder, expected an image of a scene")
    make = _MAKES[_key(make)]
    kind: Kind = "background" if words & FLAT else "foreground"
    return Placement(
        device=f"{make}_{model}_{int(match['body'])}",
        kind=kind,
        make=make,
        model=model,
        provenance=ORIGINAL,
    )
