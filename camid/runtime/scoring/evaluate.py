"""Evaluation: one comparison list, every method, on Ray Data; figures with intervals, tracked."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from camid.comparison.comparison_list import ComparisonList, read_list, write_list
from camid.comparison.draw_list import drawn_list, gallery_list
from camid.comparison.methods import chosen_methods
from camid.comparison.methods.networks import network_samples
from camid.comparison.sufficient_statistics import scores
from camid.config import Config
from camid.dataset.splits import Split, enrolled
from camid.evaluation.fusion import FUSED
from camid.evaluation.results import Row, Scores, fused_scores, judged_rows
from camid.io.csv_tables import write_csv
from camid.io.folder import Folder
from camid.io.output_layout import DIFFERENCES, EVIDENCE, LIST, SCORES, TABLE
from camid.runtime.cluster.session import session
from camid.runtime.console import say
from camid.runtime.run_folder.output import Output
from camid.runtime.run_folder.stage_times import Clock
from camid.runtime.scoring.collect import gather
from camid.store.store import Store, open_store, write_table

KEPT = {"int8": "residuals", "uint8": "pixels"}
"""What samples of a store are, by their type."""


def run_evaluation(
    config: Config,
    output: Output,
    clock: Clock,
    *,
    split: Split,
    trained: Sequence[str] = (),
    told: Mapping[str, NDArray[np.float64]] | None = None,
    split_name: str = "",
) -> list[Row]:
    """Score a comparison list of the store at ``config.paths.store``; return the result rows.

    The list is drawn once and kept in the output folder, or read from where the configuration
    says. Writes list, scores, figures and differences. What is gathered of the list is kept until
    then, so that a run that is stopped goes on.

    Parameters
    ----------
    trained
        Addresses of further networks.
    told
        Scores of further methods, ``(comparison, number of crops)``.
    split_name
        What rows say of the split, if not its name.

    Raises
    ------
    ValueError
        If there is no store of residuals, a method is not known, or there is nothing to compare.
    """
    store = open_store(config.paths.store)
    named, networks = config.evaluate.methods, [*config.evaluate.networks, *trained]
    methods = chosen_methods(named, networks)
    if FUSED in methods:
        raise ValueError(
            f"a network's file cannot be called {FUSED!r}: evaluate.fused is; rename it"
        )
    listed = prepared_list(config, output, split=split)
    with session(), clock.stage("score"):
        num_crops = config.comparisons.num_crops if listed.crop_size else ()
        evidence, seconds = gather(
            store, listed, output.folder, named, networks=networks, num_crops=num_crops
        )
        gathered = scores(evidence, methods)
    found = {name: gathered[name] for name in methods} | dict(told or {})
    with clock.stage("judge"):
        found |= _fused(listed, found, config)
        rows, differences = judged_rows(
            listed,
            found,
            num_crops=num_crops,
            split=split_name or config.split,
            seed=config.seed,
            single_threshold_fpr=config.metrics.single_threshold_fpr,
            is_same_size=_same_size(listed, store),
        )
    if not rows:
        raise ValueError(f"{config.paths.store}: the comparison list has nothing to judge on")
    for row in rows:
        if row["method"] in seconds:
            row["seconds"] = seconds[row["method"]] / len(listed.comparisons)
    _write(output, listed, found, rows, differences)
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
        there, needed = store.description["samples"]["dtype"], network_samples(address)
        if needed not in {None, there}:
            raise ValueError(
                f"{address}: a network of {KEPT[needed or '']}, and {config.paths.store} holds "
                f"{KEPT[there]}"
            )
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


def _fused(
    listed: ComparisonList, found: Mapping[str, Scores], config: Config
) -> dict[str, Scores]:
    """Return the scores of the fusion by its name, if all that it takes are there."""
    names = dict.fromkeys(config.evaluate.fused)
    if not names or not names.keys() <= found.keys():
        return {}
    llrs = fused_scores(listed, {name: found[name] for name in names}, seed=config.seed)
    if llrs is None:
        say(f"{FUSED} is left out: the list has too few devices to fit it on others than it judges")
        return {}
    return {FUSED: llrs}


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
