"""Error rates of scores: higher means more surely the same device; label 1 = same device."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Roc:
    """A ROC curve: one point a threshold, from none accepted to all accepted."""

    fpr: NDArray[np.float64]
    """False-accept rate, rising from 0 to 1."""
    tpr: NDArray[np.float64]
    """True-accept rate, rising from 0 to 1."""
    thresholds: NDArray[np.float64]
    """Scores from here on are accepted; falling, the first is infinite."""


def roc(labels: ArrayLike, scores: ArrayLike) -> Roc:
    """Return the ROC curve, one point for every distinct score.

    Raises
    ------
    ValueError
        If labels and scores differ in number, a label is not 0 or 1, a score is not finite, or one
        of the two classes is missing.
    """
    from sklearn.metrics import roc_curve  # seconds to import: not in every worker

    y, s = _checked(labels, scores)
    fpr, tpr, thresholds = roc_curve(y, s, drop_intermediate=False)
    return Roc(fpr, tpr, thresholds)


def equal_error_rate(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the rate at which false accepts equal false rejects, 0…1.

    The crossing is interpolated linearly between the two thresholds around it.

    Raises
    ------
    ValueError
        As :func:`roc`.
    """
    curve = roc(labels, scores)
    return float(crossing(curve.fpr, curve.tpr))


def balanced_accuracy(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the mean of the shares of positives above 0 and of negatives at most 0, 0…1.

    Raises
    ------
    ValueError
        As :func:`roc`.
    """
    y, s = _checked(labels, scores)
    return float(((s[y == 1] > 0).mean() + (s[y == 0] <= 0).mean()) / 2)


def roc_auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the area under the ROC curve: the chance that a positive outscores a negative.

    Ties count half.

    Raises
    ------
    ValueError
        As :func:`roc`.
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(*_checked(labels, scores)))


def tpr_at_fpr(labels: ArrayLike, scores: ArrayLike, *, fpr: float) -> float:
    """Return the largest true-accept rate of any threshold whose false-accept rate is ≤ ``fpr``."""
    curve = roc(labels, scores)
    return float(curve.tpr[curve.fpr <= fpr].max())


def recognition_rate(devices: ArrayLike, scores: NDArray[np.float64]) -> float:
    """Return the share of queries whose best score is their own device's (rank-1), 0…1.

    ``devices`` holds each query's column in ``scores`` ``(query, device)``. A tie with another
    device is no recognition, and a NaN score never wins.

    Raises
    ------
    ValueError
        If there is no query, or devices and scores differ in number.
    """
    return float(np.mean(recognised(devices, scores)))


def recognised(devices: ArrayLike, scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return for each query whether its own device's score is above all others."""
    own = np.asarray(devices)
    if scores.ndim != 2 or not len(own) or len(own) != len(scores):
        raise ValueError(f"expected {len(own)} rows of scores, got an array of {scores.shape}")
    rows = np.arange(len(own))
    others = np.where(np.isnan(scores), -np.inf, scores)
    own_scores = others[rows, own]
    others[rows, own] = -np.inf
    return np.asarray(own_scores > others.max(axis=1))


@dataclass(frozen=True)
class SingleThreshold:
    """Figures of a ROC that has one threshold only: two straight lines over one knee.

    The study's Table 1 shows such figures: its "EER" and AUC add up to 1.
    """

    eer: float
    """The study's "EER": 1 − auc."""
    auc: float
    """Area below the two lines: (1 + tpr − fpr) / 2."""
    crossing: float
    """Rate at which false accepts equal false rejects on the two lines."""

    def figures(self) -> dict[str, float]:
        """Return the figures by the names that result rows have: ``single_threshold_eer``, …."""
        return {f"single_threshold_{name}": value for name, value in asdict(self).items()}


def single_threshold(labels: ArrayLike, scores: ArrayLike, *, fpr: float = 1e-3) -> SingleThreshold:
    """Return the study's single-threshold figures, the threshold set at ``fpr`` (Lukas 2006)."""
    curve = roc(labels, scores)
    knee = int(np.flatnonzero(curve.fpr <= fpr)[-1])
    knee_fpr, knee_tpr = float(curve.fpr[knee]), float(curve.tpr[knee])
    auc = (1 + knee_tpr - knee_fpr) / 2
    lines = np.array([0, knee_fpr, 1]), np.array([0, knee_tpr, 1])
    return SingleThreshold(auc=auc, eer=1 - auc, crossing=float(crossing(*lines)))


def crossing(fpr: Floats, tpr: Floats) -> Floats:
    """Return the rate at which false accepts equal false rejects, 0…1, along the first axis.

    Parameters
    ----------
    fpr, tpr
        Accepted shares at falling thresholds, ``(threshold, …)``, from 0 to 1; between two
        thresholds they are taken as straight lines.
    """
    excess = fpr - (1 - tpr)
    after = np.count_nonzero(excess < 0, axis=0)[None]  # excess never falls, from −1 to 1
    before = after - 1
    low, high = (np.take_along_axis(excess, index, axis=0) for index in (before, after))
    start, end = (np.take_along_axis(fpr, index, axis=0) for index in (before, after))
    return np.asarray((start - low / (high - low) * (end - start))[0])


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    y, s = np.asarray(labels).ravel(), np.asarray(scores, np.float64).ravel()
    if y.size != s.size:
        raise ValueError(f"expected as many labels as scores, got {y.size} and {s.size}")
    if not np.isin(y, (0, 1)).all():
        raise ValueError("expected labels 0 (different devices) and 1 (same device)")
    if not np.isfinite(s).all():
        raise ValueError("expected finite scores")
    if len(np.unique(y)) < 2:
        raise ValueError("expected scores of both same-device and different-device comparisons")
    return y.astype(np.int64), s
