"""Tasks that networks are trained for, by one loop: to compare pairs, or to name devices.

A task provides the batches, the network, and the figures of its outputs.
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
"""Settings in which the trials of every task may differ."""


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
    """Figure that ranks validations."""
    multiple: ClassVar[int]
    """Number that divides the size of each part of a batch."""
    searched: ClassVar[tuple[str, ...]]
    """Sections and fields in which trials of a search may differ, all with one validation list."""

    @classmethod
    def method(cls) -> str:
        """Return the trained network's name in results."""
        return cls.network.removesuffix(".keras")

    @abstractmethod
    def images(self, part: Part) -> Sequence[ImageRecord]:
        """Return the images of a part."""

    @abstractmethod
    def training(self, row_groups: RowGroups) -> Batches:
        """Return the training batches."""

    @abstractmethod
    def validation(self, row_groups: RowGroups) -> Listed:
        """Return the validation list."""

    @abstractmethod
    def check(self) -> None:
        """Raise, before any worker starts, if there is nothing to train or to validate on.

        Raises
        ------
        ValueError
            If there is nothing, or a batch cannot be divided.
        """

    @abstractmethod
    def build(self) -> Any:
        """Return the untrained network, a ``keras.Model``: grey levels to logits."""

    @abstractmethod
    def figures(
        self, outputs: NDArray[np.float64], labels: NDArray[np.float64], parts: Sequence[range]
    ) -> dict[str, float]:
        """Return the figures of logits ``(row, output)`` of the validation list."""

    @property
    @abstractmethod
    def num_outputs(self) -> int:
        """Logits of a row."""

    @property
    @abstractmethod
    def unit_bytes(self) -> int:
        """Bytes of a pair or patch as it travels to its worker."""

    def check_object_stores(self, sizes: Iterable[float]) -> None:
        """Raise if the batches read ahead exceed an object store of Ray.

        Parameters
        ----------
        sizes
            Of the object stores, bytes.

        Raises
        ------
        ValueError
            If they exceed the smallest, so that Ray would write them to disks and read them back.
        """
        training = self.config.training
        ahead = training.prefetch * training.least_readers
        needed_bytes, smallest = ahead * self._step_bytes, min(sizes, default=inf)
        if needed_bytes > smallest:
            raise ValueError(
                f"{ahead} steps of {training.batch_size} {self.unit} that are read ahead take "
                f"{decimal(needed_bytes)}, and the smallest object store of Ray's nodes has "
                f"{decimal(int(smallest))}; lower training.prefetch or training.feed_workers"
            )

    def most_readers(self, sizes: Iterable[float], *, cpus: float) -> int:
        """Return how many processes may read for a worker that has ``cpus`` processors.

        What they read ahead takes at most half of the smallest object store, of ``sizes`` bytes.
        """
        ahead_bytes = self.config.training.prefetch * self._step_bytes
        by_memory = min(sizes, default=inf) / 2 // ahead_bytes
        return int(max(1, min(cpus - 1, by_memory)))

    @property
    def _step_bytes(self) -> int:
        """Bytes of a step's batch."""
        return self.config.training.batch_size * self.unit_bytes

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for workers: the task's fields, without data read for it."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def _opened(self) -> Store:
        return open_store(self.store)

    def _check_parts(self, parts: Sequence[range], setting: str) -> None:
        workers = self.config.training.num_workers
        if workers > len(parts):
            raise ValueError(f"{setting}: only {len(parts)} parts for {workers} workers; raise it")

    def _candidates(self, part: Part) -> Candidates:
        return candidates(self._opened, self.images(part))
