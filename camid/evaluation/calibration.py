"""Scores → natural log-likelihood ratios: same device over different devices, fitted and judged.

The fit weighs the two labels alike, so an LLR does not depend on how many comparisons of each a
calibration set holds: no prior is in it. It is bounded by what the set supports (:func:`support`).
An LLR divided by ln 10 is the decimal one of forensic scales.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit

from camid.evaluation.labels import Compared, judged, judged_together
from camid.evaluation.logistic import halves, regression
from camid.evaluation.weighted_roc import parties

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Logistic:
    """An LLR that rises linearly with the score: ``slope * score + intercept``, within bounds."""

    form: ClassVar[str] = "logistic"

    slope: float
    """Nats a unit of score, never negative."""
    intercept: float
    """Nats."""
    low: float
    """Least LLR, nats."""
    high: float
    """Greatest LLR, nats."""

    def __post_init__(self) -> None:
        numbers = self.slope, self.intercept, self.low, self.high
        if not np.isfinite(numbers).all() or self.slope < 0 or self.low > self.high:
            raise ValueError(f"expected a slope of at least 0, low <= high, got {self}")

    def llr(self, scores: ArrayLike) -> Array:
        """Return the LLR of each score, nats, in the scores' shape."""
        values = np.asarray(scores, np.float64)
        return np.clip(self.slope * values + self.intercept, self.low, self.high)

    def facts(self) -> dict[str, Any]:
        """Return the calibrator as :func:`calibrator` reads it from JSON."""
        return {"form": self.form, **asdict(self)}


class Fitted(Protocol):
    """A map of scores to LLRs, fitted to comparisons."""

    def llr(self, scores: ArrayLike, /) -> Array:
        """Return the LLR of each comparison, nats."""
        ...


Fit = Callable[[Compared, ArrayLike], Fitted]


def calibrator(facts: Mapping[str, Any]) -> Logistic:
    """Return the calibrator that facts describe.

    Raises
    ------
    ValueError
        If the facts describe no calibrator.
    """
    fields = {name: value for name, value in facts.items() if name != "form"}
    try:
        if facts["form"] == Logistic.form:
            return Logistic(**{name: float(value) for name, value in fields.items()})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not the facts of a calibrator: {error}") from None
    raise ValueError(f"expected a logistic calibrator, got {facts['form']!r}")


def support(compared: Compared) -> tuple[float, float]:
    """Return the least and the greatest LLR, nats, that a calibration set supports.

    Different devices give an LR of x or more at most once in x comparisons. If none of N did, the
    next still might: a rate of 1 / (N + 1) stays open, so N + 1 is the greatest LR they support.
    Likewise 1 / (N + 1) is the least, of N comparisons of one device. N counts the different pairs
    of devices among negatives and the different devices among positives: repeated comparisons add
    none. When to stop extrapolating is the question of Vergeer et al., Science & Justice 56
    (2016) 482–491, whose bounds look at the LRs too; these only count.
    """
    devices = parties(compared)
    num_devices, num_pairs = devices.with_positives.size, devices.pairs.shape[1]
    return -float(np.log(num_devices + 1)), float(np.log(num_pairs + 1))


def logistic_calibrator(compared: Compared, scores: ArrayLike) -> Logistic:
    """Return the linear map of scores to LLRs that has the least Cllr on labelled comparisons.

    It is a logistic regression in which both labels weigh half. Scores that do not rise with the
    label carry no evidence: their LLR is 0 everywhere.

    Raises
    ------
    ValueError
        If the scores are not finite or not as many as comparisons, or one label is missing.
    """
    values = judged(compared, scores)
    low, high = support(compared)
    (slope,), intercept = regression(values[None], compared.labels)
    if slope <= 0:
        return Logistic(slope=0.0, intercept=0.0, low=low, high=high)
    return Logistic(slope=float(slope), intercept=intercept, low=low, high=high)


