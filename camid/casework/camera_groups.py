"""Groups of images by the sensor pattern that they show: who was mixed in, and who lies turned.

Images and groups of them are joined while their patterns agree, the surest first, as average
linkage does; a joined group's pattern is that of all its images. Each may lie as it is, turned by
180°, mirrored, or both. What is left apart is of another camera where one camera's pattern would
show: Bloy 2008, doi:10.1109/TPAMI.2007.1183, joins by the same correlation.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from camid.casework.fingerprint_sums import Half, Plane, Sample, placed, reliability
from camid.casework.outliers import FEWEST, KINSHIP, correlation, is_strange, unit, unit_noise
from camid.casework.partition import pair_scores, partition
from camid.prnu.correlation import ncc

JOINED = 6.0
"""Standard deviations of a chance correlation from which images and groups are joined."""
COPIED = 0.5
"""Correlation of two images' residuals that only copies have: sensors give up to 0.05 on real walls
and 0.35 where patterns are simulated three times as strong."""
PLACES = ((0, False), (180, False), (0, True), (180, True))
"""Turns, degrees, and whether mirrored: what leaves an image its shape."""


@dataclass(frozen=True, eq=False)
class Shown:
    """An image to group: the middle of its sample."""

    name: str
    sample: Sample

    @cached_property
    def noise(self) -> Plane:
        """Its noise, centred and of norm 1."""
        return unit_noise(self.sample)


@dataclass(frozen=True, kw_only=True)
class Placed:
    """How an image lies in its group."""

    name: str
    turn: int = 0
    is_mirrored: bool = False

    def moved(self, turn: int, is_mirrored: bool) -> "Placed":
        """Return how the image lies once its group was mirrored, if so, and turned."""
        return Placed(
            name=self.name,
            turn=(self.turn + turn) % 360,
            is_mirrored=self.is_mirrored != is_mirrored,
        )


@dataclass(frozen=True, eq=False)
class Group:
    """Images that show one pattern, and the sums of their middles in two halves."""

    images: tuple[Placed, ...]
    halves: tuple[Half, Half]
    num_known: int = 0
    """Images of the database, which are in the halves and not in ``images``."""
    partitions: frozenset[str] = frozenset()
    """Names of the partitions of which it is a part (:mod:`camid.casework.partition`)."""

    @property
    def size(self) -> int:
        """Number of images."""
        return self.num_known + len(self.images)

    @cached_property
    def total(self) -> Half:
        """Sums of both halves."""
        return self.halves[0].plus(self.halves[1])

    @cached_property
    def pattern(self) -> Plane:
        """The pattern, cleaned, whitened, centred and of norm 1."""
        return unit(self.total.whitened())

    @cached_property
    def reliability(self) -> float:
        """Share of the pattern's variance that is the sensor's; 0 where halves disagree."""
        return 0.0 if math.isnan(self.agreement) else reliability(self.agreement)

    @cached_property
    def agreement(self) -> float:
        """Correlation of the halves' patterns; NaN where one has no image."""
        if any(not half.squares.any() for half in self.halves):
            return math.nan
        return ncc(*(half.whitened() for half in self.halves))

    def joined(self, other: "Group", turn: int, is_mirrored: bool) -> "Group":
        """Return this group with another's images, mirrored, if so, and turned."""
        moved = tuple(image.moved(turn, is_mirrored) for image in other.images)
        theirs = [
            Half(*(placed(plane, turn=turn, is_mirrored=is_mirrored) for plane in half))
            for half in other.halves
        ]
        is_odd = self.size % 2 == 1
        first, second = theirs[::-1] if is_odd else theirs
        return Group(
            images=(*self.images, *moved),
            halves=(self.halves[0].plus(first), self.halves[1].plus(second)),
            num_known=self.num_known + other.num_known,
            partitions=self.partitions | other.partitions,
        )


def single(image: Shown) -> Group:
    """Return the group of one image."""
    half = image.sample.half()
    return Group((Placed(name=image.name),), (half, _nothing(half)))


def known(halves: tuple[Half, Half], size: int) -> Group:
    """Return the group of a database's images, by their sums."""
    return Group((), halves, num_known=size)


