"""Evaluation: one comparison list, every method, on Ray Data; figures with intervals, tracked."""

import io
import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from camid.blocks import block_evidence, list_blocks
from camid.comparisons import ComparisonList, read_list, write_list
from camid.config import Config
from camid.drawn_lists import drawn_list, gallery_list
from camid.evidence import Evidence, scores
from camid.folder import Folder
from camid.judging import Row, judged_rows, labelled, scores_by_kind
from camid.methods import METHODS, Method
from camid.report import PICTURES
from camid.row_groups import RowGroups
from camid.runtime.output import (
    CONFIG,
    DIFFERENCES,
    INPUTS,
    LIST,
    SCORES,
    TABLE,
    Output,
    write_csv,
)
from camid.runtime.session import session
from camid.runtime.stages import Clock
from camid.runtime.stream import streamed
from camid.runtime.tracking import log_files, metrics, open_tracking, tracked_run
from camid.splits import Split, enrolled
from camid.store import Store, open_store, write_table
from camid.tiles import list_positions, position_evidence

MEMORY_OF_SCORING = 5 * 2**29
"""Bytes that a task of scoring takes: sides, and what a method makes of them."""
ALL = "all"
"""Stands for the names of all methods."""
LOGGED_FILES = (CONFIG, INPUTS, TABLE, LIST, SCORES, DIFFERENCES, *PICTURES.values())


def chosen_methods(names: Sequence[str]) -> dict[str, Method]:
    """Return the methods of these names, or all, in the order of the registry.

    Raises
    ------
    ValueError
        If a name is not known.
    """
    for name in names:
        if name not in {*METHODS, ALL}:
            raise ValueError(f"no method {name!r}; there are {', '.join(METHODS)}, or {ALL}")
    return {name: method for name, method in METHODS.items() if {name, ALL} & set(names)}


def run_evaluation(config: Config, output: Output, clock: Clock, *, split: Split) -> list[Row]:
    """Score a comparison list of the store at ``config.paths.store``; return the result rows.

    The list is drawn once and kept in the output folder, or read from where the configuration
    says. Writes list, scores, figures, differences and pictures, and an MLflow run a method.

    Raises
    ------
    ValueError
        If there is no store of residuals, a method is not known, or there is nothing to compare.
    """
    store = open_store(config.paths.store)
    if store.description["samples"]["dtype"] != "int8":
        raise ValueError(f"{config.paths.store}: holds pixels; methods need a store of residuals")
    methods = chosen_methods(config.evaluate.methods)
    open_tracking()  # a server that is gone is known before the work is done
    listed = _listed(store, config, output, split)
    with session(), clock.stage("score"):
        found, seconds = _scores(store, listed, output, config, list(methods))
    with clock.stage("judge"):
        num_crops = config.comparisons.num_crops if listed.crop_size else ()
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
            _track(method, rows, config, store, folder=output.folder, listed=listed)
    output.finish(rows)
    return rows


def _listed(store: Store, config: Config, output: Output, split: Split) -> ComparisonList:
    """Return the comparison list that is there, or is named, or is drawn and kept now."""
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


def _scores(
    store: Store, listed: ComparisonList, output: Output, config: Config, methods: Sequence[str]
) -> tuple[dict[str, Any], dict[str, float]]:
    """Return each method's scores ``(comparison, number of crops)``, and its seconds in all."""
    seconds = dict.fromkeys(methods, 0.0)
    total = Evidence(sums={})
    for scope, places in _places(store, listed, methods).items():
        work = partial(
            _gathered,
            scope=scope,
            store=store.folder.uri,
            output=output.folder.uri,
            methods=[name for name in methods if METHODS[name].scope == scope],
            num_crops=config.comparisons.num_crops if listed.crop_size else (),
        )
        tables = [pa.table({"number": [number]}) for number in range(places)]
        unit = "positions" if scope == "strip" else "blocks"
        parts: dict[int, Evidence] = {}
        for result in streamed(
            tables, work, description="score", unit=unit, memory=MEMORY_OF_SCORING
        ):
            (row,) = result.to_pylist()
            parts[row["number"]] = _unpacked(row["evidence"])
            for name, taken in row["seconds"].items():
                seconds[name] += taken or 0.0
        for number in sorted(parts):  # in one order, whoever was first
            total += parts[number]
    found = scores(total, METHODS)
    return {name: found[name] for name in methods if name in found}, seconds


def _places(store: Store, listed: ComparisonList, methods: Sequence[str]) -> dict[str, int]:
    """Return how many parts the work of each scope has that some method needs."""
    found = {}
    chosen = [METHODS[name] for name in methods]
    if any(method.scope == "strip" for method in chosen):
        found["strip"] = len(list_positions(listed, store))
    if whole := [method for method in chosen if method.scope == "image"]:
        found["image"] = len(list_blocks(listed, store, whole))
    return found


def _gathered(
    table: pa.Table,
    *,
    scope: str,
    store: str,
    output: str,
    methods: Sequence[str],
    num_crops: Sequence[int],
) -> pa.Table:
    """Gather the evidence of the position or block that ``table`` names; runs on a worker."""
    number = table["number"][0].as_py()
    listed, chosen = read_list(Folder(output), LIST), chosen_methods(methods)
    opened = open_store(store)
    taken: dict[str, float] = {}
    how: dict[str, Any] = {"num_crops": num_crops, "taken": taken}
    with RowGroups(opened) as row_groups:
        if scope == "strip":
            position = list_positions(listed, opened)[number]
            found = position_evidence(listed, position, row_groups, chosen, **how)
        else:
            block = list_blocks(listed, opened, chosen.values())[number]
            found = block_evidence(listed, block, row_groups, chosen, **how)
    return table.append_column("evidence", [[_packed(found)]]).append_column("seconds", [[taken]])


def _packed(evidence: Evidence) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **evidence.sums)
    return file.getvalue()


def _unpacked(data: bytes) -> Evidence:
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return Evidence(sums={name: file[name] for name in file.files})


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
    with tracked_run(method, config, tags=tags) as mlflow:
        for row in mine:
            if row["num_crops"] == most:
                mlflow.log_metrics(metrics(row))
        log_files(mlflow, folder, [name for name in LOGGED_FILES if folder.exists(name)])