def cross_fitted(
    compared: Compared,
    scores: ArrayLike,
    *,
    fit: Fit = logistic_calibrator,
    num_folds: int = 5,
    seed: int,
) -> Array:
    """Return the LLR of every comparison, nats, from a calibrator that saw neither of its devices.

    The devices are split in folds; a comparison of devices in folds i and j is calibrated by a fit
    on the comparisons that have no device in i or j.

    Parameters
    ----------
    scores
        ``(comparison,)``, or ``(comparison, method)`` for a fit that takes several methods.

    Raises
    ------
    ValueError
        As :func:`logistic_calibrator` and :func:`device_folds`, or if the comparisons outside two
        folds lack a label.
    """
    values = judged_together(compared, scores)
    devices = np.concatenate([compared.first, compared.second])
    folds = np.sort(device_folds(devices, num_folds=num_folds, seed=seed).reshape(2, -1), axis=0)
    llrs = np.empty(len(values))
    for held_out in np.unique(folds, axis=1).T:
        outside = np.asarray(~np.isin(folds, held_out).any(axis=0))
        training = compared.where(outside)
        if len(np.unique(training.labels)) < 2:
            missing = "different-device" if training.positive.any() else "same-device"
            raise ValueError(
                f"no {missing} comparison is left to calibrate with outside two of {num_folds} "
                "folds; raise num_folds, or compare more devices"
            )
        inside = (folds == held_out[:, None]).all(axis=0)
        llrs[inside] = fit(training, values[outside]).llr(values[inside])
    return llrs


def device_folds(devices: ArrayLike, *, num_folds: int = 5, seed: int) -> NDArray[np.int64]:
    """Return the fold of each device, 0 … ``num_folds`` − 1, in the order of ``devices``.

    A device that is named twice has one fold. Folds differ by one device at most, and depend on
    which devices are named, not on their order.

    Raises
    ------
    ValueError
        If there are fewer than two folds, or more folds than devices.
    """
    names, numbers = np.unique(np.asarray(devices), return_inverse=True)
    if not 2 <= num_folds <= len(names):
        raise ValueError(
            f"expected 2 to {len(names)} folds of {len(names)} devices, got num_folds={num_folds}"
        )
    folds = np.random.default_rng(seed).permutation(np.arange(len(names)) % num_folds)
    return folds[numbers]


def cllr(labels: ArrayLike, llr: ArrayLike) -> float:
    """Return the log-likelihood-ratio cost in bits: 0 is perfect, 1 is what LLRs of 0 cost.

    ½ mean log₂(1 + 1/LR) over positives + ½ mean log₂(1 + LR) over negatives. Brümmer, du Preez
    2006, doi:10.1016/j.csl.2005.08.001. LLRs are natural; an infinite one that misleads costs
    infinitely much.

    Raises
    ------
    ValueError
        If labels and LLRs differ in number, a label is not 0 or 1, an LLR is NaN, or one of the
        two labels is missing.
    """
    y, llrs = _labelled(labels, llr)
    costs = np.logaddexp(0, np.where(y == 1, -llrs, llrs)) / np.log(2)
    return float(costs[y == 1].mean() + costs[y == 0].mean()) / 2


def cllr_min(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the Cllr in bits that remains when scores are calibrated as well as can be.

    The calibration is the isotonic fit (PAV) to the labels themselves, unbounded: where only one
    label is left above or below, LLRs are infinite and cost nothing. A method's Cllr above this
    minimum is calibration loss; the rest is discrimination loss.

    Raises
    ------
    ValueError
        As :func:`cllr`.
    """
    y, values = _labelled(labels, scores)
    distinct, llrs = _pooled(y, values)
    return cllr(y, llrs[np.searchsorted(distinct, values)])


def _pooled(labels: NDArray[np.int64], scores: Array) -> tuple[Array, Array]:
    """Return the distinct scores, rising, and the LLR of each by pooling adjacent violators."""
    from sklearn.isotonic import isotonic_regression

    distinct, ranks = np.unique(scores, return_inverse=True)
    weights = halves(labels)
    total = np.bincount(ranks, weights=weights)
    share = np.bincount(ranks, weights=weights * labels) / total
    return distinct, logit(isotonic_regression(share, sample_weight=total, y_min=0, y_max=1))


def _labelled(labels: ArrayLike, numbers: ArrayLike) -> tuple[NDArray[np.int64], Array]:
    y, values = np.asarray(labels).ravel(), np.asarray(numbers, np.float64).ravel()
    if y.size != values.size:
        raise ValueError(f"expected as many labels as values, got {y.size} and {values.size}")
    if np.isnan(values).any():
        raise ValueError("expected values that are not NaN")
    if set(np.unique(y).tolist()) != {0, 1}:
        raise ValueError("expected labels of both 0 (different devices) and 1 (same device)")
    return y.astype(np.int64), values
