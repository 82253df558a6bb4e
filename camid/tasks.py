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

from camid.answers import Answers
from camid.batches import (
    SUMS,
    Batches,
    Listed,
    ListedPairs,
    PairBatches,
    PatchBatches,
    Reading,
    check_batches,
)
from camid.candidates import Candidates, candidates
from camid.chunk_files import CHANNELS
from camid.config import Config
from camid.metrics import equal_error_rate, roc_auc
from camid.patches import LabelledImages
from camid.records import ImageRecord
from camid.row_groups import RowGroups
from camid.splits import Known, Part, Split, known_devices
from camid.store import Store, open_store

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
MOST_HELD = 2**30
"""Bytes of the validation's list that a worker holds, at most."""


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """What is learned from a store's images of a split."""

    config: Config
    store: str
    split: Split

    network: ClassVar[str]
    """The trained network's file."""
    unit: ClassVar[str]
    """What a batch has."""
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
        """See, before any worker is asked for, that there is something to train and to validate on.

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
        """See that what is read ahead has a place in the object store of any node.

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


@dataclass(frozen=True, kw_only=True)
class PairTask(Task):
    """Whether two sides are of one device: of devices that the split gives to each part.

    The Siamese network learns that here; :class:`camid.stacks.StackTask` is another's.
    """

    reading: ClassVar[Reading] = SUMS
    """What the network is given of pairs."""

    network = "siamese.keras"
    unit = "pairs"
    figure = "validation_auc"
    num_outputs = 1
    multiple = 2
    searched = ("pairs", "siamese", *TRAINED)

    def images(self, part: Part) -> Sequence[ImageRecord]:
        """Return the images of a part's devices."""
        return self.split.images(part, self._opened.images())

    def training(self, row_groups: RowGroups) -> PairBatches:
        """Return the pairs that train."""
        return PairBatches(
            candidates=self._candidates("train"),
            row_groups=row_groups,
            config=self.config,
            reading=self.reading,
        )

    def validation(self, row_groups: RowGroups) -> ListedPairs:
        """Return the pairs that validate: as those that the network is judged on."""
        return ListedPairs(
            candidates=self._candidates("validation"),
            row_groups=row_groups,
            config=self.config,
            reading=self.reading,
        )

    @classmethod
    def check_settings(cls, config: Config, *, size: int, source: str) -> None:
        """See, before any work, that the network can be trained, and judged on crops of a size.

        Parameters
        ----------
        source
            What says that they have it.

        Raises
        ------
        ValueError
            If it cannot.
        """
        if size % config.pairs.crop_size:
            raise ValueError(
                f"pairs.crop_size = {config.pairs.crop_size}: the network is judged on crops that "
                f"its own fill, and {source} has crops of {size} px"
            )

    def check(self) -> None:
        """See that there are devices and pairs of both parts, as :meth:`Task.check`."""
        training = self.config.training
        check_batches(training, multiple=self.multiple)
        with RowGroups(self._opened) as row_groups:
            for part in LEARNING:
                if not self.images(part):
                    raise ValueError(
                        f"the split {self.split.name!r} leaves no device for {part}; name another "
                        "with --split, such as seeded"
                    )
            listed = self.validation(row_groups)
            checked: dict[Part, PairBatches | ListedPairs] = {
                "train": self.training(row_groups),
                "validation": listed,
            }
            for part, batches in checked.items():
                try:
                    batches.check()
                except ValueError as error:
                    raise ValueError(f"{part} of the split {self.split.name!r}: {error}") from None
            count = training.validation_pairs
            self._check_parts(listed.parts, f"training.validation_pairs = {count}")

    @property
    def unit_bytes(self) -> int:
        """Bytes of a pair: int16 sums of two crops."""
        return 2 * self.config.pairs.crop_size**2 * CHANNELS * 2

    def build(self) -> Any:
        """Return the untrained network of pairs."""
        from camid.models.siamese import siamese

        return siamese(self.config.siamese, size=self.config.pairs.crop_size)

    def figures(
        self, outputs: NDArray[np.float64], labels: NDArray[np.float64], parts: Sequence[range]
    ) -> dict[str, float]:
        """Return AUC and EER; a pair's score is the mean of its windows' logits."""
        each = parts[-1].stop // self.config.training.validation_pairs
        scores = outputs[:, 0].reshape(-1, each).mean(axis=1)
        return {
            "validation_auc": roc_auc(labels[::each], scores),
            "validation_eer": equal_error_rate(labels[::each], scores),
        }


@dataclass(frozen=True, kw_only=True)
class PatchTask(Task):
    """Which of some devices an image is of: of images that are dealt to each part."""

    network = "cnn.keras"
    unit = "patches"
    figure = "validation_patch_accuracy"
    multiple = 1
    searched = ("classifier.network", "classifier.width", "patches.per_strip", *TRAINED)

    @cached_property
    def known(self) -> Known:
        """The devices that are told apart, and their images."""
        return known_devices(
            self._opened.images(),
            self.split,
            settings=self.config.classifier,
            seed=self.config.seed,
        )

    @property
    def num_outputs(self) -> int:
        """Devices that are told apart."""
        return len(self.known.devices)

    def images(self, part: Part) -> list[ImageRecord]:
        """Return a part of the images of the devices that are told apart."""
        return self.known.images(part)

    def training(self, row_groups: RowGroups) -> PatchBatches:
        """Return the patches that train."""
        return self._batches("train", row_groups)

    def validation(self, row_groups: RowGroups) -> PatchBatches:
        """Return the patches that validate."""
        return self._batches("validation", row_groups)

    def check(self) -> None:
        """See that patches can be cut, as :meth:`Task.check`."""
        check_batches(self.config.training, multiple=self.multiple)
        with RowGroups(self._opened) as row_groups:
            self.training(row_groups).check()
            listed = self.validation(row_groups)
            count = self.config.patches.validation_images
            self._check_parts(listed.parts, f"patches.validation_images = {count}")
            held = listed.parts[-1].stop * listed.size**2 * row_groups.shape[-1]
            workers = self.config.training.num_workers
            if held > workers * MOST_HELD:
                raise ValueError(
                    f"patches.validation_images = {count}: their patches take "
                    f"{held / workers / 2**30:.1f} GiB of a worker; lower it or "
                    "patches.validation_per_image"
                )

    @property
    def unit_bytes(self) -> int:
        """Bytes of a patch: a sample each."""
        shape = self._opened.description["samples"]["shape"]
        size: int = self.config.patches.size or shape[0]
        return size**2 * CHANNELS

    def build(self) -> Any:
        """Return the untrained classifier."""
        from camid.models.classifier import classifier

        samples = self._opened.description["samples"]
        return classifier(
            self.config.classifier,
            size=self.config.patches.size or samples["shape"][0],
            num_devices=self.num_outputs,
            is_residual=samples["dtype"] == "int8",
        )

    def figures(
        self, outputs: NDArray[np.float64], labels: NDArray[np.float64], parts: Sequence[range]
    ) -> dict[str, float]:
        """Return how often patches and images name their device."""
        images = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        told = Answers.of(outputs, images)
        own = labels[[part.start for part in parts]].astype(np.int64)
        return {f"validation_{name}": value for name, value in told.accuracies(own).items()}

    def _batches(self, part: Part, row_groups: RowGroups) -> PatchBatches:
        return PatchBatches(
            images=LabelledImages(self._candidates(part), self.known.devices),
            row_groups=row_groups,
            config=self.config,
        )
