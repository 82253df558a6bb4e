"""Two sides' photographs in, an answer out: did one camera take both?"""

from collections import Counter
from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from camid.cases.decisions import (
    SIDES,
    Answer,
    not_verified,
    score_of,
    verified,
    verified_by_search,
)
from camid.cases.geometry import CELL, heat, search
from camid.cases.photographs import Photograph, Refused, named, photographs
from camid.cases.reference import IDENTIFICATION_FILE, VERIFICATION_FILE, shipped_reference
from camid.cases.sums import Half, Sample
from camid.cases.verify import Verdict, turns_between, verdict
from camid.cleaning import cleaned


def verification(sides: Sequence[Sequence[str]], *, has_pictures: bool = False) -> Answer:
    """Return the answer of two sides' files, as JSON has it, and pictures by title, PNG.

    Photographs of a side that have another size than most, that both sides have, or that carry no
    answer are left out, with the reason. Sides of two sizes are compared where the smaller lies
    best within the larger: cropped, resized or turned.

    Raises
    ------
    ValueError
        If nothing is at a path.
    """
    left_out: list[Refused] = []
    kept: list[list[Photograph]] = []
    seen: dict[str, str] = {}
    for name, paths in zip(SIDES, sides, strict=True):
        taken: list[Photograph] = []
        for one in photographs(named(paths)):
            if isinstance(one, Refused):
                left_out.append(one)
            elif one.sha256 in seen:
                reason = f"the very file is in {seen[one.sha256]} already"
                left_out.append(Refused(path=one.path, reason=reason))
            else:
                seen[one.sha256] = name
                taken.append(one)
        some, others = _of_one_size(taken)
        kept.append(some)
        left_out += others
    for name, some in zip(SIDES, kept, strict=True):
        if not some:
            return not_verified(f"no photograph of {name} can be used", left_out), {}
    first, second = ([one.rgb for one in side] for side in kept)
    if not turns_between(first[0].shape[:2], second[0].shape[:2]):
        return _searched(kept, left_out, has_pictures=has_pictures)
    found = verdict(first, second)
    return verified(found, kept, left_out), _pictures(found) if has_pictures else {}


def _searched(
    sides: Sequence[Sequence[Photograph]], left_out: Sequence[Refused], *, has_pictures: bool
) -> Answer:
    """Return the answer for sides that differ in size: the smaller is looked for in the larger."""
    told = shipped_reference(IDENTIFICATION_FILE)
    small, large = sorted(map(_pattern, sides), key=lambda plane: plane.size)
    match = search(small, large)
    if match is None:
        return not_verified("neither side can be a part of the other", left_out), {}
    answer = verified_by_search(match, told, sides, left_out)
    if not has_pictures:
        return answer, {}
    from camid.cases.pictures import heat_figure, reference_figure
    from camid.figures import png

    cells = heat(small, large, match)
    score = {"this case": score_of(match.energy)}
    return answer, {
        "Where the smaller side agrees with the larger: blue where they do, white where they are "
        "strangers": png(heat_figure(cells, cell=f"{CELL}×{CELL} px")),
        "This case's score among those of the reference devices": png(
            reference_figure(told, score, axis="score: root of the energy")
        ),
    }


def _pattern(side: Sequence[Photograph]) -> NDArray[np.float32]:
    """Return the pattern of a side's photographs, as a fingerprint is made."""
    halves = (Sample.of(one.rgb).half() for one in side)
    return cleaned(reduce(Half.plus, halves).pattern(), whiten=True)


def _of_one_size(side: Sequence[Photograph]) -> tuple[list[Photograph], list[Refused]]:
    """Return the photographs of the commonest size, and the others with the reason."""
    counted = Counter(one.size for one in side)
    if not counted:
        return [], []
    size = max(counted, key=lambda name: (counted[name], name))
    others = [
        Refused(path=one.path, reason=f"has {one.size} px, and most of its side have {size}")
        for one in side
        if one.size != size
    ]
    return [one for one in side if one.size == size], others


def _pictures(found: Verdict) -> dict[str, bytes]:
    from camid.cases.pictures import heat_figure, reference_figure
    from camid.figures import png

    told = shipped_reference(VERIFICATION_FILE)
    return {
        "Where the two sides agree: blue where they do, white where they are strangers": png(
            heat_figure(found.heat, cell="crop of 128×128 px")
        ),
        "This case's log-likelihood ratio among those of the reference devices, which are shown "
        f"before the bounds at {found.low:+.1f} and {found.high:+.1f} nats": png(
            reference_figure(told, {"this case": found.llr}, axis="log-likelihood ratio, nats")
        ),
    }
