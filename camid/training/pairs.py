"""Pairs: drawn from a store step by step, and read as sums of their sides' strips."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from camid.comparison.balanced_sampling import TRIES, NumImages, SideImages
from camid.config import Pairs
from camid.prnu.strips import Position
from camid.store.strip_reader import Address, Column, RowGroups
from camid.training.pair_sampling import Candidates, ChunkImages

MAX_IMAGES = 2**15 // 2**8
"""Images whose summed samples int16 always holds."""
_NUMBERS = 43
"""Key that separates the draw of a step's numbers of images from that of its pairs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """Images of one chunk at one position, by their rows in a row group."""

    address: Address
    position: Position
    rows: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two sides, and whether they are of one device."""

    sides: tuple[Side, Side]
    label: int
    """1 = same device."""
    crop: Position
    """Top and left of the window inside the strips, the same in all of them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sums:
    """A step's pairs as sums of small integers, compact to send."""

    sums: NDArray[np.int16]
    """``(pair, side, height, width, channel)``: samples added over the side's images."""
    counts: NDArray[np.int16]
    """``(pair, side)``: images of each side."""
    labels: NDArray[np.int8]
    """``(pair,)``: 1 = same device."""
    step: float
    """Grey levels a unit of the samples."""

    def some(self, rows: slice) -> "Sums":
        """Return selected pairs."""
        return Sums(
            sums=self.sums[rows],
            counts=self.counts[rows],
            labels=self.labels[rows],
            step=self.step,
        )

    def scales(self) -> NDArray[np.float32]:
        """Return the factors from sums to averages, ``(pair, side)`` grey levels a unit."""
        return np.float32(self.step) / self.counts.astype(np.float32)

    def arrays(self) -> tuple[NDArray[np.int16], NDArray[np.float32], NDArray[np.float32]]:
        """Return the sums, their factors to grey levels ``(pair, side, 1, 1, 1)``, and labels."""
        return self.sums, self.scales()[..., None, None, None], self.labels.astype(np.float32)

    def averages(self) -> NDArray[np.float32]:
        """Return the averaged sides ``(pair, side, height, width, channel)``, grey levels."""
        return self.sums * self.scales()[..., None, None, None]


