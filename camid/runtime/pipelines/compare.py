"""Comparison of output folders and MLflow runs on the comparisons that they share."""

import re
from collections.abc import Sequence
from dataclasses import replace
from string import ascii_uppercase

from camid.config import Config
from camid.evaluation.paired import merged, paired_rows
from camid.evaluation.report.data_summary import DataFacts, read_data, write_data
from camid.evaluation.report.facts import device_models
from camid.evaluation.report.write import write_report
from camid.evaluation.result_rows import DifferenceRow, ResultRow, write_differences
from camid.evaluation.score_table import Scored, read_scored
from camid.io.csv_tables import write_csv
from camid.io.digested import write_digested
from camid.io.folder import Folder, absolute
from camid.io.output_layout import DATA, LIST, PICTURES, SCORES, TABLE
from camid.runtime.cluster.session import home
from camid.runtime.console import say
from camid.runtime.run_folder.output import Output, output_lock, replaced
from camid.runtime.tracking.client import answering, open_tracking
from camid.runtime.tracking.runs import PARENT, WHAT

RUN_ID = re.compile(r"[0-9a-f]{32}")
DIFFERENCES_TABLE = "differences.csv"
FETCHED = (SCORES, LIST, DATA)
"""Files of a run that are downloaded."""


def make_comparison(
    config: Config, runs: Sequence[str], *, than: str = ""
) -> tuple[Output, list[DifferenceRow]]:
    """Compare the methods of runs; return the output folder and a row per difference.

    Writes figures with intervals, differences, pictures and the report to ``config.paths.out``,
    in place of an earlier comparison's.

    Parameters
    ----------
    runs
        Output folders, or ids of MLflow runs: a comparison's, or a method's, which leaves out the
        other methods of its comparison.
    than
        Method of the first run that all others are compared with.

    Raises
    ------
    ValueError
        If a run has no scores, or they share no comparison.
    """
    if not runs:
        raise ValueError("no runs to compare; name output folders or ids of MLflow's runs")
    if len(runs) > len(ascii_uppercase) or len({*runs}) < len(runs):
        raise ValueError(f"expected up to {len(ascii_uppercase)} runs, each once")
    scored_runs: dict[str, Scored] = {}
    facts: dict[str, DataFacts] = {}
    for run in runs:
        folder, method = _fetched(run) if RUN_ID.fullmatch(run) else (Folder(absolute(run)), "")
        facts[run] = read_data(folder)
        scored = read_scored(folder, models=device_models(facts[run]))
        if scored is None:
            raise ValueError(f"{run}: has no scores; name the output folder of a finished pipeline")
        if method:
            scored = replace(scored, scores={method: scored.scores[method]})
        scored_runs[run] = scored
    scored, pairs, repeated = merged(scored_runs, than=than)
    if repeated:
        say(f"left out, as they scored the same: {', '.join(repeated)}")
    say(*(f"{letter} = {run}" for letter, run in zip(ascii_uppercase, runs, strict=False)))
    rows, differences = paired_rows(scored, pairs, seed=config.seed)
    if not rows:
        raise ValueError(f"{' and '.join(runs)}: share no comparison of one device and of two")
    first_facts = next(filter(None, facts.values()), DataFacts())
    data: DataFacts = {**first_facts, "pipeline": "compare", "runs": list(runs), "than": than}
    with output_lock(config):
        output = replaced(config, pipeline="compare")
        output.finish(rows)
        write_data(output.folder, data)
        _write(output.folder, rows, differences)
        write_report(output.folder, seed=config.seed, scored=scored)
    return output, differences


def _write(folder: Folder, rows: Sequence[ResultRow], differences: Sequence[DifferenceRow]) -> None:
    """Write the tables, and the picture of the differences of EER."""
    from camid.evaluation.report.figures import difference_figure, png

    flat = [row.flat() for row in differences]
    write_csv(folder, TABLE, [row.flat() for row in rows])
    write_csv(folder, DIFFERENCES_TABLE, flat)
    write_differences(folder, differences)
    shown = [row for row in differences if row.figure == "eer" and row.negatives == "all"]
    folder.write(PICTURES["differences"], png(difference_figure(shown)))


def _fetched(run: str) -> tuple[Folder, str]:
    """Return a folder with the files of an MLflow run, and the run's method if it has one.

    Raises
    ------
    ValueError
        If the run does not exist or is not a comparison's, or the server does not answer.
    """
    open_tracking()
    import mlflow
    from mlflow.exceptions import MlflowException

    client = mlflow.MlflowClient()
    with answering():
        try:
            tags = client.get_run(run).data.tags
        except MlflowException as error:
            if error.get_http_status_code() in {400, 404}:
                raise ValueError(f"{run}: no such run in MLflow") from None
            raise
        if tags.get(WHAT) not in {"comparison", "method"}:
            raise ValueError(f"{run}: not a run of a comparison or of one of its methods")
        is_method = tags[WHAT] == "method"
        comparison = tags[PARENT] if is_method else run
        folder = home() / f"compared/{comparison}"
        available = {file.path for file in client.list_artifacts(comparison)}
        for name in FETCHED:
            if name in available and not folder.exists(name):
                path = mlflow.artifacts.download_artifacts(run_id=comparison, artifact_path=name)
                write_digested(folder, name, Folder.at(path)[0].read(name))
    return folder, tags["method"] if is_method else ""
