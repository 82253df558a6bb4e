"""Evaluation: one comparison list, every method, on Ray Data; figures with intervals, tracked."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from camid.comparisons import ComparisonList, read_list, write_list
from camid.config import Config
from camid.drawn_lists import drawn_list, gallery_list
from camid.evidence import scores
from camid.folder import Folder
from camid.judging import Row, judged_rows, labelled, scores_by_kind
from camid.methods import chosen_methods
from camid.methods.networks import network_name
from camid.report import PICTURES
from camid.runtime.gathering import gather
from camid.runtime.output import (
    CONFIG,
    DIFFERENCES,
    EVIDENCE,
    HISTORY,
    INPUTS,
    LIST,
    NETWORK,
    SCORES,
    TABLE,
    Output,
    write_csv,
)
from camid.runtime.session import session
from camid.runtime.stages import Clock
from camid.runtime.tracking import log_files, metrics, open_tracking, tracked_run
from camid.splits import Split, enrolled
from camid.store import Store, open_store, write_table

LOGGED_FILES = (CONFIG, INPUTS, TABLE, LIST, SCORES, DIFFERENCES, *PICTURES.values())
TRAINED_FILES = (NETWORK, HISTORY, "figures/learning.png")
"""What a run that trained a network has besides."""


def run_evaluation(
    config: Config,
    output: Output,
    clock: Clock,
    *,
    split: Split,
    trained: Mapping[str, str] | None = None,
) -> list[Row]:
    """Score a comparison list of the store at ``config.paths.store``; return the result rows.

    The list is drawn once and kept in the output folder, or read from where the configuration
    says. Writes list, scores, figures, differences and pictures, and an MLflow run a method. What
    is gathered of the list is kept until then, so that a run that is stopped goes on.

    Parameters
    ----------
    trained
        Addresses of further networks, and the MLflow runs that trained them.

    Raises
    ------
    ValueError
        If there is no store of residuals, a method is not known, or there is nothing to compare.
    """
    store = open_store(config.paths.store)
    named, networks = config.evaluate.methods, [*config.evaluate.networks, *(trained or {})]
    methods = chosen_methods(named, networks)
    runs = {network_name(address): run for address, run in (trained or {}).items()}
    open_tracking()  # a server that is gone is known before the work is done
    listed = prepared_list(config, output, split=split)
    with session(), clock.stage("score"):
        num_crops = config.comparisons.num_crops if listed.crop_size else ()
        evidence, seconds = gather(
            store, listed, output.folder, named, networks=networks, num_crops=num_crops
        )
        told = scores(evidence, methods)
    found = {name: told[name] for name in methods}
    with clock.stage("judge"):
        rows, differences = judged_rows(
            listed,
            found,
            num_crops=num_crops,
            split=config.split,
            seed=config.seed,
            single_threshold_fpr=config.metrics.single_threshold_fpr,
            is_same_size=_same_size(listed, store),
        )
    if not rows:
        raise ValueError(f"{config.paths.store}: the comparison list has nothing to judge on")
    for row in rows:
        row["seconds"] = seconds[row["method"]] / len(listed.comparisons)
    _write(output, listed, found, rows, differences)
    with clock.stage("figures"):
        _write_figures(output.folder, listed, found)
    with clock.stage("tracking"):
        for method in methods:
            run = runs.get(method)
            _track(method, rows, config, store, folder=output.folder, listed=listed, run=run)
    output.folder.delete(EVIDENCE)
    return rows


def prepared_list(config: Config, output: Output, *, split: Split) -> ComparisonList:
    """Return the comparison list that is there, or is named, or is drawn and kept now.

    Raises
    ------
    ValueError
        If it cannot be scored: as :func:`run_evaluation`, or for want of a network.
    """
    store, methods = open_store(config.paths.store), config.evaluate.methods
    if methods and store.description["samples"]["dtype"] != "int8":
        raise ValueError(
            f"{config.paths.store}: holds pixels, and the methods {', '.join(methods)} need "
            "residuals; set evaluate.methods=[] to judge networks alone"
        )
    for address in config.evaluate.networks:
        folder, name = Folder.at(address)
        if not folder.exists(name):
            raise ValueError(f"{address}: no such network")
    if output.folder.exists(LIST):
        return read_list(output.folder, LIST)
    named = config.evaluate.comparisons
    images = split.images("test", store.images())
    how: dict[str, Any] = {"strips": config.strips, "seed": config.seed}
    if named not in {"drawn", "gallery", "gallery-crops"}:
        listed = read_list(*Folder.at(named))
    elif named == "drawn":
        listed = drawn_list(images, settings=config.comparisons, **how)
    else:
        if named == "gallery-crops":
            how["crop_size"] = config.comparisons.crop_size
            how["num_crops"] = config.comparisons.num_crops[-1]
        gallery = enrolled(images, settings=config.enrolment, seed=config.seed)
        listed = gallery_list(gallery, **how)
    if not listed.comparisons:
        raise ValueError(f"{named}: a comparison list without comparisons")
    write_list(output.folder, LIST, listed)
    return listed


def _same_size(listed: ComparisonList, store: Store) -> NDArray[np.bool_]:
    """Return which comparisons are of images of one pixel size."""
    sizes = {record.sha256: (record.width, record.height) for record in store.images()}
    first, second = (
        np.array([sizes[listed.sides[side].images[0]] for side in sides])
        for sides in zip(*((pair.first, pair.second) for pair in listed.comparisons), strict=True)
    )
    return np.asarray((first == second).all(axis=1))


def _write(
    output: Output,
    listed: ComparisonList,
    found: Mapping[str, Any],
    rows: Sequence[Row],
    differences: Sequence[Row],
) -> None:
    """Write every score, the figures as a table, and the differences."""
    columns: dict[str, Any] = {
        "first": [pair.first for pair in listed.comparisons],
        "second": [pair.second for pair in listed.comparisons],
        "label": [pair.label for pair in listed.comparisons],
        "level": [pair.level for pair in listed.comparisons],
    }
    columns |= {name: pa.array(list(values)) for name, values in found.items()}
    digest = {"comparison_list": listed.digest}
    write_table(output.folder, SCORES, pa.table(columns).replace_schema_metadata(digest))
    write_csv(output.folder, TABLE, rows)
    output.folder.write(DIFFERENCES, (json.dumps(list(differences), indent=2) + "\n").encode())


def _write_figures(folder: Folder, listed: ComparisonList, found: Mapping[str, Any]) -> None:
    """Draw the scores at the largest number of crops: ROC, and histograms by kind."""
    from camid.figures import histogram_figure, png, roc_figure

    kinds = scores_by_kind(listed, found)
    curves = {method: labelled(parts) for method, parts in kinds.items()}
    folder.write(PICTURES["roc"], png(roc_figure(curves)))
    folder.write(PICTURES["histograms"], png(histogram_figure(kinds)))


def _track(
    method: str,
    rows: Sequence[Row],
    config: Config,
    store: Store,
    *,
    folder: Folder,
    listed: ComparisonList,
    run: str | None,
) -> None:
    """Log one method's figures at the largest number of crops, and the tables, as an MLflow run."""
    mine = [row for row in rows if row["method"] == method]
    most = mine[-1]["num_crops"]
    tags = {
        "method": method,
        "images": str(mine[0]["images"]),
        "crop_size": str(mine[0]["crop_size"]),
        "num_crops": str(most),
        "comparison_list": listed.digest,
        "store_digest": store.digest,
        "plan_digest": str(store.description["plan_digest"]),
    }
    with tracked_run(method, config, tags=tags, run=run) as mlflow:
        for row in mine:
            if row["num_crops"] == most:
                mlflow.log_metrics(metrics(row))
        names = [*LOGGED_FILES, *(TRAINED_FILES if run else ())]
        log_files(mlflow, folder, [name for name in names if folder.exists(name)])
