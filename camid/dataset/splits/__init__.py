"""Splits: which devices and scenes train, validate and test; and which images enrol a device,
or train, validate and test a classifier of devices.

Named splits are YAML files beside this module: ``validation`` and ``test`` list devices, every
other device trains. ``seeded`` deals devices, and the scenes they share, by the seed.
"""

from camid.dataset.splits.closed_set import Known, known_devices
from camid.dataset.splits.gallery import Gallery, enrolled
from camid.dataset.splits.grouping import LeftOut
from camid.dataset.splits.split import Part, Split, named_split

__all__ = [
    "Gallery",
    "Known",
    "LeftOut",
    "Part",
    "Split",
    "enrolled",
    "known_devices",
    "named_split",
]
