"""Comparison lists: drawn from images by seed, or of all queries and all enrolled devices."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from camid.comparison.balanced_sampling import TRIES, BalancedSampler, Pool, Quartet
from camid.comparison.comparison_list import Comparison, ComparisonList, Crop, ListedSide
from camid.config import Comparisons, Strips
from camid.dataset.manifest import ImageTable
from camid.dataset.records import ImageRecord
from camid.dataset.relations import kinship
from camid.dataset.splits.gallery import Gallery
from camid.prnu.strips import Position, positions

_KEY = 41
"""Separates the draws of lists from those of training steps."""


def drawn_list(
    images: Sequence[ImageRecord], *, settings: Comparisons, strips: Strips, seed: int
) -> ComparisonList:
    """Return a list of comparisons of devices' images, half of them positive.

    The list depends on the images in any order, the settings and the seed. Of several copies of an
    image (equal sha256) one takes part. No image is twice in a comparison, and no scene on both
    sides. The comparisons of a quartet are made at the same crops.

    Raises
    ------
    ValueError
        If a crop is larger than a strip, or the images give no such comparisons.
    """
    windows = _Windows.of(strips, settings.crop_size)
    records = _without_copies(images)
    kin = kinship(records)
    sampler = _sampler(records, models=kin.models, settings=settings, strips=strips)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_KEY,)))
    numbers: dict[ListedSide, int] = {}
    comparisons: list[Comparison] = []
    while len(comparisons) < settings.num_pairs:
        quartet = _quartet(sampler, rng, settings)
        crops = windows.crops(rng, quartet.positions, count=settings.num_crops[-1])
        for first, second in _pairs(quartet)[: settings.num_pairs - len(comparisons)]:
            comparisons.append(
                Comparison(
                    first=numbers.setdefault(first, len(numbers)),
                    second=numbers.setdefault(second, len(numbers)),
                    label=int(first.device == second.device),
                    level=kin.level(first.device, second.device),
                    crops=crops,
                )
            )
    return ComparisonList(
        seed=seed,
        crop_size=settings.crop_size,
        strip_size=strips.size,
        sides=tuple(numbers),
        comparisons=tuple(comparisons),
    )


def _sampler(
    records: ImageTable, *, models: Mapping[str, str], settings: Comparisons, strips: Strips
) -> BalancedSampler[Pool]:
    """Return the sampler of images, which are in order and have no copies.

    Raises
    ------
    ValueError
        If fewer than two devices have enough images.
    """
    groups = records.groups("device", "kind", "width", "height", "angle")
    grid = cache(lambda height, width: positions(height, width, **asdict(strips)))
    pools: dict[str, list[Pool]] = defaultdict(list)
    for number, (device, kind, *shape) in enumerate(groups.keys):
        width, height, angle = shape
        pool = Pool(
            device=device,
            kind=kind,
            shape=(width, height, angle),
            images=records.taken(groups.rows(number)),
            positions=grid(height, width),
        )
        pools[device].append(pool)
    sampler = BalancedSampler(pools=pools, models=models).with_enough(settings.num_images)
    if len(sampler.devices) < 2:
        first, second = settings.num_images
        raise ValueError(
            f"{len(records)} images of {len(pools)} devices give no comparisons of "
            f"{first}+{second} images: two devices are needed with as many, each side's of one "
            f"kind and pixel size, with strips of {strips.size} px; lower comparisons.num_images"
        )
    return sampler


def _quartet(
    sampler: BalancedSampler[Pool], rng: np.random.Generator, settings: Comparisons
) -> Quartet[Pool]:
    quartet = sampler.quartet(rng, num_images=settings.num_images, same_model=settings.same_model)
    if quartet is None:
        first, second = settings.num_images
        raise ValueError(
            f"{TRIES} draws of 2 of {len(sampler.devices)} devices gave none with {first}+{second} "
            "images each that share a position and have no scene on both sides; lower "
            "comparisons.num_images or strips.size"
        )
    return quartet


def _pairs(quartet: Quartet[Pool]) -> list[tuple[ListedSide, ListedSide]]:
    """Return positives and negatives in turn, so that half of the first ones are positive."""
    (a1, a2), (b1, b2) = (
        [ListedSide(device=side.pool.device, images=side.sha256()) for side in sides]
        for sides in (quartet.mine, quartet.theirs)
    )
    return [(a1, a2), (a1, b2), (b1, b2), (b1, a2)]


def gallery_list(
    gallery: Gallery, *, strips: Strips, seed: int, crop_size: int = 0, num_crops: int = 1
) -> ComparisonList:
    """Return a list of every query against every enrolled device.

    First sides are all the images that enrol a device, second sides a query each. A query is not
    compared with devices that share no position with its own.

    Parameters
    ----------
    crop_size
        Pixels a side of the windows that are compared; 0 for whole strips.
    num_crops
        Windows of a comparison, or all there are; a query meets all devices that have the same
        positions at the same ones.

    Raises
    ------
    ValueError
        If no device has a position, or a crop is larger than a strip.
    """
    windows, devices = _Windows.of(strips, crop_size), gallery.devices
    queries = [query for device in devices for query in gallery.queries[device]]
    grids = {device: _grid(gallery.enrolled[device][0], strips) for device in devices}
    levels = _levels(gallery, grids)
    if not levels:
        raise ValueError(
            f"no image of the {len(devices)} enrolled devices holds a strip of {strips.size} px; "
            "lower strips.size"
        )
    enrolled = [_side(gallery.enrolled[device]) for device in devices]

    @cache
    def crops(query: int, shared: frozenset[Position]) -> tuple[Crop, ...]:
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_KEY, query)))
        return windows.crops(rng, sorted(shared), count=num_crops)

    return ComparisonList(
        seed=seed,
        crop_size=crop_size,
        strip_size=strips.size,
        is_gallery=True,
        sides=(*enrolled, *(_side([query]) for query in queries)),
        comparisons=tuple(
            Comparison(
                first=first,
                second=second,
                label=int(device == query.device),
                level=levels[device, query.device],
                crops=crops(second - len(devices), grids[device] & grids[query.device]),
            )
            for first, device in enumerate(devices)
            for second, query in enumerate(queries, len(devices))
            if (device, query.device) in levels
        ),
    )


def _levels(
    gallery: Gallery, grids: Mapping[str, frozenset[Position]]
) -> dict[tuple[str, str], str]:
    """Return the relation of every two devices that have a position in common."""
    groups = (gallery.enrolled[d] + gallery.queries[d] for d in gallery.devices)
    kin = kinship([record for group in groups for record in group])
    return {
        (device, other): kin.level(device, other)
        for device in gallery.devices
        for other in gallery.devices
        if grids[device] & grids[other]
    }


@dataclass(frozen=True, kw_only=True, eq=False)
class _Windows:
    """Possible places of crops in a strip."""

    strip_size: int
    size: int
    """Of a crop; 0 for none."""

    @classmethod
    def of(cls, strips: Strips, size: int) -> "_Windows":
        """Return the windows of a size, which must fit into a strip."""
        if size > strips.size:
            raise ValueError(
                f"comparisons.crop_size = {size}: larger than the strips of {strips.size} px"
            )
        return cls(strip_size=strips.size, size=size)

    def crops(
        self, rng: np.random.Generator, shared: Sequence[Position], *, count: int
    ) -> tuple[Crop, ...]:
        """Draw up to ``count`` crops: one in each strip, then another in each."""
        if not self.size:
            return ()
        strips = [shared[i] for i in rng.permutation(len(shared))[:count]]
        num_turns = -(-count // len(strips))
        corners = [self._corners(rng, num_turns) for _ in strips]
        crops = [
            Crop(*strip, *corner)
            for turn in zip(*corners, strict=True)
            for strip, corner in zip(strips, turn, strict=True)
        ]
        return tuple(crops[:count])

    def _corners(self, rng: np.random.Generator, count: int) -> list[list[int]]:
        """Draw ``[y, x]`` of different windows: cells in a random order, then others."""
        cells, others = self._offsets
        drawn = rng.permutation(cells)[:count]
        if count > len(drawn):
            drawn = np.concatenate([drawn, rng.permutation(others)[: count - len(drawn)]])
        corners: list[list[int]] = drawn.tolist()
        return corners

    @cached_property
    def _offsets(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Corners ``(window, 2)`` of cells side by side, and of all other windows.

        All are even, so that the phase of the colour filter array is kept.
        """
        steps = np.arange(0, self.strip_size - self.size + 1, 2)
        offsets = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
        is_cell = (offsets % (self.size + self.size % 2) == 0).all(axis=1)
        return offsets[is_cell], offsets[~is_cell]


def _without_copies(images: Iterable[ImageRecord]) -> ImageTable:
    """Return images in the order of their ids, without copies but the first."""
    table = ImageTable.of(images)
    unread = np.asarray(pc.equal(table.column("sha256"), ""))
    for record in table.where(unread)[:1]:
        _sha256(record)  # raises
    return table.without_copies()


def _side(images: Sequence[ImageRecord]) -> ListedSide:
    return ListedSide(device=images[0].device, images=tuple(map(_sha256, images)))


def _sha256(record: ImageRecord) -> str:
    if not record.sha256:
        raise ValueError(f"{record.image_id}: its sha256 is not known; take a store's images")
    return record.sha256


def _grid(record: ImageRecord, strips: Strips) -> frozenset[Position]:
    return frozenset(positions(record.height, record.width, **asdict(strips)))
