"""A training step's global batch: micro-batches of pairs or patches, for any number of workers.

Each micro-batch is drawn with a key of its own, so a worker's share of a step is a function of the
configuration, the step and the numbers of its micro-batches.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from camid.config import Config, Pairs, Training
from camid.prnu.strips import Position
from camid.store.strip_reader import RowGroups
from camid.training.pair_sampling import Candidates, ChunkImages
from camid.training.pairs import Pair, drawn, side_sums
from camid.training.patches import (
    LabelledImages,
    Patches,
    cut_patches,
    drawn_cuts,
    image_cuts,
    patch_corners,
    spread,
)

TRAINING, VALIDATION = 44, 45
"""Purposes of draws: the first part of their keys."""
LISTED_PAIRS = 4
"""Pairs that the validation list draws together: of one quartet of sides."""


class Share(Protocol):
    """Pairs or patches of a step, or of the validation list."""

    @property
    def labels(self) -> NDArray[Any]:
        """One for each row."""

    def some(self, rows: slice) -> Self:
        """Return selected rows."""

    def arrays(self) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[Any]]:
        """Return integer samples, the grey levels a unit of them, and the labels."""


S = TypeVar("S", bound=Share)


class Batches(Protocol):
    """Source of the batches that train."""

    def share(self, step: int, micro_batches: Sequence[int]) -> Share:
        """Return micro-batches of a step, one after the other.

        Raises
        ------
        ValueError
            If there is too little to draw, or the store is damaged.
        """

    def check(self) -> None:
        """Raise if a micro-batch cannot be drawn.

        Raises
        ------
        ValueError
            If it cannot.
        """


class Listed(Protocol):
    """The validation list, drawn once, in parts that workers read separately."""

    @property
    def parts(self) -> Sequence[range]:
        """Range of each part in the list."""

    def part(self, number: int) -> Share:
        """Return a part."""


def check_batches(training: Training, *, multiple: int = 1) -> None:
    """Raise if a batch cannot be divided into its micro-batches, or a worker gets none.

    Parameters
    ----------
    multiple
        Number that must divide the size of each part.

    Raises
    ------
    ValueError
        If it cannot.
    """
    if training.batch_size % (multiple * training.micro_batches):
        factor = "twice " if multiple == 2 else ""
        reason = ", so that half of each is positive" if multiple == 2 else ""
        raise ValueError(
            f"training.batch_size = {training.batch_size}: no multiple of {factor}"
            f"training.micro_batches = {training.micro_batches}{reason}"
        )
    if training.num_workers > training.micro_batches:
        raise ValueError(
            f"training.num_workers = {training.num_workers}: more than the "
            f"{training.micro_batches} parts of a step; raise training.micro_batches"
        )


def share_of(rank: int, num_workers: int, *, training: Training) -> range:
    """Return the micro-batches of every step that are a worker's."""
    return range(rank, training.micro_batches, num_workers)


def micro_size(training: Training) -> int:
    """Return the number of pairs or patches in a micro-batch."""
    return training.batch_size // training.micro_batches


class Reading(NamedTuple):
    """Reading of pairs for a network."""

    shares: Callable[..., Share] = side_sums
    """Makes a share of pairs, row groups and ``crop_size``."""
    grid: int = 1
    """Pixels that divide the corners of crops, and sizes where the network takes any."""
    takes_any_size: bool = False
    """Whether a network judges a crop as a whole, not by windows of its own size."""


