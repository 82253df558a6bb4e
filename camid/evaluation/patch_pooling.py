"""Answers: a classifier's outputs for patches, pooled by image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, softmax

from camid.evaluation.metrics import recognised

Array = NDArray[np.float64]

TOP = 5
"""Likeliest devices among which the right one counts as a hit, in ``top5``."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """A classifier's answers about images: the sums over their patches, by device."""

    totals: Array
    """``(image, device)``: log-probabilities, nats; the answer is the largest."""
    votes: NDArray[np.int64]
    """``(image, device)``: patches whose largest probability it is."""

    @classmethod
    def of(cls, logits: NDArray[np.floating], images: ArrayLike) -> "Answers":
        """Return the answers of patches ``(patch, device)``.

        Parameters
        ----------
        images
            Number of each patch's image, from 0.
        """
        rows = np.asarray(images)
        log_probabilities = log_softmax(logits.astype(np.float64), axis=1)
        shape = (int(rows.max(initial=-1)) + 1, logits.shape[1])
        totals, votes = np.zeros(shape), np.zeros(shape, np.int64)
        np.add.at(totals, rows, log_probabilities)
        np.add.at(votes, (rows, log_probabilities.argmax(axis=1)), 1)
        return cls(totals=totals, votes=votes)

    @property
    def ballots(self) -> Array:
        """``(image, device)``: votes; ties are broken by the likelier device."""
        return np.asarray(self.votes + softmax(self.totals, axis=1) / 2)

    def some(self, images: NDArray[np.bool_] | NDArray[np.int64]) -> "Answers":
        """Return the answers about selected images."""
        return Answers(totals=self.totals[images], votes=self.votes[images])

    def patch_rates(self, labels: ArrayLike) -> Array:
        """Return the share of each image's patches that name its device."""
        own = self.votes[np.arange(len(self.votes)), np.asarray(labels)]
        return np.asarray(own / np.maximum(self.votes.sum(axis=1), 1))

    def accuracies(self, labels: Sequence[int] | NDArray[np.int64]) -> dict[str, float]:
        """Return how often patches and images name their device, 0..1.

        ``accuracy`` is by the sum of log-probabilities over an image's patches, ``vote_accuracy``
        by the number of patches, ``top5`` by whether the device is among the five largest sums,
        where there are more.
        """
        rows = np.arange(len(self.totals))
        own = self.totals[rows, np.asarray(labels)]
        rates = {
            "patch_accuracy": float(self.patch_rates(labels).mean()),
            "vote_accuracy": float(recognised(labels, self.ballots).mean()),
            "accuracy": float(recognised(labels, self.totals).mean()),
        }
        if self.totals.shape[1] > TOP:
            rates["top5"] = float(((self.totals >= own[:, None]).sum(axis=1) <= TOP).mean())
        return rates
