"""Splits: which devices train, validate and test; and which images enrol a device.

Named splits are YAML files beside this module: ``validation`` and ``test`` list devices, every
other device trains.
"""

from camid.splits.enrolment import Gallery, LeftOut, enrolled
from camid.splits.named import Split, named_split

__all__ = ["Gallery", "LeftOut", "Split", "enrolled", "named_split"]
