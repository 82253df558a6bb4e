"""The training of the classifier: which of its devices took an image."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camid.dataset.records import ImageRecord
from camid.dataset.splits import Known, Part, known_devices
from camid.evaluation.patch_pooling import Answers
from camid.store.chunk_file import CHANNELS
from camid.store.strip_reader import RowGroups
from camid.training.batches import PatchBatches, check_batches
from camid.training.patches import LabelledImages
from camid.training.tasks import TRAINED, Task

MOST_HELD = 2**30
"""Bytes of the validation list that a worker holds, at most."""


@dataclass(frozen=True, kw_only=True)
class PatchTask(Task):
    """Classification of images by device; each device's images are dealt to the parts."""

    network = "cnn.keras"
    unit = "patches"
    figure = "validation_patch_accuracy"
    multiple = 1
    searched = ("classifier.network", "classifier.width", "patches.per_strip", *TRAINED)

    @cached_property
    def known(self) -> Known:
        """The classifier's devices, and their images."""
        return known_devices(
            self._opened.images(),
            self.split,
            settings=self.config.classifier,
            seed=self.config.seed,
        )

    @property
    def num_outputs(self) -> int:
        """Number of the classifier's devices."""
        return len(self.known.devices)

    def images(self, part: Part) -> list[ImageRecord]:
        """Return a part of the images of the classifier's devices."""
        return self.known.images(part)

    def training(self, row_groups: RowGroups) -> PatchBatches:
        """Return the training patches."""
        return self._batches("train", row_groups)

    def validation(self, row_groups: RowGroups) -> PatchBatches:
        """Return the validation patches."""
        return self._batches("validation", row_groups)

    def check(self) -> None:
        """Raise if patches cannot be cut, as :meth:`Task.check`."""
        check_batches(self.config.training, multiple=self.multiple)
        with RowGroups(self._opened) as row_groups:
            self.training(row_groups).check()
            listed = self.validation(row_groups)
            count = self.config.patches.validation_images
            self._check_parts(listed.parts, f"patches.validation_images = {count}")
            held_bytes = listed.parts[-1].stop * listed.size**2 * row_groups.shape[-1]
            workers = self.config.training.num_workers
            if held_bytes > workers * MOST_HELD:
                raise ValueError(
                    f"patches.validation_images = {count}: their patches take "
                    f"{held_bytes / workers / 2**30:.1f} GiB of a worker; lower it or "
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
        from camid.comparison.networks.classifier import classifier

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
        """Return the accuracies of patches and of images."""
        images = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        answers = Answers.of(outputs, images)
        own_devices = labels[[part.start for part in parts]].astype(np.int64)
        return {
            f"validation_{name}": value for name, value in answers.accuracies(own_devices).items()
        }

    def _batches(self, part: Part, row_groups: RowGroups) -> PatchBatches:
        return PatchBatches(
            images=LabelledImages(self._candidates(part), self.known.devices),
            row_groups=row_groups,
            config=self.config,
        )
