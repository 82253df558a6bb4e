"""Tasks: what networks are trained for, by one loop: to compare pairs, or to tell devices apart.

A task says where batches come from, what the network is, and what its outputs are worth.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from math import inf
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from rich.filesize import decimal

from camid.config import Config
from camid.dataset.records import ImageRecord
from camid.dataset.splits import Part, Split
from camid.store.store import Store, open_store
from camid.store.strip_reader import RowGroups
from camid.training.batches import Batches, Listed
from camid.training.pair_sampling import Candidates, candidates

LEARNING: tuple[Part, ...] = ("train", "validation")
TRAINED = (
    "paths.store",
    *(
        f"training.{name}"
        for name in (
            *("batch_size", "micro_batches", "optimiser", "learning_rate", "schedule"),
            *("warmup_steps", "weight_decay", "clip_norm", "precision", "patience"),
        )
    ),
)
"""In which trainings may differ, whatever they are for."""


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """A task: a network, and the batches of a store's images that it learns from."""

    config: Config
    store: str
    split: Split

    network: ClassVar[str]
    """The trained network's file."""
    unit: ClassVar[str]
    """Unit of a batch."""
    figure: ClassVar[str]
    """By which a validation is better than another."""
    multiple: ClassVar[int]
    """Of what each part of a batch has a multiple."""
    searched: ClassVar[tuple[str, ...]]
    """Sections and fields in which trials of a search may differ: what validates is the same."""

    @classmethod
    def method(cls) -> str:
        """Return what results call the trained network."""
        return cls.network.removesuffix(".keras")

    @abstractmethod
    def images(self, part: Part) -> Sequence[ImageRecord]:
        """Return the images of a part."""

    @abstractmethod
    def training(self, row_groups: RowGroups) -> Batches:
        """Return what trains."""

    @abstractmethod
    def validation(self, row_groups: RowGroups) -> Listed:
        """Return what validates."""

    @abstractmethod
    def check(self) -> None:
        """Raise, before any worker starts, if there is nothing to train or to validate on.

        Raises
        ------
        ValueError
            If there is not, or a batch cannot be parted.
        """

    @abstractmethod
    def build(self) -> Any:
        """Return the untrained network, a ``keras.Model``: grey levels to logits."""

    @abstractmethod
    def figures(
        self, outputs: NDArray[np.float64], labels: NDArray[np.float64], parts: Sequence[range]
    ) -> dict[str, float]:
        """Return what logits ``(row, output)`` of the validation's list are worth."""

    @property
    @abstractmethod
    def num_outputs(self) -> int:
        """Logits of a row."""

    @property
    @abstractmethod
    def unit_bytes(self) -> int:
        """Bytes of a pair or patch as it travels to its worker."""

    def check_object_stores(self, sizes: Iterable[float]) -> None:
        """Raise if what is read ahead is more than an object store of Ray holds.

        Parameters
        ----------
        sizes
            Of the object stores, bytes.

        Raises
        ------
        ValueError
            If it has none in the smallest, so that Ray would write it to disks and read it back.
        """
        training = self.config.training
        ahead = training.prefetch * training.feed_workers
        needed, smallest = ahead * training.batch_size * self.unit_bytes, min(sizes, default=inf)
        if needed > smallest:
            raise ValueError(
                f"{ahead} steps of {training.batch_size} {self.unit} that are read ahead take "
                f"{decimal(needed)}, and the smallest object store of Ray's nodes has "
                f"{decimal(int(smallest))}; lower training.prefetch or training.feed_workers"
            )

    def __getstate__(self) -> dict[str, Any]:
        """Return what workers get: what the task is, not what was read for it."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @cached_property
    def _opened(self) -> Store:
        return open_store(self.store)

    def _check_parts(self, parts: Sequence[range], setting: str) -> None:
        workers = self.config.training.num_workers
        if workers > len(parts):
            raise ValueError(f"{setting}: only {len(parts)} parts for {workers} workers; raise it")

    def _candidates(self, part: Part) -> Candidates:
        return candidates(self._opened, self.images(part))
