"""Placement of one file: the device, scene and kind that its name tells."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from camid.dataset.records import Kind

ORIGINAL = "original"
"""Provenance of a photograph as its device wrote it."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Device, kind and scene of a file. An empty make or model is filled in from EXIF.

    Images of equal ``scene`` show the same thing. ``provenance`` is the way that a file has taken:
    ``original``, or the network that passed it on, such as ``whatsapp`` or ``facebook-high``.
    ``angle`` is the degrees (0, 90, 180, 270) by which its pixels are turned against the sensor's.
    """

    device: str
    kind: Kind = "foreground"
    make: str = ""
    model: str = ""
    lens: str = ""
    scene: str = ""
    provenance: str = ""
    angle: int = 0


def matched(form: re.Pattern[str], name: str, *, expected: str) -> re.Match[str]:
    """Return how a file's own name, without its folders, has a form.

    Raises
    ------
    ValueError
        If it has not: the file is not ``expected``.
    """
    match = form.fullmatch(name.rpartition("/")[2])
    if match is None:
        raise ValueError(f"not {expected}")
    return match


def folder_model(name: str, *, device: str) -> tuple[str, str]:
    """Return make and model from a folder ``<device>_<Make>_<Model>[_<body>]``, else two ``""``.

    A last number is a body's where the model has one already: ``GalaxyA6_2``, not ``iPhone_7``.
    """
    pattern = re.compile(
        rf"{re.escape(device)}_([^_]+)_(.*\d.*?(?=_\d$)|.+)(?:_\d)?", re.IGNORECASE
    )
    for folder in reversed(PurePosixPath(name).parts[:-1]):
        if match := pattern.fullmatch(folder):
            return match[1], match[2]
    return "", ""
