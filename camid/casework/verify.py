"""Verification of two sides' photographs: did one camera take both?

Headers decide which photographs are compared, which are then read one at a time; none is kept.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from camid.casework.alignment import CELL, heat, search
from camid.casework.decisions import REFUSED, UNDECIDED, UNREADABLE
from camid.casework.exclusion import FOUND, SidePatterns, searched_edits
from camid.casework.identify_answer import Answer, match_llr, score_of
from camid.casework.photographs import Refused, named, opened, photographs
from camid.casework.reference_population import (
    IDENTIFICATION_FILE,
    VERIFICATION_FILE,
    shipped_reference,
)
from camid.casework.transforms import Hypothesis
from camid.casework.verbal_scale import DECIDED
from camid.casework.verify_answer import (
    SIDES,
    not_excluded,
    not_verified,
    verified,
    verified_by_search,
)
from camid.casework.verify_scores import Sides, Verdict
from camid.casework.verify_sides import Shape, turns_between
from camid.io.scene_hash import Contents, turned_hashes

Tell = Callable[[str], None]
SHORT = tuple(name.removeprefix("the ") for name in SIDES)


@dataclass(frozen=True, kw_only=True)
class _File:
    path: str
    sha256: str
    shape: Shape
    """Height and width, by the header."""


def verification(
    sides: Sequence[Sequence[str]],
    *,
    has_pictures: bool = False,
    tell: Tell = lambda _: None,
) -> Answer:
    """Return the answer for two sides' files, for JSON, and PNG pictures by title.

    Photographs of other sizes than are compared (:func:`compared_shapes`), that both sides have, or
    that carry no answer are left out, with the reason. Sides of two sizes are compared where the
    smaller lies best within the larger: cropped, resized or turned. One photograph is in memory at
    a time.

    Parameters
    ----------
    tell
        Called with a message on each step.

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
        sums = Sides(*shapes) if turns_between(*shapes) else SidePatterns()
        used, refused = _read(chosen, sums, tell)
        left_out += refused
        paths = {refusal.path for refusal in refused}
        files = [[file for file in side if file.path not in paths] for side in files]
        # refused photographs must not have decided the size
        if all(files) and _shapes(files) == shapes:
            left_out += _of_other_sizes(files, shapes)
            if isinstance(sums, Sides):
                tell("comparing the sides")
                verdict = sums.verdict()
                if verdict.llr >= DECIDED:
                    return _compared(verdict, used, left_out, has_pictures=has_pictures)
                kept = [[f for f in side if f.path not in paths] for side in chosen]
                patterns = SidePatterns()
                _read(kept, patterns, tell)
                return _doubted(verdict, patterns, used, left_out, tell, has_pictures=has_pictures)
            return _searched(sums, shapes, used, left_out, tell, has_pictures=has_pictures)
    number = next(number for number, side in enumerate(files) if not side)
    paths = {*named(sides[number])}
    decisions = {refusal.decision for refusal in left_out if refusal.path in paths}
    reason = f"no photograph of {SIDES[number]} can be used"
    decision = UNREADABLE if decisions == {UNREADABLE} else REFUSED
    return not_verified(reason, left_out, decision=decision), {}


def compared_shapes(first: Sequence[Shape], second: Sequence[Shape]) -> tuple[Shape, Shape]:
    """Return the shape of each side that is compared, given the shapes of its photographs.

    The commonest shape that both sides have, in any turn; if there is none, each side's commonest.
    Of equally common shapes the one of the most pixels, then one that lies alike on both sides.
    """
    counts, other_counts = Counter(first), Counter(second)
    pairs = [*product(counts, other_counts)]

    def rank(pair: tuple[Shape, Shape]) -> tuple[int, ...]:
        shape, other = pair
        num_pixels = math.prod(shape) + math.prod(other)
        return counts[shape] + other_counts[other], num_pixels, shape == other, shape[1], other[1]

    return max([pair for pair in pairs if turns_between(*pair)] or pairs, key=rank)


def _shapes(files: Sequence[Sequence[_File]]) -> tuple[Shape, Shape]:
    first, second = ([file.shape for file in side] for side in files)
    return compared_shapes(first, second)


def _opened_sides(
    sides: Sequence[Sequence[str]], tell: Tell
) -> tuple[list[list[_File]], list[Refused]]:
    """Return each side's files by their headers, and the files that are left out."""
    left_out: list[Refused] = []
    files: list[list[_File]] = [[] for _ in sides]
    seen: dict[str, str] = {}
    for number, paths in enumerate(map(named, sides)):
        for count, path in enumerate(paths, 1):
            tell(f"{SHORT[number]}: header {count} of {len(paths)}")
            file = _opened(path)
            if isinstance(file, Refused):
                left_out.append(file)
            elif file.sha256 in seen:
                reason = f"the very file is in {seen[file.sha256]} already"
                left_out.append(Refused(path=path, reason=reason))
            else:
                seen[file.sha256] = SIDES[number]
                files[number].append(file)
    return files, left_out


def _opened(path: str) -> _File | Refused:
    """Return a file with its digest and header's shape, or the refusal."""
    try:
        _, sha256, head = opened(path)
    except ValueError as error:
        return Refused.unreadable(path, error)
    return _File(path=path, sha256=sha256, shape=(head.height, head.width))


