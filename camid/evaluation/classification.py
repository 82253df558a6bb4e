"""Identification: how well a classifier's answers name devices, and how it treats unknown ones.

What is fitted, the temperature and the threshold, is fitted on images that validate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from camid.evaluation.metrics import recognised, roc_auc
from camid.evaluation.patch_pooling import Answers

Array = NDArray[np.float64]
Row = dict[str, Any]

COLDEST, HOTTEST = 0.0, 9.0
"""Natural logarithms of the temperatures that are tried: none sharpens answers."""
BINS = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """Images that a classifier was asked about, and its answers."""

    labels: NDArray[np.int64]
    """``(image,)``: number of each image's device; −1 for a device outside the classes."""
    kinds: Sequence[str]
    models: Sequence[str]
    """Make and model of each image's device; empty where it is not known."""
    answers: Answers

    def where(self, chosen: NDArray[np.bool_]) -> "Asked":
        """Return the chosen images."""
        rows = np.flatnonzero(chosen).tolist()
        return Asked(
            labels=self.labels[rows],
            kinds=[self.kinds[i] for i in rows],
            models=[self.models[i] for i in rows],
            answers=self.answers.some(chosen),
        )


def temperature(asked: Asked) -> float:
    """Return the temperature at which probabilities match how often answers are right.

    An image's patches do not err independently, so their sum is far too sure. Guo et al. 2017,
    arXiv:1706.04599. After n right answers the next may be wrong: a share of 1 / (n + 2) counts
    equally for all devices.
    """
    doubt = 1 / (len(asked.labels) + 2)

    def cost(logarithm: float) -> float:
        heat = np.exp(logarithm)
        uniform = -float(log_softmax(asked.answers.totals / heat, axis=1).mean())
        return (1 - doubt) * log_loss(asked, heat) + doubt * uniform

    minimum = minimize_scalar(cost, bounds=(COLDEST, HOTTEST), method="bounded")
    return float(np.exp(minimum.x))


def probabilities(asked: Asked, heat: float) -> Array:
    """Return the probability of each device ``(image, device)`` at a temperature."""
    return np.asarray(softmax(asked.answers.totals / heat, axis=1))


def log_loss(asked: Asked, heat: float) -> float:
    """Return the mean of minus the log-probability of the right device, nats an image."""
    log_probabilities = log_softmax(asked.answers.totals / heat, axis=1)
    return -float(log_probabilities[np.arange(len(log_probabilities)), asked.labels].mean())


def reliability(asked: Asked, heat: float) -> list[Row]:
    """Return the mean best probability and the accuracy of each tenth of the images.

    The images are ordered by their best probability.
    """
    best = probabilities(asked, heat).max(axis=1)
    right = recognised(asked.labels, asked.answers.totals)
    order = np.argsort(best, kind="stable")
    return [
        {
            "images": len(group),
            "probability": float(best[group].mean()),
            "accuracy": float(right[group].mean()),
        }
        for group in np.array_split(order, min(BINS, len(order)))
    ]


def calibration_error(rows: Sequence[Mapping[str, Any]]) -> float:
    """Return the expected calibration error of :func:`reliability`'s rows, 0..1."""
    images = np.array([row["images"] for row in rows])
    gaps = np.array([abs(row["probability"] - row["accuracy"]) for row in rows])
    return float((images * gaps).sum() / images.sum())


def closed_set(test: Asked, heat: float) -> Row:
    """Return the accuracies of images and patches, and the calibration of probabilities.

    ``model_accuracy`` counts an answer as right if it is a device of the image's make and model:
    its excess over ``accuracy`` comes from traits that a model's devices share, not from sensors.
    """
    return {
        **test.answers.accuracies(test.labels),
        "model_accuracy": float(_names_model(test).mean()),
        "chance": 1 / test.answers.totals.shape[1],
        "temperature": heat,
        "log_loss": log_loss(test, heat),
        "calibration_error": calibration_error(reliability(test, heat)),
        "calibration_error_raw": calibration_error(reliability(test, 1.0)),
    }


