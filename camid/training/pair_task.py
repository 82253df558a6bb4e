"""The training of pairs' networks: whether two sides are of one device."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from camid.config import Config
from camid.dataset.records import ImageRecord
from camid.dataset.splits import Part
from camid.evaluation.metrics import equal_error_rate, roc_auc
from camid.store.chunk_file import CHANNELS
from camid.store.strip_reader import RowGroups
from camid.training.batches import SUMS, ListedPairs, PairBatches, Reading, check_batches
from camid.training.tasks import LEARNING, TRAINED, Task


@dataclass(frozen=True, kw_only=True)
class PairTask(Task):
    """Whether two sides are of one device: the split deals devices to the parts.

    This is the Siamese network's task; the pair network's is
    :class:`camid.training.pairnet_task.StackTask`.
    """

    reading: ClassVar[Reading] = SUMS
    """Reading of pairs for the network."""

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
        """Return the training pairs."""
        return PairBatches(
            candidates=self._candidates("train"),
            row_groups=row_groups,
            config=self.config,
            reading=self.reading,
        )

    def validation(self, row_groups: RowGroups) -> ListedPairs:
        """Return the validation pairs: as those that the network is judged on."""
        return ListedPairs(
            candidates=self._candidates("validation"),
            row_groups=row_groups,
            config=self.config,
            reading=self.reading,
        )

    @classmethod
    def check_settings(cls, config: Config, *, size: int, source: str) -> None:
        """Raise, before any work, if the network cannot be trained, or judged on crops of a size.

        Parameters
        ----------
        source
            Name of the list or setting that states the size.

        Raises
        ------
        ValueError
            If the network's own crops do not fill crops of the size.
        """
        if size % config.pairs.crop_size:
            raise ValueError(
                f"pairs.crop_size = {config.pairs.crop_size}: the network is judged on crops that "
                f"its own fill, and {source} has crops of {size} px"
            )

    def check(self) -> None:
        """Raise if a part has no devices or no pairs, as :meth:`Task.check`."""
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
            batches_by_part: dict[Part, PairBatches | ListedPairs] = {
                "train": self.training(row_groups),
                "validation": listed,
            }
            for part, batches in batches_by_part.items():
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
        from camid.comparison.networks.siamese import siamese

        return siamese(self.config.siamese, size=self.config.pairs.crop_size)

    def figures(
        self, outputs: NDArray[np.float64], labels: NDArray[np.float64], parts: Sequence[range]
    ) -> dict[str, float]:
        """Return AUC and EER; a pair's score is the mean of its windows' logits."""
        num_windows = parts[-1].stop // self.config.training.validation_pairs
        scores = outputs[:, 0].reshape(-1, num_windows).mean(axis=1)
        return {
            "validation_auc": roc_auc(labels[::num_windows], scores),
            "validation_eer": equal_error_rate(labels[::num_windows], scores),
        }
