"""The report: one self-contained HTML page of an output folder, a pure function of its files."""

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from camid.evaluation.bootstrap import FEWEST
from camid.evaluation.columns import COLUMNS, count, rate
from camid.evaluation.report.facts import part_folder, report_facts
from camid.io.escaping import one_line, visible
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


def score(value: float | str) -> str:
    """Return a score to five places; a dash where it is missing."""
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


def report_page(output: Folder) -> str:
    """Return the report of an output folder, an HTML page that needs no other file.

    It is read from ``config.yaml``, ``results.json``, ``devices.csv``, ``scores.parquet``,
    ``left_out.csv``, ``data.json``, ``stages.csv``, tables and figures, of the folder and of those
    of its ``SECTIONS``; missing files are left out. Equal files give an equal page.

    Raises
    ------
    ValueError
        If there are no results, or not those that the page shows.
    """
    from jinja2 import TemplateError

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
    try:
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
            few={"devices": FEW_DEVICES, "queries": FEW_QUERIES, "resampled": FEWEST},
        )
    except (TemplateError, ArithmeticError, LookupError, TypeError) as error:
        words = one_line(error)
        raise ValueError(f"{output.uri}: not such results as a report shows: {words}") from None
    return page.encode("utf-8", "backslashreplace").decode()


def _embedded(output: Folder, file: str) -> str:
    """Return a picture as a data address; empty where the file is missing."""
    if not output.exists(file):
        return ""
    return embedded(output.read(file))


def page_environment(package: str = __package__) -> "Environment":
    """Return Jinja's environment of a package's pages: undefined names are errors.

    Pages may include files of the report's own folder, such as its style.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    folders = dict.fromkeys((package, __package__))
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(folder) for folder in folders]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters["lines"] = _lines
    return environment


def _shown(value: object) -> object:
    """Return what stands on a page for a value: text on one line, with all of it to be seen."""
    is_text = isinstance(value, str) and not hasattr(value, "__html__")
    return visible(str(value)) if is_text else value


def _lines(text: str) -> str:
    """Return a text of several lines for a page."""
    from markupsafe import Markup, escape

    return Markup(escape(visible(text, keep="\n")))


def embedded(picture: bytes) -> str:
    """Return a PNG as a data address."""
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def _change(value: float) -> str:
    """Return a difference to three places, with its sign."""
    return f"{value:+.3f}".replace("-", "−")


def _in_words(finding: Mapping[str, Any]) -> str:
    return f"{_title(finding['method'])}: EER {finding['eer']:.3f}, AUC {finding['auc']:.3f}"


def _title(method: str) -> str:
    from camid.evaluation.report.figures import TITLES

    return TITLES.get(method, method)