def drawn(
    candidates: Candidates,
    step: int,
    *,
    num_pairs: int,
    size: int,
    settings: Pairs,
    seed: int,
    key: Sequence[int] = (),
    grid: int = 1,
) -> list[Pair]:
    """Return the pairs of a step, a function of the candidates, the settings, seed, key and step.

    All have the images a side that :func:`numbers_of` returns for the step, and half of them are
    positive. They come in blocks of two devices with two sides each, in which the same sides
    make positive pairs (of one device) and negative pairs (of both), each pair with a crop of its
    own. No row group is in more than ``settings.per_row_group`` pairs of a step.

    Parameters
    ----------
    size
        Pixels a side of a strip.
    key
        Purpose of the draw, such as training or the number of a micro-batch.
    grid
        Pixels of which the crops' corners are multiples.

    Raises
    ------
    ValueError
        If the crop is larger than a strip, or the candidates give no pairs or too few.
    """
    if settings.crop_size > size:
        raise ValueError(
            f"pairs.crop_size = {settings.crop_size}: larger than the store's strips of {size} px"
        )
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(*key, step)))
    num_images = numbers_of(step, settings=settings, seed=seed)
    missing = {1: num_pairs - num_pairs // 2, 0: num_pairs // 2}
    num_corners = (size - settings.crop_size) // grid + 1
    used: set[Address] = set()
    pairs: list[Pair] = []
    while len(pairs) < num_pairs:
        block = _block(rng, candidates, num_images, used=used, settings=settings)
        counts: Counter[Address] = Counter()
        for _ in range(settings.per_row_group):
            for label, sides in block:
                addresses = {side.address for side in sides}
                if missing[label] and max(counts[a] for a in addresses) < settings.per_row_group:
                    missing[label] -= 1
                    counts.update(addresses)
                    crop = (grid * rng.integers(num_corners, size=2)).tolist()
                    pairs.append(Pair(sides=sides, label=label, crop=(crop[0], crop[1])))
        used |= set(counts)
    return [pairs[i] for i in rng.permutation(num_pairs)]


def numbers_of(step: int, *, settings: Pairs, seed: int) -> NumImages:
    """Return the numbers of images on the first and the second sides of a step."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_NUMBERS, step)))
    first, second = (
        number if isinstance(number, int) else int(rng.integers(number[0], number[1] + 1))
        for number in settings.num_images
    )
    return first, second


def side_sums(pairs: Sequence[Pair], row_groups: RowGroups, *, crop_size: int) -> Sums:
    """Return the sums of the sides of pairs, cut to their crops, reading each row group once.

    Raises
    ------
    ValueError
        If a chunk's file is missing or damaged, or a side has more images than int16 sums hold.
    """
    counts = np.array([[len(side.rows) for side in pair.sides] for pair in pairs], np.int16)
    if len(pairs) and counts.max() > MAX_IMAGES:
        raise ValueError(f"expected at most {MAX_IMAGES} images a side, got {counts.max()}")
    shape = (len(pairs), 2, crop_size, crop_size, row_groups.shape[-1])
    sums = np.zeros(shape, np.int16)
    for use in used_strips(pairs, row_groups):
        top, left = pairs[use.pair].crop
        window = use.samples[top : top + crop_size, left : left + crop_size]
        sums[use.pair, use.side] += window
    labels = np.array([pair.label for pair in pairs], np.int8)
    return Sums(sums=sums, counts=counts.reshape(-1, 2), labels=labels, step=row_groups.step)


class Use(NamedTuple):
    """A strip that was read, with the number of its pair, side and image."""

    pair: int
    side: int
    image: int
    """Among the images of its side, in order."""
    samples: NDArray[Any]


def used_strips(
    pairs: Sequence[Pair], row_groups: RowGroups, *, column: Column = "samples"
) -> Iterator[Use]:
    """Yield the strip of each image of each pair, reading a shared strip only once.

    Raises
    ------
    ValueError
        If a chunk's file is missing or damaged.
    """
    uses: dict[Address, dict[int, list[tuple[int, int, int]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for number, pair in enumerate(pairs):
        for side_number, side in enumerate(pair.sides):
            for image, row in enumerate(side.rows):
                uses[side.address][row].append((number, side_number, image))
    addresses = sorted(uses)
    requests = ((address, sorted(uses[address])) for address in addresses)
    for strip in row_groups.strips(requests, column=column):
        for indices in uses[addresses[strip.number]][strip.row]:
            yield Use(*indices, strip.samples)


def _block(
    rng: np.random.Generator,
    candidates: Candidates,
    num_images: NumImages,
    *,
    used: set[Address],
    settings: Pairs,
) -> list[tuple[int, tuple[Side, Side]]]:
    """Return the labels and sides of two positive and two negative pairs of unused row groups."""
    is_placed = settings.negatives == "same-position"
    for _ in range(TRIES):
        quartet = candidates.quartet(
            rng, num_images=num_images, same_model=settings.same_model, is_placed=is_placed
        )
        device_images = (quartet.mine, quartet.theirs)
        if is_placed:
            positions = [_random_position(rng, quartet.positions)] * 2
        else:
            positions = [
                _random_position(rng, list(images.pool.positions)) for images, _ in device_images
            ]
        sides_a, sides_b = (
            [_side(images, position) for images in sides]
            for sides, position in zip(device_images, positions, strict=True)
        )
        if used.isdisjoint(side.address for side in (*sides_a, *sides_b)):
            return [
                (1, (sides_a[0], sides_a[1])),
                (1, (sides_b[0], sides_b[1])),
                (0, (sides_a[0], sides_b[1])),
                (0, (sides_b[0], sides_a[1])),
            ]
    raise ValueError(
        f"{candidates.num_images} images of {len(candidates.devices)} devices give too few pairs a "
        f"step with {settings.per_row_group} of a row group; draw fewer or raise "
        "pairs.per_row_group"
    )


def _side(images: SideImages[ChunkImages], position: Position) -> Side:
    chunk = images.pool
    address = Address(chunk.device, chunk.chunk, chunk.positions[position])
    rows = tuple(chunk.rows[number] for number in images.numbers)
    return Side(address=address, position=position, rows=rows)


def _random_position(rng: np.random.Generator, positions: Sequence[Position]) -> Position:
    return positions[int(rng.integers(len(positions)))]
