"""The report: one HTML page of an output folder, whole in itself, a pure function of its files."""

import base64
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from camid.evaluation.report.facts import part_folder, report_facts
from camid.io.folder import Folder
from camid.io.output_layout import PICTURES

if TYPE_CHECKING:
    from jinja2 import Environment

FEW_DEVICES = 30
FEW_QUERIES = 300
"""Below these, another draw of devices or photographs moves error rates by whole percents."""
MAX_ROWS = 200
"""Rows of a list that are shown; the file beside the report has all of them."""
OPEN_ROWS = 40
"""Rows of a list that is shown unfolded."""


class Column(NamedTuple):
    """A column of the table of results: its title, how its values are written, what it means."""

    title: str
    form: Callable[[Any], str]
    meaning: str


def rate(value: float | str) -> str:
    """Return a figure to four places, as pipelines print it; a dash where there is none."""
    return "–" if value == "" or not np.isfinite(float(value)) else f"{float(value):.4f}"


def count(value: int | str) -> str:
    """Return a whole number with its thousands apart."""
    return f"{int(value):,}"


def score(value: float | str) -> str:
    """Return a score to five places; a dash where there is none."""
    if value == "" or not np.isfinite(float(value)):
        return "–"
    return f"{float(value):.5f}".replace("-", "−")


def share(value: float, of: str) -> str:
    """Return a rate in words: ``8 in 100 photographs``, or in 1,000 where it is small."""
    if value in (0, 1):
        return f"none of the {of}" if value == 0 else f"all {of}"
    if value >= 0.01:
        return f"{min(100 * value, 99):.0f} in 100 {of}"
    return f"{'fewer than 1' if value < 0.001 else round(1000 * value)} in 1,000 {of}"


NOTES = {
    "lukas": "correlates what denoising takes from a photograph with a device's reference pattern.",
    "li": "first weakens what is strong in it, which the scene is likelier to have made.",
    "fused": "weighs the scores of several methods by what they tell of other devices than the two "
    "that are compared; its scores are natural log-likelihood ratios.",
}
"""Sentences about methods, each begun by the method's name."""

AGAINST = {
    "all": "all others",
    "different-model": "other models",
    "same-model": "same model",
    "same-size": "same size",
}

COLUMNS = {
    "images": Column(
        "Images",
        str,
        "Images that make a device's reference pattern + images that are compared with it.",
    ),
    "num_crops": Column(
        "Crops",
        str,
        "Windows of both sides that are compared, their scores averaged; all: whole strips.",
    ),
    "negatives": Column(
        "Against",
        lambda value: AGAINST.get(value, value),
        "Which other devices a photograph is compared with. Devices of the same model are the "
        "hard case: they share whatever the camera's software leaves in every photograph.",
    ),
    "eer": Column(
        "EER",
        rate,
        "Equal error rate: the share of errors at the threshold where false accepts and false "
        "rejects are equally frequent. 0 is perfect, 0.5 is guessing.",
    ),
    "auc": Column(
        "AUC",
        rate,
        "Area under the ROC: how often a photograph's own device outscores another one. "
        "1 is perfect, 0.5 is guessing.",
    ),
    "rank1": Column(
        "Rank-1",
        rate,
        "Share of photographs whose highest score is their own device's.",
    ),
    "accuracy": Column(
        "Accuracy",
        rate,
        "Share of photographs, or of pairs at a likelihood ratio of 1, that are assigned rightly.",
    ),
    "vote_accuracy": Column("Vote", rate, "The same where a photograph's patches vote."),
    "patch_accuracy": Column("Patches", rate, "Share of single patches that are assigned rightly."),
    "model_accuracy": Column("Model", rate, "Share of photographs whose model is told rightly."),
    "top5": Column("Top-5", rate, "Share whose device is among the five most probable."),
    "unknown_accepted": Column(
        "Unknown",
        rate,
        "Share of photographs by other devices that are taken for one of these.",
    ),
    "cllr": Column(
        "Cllr",
        rate,
        "Cost of the likelihood ratios in bits: 0 is perfect, 1 is what knowing nothing costs.",
    ),
    "tpr_at_fpr_1e-2": Column(
        "TPR 1e-2",
        rate,
        "Share of photographs that their own device accepts at a threshold that at most 1 in 100 "
        "comparisons with other devices passes.",
    ),
    "tpr_at_fpr_1e-3": Column("TPR 1e-3", rate, "The same at 1 in 1,000."),
    "num_positives": Column("Positives", count, "Comparisons of a photograph with its own device."),
    "num_negatives": Column("Negatives", count, "Comparisons of a photograph with another device."),
    "num_devices": Column("Devices", count, "Devices whose photographs are compared."),
    "single_threshold_eer": Column(
        "EER*",
        rate,
        "The study's figures, at the threshold that the configuration names "
        "(metrics.single_threshold_fpr). Read them beside its Table 1 only.",
    ),
    "single_threshold_auc": Column("AUC*", rate, ""),
}
"""Columns of the table of results, in order; those that no row has are left out."""


def report_page(output: Folder) -> str:
    """Return the report of an output folder, an HTML page that needs no other file.

    It is read from ``config.yaml``, ``results.csv``, ``devices.csv``, ``scores.parquet``,
    ``left_out.csv``, ``data.json``, ``stages.csv``, tables and figures, of the folder and of those
    of its ``SECTIONS``; what is missing is left out. Equal files give an equal page.

    Raises
    ------
    ValueError
        If there are no results.
    """
    environment = page_environment()
    environment.filters |= {
        "rate": rate,
        "count": count,
        "share": share,
        "score": score,
        "title_of": _title,
        "in_words": _in_words,
        "change": _change,
    }
    facts = report_facts(output)
    pictures = {
        part["name"]: {
            name: _embedded(part_folder(output, part["name"]), file)
            for name, file in PICTURES.items()
        }
        for part in facts["parts"]
    }
    page = environment.get_template("report.html.jinja").render(
        facts,
        pictures=pictures,
        notes=NOTES,
        columns=COLUMNS,
        limits={"rows": MAX_ROWS, "open": OPEN_ROWS},
        few={"devices": FEW_DEVICES, "queries": FEW_QUERIES},
    )
    return page.encode("utf-8", "backslashreplace").decode()


def _embedded(output: Folder, file: str) -> str:
    """Return a picture as an address that holds it; empty where there is none."""
    if not output.exists(file):
        return ""
    return embedded(output.read(file))


def page_environment(package: str = __package__) -> "Environment":
    """Return Jinja's environment of a package's pages: what is undefined is an error.

    They may include what the report has in its own folder, such as its style.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    folders = dict.fromkeys((package, __package__))
    return Environment(
        loader=ChoiceLoader([PackageLoader(folder) for folder in folders]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def embedded(picture: bytes) -> str:
    """Return a PNG as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def _change(value: float) -> str:
    """Return a difference to three places, with its sign."""
    return f"{value:+.3f}".replace("-", "−")


def _in_words(found: Mapping[str, Any]) -> str:
    return f"{_title(found['method'])}: EER {found['eer']:.3f}, AUC {found['auc']:.3f}"


def _title(method: str) -> str:
    from camid.evaluation.report.figures import TITLES

    return TITLES.get(method, method)
