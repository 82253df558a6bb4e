"""Two sides' photographs in, an answer out: did one camera take both?

Headers tell which photographs are compared. These are then read one at a time, and none is kept.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from camid.casework.alignment import CELL, Plane, heat, search
from camid.casework.fingerprint_sums import Half, Sample
from camid.casework.identify_answer import Answer, score_of
from camid.casework.photographs import Refused, named, opened, photographs
from camid.casework.reference_population import (
    IDENTIFICATION_FILE,
    VERIFICATION_FILE,
    shipped_reference,
)
from camid.casework.transforms import Hypothesis, hypotheses
from camid.casework.verify_answer import SIDES, not_verified, verified, verified_by_search
from camid.casework.verify_scores import Image, Shape, Sides, Verdict, turns_between
from camid.prnu.cleaning import cleaned

Tell = Callable[[str], None]
SHORT = tuple(name.removeprefix("the ") for name in SIDES)


@dataclass(frozen=True, kw_only=True)
class _File:
    path: str
    sha256: str
    shape: Shape
    """As its header has it."""


class _Patterns:
    """Sums of two sides' images of different sizes; no image is kept."""

    def __init__(self) -> None:
        self._halves: dict[int, Half] = {}

    def add(self, image: Image, *, side: int) -> None:
        """Add an image to a side, 0 or 1."""
        half = Sample.of(image).half()
        self._halves[side] = self._halves[side].plus(half) if side in self._halves else half

    def pattern(self, side: int) -> Plane:
        """Return the pattern of a side, as a fingerprint is made."""
        return cleaned(self._halves[side].pattern(), whiten=True)


def verification(
    sides: Sequence[Sequence[str]],
    *,
    has_pictures: bool = False,
    tell: Tell = lambda _: None,
) -> Answer:
    """Return the answer of two sides' files, as JSON has it, and pictures by title, PNG.

    Photographs of another size than is compared (:func:`compared_shapes`), that both sides have, or
    that carry no answer are left out, with the reason. Sides of two sizes are compared where the
    smaller lies best within the larger: cropped, resized or turned. One photograph is in memory at
    a time.

    Parameters
    ----------
    tell
        Is given words on what is being done.

    Raises
    ------
    ValueError
        If nothing is at a path.
    """
    files, left_out = _opened_sides(sides, tell)
    while all(files):
        shapes = _shapes(files)
        chosen = [
            [file for file in side if file.shape == shape]
            for side, shape in zip(files, shapes, strict=True)
        ]
        added = Sides(*shapes) if turns_between(*shapes) else _Patterns()
        used, refused = _read(chosen, added, tell)
        left_out += refused
        paths = {one.path for one in refused}
        files = [[file for file in side if file.path not in paths] for side in files]
        # those that carry no answer must not have chosen the size
        if all(files) and _shapes(files) == shapes:
            left_out += _of_other_sizes(files, shapes)
            if isinstance(added, Sides):
                return _compared(added, used, left_out, tell, has_pictures=has_pictures)
            return _searched(added, shapes, used, left_out, tell, has_pictures=has_pictures)
    name = next(name for name, side in zip(SIDES, files, strict=True) if not side)
    return not_verified(f"no photograph of {name} can be used", left_out), {}


def compared_shapes(first: Sequence[Shape], second: Sequence[Shape]) -> tuple[Shape, Shape]:
    """Return which of each side's shapes is compared, given those of all its photographs.

    The commonest that both sides have, in some turn; where they have none, each side's commonest.
    Of those that are as common, the one of the most pixels, and then one that lies alike on both
    sides.
    """
    counts, others = Counter(first), Counter(second)
    every = [*product(counts, others)]

    def rank(pair: tuple[Shape, Shape]) -> tuple[int, ...]:
        one, other = pair
        num_pixels = math.prod(one) + math.prod(other)
        return counts[one] + others[other], num_pixels, one == other, one[1], other[1]

    return max([pair for pair in every if turns_between(*pair)] or every, key=rank)


def _shapes(files: Sequence[Sequence[_File]]) -> tuple[Shape, Shape]:
    first, second = ([file.shape for file in side] for side in files)
    return compared_shapes(first, second)


def _opened_sides(
    sides: Sequence[Sequence[str]], tell: Tell
) -> tuple[list[list[_File]], list[Refused]]:
    """Return each side's files by their headers, and what is left out of them."""
    left_out: list[Refused] = []
    found: list[list[_File]] = [[] for _ in sides]
    seen: dict[str, str] = {}
    for number, paths in enumerate(map(named, sides)):
        for count, path in enumerate(paths, 1):
            tell(f"{SHORT[number]}: header {count} of {len(paths)}")
            one = _opened(path)
            if isinstance(one, Refused):
                left_out.append(one)
            elif one.sha256 in seen:
                reason = f"the very file is in {seen[one.sha256]} already"
                left_out.append(Refused(path=path, reason=reason))
            else:
                seen[one.sha256] = SIDES[number]
                found[number].append(one)
    return found, left_out


