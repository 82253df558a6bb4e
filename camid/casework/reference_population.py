"""Reference devices: the scores of their comparisons, and the likelihood ratios that follow."""

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
"""Quantiles of scores that are kept: enough for a histogram."""
LISTS = ("positives", "negatives", "same_model")
"""Names of the lists of quantiles."""


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
    """Quantiles of the scores of two devices."""
    same_model: tuple[float, ...] = ()
    """Quantiles of two devices of one model, which are among the negatives; empty if unknown."""
    num_same_model: int = 0
    calibrator: Logistic | None = None
    """From scores to log-likelihood ratios, unless the scores are such already."""
    grades: Mapping[str, Mapping[str, int]] | None = None
    """By grade of a photograph: of a ``count`` whose own device is enrolled, how many were
    ``unanswered`` and ``wrong``; of a ``stranger_count`` whose own is not, how many were given a
    device, ``stranger_named``."""

    def facts(self) -> dict[str, Any]:
        """Return the facts for JSON, as :func:`reference` takes them."""
        calibration = self.calibrator.facts() if self.calibrator else None
        lists = {name: list(getattr(self, name)) for name in LISTS}
        return {**asdict(self), **lists, "calibrator": calibration}


def quantiles(scores: ArrayLike) -> tuple[float, ...]:
    """Return the quantiles of scores that are kept, to four significant digits."""
    kept: NDArray[np.float64] = np.quantile(
        np.asarray(scores, np.float64), np.linspace(0, 1, NUM_QUANTILES)
    )
    return tuple(float(f"{value:.4g}") for value in kept)


def reference(facts: Mapping[str, Any]) -> Reference:
    """Return the reference of facts, as :meth:`Reference.facts` returns them.

    Raises
    ------
    ValueError
        If the facts are not a reference's.
    """
    try:
        calibration = facts["calibrator"]
        lists = {name: tuple(map(float, facts[name])) for name in LISTS if name in facts}
        return Reference(
            **{**facts, **lists, "calibrator": calibrator(calibration) if calibration else None}
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not the facts of reference devices: {error}") from None


def shipped_reference(name: str) -> Reference:
    """Return a reference that camid comes with.

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
