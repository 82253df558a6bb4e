"""Stacks: pairs image by image, with their intensity, and the task that learns from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camid.comparison.networks.pairnet_numpy import CHANNELS, MIDDLE
from camid.config import Config
from camid.io.output_layout import PAIRNET
from camid.prnu.cleaning import JPEG_BLOCK
from camid.prnu.strips import INTENSITY_STEP
from camid.store.strip_reader import RowGroups
from camid.training.batches import Reading
from camid.training.pair_task import PairTask
from camid.training.pairs import Pair, used_strips
from camid.training.patch_task import MOST_HELD
from camid.training.tasks import TRAINED

PIXELS = (
    "holds pixels, and the pair network learns from residuals and intensity; make a store with "
    "another residual.filter than none"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Stacks:
    """A step's pairs, image by image; zeros where a side has fewer images than the other."""

    samples: NDArray[np.int8]
    """``(pair, side, image, height, width, channel)``: residuals in steps, then intensity."""
    labels: NDArray[np.int8]
    """``(pair,)``: 1 = same device."""
    step: float
    """Grey levels a unit of the residuals."""

    def some(self, rows: slice) -> "Stacks":
        """Return selected pairs."""
        return Stacks(samples=self.samples[rows], labels=self.labels[rows], step=self.step)

    def arrays(self) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.float32]]:
        """Return samples, grey levels a unit of each channel ``(1, 1, 1, 1, 1, 4)``, and labels."""
        scales = np.array([self.step] * (CHANNELS - 1) + [1], np.float32)
        return self.samples, scales.reshape(1, 1, 1, 1, 1, -1), self.labels.astype(np.float32)


def side_stacks(pairs: Sequence[Pair], row_groups: RowGroups, *, crop_size: int) -> Stacks:
    """Return the images of pairs, cut to their crops, reading each strip once.

    Corners and sizes of crops are multiples of JPEG's blocks, which cells of intensity divide.

    Raises
    ------
    ValueError
        If a chunk's file is missing or damaged.
    """
    max_images = max((len(side.rows) for pair in pairs for side in pair.sides), default=0)
    samples = np.zeros((len(pairs), 2, max_images, crop_size, crop_size, CHANNELS), np.int8)
    for use in used_strips(pairs, row_groups):
        top, left = pairs[use.pair].crop
        window = use.samples[top : top + crop_size, left : left + crop_size]
        samples[use.pair, use.side, use.image, ..., : CHANNELS - 1] = window
    count = crop_size // INTENSITY_STEP
    for use in used_strips(pairs, row_groups, column="intensity"):
        top, left = (corner // INTENSITY_STEP for corner in pairs[use.pair].crop)
        cells = use.samples[top : top + count, left : left + count].astype(np.int16) - int(MIDDLE)
        upsampled = cells.repeat(INTENSITY_STEP, axis=0).repeat(INTENSITY_STEP, axis=1)
        samples[use.pair, use.side, use.image, ..., CHANNELS - 1] = upsampled
    labels = np.array([pair.label for pair in pairs], np.int8)
    return Stacks(samples=samples, labels=labels, step=row_groups.step)


STACKS = Reading(shares=side_stacks, grid=JPEG_BLOCK, takes_any_size=True)
"""Images one by one."""


@dataclass(frozen=True, kw_only=True)
class StackTask(PairTask):
    """Whether two sides are of one device, of their images one by one: the pair network's task."""

    reading = STACKS
    network = PAIRNET
    searched = ("pairs", "pairnet", *TRAINED)

    @classmethod
    def check_settings(cls, config: Config, *, size: int, source: str) -> None:  # noqa: ARG003
        """Raise if training crops lie off JPEG's blocks, or the store will have no residuals.

        The network is judged on crops of any size.

        Raises
        ------
        ValueError
            If crops lie off the blocks, or residuals will be missing.
        """
        if config.pairs.crop_size % JPEG_BLOCK:
            raise ValueError(
                f"pairs.crop_size = {config.pairs.crop_size}: expected a multiple of {JPEG_BLOCK} "
                "px for the pair network"
            )
        if config.residual.filter == "none":
            raise ValueError(f"{config.paths.store}: {PIXELS}")

    def check(self) -> None:
        """Raise if a part has no residuals or no pairs, as :meth:`Task.check`."""
        if self._opened.description["samples"]["dtype"] != "int8":
            raise ValueError(f"{self.store}: {PIXELS}")
        self.check_settings(self.config, size=0, source="")
        super().check()
        with RowGroups(self._opened) as row_groups:
            size = self.validation(row_groups).size
        config = self.config
        held_bytes = config.training.validation_pairs * _pair_bytes(
            config.comparisons.num_images, size
        )
        workers = config.training.num_workers
        if held_bytes > workers * MOST_HELD:
            raise ValueError(
                f"training.validation_pairs = {config.training.validation_pairs}: their images "
                f"take {held_bytes / workers / 2**30:.1f} GiB of a worker; lower it or "
                "comparisons.num_images"
            )

    @property
    def unit_bytes(self) -> int:
        """Bytes of a pair: int8 samples of as many images as a side has at most."""
        pairs = self.config.pairs
        return _pair_bytes(
            [number if isinstance(number, int) else number[1] for number in pairs.num_images],
            pairs.crop_size,
        )

    def build(self) -> Any:
        """Return the untrained pair network."""
        from camid.comparison.networks.pairnet import pairnet

        return pairnet(self.config.pairnet)


def _pair_bytes(num_images: Sequence[int], size: int) -> int:
    return 2 * max(num_images) * size**2 * CHANNELS
