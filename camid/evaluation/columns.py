"""Columns of result rows: title and meaning of each figure, wherever rows are shown or kept.

The report, tables in a terminal and MLflow all take their columns from here.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

AGAINST = {
    "all": "all others",
    "different-model": "other models",
    "same-model": "same model",
    "same-size": "same size",
}
"""Words for kinds of negatives."""


def rate(value: float | str) -> str:
    """Return a figure to four places; a dash where it is missing."""
    return "–" if value == "" or not np.isfinite(float(value)) else f"{float(value):.4f}"


def count(value: int | str) -> str:
    """Return a whole number with its thousands apart."""
    return f"{int(value):,}"


def or_all(value: int | None) -> str:
    """Return a number, or ``all`` for None."""
    return "all" if value is None else f"{value}"


def against(value: str) -> str:
    """Return a kind of negatives in words."""
    return AGAINST.get(value, value)


class Column(NamedTuple):
    """A column of result rows."""

    title: str
    """In the report; empty for a column that it does not show."""
    meaning: str
    form: Callable[[Any], str] = rate
    """How its values are written in the report."""
    heading: str = ""
    """In a terminal, where it differs from the title."""
    is_metric: bool = True
    """Whether MLflow keeps it as a metric."""


COLUMNS = {
    "images": Column(
        "Images",
        "Images that make a device's reference pattern + images that are compared with it.",
        form=str,
        heading="images",
        is_metric=False,
    ),
    "num_crops": Column(
        "Crops",
        "Windows of both sides that are compared, their scores averaged; all: whole strips.",
        form=or_all,
        heading="crops",
        is_metric=False,
    ),
    "negatives": Column(
        "Against",
        "Which other devices a photograph is compared with. Devices of the same model are the "
        "hard case: they share whatever the camera's software leaves in every photograph.",
        form=against,
        heading="negatives",
        is_metric=False,
    ),
    "eer": Column(
        "EER",
        "Equal error rate: the share of errors at the threshold where false accepts and false "
        "rejects are equally frequent. 0 is perfect, 0.5 is guessing.",
    ),
    "auc": Column(
        "AUC",
        "Area under the ROC: how often a photograph's own device outscores another one. "
        "1 is perfect, 0.5 is guessing.",
    ),
    "rank1": Column(
        "Rank-1",
        "Share of photographs whose highest score is their own device's.",
        heading="rank-1",
    ),
    "accuracy": Column(
        "Accuracy",
        "Share of photographs, or of pairs at a likelihood ratio of 1, that are assigned rightly.",
    ),
    "vote_accuracy": Column(
        "Vote", "The same where a photograph's patches vote.", heading="by vote"
    ),
    "patch_accuracy": Column(
        "Patches", "Share of single patches that are assigned rightly.", heading="patches"
    ),
    "model_accuracy": Column(
        "Model", "Share of photographs whose model is told rightly.", heading="model"
    ),
    "top5": Column("Top-5", "Share whose device is among the five most probable.", heading="top-5"),
    "unknown_accepted": Column(
        "Unknown",
        "Share of photographs by other devices that are taken for one of these.",
        heading="unknown\naccepted",
    ),
    "cllr": Column(
        "Cllr",
        "Cost of the likelihood ratios in bits: 0 is perfect, 1 is what knowing nothing costs.",
    ),
    "tpr_at_fpr_1e-2": Column(
        "TPR 1e-2",
        "Share of photographs that their own device accepts at a threshold that at most 1 in 100 "
        "comparisons with other devices passes.",
    ),
    "tpr_at_fpr_1e-3": Column("TPR 1e-3", "The same at 1 in 1,000."),
    "num_positives": Column(
        "Positives",
        "Comparisons of a photograph with its own device.",
        form=count,
        is_metric=False,
    ),
    "num_negatives": Column(
        "Negatives",
        "Comparisons of a photograph with another device.",
        form=count,
        is_metric=False,
    ),
    "num_devices": Column(
        "Devices", "Devices whose photographs are compared.", form=count, is_metric=False
    ),
    "single_threshold_eer": Column(
        "EER*",
        "The study's figures, at the threshold that the configuration names "
        "(metrics.single_threshold_fpr). Read them beside its Table 1 only.",
    ),
    "single_threshold_auc": Column("AUC*", ""),
    "study_crossing": Column(
        "",
        "Where false accepts equal false rejects on the study's ROC.",
        heading="study\nEER",
        is_metric=False,
    ),
    "study_eer": Column(
        "", "The EER that the study states.", heading="study\nsays", is_metric=False
    ),
    "cllr_min": Column("", "The least cost that any calibration of the scores has, in bits."),
    "chance": Column("", "Share of right answers by guessing."),
    "log_loss": Column("", "Mean of minus the log-probability of the right device, nats."),
    "calibration_error": Column("", "Expected calibration error of stated probabilities."),
    "known_accepted": Column("", "Share of photographs by these devices that are accepted."),
    "open_set_auc": Column("", "AUC of the best score: one of these devices, or another."),
}
"""By figure, in the order of the report."""

WITH_INTERVALS = ("eer", "auc")
"""Figures whose intervals MLflow keeps."""
IN_REPORT = tuple(name for name, column in COLUMNS.items() if column.title)
METRICS = tuple(
    name + suffix
    for name, column in COLUMNS.items()
    if column.is_metric
    for suffix in (("", "_low", "_high") if name in WITH_INTERVALS else ("",))
)

GALLERY_TABLE = (
    *("images", "negatives", "eer", "auc", "rank1"),
    *("single_threshold_eer", "single_threshold_auc"),
)
"""Columns of a printed table of the study's baselines."""
LIST_TABLE = (
    *("num_crops", "negatives", "eer", "auc", "cllr", "rank1"),
    *("single_threshold_eer", "study_crossing", "study_eer"),
)
"""Columns of a printed table of an evaluation; with names of ten letters it is 80 wide."""
CLASSIFIER_TABLE = (
    *("rank1", "model_accuracy", "top5", "vote_accuracy", "patch_accuracy"),
    *("eer", "unknown_accepted"),
)
"""Columns of a printed table of a classifier and what it is compared with."""
