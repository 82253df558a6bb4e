"""Evaluation: one comparison list, every method, on Ray Data; figures with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from camid.comparison.comparison_list import ComparisonList
from camid.comparison.fingerprint_file import fingerprint_name
from camid.comparison.methods.estimators import GREY
from camid.comparison.sufficient_statistics import scores
from camid.config import Config, Enhancer, Evaluate
from camid.dataset.splits import Split
from camid.dataset.splits.grouping import device_models
from camid.evaluation.fusion import FUSED
from camid.evaluation.gallery import device_rows, gallery_matrices
from camid.evaluation.result_rows import DifferenceRow, Kind, ResultRow, write_differences
from camid.evaluation.results import Scores, fused_scores, judged_rows
from camid.evaluation.score_table import IMAGE, write_scores
from camid.io.csv_tables import write_csv
from camid.io.folder import Folder
from camid.io.output_layout import (
    DEVICES,
    EVIDENCE,
    PATTERNS,
    PICTURES,
    SECONDS,
    TABLE,
)
from camid.runtime.cluster.session import session
from camid.runtime.console import say
from camid.runtime.run_folder.output import Output
from camid.runtime.run_folder.stage_times import Clock
from camid.runtime.scoring.collect import gather, store_methods
from camid.runtime.scoring.enrol import enrol, enrolled_devices, fingerprints
from camid.runtime.scoring.prepare_list import GALLERY, prepared_list
from camid.store.store import Store, open_store

BASELINES = Evaluate(comparisons=GALLERY, methods=("lukas", "li"), fused=())
"""The study's baselines: every query against every enrolled device, by its two methods."""
SHOWN_FINGERPRINTS = 4


def run_evaluation(
    config: Config,
    output: Output,
    clock: Clock,
    *,
    split: Split,
    evaluate: Evaluate | None = None,
    trained: Sequence[str] = (),
    told: Mapping[str, NDArray[np.float64]] | None = None,
    kind: Kind | None = None,
) -> list[ResultRow]:
    """Score a comparison list of the store at ``config.paths.store``; return the result rows.

    Writes list, scores, figures and differences; for a gallery also the enrolled devices'
    fingerprints and, if missing, ``devices.csv``. The list's evidence is kept until then, so that a
    stopped run can resume.

    Parameters
    ----------
    evaluate
        Comparisons and methods, if not those of the configuration.
    trained
        Addresses of further networks.
    told
        Scores of further methods, ``(comparison, number of crops)``.
    kind
        Kind of the comparisons, if not the list's own.

    Raises
    ------
    ValueError
        If there is no store of residuals, a method is not known, or there is nothing to compare.
    """
    store, settings = open_store(config.paths.store), evaluate or config.evaluate
    settings = replace(settings, networks=(*settings.networks, *trained))
    listed = prepared_list(config, output, split=split, evaluate=settings)
    num_crops = config.comparisons.num_crops if listed.crop_size else ()
    method_scores, seconds = _scored(
        store, listed, output.folder, clock, settings, num_crops=num_crops, enhancer=config.enhancer
    )
    method_scores |= told or {}
    with clock.stage("judge"):
        method_scores |= _fused(listed, method_scores, settings.fused, seed=config.seed)
        rows, differences = judged_rows(
            listed,
            method_scores,
            num_crops=num_crops,
            split=config.split,
            seed=config.seed,
            single_threshold_fpr=config.metrics.single_threshold_fpr,
            is_same_size=_same_size(listed, store),
            kind=kind,
        )
    if not rows:
        raise ValueError(f"{config.paths.store}: the comparison list has nothing to judge on")
    count = len(listed.comparisons)
    times = [{"method": name, "seconds": value / count} for name, value in seconds.items()]
    with clock.stage("figures"):
        write_csv(output.folder, SECONDS, times)
        _write(output.folder, listed, method_scores, store, rows=rows, differences=differences)
    output.folder.delete(EVIDENCE)
    return rows


def _scored(
    store: Store,
    listed: ComparisonList,
    folder: Folder,
    clock: Clock,
    evaluate: Evaluate,
    *,
    num_crops: Sequence[int],
    enhancer: Enhancer,
) -> tuple[dict[str, Scores], dict[str, float]]:
    """Return each method's scores of a list, and its seconds; enrol a gallery's devices first."""
    methods = store_methods(store, evaluate.methods, evaluate.networks, enhancer)
    with session():
        if listed.is_gallery and any(m.first.gathered == GREY for m in methods.values()):
            with clock.stage("enrol"):
                enrol(store, listed, folder / PATTERNS)
        with clock.stage("score"):
            evidence, seconds = gather(
                store,
                listed,
                folder,
                evaluate.methods,
                networks=evaluate.networks,
                num_crops=num_crops,
                enhancer=enhancer,
            )
            method_scores = scores(evidence, methods)
    return {name: method_scores[name] for name in methods}, seconds


