"""Fusion: the scores of several methods → one natural log-likelihood ratio.

A weighted sum of the scores by logistic regression, so that evidence that two methods share
is not counted twice. The fit minimises the cost of Brümmer, du Preez 2006,
doi:10.1016/j.csl.2005.08.001.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import resources
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from camid.evaluation.calibration import support
from camid.evaluation.labels import Compared, judged_together
from camid.evaluation.logistic import regression

Array = NDArray[np.float64]

FUSED = "fused"
"""Name of the fusion among the methods."""
SHIPPED_FILE = "fusion.json"
RIDGE = 1e-5
"""As :data:`camid.evaluation.logistic.RIDGE`, and large enough that slopes are of one size
whether or not a threshold separates the labels of the devices at hand."""


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """An LLR that rises with each method's score: their weighted sum, within bounds."""

    form: ClassVar[str] = "fusion"

    methods: tuple[str, ...]
    """The methods whose scores are fused, in order."""
    weights: tuple[float, ...]
    """Nats a unit of each method's score, never negative."""
    intercept: float
    """Nats."""
    low: float
    """Least LLR, nats."""
    high: float
    """Greatest LLR, nats."""

    def __post_init__(self) -> None:
        if not 0 < len({*self.methods}) == len(self.methods) == len(self.weights):
            raise ValueError(f"expected different methods and a weight for each, got {self}")
        numbers = np.array([*self.weights, self.intercept])
        are_rising = np.isfinite(numbers).all() and min(self.weights) >= 0
        if not are_rising or not self.low <= self.high:
            raise ValueError(f"expected weights of at least 0, low <= high, got {self}")

    def llr(self, scores: ArrayLike) -> Array:
        """Return the LLR of scores ``(…, method)``, nats ``(…,)``; NaN where a score is NaN.

        Raises
        ------
        ValueError
            If a method's scores are missing.
        """
        values = np.asarray(scores, np.float64)
        if values.shape[-1:] != (len(self.methods),):
            raise ValueError(
                f"expected scores of {', '.join(self.methods)} on the last axis, "
                f"got an array of {values.shape}"
            )
        total = values @ np.array(self.weights) + self.intercept
        return np.asarray(np.clip(total, self.low, self.high))

    def unbounded(self) -> "Fusion":
        """Return the fusion without bounds, which keeps the order of all scores."""
        return replace(self, low=-np.inf, high=np.inf)

    def facts(self) -> dict[str, Any]:
        """Return the fusion as :func:`fusion` reads it from JSON."""
        lists = {"methods": list(self.methods), "weights": list(self.weights)}
        return {"form": self.form, **asdict(self), **lists}


def fusion(facts: Mapping[str, Any]) -> Fusion:
    """Return the fusion that facts describe.

    Raises
    ------
    ValueError
        If the facts describe no fusion.
    """
    fields = {name: value for name, value in facts.items() if name != "form"}
    try:
        if facts["form"] != Fusion.form:
            raise ValueError(f"of a {facts['form']!r}")
        methods = tuple(map(str, fields.pop("methods")))
        weights = tuple(map(float, fields.pop("weights")))
        numbers = {name: float(value) for name, value in fields.items()}
        return Fusion(methods=methods, weights=weights, **numbers)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not the facts of a fusion: {error}") from None


def shipped_fusion() -> Fusion:
    """Return the fusion that camid comes with.

    Raises
    ------
    ValueError
        If its file is missing, or not a fusion's.
    """
    file = resources.files("camid.comparison.pretrained") / SHIPPED_FILE
    if not file.is_file():
        raise ValueError(f"{file}: camid's fusion is missing; install camid again")
    try:
        return fusion(json.loads(file.read_text("utf-8")))
    except ValueError as error:
        raise ValueError(f"{file}: {error}; install camid again") from None


def logistic_fusion(compared: Compared, scores: ArrayLike, *, methods: tuple[str, ...]) -> Fusion:
    """Return the weighted sum of scores ``(comparison, method)`` that has the least Cllr.

    It is a logistic regression in which both labels weigh half. A method that the others make
    redundant, or whose scores do not rise with the label, has no weight: methods are left out
    one by one, the least slope first, and the others fitted anew.

    Raises
    ------
    ValueError
        If a score is missing or not finite, or one of the two labels is missing.
    """
    values = judged_together(compared, scores)
    if values.ndim != 2 or values.shape[1] != len(methods):
        raise ValueError(f"expected scores of {', '.join(methods)}, got an array of {values.shape}")
    weights, intercept = np.zeros(len(methods)), 0.0
    spreads, kept = values.std(axis=0), [*range(len(methods))]
    while kept:
        slopes, constant = regression(values.T[kept], compared.labels, ridge=RIDGE)
        rises = slopes * spreads[kept]
        if rises.min() > 0:
            weights[kept], intercept = slopes, constant
            break
        del kept[int(rises.argmin())]
    low, high = support(compared)
    return Fusion(
        methods=methods, weights=tuple(weights.tolist()), intercept=intercept, low=low, high=high
    )