def _opened(path: str) -> _File | Refused:
    """Return a file with its digest and what its header says, or why it is left out."""
    try:
        _, sha256, head = opened(path)
    except ValueError as error:
        return Refused(path=path, reason=str(error))
    return _File(path=path, sha256=sha256, shape=(head.height, head.width))


def _read(
    chosen: Sequence[Sequence[_File]], added: Sides | _Patterns, tell: Tell
) -> tuple[list[list[dict[str, Any]]], list[Refused]]:
    """Add each side's photographs; return what is told of those, and what carries no answer."""
    used: list[list[dict[str, Any]]] = [[] for _ in chosen]
    refused: list[Refused] = []
    for number, files in enumerate(chosen):
        for count, file in enumerate(files, 1):
            tell(f"{SHORT[number]}: {count} of {len(files)}")
            told = _added(file, added, number)
            if isinstance(told, Refused):
                refused.append(told)
            else:
                used[number].append(told)
    return used, refused


def _added(file: _File, added: Sides | _Patterns, side: int) -> dict[str, Any] | Refused:
    """Add a photograph to a side; return what is told of it, or why it is left out."""
    (one,) = photographs([file.path])  # of several, two would be in memory at once
    if isinstance(one, Refused):
        return one
    if one.sha256 != file.sha256:
        return Refused(path=file.path, reason="was changed while it was read")
    if one.rgb.shape[:2] != file.shape:
        reason = f"its header promises {_size(file.shape)} px, and its pixels are {one.size}"
        return Refused(path=file.path, reason=reason)
    added.add(one.rgb, side=side)
    return one.facts()


def _of_other_sizes(
    files: Sequence[Sequence[_File]], shapes: tuple[Shape, Shape]
) -> Iterator[Refused]:
    """Yield the photographs of other sizes than those that are compared, with the reason."""
    why = "as no size is commoner there"
    if turns_between(*shapes):
        why = f"which the other side has {'too' if shapes[0] == shapes[1] else 'turned'}"
    for side, shape in zip(files, shapes, strict=True):
        for file in side:
            if file.shape != shape:
                yield Refused(
                    path=file.path,
                    reason=f"has {_size(file.shape)} px, and those of {_size(shape)} px of its "
                    f"side are compared, {why}",
                )


def _size(shape: Shape) -> str:
    return f"{shape[1]}x{shape[0]}"


def _compared(
    sides: Sides,
    used: Sequence[Sequence[dict[str, Any]]],
    left_out: Sequence[Refused],
    tell: Tell,
    *,
    has_pictures: bool,
) -> Answer:
    """Return the answer for sides whose pixels are one sensor's."""
    tell("comparing the sides")
    found = sides.verdict()
    return verified(found, used, left_out), _pictures(found) if has_pictures else {}


def _searched(
    patterns: _Patterns,
    shapes: tuple[Shape, Shape],
    used: Sequence[Sequence[dict[str, Any]]],
    left_out: Sequence[Refused],
    tell: Tell,
    *,
    has_pictures: bool,
) -> Answer:
    """Return the answer for sides that differ in size: the smaller is looked for in the larger."""
    told = shipped_reference(IDENTIFICATION_FILE)
    smaller, larger = sorted((0, 1), key=lambda side: math.prod(shapes[side]))
    tell("making the sides' patterns")
    small, large = patterns.pattern(smaller), patterns.pattern(larger)
    every = hypotheses(shapes[smaller], shapes[larger])
    match = search(small, large, tried=_tried(every, SHORT[smaller], tell))
    if match is None:
        return not_verified("neither side can be a part of the other", left_out), {}
    answer = verified_by_search(match, told, used, left_out, smaller=smaller)
    if not has_pictures:
        return answer, {}
    from camid.casework.figures import MAP_WORDS, heat_figure, reference_figure
    from camid.evaluation.report.figures import png

    cells = heat(small, large, match)
    score = {"this case": score_of(match.energy)}
    return answer, {
        f"The smaller side and the larger: {MAP_WORDS}": png(
            heat_figure(cells, cell=f"{CELL}×{CELL} px")
        ),
        "This case's score among those of the reference devices": png(
            reference_figure(told, score, axis="score: root of the energy")
        ),
    }


def _tried(every: Sequence[Hypothesis], name: str, tell: Tell) -> Iterator[Hypothesis]:
    """Yield hypotheses, and tell of each as it is tried."""
    for one in every:
        tell(f"looking for the {name} in the other, turn {one.turn}°, scale {one.scale:.3g}")
        yield one


def _pictures(found: Verdict) -> dict[str, bytes]:
    from camid.casework.figures import MAP_WORDS, heat_figure, reference_figure
    from camid.evaluation.report.figures import png

    told = shipped_reference(VERIFICATION_FILE)
    return {
        f"The two sides: {MAP_WORDS}": png(heat_figure(found.heat, cell="crop of 128×128 px")),
        "This case's log-likelihood ratio among those of the reference devices, which are shown "
        f"before the bounds at {found.low:+.1f} and {found.high:+.1f} nats": png(
            reference_figure(told, {"this case": found.llr}, axis="log-likelihood ratio, nats")
        ),
    }
