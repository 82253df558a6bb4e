"""Quartets: two devices with two sides each, of which a comparison list's comparisons are made.

Both devices' sides are of the same kinds of images where they have them, and the positives and the
negatives are made of the same sides, so that only the sensor tells the labels apart.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from typing import NamedTuple, TypeVar

import numpy as np

from camid.config import Comparisons, Strips
from camid.dataset.manifest import ImageTable
from camid.dataset.records import ImageRecord
from camid.dataset.relations import Kinship, siblings
from camid.prnu.strips import Position, positions

T = TypeVar("T")
Images = Sequence[ImageRecord]

TRIES = 1000
"""Draws of a quartet that may fail before there is said to be none."""


class Quartet(NamedTuple):
    """Images of two sides of each of two devices: ``(first, second)``."""

    mine: tuple[Images, Images]
    theirs: tuple[Images, Images]
    positions: Sequence[Position]
    """That both devices have."""

    def pairs(self) -> list[tuple[Images, Images]]:
        """Return positives and negatives in turn, so that half of any first few are positive."""
        (a1, a2), (b1, b2) = self.mine, self.theirs
        return [(a1, a2), (a1, b2), (b1, b2), (b1, a2)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Quartets:
    """Devices and their images, from which quartets are drawn."""

    settings: Comparisons
    kinship: Kinship
    options: Mapping[str, Sequence["_Option"]]
    """Of every device with enough images, in order."""

    @cached_property
    def devices(self) -> tuple[str, ...]:
        """The devices that can be drawn."""
        return tuple(self.options)

    def siblings(self, device: str) -> list[str]:
        """Return other such devices that are known to be of a device's model."""
        alike = self._alike.get(self.kinship.models[device], ())
        return [other for other in alike if other != device]

    @cached_property
    def _alike(self) -> dict[str, list[str]]:
        return siblings(self.kinship.models, self.devices)

    def drawn(self, rng: np.random.Generator) -> Quartet:
        """Return a quartet of different images, and no scene on a first side and on a second.

        Devices are drawn uniformly; their kinds and shapes of images in proportion to their
        numbers of images.

        Raises
        ------
        ValueError
            If there is none.
        """
        for _ in range(TRIES):
            device, other = self._devices(rng)
            mine = _option(rng, self.options[device])
            theirs = _option(rng, _most_alike(self.options[other], mine))
            shared = set(theirs.positions)
            where = [position for position in mine.positions if position in shared]
            if where and (sides := self._sides(rng, (mine, theirs))):
                return Quartet(mine=sides[0], theirs=sides[1], positions=where)
        first, second = self.settings.num_images
        raise ValueError(
            f"{TRIES} draws of 2 of {len(self.devices)} devices gave none with {first}+{second} "
            "images each that share a position and have no scene on both sides; lower "
            "comparisons.num_images or strips.size"
        )

    def _devices(self, rng: np.random.Generator) -> tuple[str, str]:
        device = _one(rng, self.devices)
        is_sibling = rng.random() < self.settings.same_model
        siblings = self.siblings(device)
        if is_sibling and siblings:
            return device, _one(rng, siblings)
        near = {device, *siblings}
        far = [other for other in self.devices if other not in near]
        return device, _one(rng, far or [other for other in self.devices if other != device])

    def _sides(
        self, rng: np.random.Generator, options: Sequence["_Option"]
    ) -> list[tuple[Images, Images]] | None:
        """Return two sides of each device, if its images are enough without a shared scene."""
        num_first, num_second = self.settings.num_images
        firsts = [_images(rng, option.first, num_first) for option in options]
        taken = {record.sha256 for first in firsts for record in first}
        scenes = {record.scene for first in firsts for record in first} - {""}
        seconds = []
        for option in options:
            free = [r for r in option.second if r.sha256 not in taken and r.scene not in scenes]
            if len(free) < num_second:
                return None
            seconds.append(_images(rng, free, num_second))
        return list(zip(firsts, seconds, strict=True))


def quartets(
    records: ImageTable, *, kinship: Kinship, settings: Comparisons, strips: Strips
) -> Quartets:
    """Return what can be drawn of images, which are in order and have no copies.

    Raises
    ------
    ValueError
        If fewer than two devices have enough images.
    """
    found = records.groups("device", "kind", "width", "height", "angle")
    groups: dict[str, dict[_Alike, ImageTable]] = defaultdict(dict)
    for number, (device, kind, width, height, angle) in enumerate(found.keys):
        alike = _Alike(kind, (width, height, angle))
        groups[device][alike] = records.taken(found.rows(number))
    grid = cache(lambda height, width: positions(height, width, **asdict(strips)))
    options = {
        device: _options(alike, settings=settings, grid=grid) for device, alike in groups.items()
    }
    options = {device: found for device, found in options.items() if found}
    if len(options) < 2:
        first, second = settings.num_images
        raise ValueError(
            f"{len(records)} images of {len(groups)} devices give no comparisons of "
            f"{first}+{second} images: two devices are needed with as many, each side's of one "
            f"kind and pixel size, with strips of {strips.size} px; lower comparisons.num_images"
        )
    return Quartets(settings=settings, kinship=kinship, options=options)


class _Alike(NamedTuple):
    """Kind and shape that all images of a side share."""

    kind: str
    shape: tuple[int, int, int]
    """Width, height and angle; both sides of a device have one."""


class _Option(NamedTuple):
    """Images of one device that its first side and its second may be drawn from."""

    first: Images
    second: Images
    kinds: tuple[str, str]
    """Of both."""
    shape: tuple[int, int, int]
    positions: Sequence[Position]

    def likeness(self, other: "_Option") -> tuple[int, bool]:
        """Return how many sides have the kind of another's, and whether the shape is the same."""
        kinds = sum(one == its for one, its in zip(self.kinds, other.kinds, strict=True))
        return kinds, self.shape == other.shape


def _options(
    groups: Mapping[_Alike, Images],
    *,
    settings: Comparisons,
    grid: Callable[[int, int], Sequence[Position]],
) -> list[_Option]:
    """Return the options of one device."""
    num_first, num_second = settings.num_images
    found = []
    for one, first in groups.items():
        width, height, _ = one.shape
        where = grid(height, width)
        for other, second in groups.items():
            needed = num_second + (num_first if other == one else 0)
            enough = len(first) >= num_first and len(second) >= needed
            if where and enough and other.shape == one.shape:
                found.append(_Option(first, second, (one.kind, other.kind), one.shape, where))
    return found


def _option(rng: np.random.Generator, options: Sequence[_Option]) -> _Option:
    """Return one of some options, the likelier the more images it has."""
    sizes = np.array([len(option.first) * len(option.second) for option in options])
    return options[int(rng.choice(len(options), p=sizes / sizes.sum()))]


def _most_alike(options: Sequence[_Option], other: _Option) -> list[_Option]:
    likeness = [option.likeness(other) for option in options]
    best = max(likeness)
    return [option for option, found in zip(options, likeness, strict=True) if found == best]


def _images(rng: np.random.Generator, images: Images, count: int) -> Images:
    return [images[i] for i in sorted(rng.permutation(len(images))[:count].tolist())]


def _one(rng: np.random.Generator, of: Sequence[T]) -> T:
    return of[int(rng.integers(len(of)))]
