"""Photographs sorted by device: ``<device>/*``, ``<device>/background/*``, ``<device>/flat/*`` …"""

from pathlib import PurePosixPath

from camid.dataset.records import Kind
from camid.dataset.sources.placement import Placement

KINDS: dict[str, Kind] = {
    "background": "background",
    "flat": "background",
    "foreground": "foreground",
    "nat": "foreground",
    "natural": "foreground",
}


def place(name: str, *, root: str) -> Placement:
    """Return the first folder as device and the kind that a folder below it names.

    Files directly in the data folder are of one device that has the folder's name, ``root``.
    """
    *folders, _ = PurePosixPath(name).parts
    device, *inner = folders or [root]
    kinds = [KINDS[folder.lower()] for folder in inner if folder.lower() in KINDS]
    return Placement(device=device, kind=kinds[-1] if kinds else "foreground")