def copies(images: Sequence[Shown]) -> Iterator[tuple[str, str]]:
    """Yield the names of images that are copies of an earlier one, and the earlier one's."""
    for number, image in enumerate(images):
        views = [_moved(image.noise, place) for place in PLACES]
        for earlier in images[:number]:
            if max(abs(float(np.vdot(view, earlier.noise))) for view in views) > COPIED:
                yield image.name, earlier.name
                break


def grouped(images: Sequence[Shown], groups: Sequence[Group] = ()) -> list[Group]:
    """Return groups with images added, each where it agrees, else as a group of its own.

    Groups keep their order and how they lie, so that the first stays the first.
    """
    joined = [*groups, *_parted(images)]
    samples = {image.name: image.sample for image in images}
    scores = {(i, j): _best(joined[i], joined[j]) for j in range(len(joined)) for i in range(j)}
    is_gone: set[int] = set()
    while scores:
        (i, j), (score, place) = max(scores.items(), key=lambda item: item[1][0])
        if score < JOINED:
            break
        if not _is_enough(joined[i], joined[j], score, place, samples):
            del scores[i, j]
            continue
        joined[i] = joined[i].joined(joined[j], *place)
        is_gone.add(j)
        scores = {pair: found for pair, found in scores.items() if i not in pair and j not in pair}
        for k in range(len(joined)):
            if k not in is_gone and k != i:
                pair = min(i, k), max(i, k)
                scores[pair] = _best(joined[pair[0]], joined[pair[1]])
    return [group for number, group in enumerate(joined) if number not in is_gone]


def differs(group: Group, main: Group, images: Sequence[Shown]) -> bool:
    """Return whether a group that was not joined is of another sensor than the main one.

    It is where one sensor's pattern would show; where neither could, it is not said.
    """
    if group.partitions & main.partitions:
        return True
    samples = {image.name: image.sample for image in images}
    score, place = _best(main, group)
    return is_strange(score, expected_score(main, group, place, samples))


def _parted(images: Sequence[Shown]) -> list[Group]:
    """Return images as they are if one sensor explains their correlations, else the parts."""
    singles = list(map(single, images))
    if not singles:
        return []
    parts = partition(pair_scores([image.noise for image in images]))
    if len(parts) == 1:
        return singles
    name = frozenset({singles[0].images[0].name})
    groups = []
    for members in parts:
        group = singles[members[0]]
        for number in members[1:]:
            group = group.joined(singles[number], 0, False)
        groups.append(replace(group, partitions=name))
    return groups


def _is_enough(
    first: Group,
    second: Group,
    score: float,
    place: tuple[int, bool],
    samples: dict[str, Sample],
) -> bool:
    """Return whether groups agree by more than patterns of one model do."""
    if score >= KINSHIP * math.sqrt(first.pattern.size):
        return True  # by more than any expectation asks
    return score >= KINSHIP * expected_score(first, second, place, samples)


def expected_score(
    first: Group, second: Group, place: tuple[int, bool], samples: dict[str, Sample]
) -> float:
    """Return the score of two groups if they are of one sensor; 0 if that cannot be told.

    Few images are not judged by one another.
    """
    larger, smaller = sorted((first, second), key=lambda group: -group.size)
    if smaller.size == 1 and smaller.images and smaller.images[0].name in samples:
        if larger.size + 1 < FEWEST:
            return 0.0
        turn, is_mirrored = place
        sample = samples[smaller.images[0].name].placed(turn=turn, is_mirrored=is_mirrored)
        return larger.reliability * correlation(sample, larger.total)[1]
    return math.sqrt(first.pattern.size * first.reliability * second.reliability)


def _best(first: Group, second: Group) -> tuple[float, tuple[int, bool]]:
    """Return the best score of a group's pattern placed upon another's, and the place."""
    scores = [float(np.vdot(first.pattern, _moved(second.pattern, place))) for place in PLACES]
    best = int(np.argmax(scores))
    return scores[best] * math.sqrt(first.pattern.size), PLACES[best]


def _moved(plane: Plane, place: tuple[int, bool]) -> NDArray[np.float32]:
    turn, is_mirrored = place
    return placed(plane, turn=turn, is_mirrored=is_mirrored)


def _nothing(half: Half) -> Half:
    return Half(np.zeros_like(half.products), np.zeros_like(half.squares))