def _fused(
    listed: ComparisonList,
    method_scores: Mapping[str, Scores],
    methods: Sequence[str],
    *,
    seed: int,
) -> dict[str, Scores]:
    """Return the scores of methods' fusion by its name; empty if a method is missing."""
    names = dict.fromkeys(methods)
    if not names or not names.keys() <= method_scores.keys():
        return {}
    llrs = fused_scores(listed, {name: method_scores[name] for name in names}, seed=seed)
    if llrs is None:
        say(f"{FUSED} is left out: the list has too few devices to fit it on others than it judges")
        return {}
    return {FUSED: llrs}


def _same_size(listed: ComparisonList, store: Store) -> NDArray[np.bool_]:
    """Return which comparisons are of images of equal pixel size."""
    images = store.images().of_sha256({side.images[0] for side in listed.sides})
    sizes = {sha256: (record.width, record.height) for sha256, record in images.items()}
    first, second = (
        np.array([sizes[listed.sides[side].images[0]] for side in sides])
        for sides in zip(*((pair.first, pair.second) for pair in listed.comparisons), strict=True)
    )
    return np.asarray((first == second).all(axis=1))


def _write(
    folder: Folder,
    listed: ComparisonList,
    method_scores: Mapping[str, Scores],
    store: Store,
    *,
    rows: Sequence[ResultRow],
    differences: Sequence[DifferenceRow],
) -> None:
    """Write scores, rows and differences, and a gallery's devices."""
    _write_scores(folder, listed, method_scores, store)
    write_csv(folder, TABLE, [row.flat() for row in rows])
    write_differences(folder, differences)
    if listed.is_gallery and not folder.exists(DEVICES):  # a classifier has its own
        _write_gallery(folder, listed, method_scores, store)


def _write_scores(
    folder: Folder, listed: ComparisonList, method_scores: Mapping[str, Scores], store: Store
) -> None:
    """Write every score; for a gallery, with the query's photograph."""
    columns: dict[str, Any] = {
        "first": [pair.first for pair in listed.comparisons],
        "second": [pair.second for pair in listed.comparisons],
        "label": [pair.label for pair in listed.comparisons],
        "level": [pair.level for pair in listed.comparisons],
    }
    if listed.is_gallery:
        queries = [listed.sides[pair.second].images[0] for pair in listed.comparisons]
        images = store.images().of_sha256(queries)
        names = [images[sha256].image_id for sha256 in queries]
        columns[IMAGE] = pa.array(names).dictionary_encode()
    columns |= {name: pa.array(list(values)) for name, values in method_scores.items()}
    metadata = {"comparison_list": listed.digest}
    write_scores(folder, pa.table(columns).replace_schema_metadata(metadata))


def _write_gallery(
    folder: Folder, listed: ComparisonList, method_scores: Mapping[str, Scores], store: Store
) -> None:
    """Write the figures of each device's queries, their matrix, and pictures of fingerprints."""
    from camid.evaluation.report.figures import matrix_figure, pattern_figure, png

    gallery = gallery_matrices(
        listed, {name: values[:, -1] for name, values in method_scores.items()}
    )
    enrolled_sides = enrolled_devices(listed)
    digests = {image for side in enrolled_sides for image in listed.sides[side].images}
    models = device_models(store.images())
    rows = device_rows(listed, gallery, images=store.images().of_sha256(digests), models=models)
    devices = [row["device"] for row in rows]
    matrix = matrix_figure(gallery.mean_scores(), devices, models=[row["model"] for row in rows])
    folder.write(PICTURES["matrix"], png(matrix))
    with fingerprints(listed, folder / PATTERNS) as files:
        patterns = {
            enrolled_sides[side]: files[side].read(next(iter(files[side].positions)))
            for side in gallery.firsts[:SHOWN_FINGERPRINTS].tolist()
            if (folder / PATTERNS).exists(fingerprint_name(enrolled_sides[side]))
        }
    if patterns:
        folder.write(PICTURES["patterns"], png(pattern_figure(patterns)))
    write_csv(folder, DEVICES, rows)
