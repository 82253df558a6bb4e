"""Received pictures: photographs of another size than a device's others, which nothing ties to it.

Phones keep what others have sent beside what they took. Pictures that lie in a device's folder, in
another size and without the device's EXIF, are the device's own only where they show its pattern,
cropped or resized.
"""

from collections.abc import Sequence

from camid.casework.alignment import search
from camid.casework.database import Fingerprints
from camid.casework.database_entry import Entry
from camid.casework.exclusion import searched_edits
from camid.casework.identify_answer import match_llr
from camid.casework.reference_population import IDENTIFICATION_FILE, shipped_reference
from camid.casework.verbal_scale import DECIDED

FEW = 1 / 3
"""Share of the images of a device's largest entry up to which those of another size are few."""
UNTIED = (
    "of another size than the device's others, whose EXIF it lacks and whose pattern it does not "
    "show: received or edited; enrol it under another name if the device took it"
)
"""Why a photograph is left out."""


def largest(entries: Sequence[Entry]) -> Entry | None:
    """Return the entry of most images; of such, of most pixels."""
    return max(entries, key=lambda e: (e.num_images, e.height * e.width, e.name), default=None)


def is_tied(fingerprints: Fingerprints, entry: Entry, main: Entry) -> bool:
    """Return whether an entry is known to be of the device of another, its largest.

    By make and model in EXIF, by many images, by its size, upright or turned, or by its pattern.
    """
    if entry.model and (entry.make, entry.model) == (main.make, main.model):
        return True
    sizes = {entry.height, entry.width}, {main.height, main.width}
    if sizes[0] == sizes[1] or entry.num_images > FEW * main.num_images:
        return True
    shapes = (entry.height, entry.width), (main.height, main.width)
    match = search(
        fingerprints.pattern(entry), fingerprints.pattern(main), tried=searched_edits(*shapes)
    )
    reference = shipped_reference(IDENTIFICATION_FILE)
    return match is not None and match_llr(match, reference) >= DECIDED
