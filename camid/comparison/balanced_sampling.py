"""Balanced sampling: two sides of each of two devices, for positive and negative pairs alike.

Comparison lists and training draw alike. The positive and the negative pairs of a
:class:`Quartet` consist of the same four sides, and both devices' sides are of the same kinds of
images where possible, so that only the sensor tells the labels apart.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Generic, Literal, NamedTuple, TypeVar

import numpy as np

from camid.dataset.manifest import ImageTable
from camid.dataset.records import ImageRecord
from camid.dataset.relations import siblings
from camid.prnu.strips import Position

T = TypeVar("T")
NumImages = tuple[int, int]
"""Images of a first side and of a second."""

TRIES = 1000
"""Failed draws before the sampler gives up."""
MAX_HELD = 4096
"""Devices whose options are cached."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool:
    """Images of one device, kind and shape: a side is drawn from one pool."""

    device: str
    kind: str
    shape: tuple[int, int, int]
    """Width, height and angle, the same for both sides of a device."""
    images: ImageTable
    positions: Collection[Position]
    """Positions of the strips that all images have, in order."""

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def scenes(self) -> list[str]:
        """The scene of each image."""
        codes, scenes = self.images.texts("scene")
        return [scenes[code] for code in codes.tolist()]

    def shared(self, other: "Pool") -> list[Position]:
        """Return the positions that both pools have, in order."""
        if self.positions is other.positions:
            return list(self.positions)
        other_positions = set(other.positions)
        return [position for position in self.positions if position in other_positions]


P = TypeVar("P", bound=Pool)


class SideImages(NamedTuple, Generic[P]):
    """Images of one pool, by their numbers in the pool."""

    pool: P
    numbers: tuple[int, ...]
    """In order."""

    def records(self) -> list[ImageRecord]:
        """Return the images' records."""
        return [self.pool.images[number] for number in self.numbers]

    def sha256(self) -> tuple[str, ...]:
        """Return the images' digests."""
        return tuple(record.sha256 for record in self.records())

    def scenes(self) -> set[str]:
        """Return the known scenes of the images."""
        return {self.pool.scenes[number] for number in self.numbers} - {""}


class Quartet(NamedTuple, Generic[P]):
    """Two sides of each of two devices: ``(first, second)``."""

    mine: tuple[SideImages[P], SideImages[P]]
    theirs: tuple[SideImages[P], SideImages[P]]
    positions: list[Position]
    """Positions that both devices have, in order."""


class _Option(NamedTuple, Generic[P]):
    """Pools of one device that its two sides may be drawn from."""

    firsts: Sequence[P]
    seconds: Sequence[P]

    def kinds(self) -> tuple[str, str]:
        return self.firsts[0].kind, self.seconds[0].kind

    def num_pairs(self) -> int:
        """Return the number of image pairs, one image on each side."""
        return sum(map(len, self.firsts)) * sum(map(len, self.seconds))

    def likeness(self, other: "_Option[P]") -> tuple[int, bool]:
        """Return the number of sides of equal kind, and whether the shapes are equal."""
        pairs = zip(self.kinds(), other.kinds(), strict=True)
        num_alike = sum(kind == other_kind for kind, other_kind in pairs)
        return num_alike, self.firsts[0].shape == other.firsts[0].shape


@dataclass(frozen=True, kw_only=True, eq=False)
class BalancedSampler(Generic[P]):
    """Draws quartets of devices' images."""

    pools: Mapping[str, Sequence[P]]
    """Pools of each device, in order; no two pools share copies of an image."""
    models: Mapping[str, str]
    """Make and model of each device, empty where it is not known."""

    @cached_property
    def devices(self) -> tuple[str, ...]:
        """The devices, in order."""
        return tuple(self.pools)

    def with_enough(self, num_images: NumImages) -> "BalancedSampler[P]":
        """Return the sampler of the devices that have enough images for both sides."""
        pools = {d: own for d, own in self.pools.items() if self._options(d, num_images)}
        return BalancedSampler(pools=pools, models=self.models)

    def quartet(
        self,
        rng: np.random.Generator,
        *,
        num_images: NumImages,
        same_model: float | Literal["any"] = "any",
        is_placed: bool = True,
        are_apart: bool = False,
    ) -> Quartet[P] | None:
        """Draw two sides of each of two devices; return None if all :data:`TRIES` draws fail.

        Devices are drawn uniformly; their kinds and shapes in proportion to their number of image
        pairs. A device's sides are of one shape, and of two pools where the device has two. No
        image or known scene of a first side is on a second side.

        Parameters
        ----------
        same_model
            Share of the quartets, 0 to 1, whose second device is of the first device's model, if
            the first has a sibling; in the rest the second is of another model, if there is
            one. ``any`` draws all other devices alike.
        is_placed
            Whether both devices must share a position.
        are_apart
            Whether a device's sides are of two pools wherever it has two, of whichever kinds.
        """
        for _ in range(TRIES if len(self.devices) > 1 else 0):
            device, other = self._two_devices(rng, same_model)
            options = self._options(device, num_images)
            other_options = self._options(other, num_images)
            if not (options and other_options):
                continue
            if are_apart:
                options, other_options = map(_apart, (options, other_options))
            option = _drawn_option(rng, options)
            other_option = _drawn_option(rng, _most_alike(other_options, option))
            shared = option.firsts[0].shared(other_option.firsts[0])
            if not shared and is_placed:
                continue
            pools = [_drawn_pools(rng, drawn, num_images) for drawn in (option, other_option)]
            if sides := _drawn_sides(rng, pools, num_images):
                return Quartet(mine=sides[0], theirs=sides[1], positions=shared)
        return None

    def _two_devices(
        self, rng: np.random.Generator, same_model: float | Literal["any"]
    ) -> tuple[str, str]:
        device = _drawn(rng, self.devices)
        if same_model == "any":
            return device, self._outside(rng, [device])
        is_sibling = rng.random() < same_model
        family = self._siblings.get(self.models[device], [device])
        if is_sibling and len(family) > 1:
            return device, _drawn(rng, [other for other in family if other != device])
        has_others = len(family) < len(self.devices)
        return device, self._outside(rng, family if has_others else [device])

    def _outside(self, rng: np.random.Generator, near: Iterable[str]) -> str:
        """Draw a device that is not in ``near``, whose devices are in order."""
        places = [self._places[device] for device in near]
        number = int(rng.integers(len(self.devices) - len(places)))
        for place in places:
            number += number >= place
        return self.devices[number]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {device: place for place, device in enumerate(self.devices)}

    @cached_property
    def _siblings(self) -> dict[str, list[str]]:
        return siblings(self.models, self.devices)

    @cached_property
    def _options(self) -> Callable[[str, NumImages], Sequence[_Option[P]]]:
        @lru_cache(MAX_HELD)
        def options(device: str, num_images: NumImages) -> Sequence[_Option[P]]:
            return tuple(_options(self.pools[device], num_images))

        return options


