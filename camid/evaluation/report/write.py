"""Tables and figures of methods' scores, and the report of all, beside the results."""

import json

from camid.comparison.comparison_list import SAME_DEVICE
from camid.evaluation.error_analysis import (
    by_device,
    by_models,
    curve_points,
    evidence,
    reached,
    tippett_points,
)
from camid.evaluation.report.data_summary import read_data
from camid.evaluation.report.facts import device_models, part_folder, parts, report_facts
from camid.evaluation.report.page import report_page
from camid.evaluation.result_rows import read_rows
from camid.evaluation.score_table import Scored, read_scored
from camid.io.csv_tables import write_csv
from camid.io.folder import Folder
from camid.io.output_layout import (
    BY_DEVICE,
    BY_MODELS,
    FACTS,
    PICTURES,
    REPORT,
    ROC_POINTS,
    TIPPETT_POINTS,
)


def write_report(output: Folder, *, seed: int, scored: Scored | None = None) -> None:
    """Write the figures and tables of each part of an output folder that has none, and its report.

    The report's facts stand beside it as JSON, ``report.json``.

    Parameters
    ----------
    seed
        Seed of the calibration folds.
    scored
        Scores of the folder's methods, where it has no file of them; drawn anew.

    Raises
    ------
    ValueError
        If there are no results.
    """
    if scored is not None:
        _write_breakdown(output, scored.against("all"), seed=seed)
    data = read_data(output)
    for part in parts(read_rows(output)):
        folder = part_folder(output, part)
        if folder.exists(BY_MODELS):
            continue
        part_scores = read_scored(folder, models=device_models(data))
        if part_scores is not None and part_scores.against("all").has_both:
            _write_breakdown(folder, part_scores.against("all"), seed=seed)
    output.write(REPORT, report_page(output).encode())
    facts = json.dumps(report_facts(output), indent=1, allow_nan=True)
    output.write(FACTS, facts.encode("utf-8", "backslashreplace"))


def _write_breakdown(folder: Folder, scored: Scored, *, seed: int) -> None:
    """Write pictures and tables; the table of models comes last."""
    from camid.evaluation.report.figures import (
        det_figure,
        histogram_figure,
        png,
        roc_figure,
        tippett_figure,
    )

    labels = scored.compared.labels
    curves = {method: (labels, values) for method, values in scored.scores.items()}
    folder.write(PICTURES["roc"], png(roc_figure(curves)))
    folder.write(PICTURES["det"], png(det_figure(curves)))
    folder.write(PICTURES["histograms"], png(histogram_figure(scored.kinds())))
    write_csv(folder, ROC_POINTS, curve_points(scored))
    llrs = evidence(scored, seed=seed)
    if llrs:
        lines = {
            method: {
                SAME_DEVICE: reached(values[labels == 1]),
                "different devices": reached(values[labels == 0]),
            }
            for method, values in llrs.items()
        }
        folder.write(PICTURES["tippett"], png(tippett_figure(lines)))
        write_csv(folder, TIPPETT_POINTS, tippett_points(scored, llrs))
    write_csv(folder, BY_DEVICE, by_device(scored))
    write_csv(folder, BY_MODELS, by_models(scored))
