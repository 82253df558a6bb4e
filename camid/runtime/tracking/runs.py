"""MLflow runs of an output folder: one for the comparison, and one per method below it.

The runs are written from the folder's finished files, so that the same command can later complete
a server's runs, or write them to another server.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from camid.config import Config
from camid.evaluation.columns import METRICS
from camid.evaluation.result_rows import ResultRow
from camid.evaluation.score_table import read_scores
from camid.evaluation.search_summary import read_search
from camid.io.csv_tables import csv_rows, csv_text
from camid.io.digested import read_json, write_json
from camid.io.folder import Folder
from camid.io.output_layout import (
    BY_DEVICE,
    BY_MODELS,
    CONFIG,
    DATA,
    DEVICES,
    DIFFERENCES,
    EMBEDDING,
    FACTS,
    GROUPS,
    HISTORY,
    INPUTS,
    LEFT_OUT,
    LIST,
    LOGBOOK,
    PICTURES,
    REPORT,
    RESULTS,
    ROC_POINTS,
    SCORES,
    SEARCH,
    SECONDS,
    STAGES,
    TABLE,
    TIPPETT_POINTS,
    TRIALS_TABLE,
    WINNER,
)
from camid.runtime.console import say
from camid.runtime.tracking.client import (
    CURVE_NAMES,
    Curves,
    answering,
    begun_run,
    log_files,
    log_metrics,
    log_rows,
    open_tracking,
    tracked_run,
    tracking_uri,
)
from camid.training.tasks import Task
from camid.training.trials import Trial

PARENT = "mlflow.parentRunId"
COMPARISON = ""
"""Name of a folder's own run in its logbook; the other names are methods'."""
WHAT = "what"
"""Tag of a run's subject: a ``comparison``, a ``method`` that it judges, or a ``trial``."""
COMPARED = "compared"
"""Tag that is equal for methods judged on the same comparisons, which keeps them together."""
SHARED_FILES = (
    *(CONFIG, INPUTS, RESULTS, TABLE, SECONDS, LIST, SCORES, DIFFERENCES, BY_DEVICE, BY_MODELS),
    *(DEVICES, GROUPS, LEFT_OUT, STAGES, REPORT, FACTS, ROC_POINTS, TIPPETT_POINTS),
    *(TRIALS_TABLE, WINNER, SEARCH, *PICTURES.values()),
)
"""Files of the output folder that a comparison's run holds."""
METHOD_FILES = (PICTURES["roc"], PICTURES["det"])
DIGEST_LENGTH = 36
"""Characters of a data set's digest that MLflow keeps."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a logbook's file holds."""

    server: str
    runs: dict[str, str] = field(default_factory=dict)
    """Id of each run, by its name in the folder."""
    written: list[str] = field(default_factory=list)


