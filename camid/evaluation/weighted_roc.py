"""EER, AUC and TPR at FPR of comparisons whose devices count several times, or not at all.

Scores are ranked once. Accepted counts of all weightings together are then a product of sparse
counts with the weights, summed along the ranks.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from camid.evaluation.labels import Compared, judged
from camid.evaluation.metrics import crossing

Array = NDArray[np.float64]
Counts: TypeAlias = "csr_array[np.float64, tuple[int, int]]"

FIGURES = ("eer", "auc", "tpr_at_fpr_1e-2", "tpr_at_fpr_1e-3")

_FPRS = (1e-2, 1e-3)


@dataclass(frozen=True, kw_only=True, eq=False)
class Parties:
    """The devices of comparisons by number, and the pairs of devices that negatives are of."""

    num_devices: int
    positives: NDArray[np.int64]
    """Device of each positive."""
    with_positives: NDArray[np.int64]
    """Devices that have positives."""
    negatives: NDArray[np.int64]
    """Pair of each negative."""
    pairs: NDArray[np.int64]
    """``(2, pair)``: many negatives of a score matrix are of one pair."""

    def meetings(self, times: Array) -> Array:
        """Return how often the devices of each pair meet ``(pair, weighting)``.

        ``times`` is how often each device counts ``(device, weighting)``.
        """
        return np.asarray(times[self.pairs[0]] * times[self.pairs[1]])

    def usable(self, times: Array, meetings: Array) -> NDArray[np.bool_]:
        """Return which weightings leave both positives and negatives."""
        return np.asarray(times[self.with_positives].any(axis=0) & meetings.any(axis=0))


def parties(compared: Compared) -> Parties:
    """Return the devices of comparisons, in the sorted order of their names or numbers."""
    num_devices, numbers = compared.numbered()
    positives = numbers[0, compared.positive]
    low, high = np.sort(numbers[:, ~compared.positive], axis=0)
    pairs, negatives = np.unique(low * num_devices + high, return_inverse=True)
    return Parties(
        num_devices=num_devices,
        positives=positives,
        with_positives=np.unique(positives),
        negatives=negatives,
        pairs=np.stack(np.divmod(pairs, num_devices)),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """One method's ROC before weighting: the comparisons of each run of scores, highest first.

    A run is one score that both labels have, or neighbouring scores of one label alone: between
    them the ROC is straight, whatever the weights, so nothing is lost.
    """

    positives: Counts
    """Positives of each device ``(run, device)``."""
    negatives: Counts
    """Negatives of each pair of devices ``(run, pair)``."""

    @property
    def num_runs(self) -> int:
        """Points of the ROC, less one."""
        return self.positives.shape[0]

    def figures(self, times: Array, meetings: Array) -> Array:
        """Return :data:`FIGURES` ``(figure, weighting)``; every weighting has to be usable."""
        tpr = _rates(np.asarray(self.positives @ times))
        fpr = _rates(np.asarray(self.negatives @ meetings))
        auc = np.einsum("rw,rw->w", np.diff(fpr, axis=0), tpr[1:] + tpr[:-1]) / 2
        return np.stack(
            [crossing(fpr, tpr), auc, *(_accepted(fpr, tpr, max_fpr) for max_fpr in _FPRS)]
        )


def curve(compared: Compared, devices: Parties, scores: ArrayLike) -> Curve:
    """Return the ROC of one method's scores ``(comparison,)``.

    Raises
    ------
    ValueError
        As :func:`camid.evaluation.labels.judged`.
    """
    values = judged(compared, scores)
    positive = compared.positive
    distinct, ranks = np.unique(-values, return_inverse=True)
    has_label = np.zeros((2, len(distinct)), bool)
    has_label[0, ranks[positive]] = has_label[1, ranks[~positive]] = True
    starts_run = (has_label[:, 1:] != has_label[:, :-1]).any(axis=0) | has_label[:, 1:].all(axis=0)
    runs = np.concatenate([[0], np.cumsum(starts_run)])
    num_runs, num_pairs = int(runs[-1]) + 1, devices.pairs.shape[1]
    return Curve(
        positives=_counts(runs[ranks[positive]], devices.positives, num_runs, devices.num_devices),
        negatives=_counts(runs[ranks[~positive]], devices.negatives, num_runs, num_pairs),
    )


def _counts(
    rows: NDArray[np.int64], columns: NDArray[np.int64], num_rows: int, num_columns: int
) -> Counts:
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(num_rows, num_columns))


def _rates(weights: Array) -> Array:
    """Return the accepted share after each run, from 0 to 1 ``(run + 1, weighting)``."""
    accepted = np.zeros((len(weights) + 1, weights.shape[1]))
    np.cumsum(weights, axis=0, out=accepted[1:])
    return np.asarray(accepted / accepted[-1])


def _accepted(fpr: Array, tpr: Array, max_fpr: float) -> Array:
    last = np.count_nonzero(fpr <= max_fpr, axis=0)[None] - 1
    return np.asarray(np.take_along_axis(tpr, last, axis=0)[0])
