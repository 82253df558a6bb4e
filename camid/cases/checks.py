"""Checks of a database: entries that are damaged, and those that know too much of one another."""

import math
from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from camid.cases.fingerprints import Entry, Fingerprints
from camid.matching import ncc

CENTRE = 1024
"""Pixels a side of the middle in which patterns are compared."""
SHARED = 8.0
"""Standard deviations of a chance correlation from which two patterns share something."""
ONE_DEVICE = 0.5
"""Share of what two patterns of one device would correlate by, from which they are taken for it."""


def problems(fingerprints: Fingerprints) -> list[str]:
    """Return a sentence for each problem: damaged files, shared images, patterns that agree.

    Patterns are compared where devices differ, pixel sizes are equal, and so are models where both
    are known.
    """
    found = [f"{name}: {reason}" for name, reason in fingerprints.damaged()]
    whole: list[Entry] = []
    for entry in fingerprints.entries():
        try:
            fingerprints.sums(entry)
            fingerprints.pattern(entry)
            whole.append(entry)
        except (ValueError, OSError) as error:
            found.append(str(error))
    return [*found, *_shared_images(whole), *_shared_patterns(fingerprints, whole)]


def _shared_images(entries: list[Entry]) -> Iterator[str]:
    """Yield a sentence for each pair of devices with images in common."""
    for first, second in combinations(entries, 2):
        count = len(set(first.sha256s) & set(second.sha256s))
        if count and first.device != second.device:
            yield (
                f"{first.name} and {second.name}: {count} of their images "
                f"{'is' if count == 1 else 'are'} the same; one of the devices did not take "
                f"{'it' if count == 1 else 'them'}"
            )


def _shared_patterns(fingerprints: Fingerprints, entries: list[Entry]) -> Iterator[str]:
    """Yield a sentence for each pair of devices whose patterns agree."""
    shapes: dict[tuple[int, int], list[Entry]] = {}
    for entry in entries:
        shapes.setdefault((entry.height, entry.width), []).append(entry)
    for some in shapes.values():
        pairs = [pair for pair in combinations(some, 2) if _may_be_one(*pair)]
        names = {entry.name: entry for pair in pairs for entry in pair}
        middles = {name: _middle(fingerprints.pattern(entry)) for name, entry in names.items()}
        for first, second in pairs:
            a, b = middles[first.name], middles[second.name]
            agreed = ncc(a, b)
            if agreed * math.sqrt(a.size) < SHARED:
                continue
            by = f"{first.name} and {second.name}: their patterns agree by {agreed:.4f}"
            expected = math.sqrt(_reliability(first) * _reliability(second))
            if agreed > ONE_DEVICE * expected:
                yield f"{by}, as those of one device do; is it enrolled under two names?"
            else:
                yield f"{by}, of {expected:.4f} were they one device's; they share an artefact"


def _may_be_one(first: Entry, second: Entry) -> bool:
    """Return whether two entries' patterns are compared."""
    models = {entry.model for entry in (first, second) if entry.model}
    return first.device != second.device and len(models) < 2


def _reliability(entry: Entry) -> float:
    """Return the share of a pattern's variance that is the device's; 0 where it is not known."""
    agreed = entry.split_half if entry.split_half > 0 else 0.0
    return 2 * agreed / (1 + agreed)


def _middle(plane: NDArray[np.float32]) -> NDArray[np.float16]:
    """Return the middle of a pattern, in half precision, which is exact for its steps."""
    top, left = (max(0, (side - CENTRE) // 2) for side in plane.shape)
    return plane[top : top + CENTRE, left : left + CENTRE].astype(np.float16)
