"""Publication of a finished run: its report and its MLflow runs, each made once."""

from collections.abc import Iterator
from contextlib import contextmanager

from camid.config import Config
from camid.dataset.splits import Split
from camid.evaluation.report.data_summary import data_summary, read_data, write_data
from camid.evaluation.report.facts import part_folder
from camid.evaluation.report.page import report_page
from camid.evaluation.report.write import write_report
from camid.evaluation.result_rows import ResultRow, read_rows
from camid.io.folder import Folder
from camid.io.output_layout import DATA, EMBEDDING, REPORT
from camid.runtime.console import say
from camid.runtime.run_folder.output import Output
from camid.runtime.run_folder.stage_times import Clock
from camid.runtime.tracking.client import open_tracking
from camid.runtime.tracking.registry import register
from camid.runtime.tracking.runs import Logbook, missing, write_comparison, write_trial_run
from camid.runtime.tuning.search import trial_config
from camid.store.store import Store
from camid.training.tasks import Task
from camid.training.trials import read_trials

REGISTERED = "registered"
"""Name of the winner's registration in a search's logbook."""
TRACKED = ("", EMBEDDING)
"""Parts of an output folder that have MLflow runs; others are output folders of their own."""


def keep_facts(folder: Folder, store: Store, split: Split, *, pipeline: str) -> None:
    """Write the facts of the data for the report and MLflow, unless they are there."""
    if not folder.exists(DATA):
        write_data(folder, data_summary(store, split, pipeline=pipeline))


def close(
    output: Output, config: Config, clock: Clock, *, searched: type[Task] | None = None
) -> None:
    """Write the report of a finished output folder, and its missing MLflow runs.

    A server that does not answer is no error: the missing runs are named, and the next call writes
    them.

    Parameters
    ----------
    searched
        Task of the search, if the run was one.
    """
    folder = output.folder
    is_new = not folder.exists(REPORT)
    if is_new:
        with clock.stage("report"):
            write_report(folder, seed=config.seed)
    if not _unwritten(folder, searched):
        return
    with clock.stage("tracking"), _named_if_lost(folder, searched):
        _write(folder, config, searched)
    if is_new:  # now with the time of the tracking
        folder.write(REPORT, report_page(folder).encode())


def _write(folder: Folder, config: Config, searched: type[Task] | None) -> None:
    """Write everything that MLflow lacks."""
    open_tracking()
    data = read_data(folder)
    for part, rows in _tracked(folder).items():
        write_comparison(part_folder(folder, part), rows, config, data)
    if searched:
        for trial in read_trials(folder):
            write_trial_run(folder, trial, trial_config(config, trial), kind=searched)
        address = register(searched, folder)
        say(f"registered: {address} (evaluate.networks takes it)")
        Logbook(folder).write(REGISTERED)


def _tracked(folder: Folder) -> dict[str, list[ResultRow]]:
    """Return the results of each part that has MLflow runs."""
    rows = read_rows(folder)
    return {part: [row for row in rows if row.part == part] for part in TRACKED}


def _unwritten(folder: Folder, searched: type[Task] | None) -> list[str]:
    """Return the names of an output folder's runs that MLflow lacks."""
    names = [
        name
        for part, rows in _tracked(folder).items()
        for name in missing(part_folder(folder, part), rows)
    ]
    if searched:
        if REGISTERED not in Logbook(folder).written:
            names.append("the registered winner")
        logbooks = [(trial, Logbook(folder / trial.name)) for trial in read_trials(folder)]
        names += [
            f"trial {t.number}"
            for t, logbook in logbooks
            if searched.method() not in logbook.written
        ]
    return names


@contextmanager
def _named_if_lost(folder: Folder, searched: type[Task] | None) -> Iterator[None]:
    """Print the names of the runs that could not be written to MLflow."""
    try:
        yield
    except (ValueError, OSError) as error:
        unwritten = [name or "the comparison" for name in _unwritten(folder, searched)]
        say(
            f"{error}",
            f"not in MLflow yet: {', '.join(unwritten)}; the same command writes them "
            "when it answers",
        )
