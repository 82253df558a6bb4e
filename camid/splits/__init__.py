"""Splits: which devices and scenes train, validate and test; and which images enrol a device.

Named splits are YAML files beside this module: ``validation`` and ``test`` list devices, every
other device trains. ``seeded`` deals devices, and the scenes they share, by the seed.
"""

from camid.splits.enrolment import Gallery, enrolled
from camid.splits.images import LeftOut
from camid.splits.named import Part, Split, named_split

__all__ = ["Gallery", "LeftOut", "Part", "Split", "enrolled", "named_split"]