class Logbook:
    """The MLflow runs of an output folder by name, and those that are completely written."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._server = tracking_uri()
        kept = read_json(folder, LOGBOOK, Written) if folder.exists(LOGBOOK) else None
        if kept is None or kept.server != self._server:
            kept = Written(server=self._server)
        self.runs, self.written = kept.runs, kept.written

    def run(self, name: str, title: str, config: Config, tags: Mapping[str, str]) -> str:
        """Return the id of the run of a name; begin a run called ``title`` if there is none.

        Raises
        ------
        ValueError
            If the server does not answer.
        """
        if name not in self.runs:
            self.adopt(name, begun_run(title, config, tags=tags))
        return self.runs[name]

    def adopt(self, name: str, run: str) -> None:
        """Record a run that was begun elsewhere under a name."""
        self.runs[name] = run
        self._keep()

    def write(self, name: str) -> None:
        """Note that a run is completely written."""
        self.written.append(name)
        self._keep()

    def _keep(self) -> None:
        kept = Written(server=self._server, runs=self.runs, written=self.written)
        write_json(self.folder, LOGBOOK, asdict(kept))


def begin(folder: Folder, config: Config, *, pipeline: str) -> None:
    """Begin the run of an output folder, before its work.

    A server that answered when the work first began, and does not now, is no error.

    Raises
    ------
    ValueError
        If the server does not answer, and never did for this folder.
    """
    book = Logbook(folder)
    try:
        open_tracking()
        book.run(COMPARISON, pipeline, config, {WHAT: "comparison", "pipeline": pipeline})
    except ValueError as error:
        if COMPARISON not in book.runs:
            raise
        say(f"{error}; the work goes on, and its runs are written when it is done")


def training_curves(folder: Folder, method: str, config: Config) -> Curves:
    """Return the curves of the training in an output folder, in the run of its method."""
    return Curves(folder, lambda: _begun(folder, method, config))


def _begun(folder: Folder, method: str, config: Config) -> str:
    book = Logbook(folder)
    parent_tag = {PARENT: book.runs[COMPARISON]} if COMPARISON in book.runs else {}
    return book.run(method, method, config, {WHAT: "method", "method": method} | parent_tag)


def write_comparison(
    folder: Folder, rows: Sequence[ResultRow], config: Config, data: Mapping[str, Any]
) -> None:
    """Write the missing runs of a folder's comparison and methods.

    Parameters
    ----------
    rows
        The folder's own results.
    data
        Facts of the store and the split, as the report has them.

    Raises
    ------
    ValueError, OSError
        If the server does not answer, or has no room.
    """
    book = Logbook(folder)
    if not rows:
        return
    title = data["pipeline"] + (f", {EMBEDDING}" if folder.name == EMBEDDING else "")
    digests = {name: str(data[name]) for name in ("store_digest", "plan_digest")} | _listed(folder)
    size = str(rows[0].crop_size or "whole")
    conditions = {"split": rows[0].split, "images": rows[0].images, "crop_size": size}
    digest = digests.get("comparison_list", digests["store_digest"])
    tags = digests | conditions | {"pipeline": data["pipeline"]}
    tags[COMPARED] = f"{conditions['images']} {digest[:8]}"
    parent = book.run(COMPARISON, title, config, {WHAT: "comparison"})
    for method in dict.fromkeys(row.method for row in rows):
        if method not in book.written:
            method_rows = [row for row in rows if row.method == method]
            method_tags = {WHAT: "method", "method": method, PARENT: parent}
            method_tags["num_crops"] = str(method_rows[-1].num_crops or "all")
            _write_method(book, method_rows, config, tags | method_tags)
            book.write(method)
    if COMPARISON not in book.written:
        comparison_tags = tags | {WHAT: "comparison", "out": folder.uri}
        with tracked_run(title, config, tags=comparison_tags, run=parent) as mlflow:
            _log_inputs(mlflow, digests)
            mlflow.log_metrics(_search_figures(folder))
            mlflow.log_dict(dict(data), DATA)
            log_files(mlflow, folder, [name for name in SHARED_FILES if folder.exists(name)])
        book.write(COMPARISON)


def trial_curves(folder: Folder, trial: Trial, config: Config, *, kind: type[Task]) -> Curves:
    """Return the curves of a search's trial, in a run below that of the search's folder."""
    return Curves(folder / trial.name, lambda: _begun_trial(folder, trial, config, kind=kind))


def _begun_trial(folder: Folder, trial: Trial, config: Config, *, kind: type[Task]) -> str:
    tags = {WHAT: "trial", "method": kind.method(), "trial": str(trial.number)}
    tags[PARENT] = Logbook(folder).runs[COMPARISON]
    title = f"{kind.method()} {trial.number}"
    return Logbook(folder / trial.name).run(kind.method(), title, config, tags)


def write_trial_run(folder: Folder, trial: Trial, config: Config, *, kind: type[Task]) -> None:
    """Write the result and network of a search's trial to its run, unless they are there.

    Raises
    ------
    ValueError
        If the server does not answer.
    """
    trial_folder, method = folder / trial.name, kind.method()
    if method in Logbook(trial_folder).written:
        return
    run = _begun_trial(folder, trial, config, kind=kind)
    trial_curves(folder, trial, config, kind=kind).flush()
    best = trial.best(kind.figure)
    tags = {"state": trial.state, "reason": trial.reason}
    with tracked_run(f"{method} {trial.number}", config, tags=tags, run=run) as mlflow:
        _complete(run, trial.validations)
        mlflow.log_metrics(
            {
                f"validation/best_{figure.removeprefix('validation_')}": value
                for figure, value in best.items()
                if figure.startswith("validation_")
            }
        )
        files = (CONFIG, kind.network)
        log_files(mlflow, trial_folder, [file for file in files if trial_folder.exists(file)])
    Logbook(trial_folder).write(method)


def missing(folder: Folder, rows: Sequence[ResultRow]) -> list[str]:
    """Return the names of a folder's runs that are not completely in MLflow."""
    book = Logbook(folder)
    names = dict.fromkeys(row.method for row in rows)
    return [name for name in (*names, COMPARISON) if name not in book.written and names]


