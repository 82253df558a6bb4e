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
"""Natural logarithms of the temperatures that are tried: none makes answers surer."""
BINS = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """Images that a classifier was asked about, and what it answered."""

    labels: NDArray[np.int64]
    """``(image,)``: number of each image's device; −1 for one that is none of the classes."""
    kinds: Sequence[str]
    models: Sequence[str]
    """Make and model of each image's device; empty where it is not known."""
    answers: Answers

    def where(self, chosen: NDArray[np.bool_]) -> "Asked":
        """Return some of the images."""
        places = np.flatnonzero(chosen).tolist()
        return Asked(
            labels=self.labels[places],
            kinds=[self.kinds[i] for i in places],
            models=[self.models[i] for i in places],
            answers=self.answers.some(chosen),
        )


def temperature(asked: Asked) -> float:
    """Return by what log-probabilities are divided so that they fit how often they are right.

    An image's patches do not err apart, so their sum is far too sure. Guo et al. 2017,
    arXiv:1706.04599. Of n images that are all right the next may be wrong: a share of 1 / (n + 2)
    counts as of any device.
    """
    doubt = 1 / (len(asked.labels) + 2)

    def cost(logarithm: float) -> float:
        heat = np.exp(logarithm)
        anyone = -float(log_softmax(asked.answers.totals / heat, axis=1).mean())
        return (1 - doubt) * log_loss(asked, heat) + doubt * anyone

    found = minimize_scalar(cost, bounds=(COLDEST, HOTTEST), method="bounded")
    return float(np.exp(found.x))


def probabilities(asked: Asked, heat: float) -> Array:
    """Return the probability of each device ``(image, device)`` at a temperature."""
    return np.asarray(softmax(asked.answers.totals / heat, axis=1))


def log_loss(asked: Asked, heat: float) -> float:
    """Return the mean of minus the log-probability of the right device, nats an image."""
    told = log_softmax(asked.answers.totals / heat, axis=1)
    return -float(told[np.arange(len(told)), asked.labels].mean())


def reliability(asked: Asked, heat: float) -> list[Row]:
    """Return the mean best probability and the share of right answers, of tenths of the images.

    The images are ordered by their best probability.
    """
    best = probabilities(asked, heat).max(axis=1)
    right = recognised(asked.labels, asked.answers.totals)
    order = np.argsort(best, kind="stable")
    return [
        {
            "images": len(some),
            "probability": float(best[some].mean()),
            "accuracy": float(right[some].mean()),
        }
        for some in np.array_split(order, min(BINS, len(order)))
    ]


def calibration_error(rows: Sequence[Mapping[str, Any]]) -> float:
    """Return the expected calibration error of :func:`reliability`'s rows, 0..1."""
    images = np.array([row["images"] for row in rows])
    gaps = np.array([abs(row["probability"] - row["accuracy"]) for row in rows])
    return float((images * gaps).sum() / images.sum())


def closed_set(test: Asked, heat: float) -> Row:
    """Return the accuracies of an image and of a patch, and how true its probabilities are.

    ``model_accuracy`` counts an answer as right if it is a device of the image's make and model:
    what is above ``accuracy`` was found by what a model's devices share, not by the sensor.
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
    """Return what a threshold on the best probability lets through.

    Parameters
    ----------
    known
        Images of the devices that are told apart.
    unknown
        Images of others.
    accepted
        Share of the validation's images that the threshold lets through.
    """
    if not len(unknown.labels):
        return {}
    least = float(np.quantile(best_scores(validation, heat), 1 - accepted))
    ours, theirs = best_scores(known, heat), best_scores(unknown, heat)
    labels = np.repeat([1, 0], [len(ours), len(theirs)])
    row = {
        "known_accepted": float((ours >= least).mean()),
        "unknown_accepted": float((theirs >= least).mean()),
        "open_set_auc": roc_auc(labels, np.concatenate([ours, theirs])),
        "num_unknown": len(theirs),
    }
    of_models = set(known.models) - {""}
    akin = np.array([model in of_models for model in unknown.models])
    if akin.any():
        row["unknown_same_model_accepted"] = float((theirs[akin] >= least).mean())
    return row


def best_scores(asked: Asked, heat: float) -> Array:
    """Return each image's best score: the log-odds of its likeliest device, nats."""
    told = log_softmax(asked.answers.totals / heat, axis=1)
    best = told.argmax(axis=1)
    rows = np.arange(len(told))
    others = told.copy()
    others[rows, best] = -np.inf
    return np.asarray(told[rows, best] - np.logaddexp.reduce(others, axis=1))


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
    """Return the share of each device's images that are taken for each, ``(device, device)``."""
    count = test.answers.totals.shape[1]
    shares = np.zeros((count, count))
    np.add.at(shares, (test.labels, test.answers.totals.argmax(axis=1)), 1)
    totals = shares.sum(axis=1, keepdims=True)
    found = np.full_like(shares, np.nan)
    np.divide(shares, totals, out=found, where=totals > 0)
    return found


def gallery_scores(test: Asked, queries: ArrayLike, devices: ArrayLike, heat: float) -> Array:
    """Return the log-probability of devices for queries: a score for each of some comparisons.

    Parameters
    ----------
    queries, devices
        ``(comparison,)``: number of the image, and of the device.
    """
    told = np.asarray(log_softmax(test.answers.totals / heat, axis=1))
    return np.asarray(told[np.asarray(queries), np.asarray(devices)])


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
    some = test.where(chosen)
    return {"images": len(some.labels), **some.answers.accuracies(some.labels)}