SUMS = Reading()
"""Both sides' sums."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PairBatches:
    """Training pairs of devices."""

    candidates: Candidates
    row_groups: RowGroups
    config: Config
    reading: Reading = SUMS

    def share(self, step: int, micro_batches: Sequence[int]) -> Share:
        """Return micro-batches of a step, as :class:`Batches`."""
        pairs = [pair for number in micro_batches for pair in self._drawn(step, number)]
        size = self.config.pairs.crop_size
        return self.reading.shares(pairs, self.row_groups, crop_size=size)

    def check(self) -> None:
        """Raise if a micro-batch with the most images a side cannot be drawn.

        Raises
        ------
        ValueError
            If it cannot.
        """
        max_images = [
            number if isinstance(number, int) else number[1]
            for number in self.config.pairs.num_images
        ]
        pairs = replace(self.config.pairs, num_images=(max_images[0], max_images[1]))
        replace(self, config=replace(self.config, pairs=pairs))._drawn(0, 0)

    def _drawn(self, step: int, number: int) -> list[Pair]:
        return drawn(
            self.candidates,
            step,
            num_pairs=micro_size(self.config.training),
            size=self.row_groups.shape[0],
            settings=self.config.pairs,
            seed=self.config.seed,
            key=(TRAINING, number),
            grid=self.reading.grid,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class ListedPairs:
    """Validation pairs of devices, whatever the settings of training pairs.

    Images a side, crops and the share of same models are those of ``comparisons``. A crop is
    divided into windows of the network's own crop size, or is one window, for a network that takes
    any size.
    """

    candidates: Candidates
    row_groups: RowGroups
    config: Config
    reading: Reading = SUMS

    @property
    def size(self) -> int:
        """Pixels a side of the compared crop of a strip."""
        size = self.config.comparisons.crop_size or self.row_groups.shape[0]
        return size - size % self.reading.grid

    @property
    def window(self) -> int:
        """Pixels a side of a network's window of the crop."""
        return self.size if self.reading.takes_any_size else self.config.pairs.crop_size

    @cached_property
    def windows(self) -> list[Position]:
        """Top and left, inside a crop, of the windows that a network sees.

        Raises
        ------
        ValueError
            If windows do not fill the crop.
        """
        window = self.window
        if self.size % window:
            raise ValueError(
                f"pairs.crop_size = {window}: networks are judged on crops of {self.size} px "
                "(comparisons.crop_size), which such crops do not fill"
            )
        starts = range(0, self.size, window)
        return [(top, left) for top in starts for left in starts]

    @cached_property
    def parts(self) -> list[range]:
        """Range of each part's windows in the list; a pair's windows follow each other."""
        num_pairs, num_windows = self.config.training.validation_pairs, len(self.windows)
        return [
            range(start * num_windows, min(num_pairs, start + LISTED_PAIRS) * num_windows)
            for start in range(0, num_pairs, LISTED_PAIRS)
        ]

    def part(self, number: int) -> Share:
        """Return the windows of a part's pairs."""
        pairs = self._drawn(number)[: len(self.parts[number]) // len(self.windows)]
        windows = [
            replace(pair, crop=(pair.crop[0] + top, pair.crop[1] + left))
            for pair in pairs
            for top, left in self.windows
        ]
        return self.reading.shares(windows, self.row_groups, crop_size=self.window)

    def check(self) -> None:
        """Raise if pairs cannot be drawn.

        Raises
        ------
        ValueError
            If they cannot.
        """
        self._drawn(0)

    def _drawn(self, number: int) -> list[Pair]:
        comparisons = self.config.comparisons
        return drawn(
            self.candidates,
            number,
            num_pairs=LISTED_PAIRS,
            size=self.row_groups.shape[0],
            settings=Pairs(
                num_images=comparisons.num_images,
                crop_size=self.size,
                same_model=comparisons.same_model,
            ),
            seed=self.config.seed,
            key=(VALIDATION,),
            grid=self.reading.grid,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchBatches:
    """Training or validation patches of the classifier's devices; each image is a part."""

    images: LabelledImages
    row_groups: RowGroups
    config: Config

    @property
    def size(self) -> int:
        """Pixels a side of a patch."""
        return self.config.patches.size or self.row_groups.shape[0]

    def share(self, step: int, micro_batches: Sequence[int]) -> Patches:
        """Return micro-batches of a step, as :class:`Batches`."""
        cuts = [
            cut
            for number in micro_batches
            for cut in drawn_cuts(
                self.images,
                step,
                num_patches=micro_size(self.config.training),
                strip_size=self.row_groups.shape[0],
                settings=self.config.patches,
                seed=self.config.seed,
                part=number,
                purpose=TRAINING,
            )
        ]
        return cut_patches(cuts, self.row_groups, size=self.size)

    def check(self) -> None:
        """Raise if patches cannot be cut.

        Raises
        ------
        ValueError
            If they are larger than strips.
        """
        patch_corners(self.row_groups.shape[0], self.size)

    @cached_property
    def parts(self) -> list[range]:
        """Range of each image's patches in the validation list."""
        counts = [sum(map(len, self._places(chunk).values())) for chunk, _, _ in self._listed]
        ends = np.cumsum([0, *counts]).tolist()
        return [range(start, stop) for start, stop in pairwise(ends)]

    def part(self, number: int) -> Patches:
        """Return the patches of an image of the validation list."""
        chunk, row, label = self._listed[number]
        cuts = image_cuts(chunk, row, self._places(chunk), label=label)
        return cut_patches(cuts, self.row_groups, size=self.size)

    @cached_property
    def _listed(self) -> list[tuple[ChunkImages, int, int]]:
        return self.images.listed(
            count=self.config.patches.validation_images, seed=self.config.seed
        )

    def _places(self, chunk: ChunkImages) -> dict[Position, list[Position]]:
        return spread(
            chunk.positions,
            strip_size=self.row_groups.shape[0],
            size=self.size,
            count=self.config.patches.validation_per_image,
            seed=self.config.seed,
        )


def joined(parts: Sequence[S]) -> S:
    """Return shares joined into one."""
    first = parts[0]
    names = [field.name for field in fields(first) if field.name != "step"]  # type: ignore[arg-type]
    return replace(
        first,  # type: ignore[type-var]
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names},
    )