def open_set(
    known: Asked, unknown: Asked, *, validation: Asked, heat: float, accepted: float
) -> Row:
    """Return the shares of known and unknown images that a threshold accepts.

    Parameters
    ----------
    known
        Images of the classifier's devices.
    unknown
        Images of other devices.
    accepted
        Share of the validation images that the threshold on the best score accepts.
    """
    if not len(unknown.labels):
        return {}
    threshold = float(np.quantile(best_scores(validation, heat), 1 - accepted))
    known_scores, unknown_scores = best_scores(known, heat), best_scores(unknown, heat)
    labels = np.repeat([1, 0], [len(known_scores), len(unknown_scores)])
    row = {
        "known_accepted": float((known_scores >= threshold).mean()),
        "unknown_accepted": float((unknown_scores >= threshold).mean()),
        "open_set_auc": roc_auc(labels, np.concatenate([known_scores, unknown_scores])),
        "num_unknown": len(unknown_scores),
    }
    known_models = set(known.models) - {""}
    is_same_model = np.array([model in known_models for model in unknown.models])
    if is_same_model.any():
        row["unknown_same_model_accepted"] = float(
            (unknown_scores[is_same_model] >= threshold).mean()
        )
    return row


def best_scores(asked: Asked, heat: float) -> Array:
    """Return each image's best score: the log-odds of its likeliest device, nats."""
    log_probabilities = log_softmax(asked.answers.totals / heat, axis=1)
    best = log_probabilities.argmax(axis=1)
    rows = np.arange(len(log_probabilities))
    others = log_probabilities.copy()
    others[rows, best] = -np.inf
    return np.asarray(log_probabilities[rows, best] - np.logaddexp.reduce(others, axis=1))


def by_group(test: Asked, devices: Sequence[str]) -> list[Row]:
    """Return accuracies of each device, and of each kind of image."""
    rows: list[Row] = []
    for number, device in enumerate(devices):
        rows.append({"device": device, "kind": "all", **_group(test, test.labels == number)})
    kinds = np.array(test.kinds)
    for kind in sorted({kind for kind in test.kinds if kind}):
        rows.append({"device": "all", "kind": kind, **_group(test, kinds == kind)})
    return rows


def confusion(test: Asked) -> Array:
    """Return the shares of each device's images assigned to each device, ``(device, device)``."""
    num_devices = test.answers.totals.shape[1]
    counts = np.zeros((num_devices, num_devices))
    np.add.at(counts, (test.labels, test.answers.totals.argmax(axis=1)), 1)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.full_like(counts, np.nan)
    np.divide(counts, totals, out=shares, where=totals > 0)
    return shares


def gallery_scores(test: Asked, queries: ArrayLike, devices: ArrayLike, heat: float) -> Array:
    """Return the log-probability of devices for queries: a score for each comparison.

    Parameters
    ----------
    queries, devices
        ``(comparison,)``: number of the image, and of the device.
    """
    log_probabilities = np.asarray(log_softmax(test.answers.totals / heat, axis=1))
    return np.asarray(log_probabilities[np.asarray(queries), np.asarray(devices)])


def _names_model(test: Asked) -> NDArray[np.bool_]:
    """Return for each image whether the answer is a device of its device's model."""
    names = {label: f"device {label}" for label in range(test.answers.totals.shape[1])}
    names |= {
        label: f"model {model}"
        for label, model in zip(test.labels.tolist(), test.models, strict=True)
        if model
    }
    answers = test.answers.totals.argmax(axis=1).tolist()
    return np.array(
        [
            names[answer] == names[label]
            for answer, label in zip(answers, test.labels.tolist(), strict=True)
        ]
    )


def _group(test: Asked, chosen: NDArray[np.bool_]) -> Row:
    group = test.where(chosen)
    return {"images": len(group.labels), **group.answers.accuracies(group.labels)}