def metrics(rows: Sequence[ResultRow]) -> list[Any]:
    """Return a method's figures as metrics, under the names that all methods share.

    ``test/eer`` is against all negatives, ``test/same-model/eer`` against those of one kind. Their
    step is the number of crops, 0 where whole strips are compared.
    """
    from mlflow.entities import Metric

    time_ms = int(time.time() * 1000)
    return [
        Metric(_name(name, row.negatives), float(row.figures[name]), time_ms, row.num_crops or 0)
        for row in rows
        for name in METRICS
        if name in row.figures
    ]


def _name(figure: str, negatives: str) -> str:
    return f"test/{figure}" if negatives == "all" else f"test/{negatives}/{figure}"


def _write_method(
    book: Logbook, rows: Sequence[ResultRow], config: Config, tags: Mapping[str, str]
) -> None:
    """Write a method's figures, its ROC points, and its training if it has one, to its run."""
    folder, method = book.folder, tags["method"]
    run = book.run(method, method, config, tags)
    network = f"{method}.keras"
    is_trained = folder.exists(network) and folder.exists(HISTORY)
    files = [*METHOD_FILES, *((network, HISTORY, PICTURES["learning"]) if is_trained else ())]
    with tracked_run(method, config, tags=tags, run=run) as mlflow:
        log_metrics(run, metrics(rows))
        _log_inputs(mlflow, tags)
        if is_trained:
            _complete_curves(folder, run)
        points = [row for row in csv_rows(folder, ROC_POINTS) if row["method"] == method]
        if points:
            mlflow.log_text(csv_text(points), "roc.csv")
        mlflow.log_text(csv_text([row.flat() for row in rows]), "results.csv")
        log_files(mlflow, folder, [name for name in files if folder.exists(name)])


def _complete_curves(folder: Folder, run: str) -> None:
    """Write the points of a training's curves that its run lacks."""
    Curves(folder, lambda: run).flush()
    history = [
        {name: float(value) for name, value in row.items() if value}
        for row in csv_rows(folder, HISTORY)
    ]
    _complete(run, history)


def _complete(run: str, history: Sequence[Mapping[str, float]]) -> None:
    """Write the validations that a run lacks."""
    from mlflow import MlflowClient

    if not history:
        return
    figure = next(name for name in history[0] if name.startswith("validation_"))
    with answering():
        points = MlflowClient(tracking_uri()).get_metric_history(run, CURVE_NAMES[figure])
    known_steps = {point.step for point in points}
    time_ms = int(time.time() * 1000)
    log_rows(run, [(time_ms, row) for row in history if int(row["step"]) not in known_steps])


def _log_inputs(mlflow: Any, digests: Mapping[str, str]) -> None:
    """Log the comparison list and the store as data sets, by their digests."""
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    contexts = {"comparison_list": "test", "store_digest": "store"}
    for name, context in contexts.items():
        if name in digests:
            source = CodeDatasetSource({"digest": digests[name]})
            title = name.removesuffix("_digest").replace("_", " ")
            digest = digests[name][:DIGEST_LENGTH]
            mlflow.log_input(MetaDataset(source, name=title, digest=digest), context=context)


def _listed(folder: Folder) -> dict[str, str]:
    """Return the digest of the comparison list of a folder's scores; empty if there is none."""
    with suppress(FileNotFoundError, KeyError):
        metadata = read_scores(folder).schema.metadata or {}
        return {"comparison_list": metadata[b"comparison_list"].decode()}
    return {}


def _search_figures(folder: Folder) -> dict[str, float]:
    summary = read_search(folder)
    return {
        f"search/{name}": float(value)
        for name, value in summary.items()
        if isinstance(value, int | float)
    }
