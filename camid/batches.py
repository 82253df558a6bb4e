"""A training step's global batch: micro-batches of pairs, the same for any number of workers.

Each micro-batch is drawn with a key of its own, so a worker's share of a step is a function of the
configuration, the step and which of the micro-batches it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from camid.candidates import Candidates
from camid.config import Config, Pairs, Training
from camid.pairs import Pair, Sums, drawn, side_sums
from camid.row_groups import RowGroups

TRAINING, VALIDATION = 44, 45
"""What a draw is for: the first part of its key."""


def check_batches(training: Training) -> None:
    """See that a batch can be parted, and that every worker gets a part.

    Raises
    ------
    ValueError
        If it cannot.
    """
    if training.batch_size % (2 * training.micro_batches):
        raise ValueError(
            f"training.batch_size = {training.batch_size}: no multiple of twice "
            f"training.micro_batches = {training.micro_batches}, so that half of each is positive"
        )
    if training.num_workers > training.micro_batches:
        raise ValueError(
            f"training.num_workers = {training.num_workers}: more than the "
            f"{training.micro_batches} parts of a step; raise training.micro_batches"
        )
    parts = -(-training.validation_pairs // (training.batch_size // training.micro_batches))
    if training.num_workers > parts:
        raise ValueError(
            f"training.validation_pairs = {training.validation_pairs}: only {parts} parts for "
            f"{training.num_workers} workers; raise it"
        )


def share_of(rank: int, num_workers: int, *, training: Training) -> range:
    """Return which micro-batches of every step are a worker's."""
    return range(rank, training.micro_batches, num_workers)


@dataclass(frozen=True, kw_only=True, eq=False)
class Batches:
    """Where the batches of a part of a split come from."""

    candidates: Candidates
    row_groups: RowGroups
    pairs: Pairs
    seed: int
    purpose: int
    """:data:`TRAINING` or :data:`VALIDATION`."""
    micro_size: int
    """Pairs of a micro-batch."""

    @classmethod
    def training(cls, config: Config, candidates: Candidates, row_groups: RowGroups) -> "Batches":
        """Return those that train."""
        return cls._of(config, candidates, row_groups, TRAINING)

    @classmethod
    def validation(cls, config: Config, candidates: Candidates, row_groups: RowGroups) -> "Batches":
        """Return those that validate: the list's parts are its steps, of one micro-batch each."""
        return cls._of(config, candidates, row_groups, VALIDATION)

    @classmethod
    def _of(
        cls, config: Config, candidates: Candidates, row_groups: RowGroups, purpose: int
    ) -> "Batches":
        return cls(
            candidates=candidates,
            row_groups=row_groups,
            pairs=config.pairs,
            seed=config.seed,
            purpose=purpose,
            micro_size=config.training.batch_size // config.training.micro_batches,
        )

    def share(self, step: int, micro_batches: Sequence[int]) -> Sums:
        """Return some micro-batches of a step, one after the other.

        Raises
        ------
        ValueError
            If the candidates give too few pairs, or the store is damaged.
        """
        pairs = [pair for number in micro_batches for pair in self._drawn(step, number, self.pairs)]
        return side_sums(pairs, self.row_groups, crop_size=self.pairs.crop_size)

    def check(self) -> None:
        """See that the candidates give a micro-batch, of the most images a side that are asked for.

        Raises
        ------
        ValueError
            If they do not.
        """
        most = [n if isinstance(n, int) else n[1] for n in self.pairs.num_images]
        self._drawn(0, 0, replace(self.pairs, num_images=(most[0], most[1])))

    def _drawn(self, step: int, number: int, settings: Pairs) -> list[Pair]:
        return drawn(
            self.candidates,
            step,
            num_pairs=self.micro_size,
            size=self.row_groups.shape[0],
            settings=settings,
            seed=self.seed,
            key=(self.purpose, number),
        )


def joined(parts: Sequence[Sums]) -> Sums:
    """Return some pairs' sums as one."""
    return Sums(
        sums=np.concatenate([part.sums for part in parts]),
        counts=np.concatenate([part.counts for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        step=parts[0].step,
    )
