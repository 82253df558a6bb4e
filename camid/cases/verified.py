"""Two sides' photographs in, an answer out: did one camera take both?"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from camid.cases.decisions import SIDES, not_verified, verified
from camid.cases.photographs import Photograph, Refused, named, photographs
from camid.cases.reference import VERIFICATION_FILE, shipped_reference
from camid.cases.verify import Verdict, verdict

Answer = tuple[dict[str, Any], Mapping[str, bytes]]


def verification(sides: Sequence[Sequence[str]], *, has_pictures: bool = False) -> Answer:
    """Return the answer of two sides' files, as JSON has it, and pictures by title, PNG.

    Photographs of a side that have another size than most, that both sides have, or that carry no
    answer are left out, with the reason.

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
    try:
        found = verdict(*([one.rgb for one in side] for side in kept))
    except ValueError as error:
        return not_verified(str(error), left_out), {}
    return verified(found, kept, left_out), _pictures(found) if has_pictures else {}


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
