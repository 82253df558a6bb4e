"""Placement of a file: the device, scene and kind that its name states."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from camid.dataset.records import Kind

ORIGINAL = "original"
"""Provenance of a photograph as its device wrote it."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Device, kind and scene of a file. An empty make or model is filled in from EXIF.

    Images of equal ``scene`` show the same subject. ``provenance`` is how a file was passed on:
    ``original``, or the network that sent it, such as ``whatsapp`` or ``facebook-high``.
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
    """Return the match of a form with a file's own name, without its folders.

    Raises
    ------
    ValueError
        If the name does not match: the file is not ``expected``.
    """
    match = form.fullmatch(name.rpartition("/")[2])
    if match is None:
        raise ValueError(f"not {expected}")
    return match


def folder_model(name: str, *, device: str) -> tuple[str, str]:
    """Return make and model from a folder ``<device>_<Make>_<Model>[_<body>]``, else two ``""``.

    A final number is the body's if the model has a number too: ``GalaxyA6_2``, not ``iPhone_7``.
    """
    pattern = re.compile(
        rf"{re.escape(device)}_([^_]+)_(.*\d.*?(?=_\d$)|.+)(?:_\d)?", re.IGNORECASE
    )
    for folder in reversed(PurePosixPath(name).parts[:-1]):
        if match := pattern.fullmatch(folder):
            return match[1], match[2]
    return "", ""
