"""Reference devices: what their comparisons scored, and the likelihood ratios that follow."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from camid.evaluation.calibration import Logistic, calibrator

VERIFICATION_FILE, IDENTIFICATION_FILE = "verification.json", "identification.json"
NUM_QUANTILES = 101
"""Of scores that are kept: enough for a histogram."""
LISTS = ("positives", "negatives", "same_model")
"""Of quantiles."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Scores of comparisons between reference devices."""

    made_of: str
    """The devices and their photographs, in a sentence."""
    num_devices: int
    num_positives: int
    num_negatives: int
    positives: tuple[float, ...]
    """Quantiles of the scores of one device, the least first."""
    negatives: tuple[float, ...]
    """Of two devices."""
    same_model: tuple[float, ...] = ()
    """Of two devices of one model, which are among the negatives; empty if these are not known."""
    num_same_model: int = 0
    calibrator: Logistic | None = None
    """From scores to log-likelihood ratios, where the scores are none."""
    grades: Mapping[str, Mapping[str, int]] | None = None
    """By grade of a photograph: of a ``count`` whose own device is enrolled, how many were
    ``unanswered`` and ``wrong``; of a ``stranger_count`` whose own is not, how many were given a
    device, ``stranger_named``."""

    def facts(self) -> dict[str, Any]:
        """Return what JSON keeps and :func:`reference` takes."""
        made = self.calibrator.facts() if self.calibrator else None
        lists = {name: list(getattr(self, name)) for name in LISTS}
        return {**asdict(self), **lists, "calibrator": made}


def quantiles(scores: ArrayLike) -> tuple[float, ...]:
    """Return what is kept of scores, to four digits."""
    found: NDArray[np.float64] = np.quantile(
        np.asarray(scores, np.float64), np.linspace(0, 1, NUM_QUANTILES)
    )
    return tuple(float(f"{value:.4g}") for value in found)


def reference(facts: Mapping[str, Any]) -> Reference:
    """Return the reference whose facts these are.

    Raises
    ------
    ValueError
        If they are none's.
    """
    try:
        made = facts["calibrator"]
        lists = {name: tuple(map(float, facts[name])) for name in LISTS if name in facts}
        return Reference(**{**facts, **lists, "calibrator": calibrator(made) if made else None})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not the facts of reference devices: {error}") from None


def shipped_reference(name: str) -> Reference:
    """Return what camid comes with.

    Raises
    ------
    ValueError
        If its file is missing or broken.
    """
    file = resources.files("camid.comparison.pretrained") / name
    try:
        return reference(json.loads(file.read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: {error}; install camid again") from None