def _options(pools: Iterable[P], num_images: NumImages) -> Iterator[_Option[P]]:
    """Yield the options for drawing the two sides of one device."""
    groups: dict[tuple[str, tuple[int, int, int]], list[P]] = defaultdict(list)
    for pool in pools:
        if pool.positions:
            groups[pool.kind, pool.shape].append(pool)
    num_first, num_second = num_images
    for (_, shape), firsts in groups.items():
        for (_, second_shape), seconds in groups.items():
            usable_seconds = [pool for pool in seconds if len(pool) >= num_second]
            usable_firsts = [
                pool
                for pool in firsts
                if len(pool) >= num_first and _seconds(pool, usable_seconds, num_images)
            ]
            if usable_firsts and shape == second_shape:
                yield _Option(usable_firsts, usable_seconds)


def _seconds(first: P, seconds: Sequence[P], num_images: NumImages) -> Sequence[P]:
    """Return the pools for a second side: all but the first side's, or else that pool."""
    others = [pool for pool in seconds if pool is not first]
    is_enough = len(others) < len(seconds) and len(first) >= sum(num_images)
    return others or ([first] if is_enough else [])


def _apart(options: Sequence[_Option[P]]) -> Sequence[_Option[P]]:
    """Return the options of two pools, or all if there are none."""
    return [o for o in options if len({*o.firsts, *o.seconds}) > 1] or options


def _drawn_option(rng: np.random.Generator, options: Sequence[_Option[P]]) -> _Option[P]:
    """Draw an option with probability proportional to its image pairs."""
    sizes = np.array([option.num_pairs() for option in options])
    return options[int(rng.choice(len(options), p=sizes / sizes.sum()))]


def _most_alike(options: Sequence[_Option[P]], other: _Option[P]) -> list[_Option[P]]:
    likenesses = [option.likeness(other) for option in options]
    best = max(likenesses)
    pairs = zip(options, likenesses, strict=True)
    return [option for option, likeness in pairs if likeness == best]


def _drawn_pools(
    rng: np.random.Generator, option: _Option[P], num_images: NumImages
) -> tuple[P, P]:
    first = _drawn_pool(rng, option.firsts)
    return first, _drawn_pool(rng, _seconds(first, option.seconds, num_images))


def _drawn_pool(rng: np.random.Generator, pools: Sequence[P]) -> P:
    """Draw a pool with probability proportional to its images."""
    if len(pools) == 1:
        return pools[0]
    sizes = np.array([len(pool) for pool in pools])
    return pools[int(rng.choice(len(pools), p=sizes / sizes.sum()))]


def _drawn_sides(
    rng: np.random.Generator, pools: Sequence[tuple[P, P]], num_images: NumImages
) -> list[tuple[SideImages[P], SideImages[P]]] | None:
    """Draw both sides of each device; None if too few images are of unused scenes."""
    num_first, num_second = num_images
    firsts = [_drawn_side(rng, pool, range(len(pool)), num_first) for pool, _ in pools]
    scenes = set.union(*(first.scenes() for first in firsts))
    seconds = []
    for first, (_, pool) in zip(firsts, pools, strict=True):
        used = set(first.numbers) if pool is first.pool else set()
        free = [
            number
            for number, scene in enumerate(pool.scenes)
            if number not in used and scene not in scenes
        ]
        if len(free) < num_second:
            return None
        seconds.append(_drawn_side(rng, pool, free, num_second))
    return list(zip(firsts, seconds, strict=True))


def _drawn_side(
    rng: np.random.Generator, pool: P, numbers: Sequence[int], count: int
) -> SideImages[P]:
    places = rng.permutation(len(numbers))[:count].tolist()
    return SideImages(pool, tuple(sorted(numbers[place] for place in places)))


def _drawn(rng: np.random.Generator, items: Sequence[T]) -> T:
    return items[int(rng.integers(len(items)))]
