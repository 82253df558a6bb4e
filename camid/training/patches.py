"""Patches: cut from a store's strips, drawn for a training step by step, or spread over images."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camid.config import Patches as Settings
from camid.prnu.strips import Position
from camid.store.strip_reader import Address, RowGroups
from camid.training.pair_sampling import Candidates, ChunkImages

_SPREAD, _LISTED, _TURNS = 51, 52, 53
"""Keys that separate the draws of places, of validation images and of devices' turns."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """Patches of one strip of an image."""

    address: Address
    row: int
    """Of the image in its row group."""
    corners: tuple[Position, ...]
    """Top and left of each patch in the strip."""
    label: int
    """Number of the image's device among the classifier's devices."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Patches:
    """A step's patches, as small as they are stored."""

    samples: NDArray[np.int8] | NDArray[np.uint8]
    """``(patch, height, width, channel)``: residuals in steps, or pixels."""
    labels: NDArray[np.int32]
    """``(patch,)``: number of the device."""
    step: float
    """Grey levels a unit of the samples."""

    def some(self, rows: slice) -> "Patches":
        """Return selected patches."""
        return Patches(samples=self.samples[rows], labels=self.labels[rows], step=self.step)

    def arrays(self) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.int32]]:
        """Return the samples, grey levels a unit ``(patch, 1, 1, 1)``, and the labels."""
        scales = np.full((len(self.labels), 1, 1, 1), self.step, np.float32)
        return self.samples, scales, self.labels


def patch_corners(strip_size: int, size: int) -> list[Position]:
    """Return the corners of the patches that lie side by side in a strip.

    Raises
    ------
    ValueError
        If a patch is larger than a strip.
    """
    if size > strip_size:
        raise ValueError(
            f"patches.size = {size}: larger than the store's strips of {strip_size} px"
        )
    starts = range(0, strip_size - size + 1, size)
    return [(top, left) for top in starts for left in starts]


def drawn_cuts(
    images: "LabelledImages",
    step: int,
    *,
    num_patches: int,
    strip_size: int,
    settings: Settings,
    seed: int,
    part: int = 0,
    purpose: int = 0,
) -> list[Cut]:
    """Return the cuts of the patches of a part of a step, a function of the arguments.

    Devices take turns over all parts of a step, so that their numbers of turns differ by one at
    most; the kinds of images of a device are drawn with equal chance. A strip gives
    ``settings.per_strip`` patches at different places, the last one of a part perhaps fewer.

    Raises
    ------
    ValueError
        If a patch is larger than a strip.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(purpose, part, step)))
    corners = patch_corners(strip_size, settings.size or strip_size)
    per_strip = min(settings.per_strip, len(corners))
    num_strips = -(-num_patches // per_strip)
    cuts: list[Cut] = []
    for label in _turns(
        len(images.devices), range(part * num_strips, (part + 1) * num_strips), seed, step
    ):
        kinds = images.by_kind[label]
        chunk, row = _random_item(rng, _random_item(rng, kinds))
        position = _random_item(rng, list(chunk.positions))
        num_left = min(per_strip, num_patches - per_strip * len(cuts))
        drawn = rng.permutation(len(corners))[:num_left].tolist()
        cuts.append(_cut(chunk, row, position, [corners[i] for i in drawn], label))
    return cuts


class LabelledImages:
    """Images of the classifier's devices, by kind: a device's place is its label."""

    def __init__(self, candidates: Candidates, devices: Sequence[str]) -> None:
        self.devices = tuple(devices)
        self.by_kind: list[list[list[tuple[ChunkImages, int]]]] = []
        """By label and kind: chunks, and rows of images in them."""
        for device in self.devices:
            kinds: dict[str, list[tuple[ChunkImages, int]]] = defaultdict(list)
            for chunk in candidates.chunks[device]:
                kinds[chunk.kind] += [(chunk, row) for row in chunk.rows]
            self.by_kind.append([kinds[kind] for kind in sorted(kinds)])

    def listed(self, *, count: int, seed: int) -> list[tuple[ChunkImages, int, int]]:
        """Return ``(chunk, row, label)`` of ``count`` images, spread evenly over devices."""
        entries: list[tuple[int, int, ChunkImages, int]] = []
        for label, kinds in enumerate(self.by_kind):
            device_images = [image for kind in kinds for image in kind]
            rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_LISTED, label)))
            turns = enumerate(rng.permutation(len(device_images)).tolist())
            entries += [(turn, label, *device_images[i]) for turn, i in turns]
        selected = sorted(entries, key=lambda entry: entry[:2])[:count]
        return [(chunk, row, label) for _, label, chunk, row in selected]


def spread(
    positions: Iterable[Position], *, strip_size: int, size: int, count: int, seed: int
) -> dict[Position, list[Position]]:
    """Return ``count`` places of patches in an image, or all: by position, corners in the strip.

    Places are a function of the positions and the seed, so that all images of a size have the same.
    """
    corners = patch_corners(strip_size, size)
    places = [(position, corner) for position in sorted(positions) for corner in corners]
    if count < len(places):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_SPREAD,)))
        places = [places[i] for i in sorted(rng.permutation(len(places))[:count].tolist())]
    corners_of: dict[Position, list[Position]] = defaultdict(list)
    for position, corner in places:
        corners_of[position].append(corner)
    return dict(corners_of)


def image_cuts(
    chunk: ChunkImages, row: int, places: Mapping[Position, Sequence[Position]], *, label: int
) -> list[Cut]:
    """Return the cuts of an image at places."""
    return [_cut(chunk, row, position, corners, label) for position, corners in places.items()]


def cut_patches(cuts: Sequence[Cut], row_groups: RowGroups, *, size: int) -> Patches:
    """Return the patches of cuts, in their order, reading each row group once.

    Raises
    ------
    ValueError
        If a chunk's file is missing or damaged.
    """
    counts = [len(cut.corners) for cut in cuts]
    starts = np.cumsum([0, *counts]).tolist()
    samples = np.empty((starts[-1], size, size, row_groups.shape[-1]), row_groups.dtype)
    uses: dict[Address, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for number, cut in enumerate(cuts):
        uses[cut.address][cut.row].append(number)
    addresses = sorted(uses)
    requests = ((address, sorted(uses[address])) for address in addresses)
    for strip in row_groups.strips(requests):
        for number in uses[addresses[strip.number]][strip.row]:
            for patch, (top, left) in enumerate(cuts[number].corners, starts[number]):
                samples[patch] = strip.samples[top : top + size, left : left + size]
    labels = np.repeat([cut.label for cut in cuts], counts).astype(np.int32)
    return Patches(samples=samples, labels=labels, step=row_groups.step)


def _turns(num_devices: int, turns: range, seed: int, step: int) -> list[int]:
    """Return the device of each turn: all devices in a random order, then in another."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_TURNS, step)))
    rounds = [rng.permutation(num_devices) for _ in range(-(-turns.stop // num_devices))]
    order: list[int] = np.concatenate(rounds)[turns.start : turns.stop].tolist()
    return order


def _cut(
    chunk: ChunkImages, row: int, position: Position, corners: Sequence[Position], label: int
) -> Cut:
    address = Address(chunk.device, chunk.chunk, chunk.positions[position])
    return Cut(address=address, row=row, corners=tuple(corners), label=label)


def _random_item(rng: np.random.Generator, items: Sequence[Any]) -> Any:
    return items[int(rng.integers(len(items)))]
