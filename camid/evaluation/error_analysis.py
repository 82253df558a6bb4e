"""Error analysis of a run: by device and by pair of models, curves as points, LLRs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camid.evaluation.metrics import roc
from camid.evaluation.results import calibrated
from camid.evaluation.score_table import Scored

Row = dict[str, Any]
Llrs = Mapping[str, NDArray[np.float64]]

NATS = float(np.log(10))
"""Nats in a factor of ten of a likelihood ratio."""


def thresholds(scored: Scored) -> dict[str, float]:
    """Return each method's threshold at which false accepts equal false rejects.

    Raises
    ------
    ValueError
        As :func:`camid.evaluation.metrics.roc`.
    """
    limits = {}
    for method, values in scored.scores.items():
        curve = roc(scored.compared.labels, values)
        limits[method] = float(curve.thresholds[np.argmin(np.abs(curve.fpr - (1 - curve.tpr)))])
    return limits


def by_device(scored: Scored) -> list[Row]:
    """Return a row for each method and device: its errors at the method's equal-error threshold.

    ``false_rejects`` is the share of its own comparisons that are refused, ``false_accepts`` that
    of its comparisons with other devices that are accepted; NaN without comparisons.
    """
    compared, limits = scored.compared, thresholds(scored)
    models = dict(zip(compared.first.tolist(), scored.models[0].tolist(), strict=True))
    models |= dict(zip(compared.second.tolist(), scored.models[1].tolist(), strict=True))
    names = sorted(models, key=lambda name: (models[name], str(name)))
    takes_part = {name: (compared.first == name) | (compared.second == name) for name in names}
    rows = []
    for method, values in scored.scores.items():
        accepted = values >= limits[method]
        for name in names:
            own = takes_part[name] & compared.positive
            others = takes_part[name] & ~compared.positive
            rows.append(
                {
                    "method": method,
                    "device": name,
                    "model": models[name],
                    "num_positives": int(own.sum()),
                    "false_rejects": _mean(~accepted[own]),
                    "num_negatives": int(others.sum()),
                    "false_accepts": _mean(accepted[others]),
                    "mean_own_score": _mean(values[own]),
                    "mean_other_score": _mean(values[others]),
                }
            )
    return rows


def by_models(scored: Scored) -> list[Row]:
    """Return a row for each method and pair of models whose devices are compared.

    ``false_accepts`` is the share of their negatives at the method's equal-error threshold. A
    method's rows are in descending order of it.
    """
    negative = ~scored.compared.positive
    pairs = np.sort(np.stack([names[negative] for names in scored.models]), axis=0)
    if not pairs.size:
        return []
    model_pairs, numbers = np.unique(pairs, axis=1, return_inverse=True)
    counts = np.bincount(numbers.ravel())
    rows = []
    for method, limit in thresholds(scored).items():
        values = scored.scores[method][negative]
        accepted = np.bincount(numbers.ravel(), weights=values >= limit) / counts
        means = np.bincount(numbers.ravel(), weights=values) / counts
        rows += [
            {
                "method": method,
                "first": str(model_pairs[0, pair]),
                "second": str(model_pairs[1, pair]),
                "num_negatives": int(counts[pair]),
                "false_accepts": float(accepted[pair]),
                "mean_score": float(means[pair]),
            }
            for pair in np.lexsort((-counts, -accepted)).tolist()
        ]
    return rows


def curve_points(scored: Scored) -> list[Row]:
    """Return the points of each method's ROC and DET curve at which the curve turns."""
    rows = []
    for method, values in scored.scores.items():
        curve = roc(scored.compared.labels, values)
        bends = (np.diff(curve.fpr, 2) != 0) | (np.diff(curve.tpr, 2) != 0)
        turns = np.concatenate([[True], bends, [True]])
        points = np.stack([curve.fpr, curve.tpr, 1 - curve.tpr, curve.thresholds])[:, turns]
        rows += [
            {"method": method, "fpr": fpr, "tpr": tpr, "fnr": fnr, "threshold": threshold}
            for fpr, tpr, fnr, threshold in points.T.tolist()
        ]
    return rows


def evidence(scored: Scored, *, seed: int) -> dict[str, NDArray[np.float64]]:
    """Return each method's decimal log-likelihood ratios ``(comparison,)``.

    A comparison's calibrator saw neither of its devices. A method with too few devices for that is
    left out.
    """
    decimal_llrs = {}
    for method, values in scored.scores.items():
        llrs = calibrated(scored.compared, values, seed=seed)
        if llrs is not None:
            decimal_llrs[method] = llrs / NATS
    return decimal_llrs


def tippett_points(scored: Scored, llrs: Llrs) -> list[Row]:
    """Return a row for each decimal LLR at which the share of comparisons that reach it changes."""
    rows = []
    for method, values in llrs.items():
        for label, kind in ((1, "same device"), (0, "different devices")):
            levels, shares = reached(values[scored.compared.labels == label])
            rows += [
                {"method": method, "comparisons": kind, "log10_lr": level, "share": share}
                for level, share in zip(levels.tolist(), shares.tolist(), strict=True)
            ]
    return rows


def reached(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the distinct values, rising, and the share of all that are at least as large."""
    levels, counts = np.unique(values, return_counts=True)
    return levels, np.cumsum(counts[::-1])[::-1] / max(len(values), 1)


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if values.size else float("nan")
