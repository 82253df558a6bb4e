"""Error rates of a gallery's score matrix: who is compared with whom, and what that is worth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camid.comparison.baselines import Scores
from camid.evaluation.metrics import (
    equal_error_rate,
    recognition_rate,
    roc_auc,
    single_threshold,
    tpr_at_fpr,
)

NEGATIVES = ("all", "different-model", "same-model", "same-size")


@dataclass(frozen=True, kw_only=True)
class Contest:
    """Who is compared with whom: the queries' own devices and the devices of the gallery."""

    queries: NDArray[np.int64]
    """Column of each query's own device."""
    models: Sequence[str]
    """Make and model of each device; empty where it is not known."""
    sizes: Sequence[tuple[int, int]]
    """Pixel size of each device's images."""

    def impostors(self, negatives: str) -> NDArray[np.bool_]:
        """Return which devices count as negatives of which, ``(device, device)``."""
        others = ~np.eye(len(self.models), dtype=bool)
        known = np.array([bool(model) for model in self.models])
        names = np.array(self.models)
        same_model = (names[:, None] == names) & known[:, None]
        other_model = (names[:, None] != names) & known[:, None] & known
        sides = np.array(self.sizes)
        same_size = (sides[:, None] == sides).all(axis=2)
        allowed = {
            "all": others,
            "different-model": others & other_model,
            "same-model": others & same_model,
            "same-size": others & same_size,
        }
        if negatives not in allowed:
            raise ValueError(f"expected negatives of {', '.join(NEGATIVES)}, got {negatives!r}")
        return np.asarray(allowed[negatives])


def figures(
    scores: Scores, contest: Contest, *, negatives: str, single_threshold_fpr: float
) -> dict[str, float | int]:
    """Return the error rates of a score matrix ``(query, device)`` against some negatives.

    Only queries whose device has such a negative take part, also as positives, so that both kinds
    of score are of the same devices. Comparisons without a shared position (NaN) are left out. An
    empty dictionary where nothing can be compared.
    """
    impostor: NDArray[np.bool_] = contest.impostors(negatives)[contest.queries]
    impostor &= np.isfinite(scores)
    taking_part = np.asarray(impostor.any(axis=1))
    if not taking_part.any():
        return {}
    own = np.zeros_like(impostor)
    own[np.arange(len(own)), contest.queries] = True
    compared = (own | impostor) & taking_part[:, None] & np.isfinite(scores)
    labels, values = own[compared].astype(int), scores[compared]
    single = single_threshold(labels, values, fpr=single_threshold_fpr)
    gallery = np.where(own | impostor, scores, np.nan)[taking_part]
    return {
        "eer": equal_error_rate(labels, values),
        "auc": roc_auc(labels, values),
        "rank1": recognition_rate(contest.queries[taking_part], gallery),
        "tpr_at_fpr_1e-2": tpr_at_fpr(labels, values, fpr=1e-2),
        "tpr_at_fpr_1e-3": tpr_at_fpr(labels, values, fpr=1e-3),
        **single.figures(),
        "num_positives": int(labels.sum()),
        "num_negatives": int((1 - labels).sum()),
        "num_devices": len(np.unique(contest.queries[taking_part])),
    }


def mean_scores(queries: NDArray[np.int64], scores: Scores) -> Scores:
    """Return the mean score of each device's queries with each pattern, ``(device, device)``.

    ``queries`` holds each query's own device, a column of ``scores`` ``(query, device)``. NaN where
    a device has no query, or no shared position with the other.
    """
    known = np.isfinite(scores)
    own = np.eye(scores.shape[1])[queries].T
    counts = own @ known
    sums = own @ np.where(known, scores, 0.0)
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