def _read(
    chosen: Sequence[Sequence[_File]], sums: Sides | SidePatterns, tell: Tell
) -> tuple[list[list[dict[str, Any]]], list[Refused]]:
    """Add each side's photographs; return their facts, and the refused ones."""
    used: list[list[dict[str, Any]]] = [[] for _ in chosen]
    refused: list[Refused] = []
    contents = Contents()
    for number, files in enumerate(chosen):
        for count, file in enumerate(files, 1):
            tell(f"{SHORT[number]}: {count} of {len(files)}")
            facts = _added(file, sums, number, contents)
            if isinstance(facts, Refused):
                refused.append(facts)
            else:
                used[number].append(facts)
    return used, refused


def _added(
    file: _File, sums: Sides | SidePatterns, side: int, contents: Contents
) -> dict[str, Any] | Refused:
    """Add a photograph to a side; return its facts, or the refusal.

    Copies of one photograph, on either side, count once.
    """
    (photograph,) = photographs([file.path])  # of several, two would be in memory at once
    if isinstance(photograph, Refused):
        return photograph
    if photograph.sha256 != file.sha256:
        return Refused.unreadable(file.path, ValueError("was changed while it was read"))
    if photograph.rgb.shape[:2] != file.shape:
        reason = f"its header promises {_size(file.shape)} px, and its pixels are {photograph.size}"
        return Refused(path=file.path, reason=reason)
    hashes = turned_hashes(photograph.rgb)
    if original := contents.remember(hashes, file.path):
        return Refused(path=file.path, reason=f"shows what {original} shows, as copies do")
    sums.add(photograph.rgb, side=side, visibility=photograph.visibility)
    return photograph.facts()


def _of_other_sizes(
    files: Sequence[Sequence[_File]], shapes: tuple[Shape, Shape]
) -> Iterator[Refused]:
    """Yield the photographs of other sizes than are compared, with the reason."""
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
    verdict: Verdict,
    used: Sequence[Sequence[dict[str, Any]]],
    left_out: Sequence[Refused],
    *,
    has_pictures: bool,
) -> Answer:
    """Return the answer for sides whose pixels are one sensor's."""
    return verified(verdict, used, left_out), _pictures(verdict) if has_pictures else {}


def _doubted(
    verdict: Verdict,
    patterns: SidePatterns,
    used: Sequence[Sequence[dict[str, Any]]],
    left_out: Sequence[Refused],
    tell: Tell,
    *,
    has_pictures: bool,
) -> Answer:
    """Return the answer where what is compared does not support one camera.

    Edits are looked for, and two cameras are stated where one would have been found.
    """
    first, second = (patterns.middle(side) for side in (0, 1))
    pool = searched_edits(first.shape, second.shape)
    match = search(second, first, tried=_tried(pool, SHORT[1], tell))
    match = match and patterns.checked(match, (second, first))
    reference = shipped_reference(IDENTIFICATION_FILE)
    pictures = _pictures(verdict) if has_pictures else {}
    if match and match_llr(match, reference) >= DECIDED:
        answer = verified_by_search(match, reference, used, left_out, smaller=1)
        return answer, pictures
    if verdict.llr <= -DECIDED and patterns.expected_score() < FOUND:
        return not_excluded(verdict, used, left_out), pictures
    return verified(verdict, used, left_out), pictures


def _searched(
    patterns: SidePatterns,
    shapes: tuple[Shape, Shape],
    used: Sequence[Sequence[dict[str, Any]]],
    left_out: Sequence[Refused],
    tell: Tell,
    *,
    has_pictures: bool,
) -> Answer:
    """Return the answer for sides of different sizes: the smaller is searched for in the larger."""
    reference = shipped_reference(IDENTIFICATION_FILE)
    smaller, larger = sorted((0, 1), key=lambda side: math.prod(shapes[side]))
    tell("making the sides' patterns")
    small, large = patterns.pattern(smaller), patterns.pattern(larger)
    pool = searched_edits(shapes[smaller], shapes[larger])
    match = search(small, large, tried=_tried(pool, SHORT[smaller], tell))
    if match is None:
        reason = "neither side can be a part of the other"
        return not_verified(reason, left_out, decision=UNDECIDED), {}
    match = patterns.checked(match, (small, large))
    answer = verified_by_search(match, reference, used, left_out, smaller=smaller)
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
            reference_figure(reference, score, axis="score: root of the energy")
        ),
    }


def _tried(pool: Sequence[Hypothesis], name: str, tell: Tell) -> Iterator[Hypothesis]:
    """Yield hypotheses, and call ``tell`` with a message on each."""
    for hypothesis in pool:
        tell(
            f"looking for the {name} in the other, turn {hypothesis.turn}°, "
            f"scale {hypothesis.scale:.3g}"
        )
        yield hypothesis


def _pictures(verdict: Verdict) -> dict[str, bytes]:
    from camid.casework.figures import MAP_WORDS, heat_figure, reference_figure
    from camid.evaluation.report.figures import png

    reference = shipped_reference(VERIFICATION_FILE)
    return {
        f"The two sides: {MAP_WORDS}": png(heat_figure(verdict.heat, cell="crop of 128×128 px")),
        "This case's log-likelihood ratio among those of the reference devices, which are shown "
        f"before the bounds at {verdict.low:+.1f} and {verdict.high:+.1f} nats": png(
            reference_figure(
                reference, {"this case": verdict.llr}, axis="log-likelihood ratio, nats"
            )
        ),
    }
