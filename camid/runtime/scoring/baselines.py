"""The study's baselines: enrol every device, score every other image, judge, draw, track."""

import json
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa

from camid.comparison.baselines import METHODS, Scores, chunk_scores
from camid.comparison.pattern_files import (
    PatternFile,
    enrolment_digest,
    pattern_name,
    write_pattern,
)
from camid.config import Config
from camid.dataset.records import ImageRecord, manifest_table
from camid.dataset.splits import Gallery, Split, enrolled
from camid.evaluation.gallery import NEGATIVES, Contest, figures, mean_scores
from camid.evaluation.metrics import recognised
from camid.io.csv_tables import write_csv
from camid.io.folder import Folder
from camid.io.output_layout import PICTURES, SCORES, TABLE
from camid.runtime.cluster.map_tasks import streamed
from camid.runtime.cluster.session import session
from camid.runtime.run_folder.output import Output
from camid.runtime.run_folder.stage_times import Clock
from camid.store.store import Store, open_store, write_table

SHOWN_PATTERNS = 4
MEMORY_PER_PIXEL = 12
"""Bytes that scoring takes for a pixel of a chunk's queries: residuals, as read and enhanced."""


def run_baselines(
    config: Config, output: Output, clock: Clock, *, split: Split
) -> list[dict[str, Any]]:
    """Score the store at ``config.paths.store`` with both baselines and return the result rows.

    Images are those that the ``split`` tests.

    Writes reference patterns, ``scores.parquet``, ``devices.csv``, ``left_out.csv`` and figures of
    patterns to the output folder. Patterns that an interrupted run has written are used again.

    Raises
    ------
    ValueError
        If there is no finished store of residuals there, or it has fewer than two devices.
    """
    store = open_store(config.paths.store)
    if store.description["samples"]["dtype"] != "int8":
        raise ValueError(f"{config.paths.store}: holds pixels; baselines need a store of residuals")
    images = store.images()
    tested = split.images("test", images)
    gallery = enrolled(tested, settings=config.enrolment, seed=config.seed)
    untested = split.left_out("test", images)
    gallery = replace(gallery, left_out=(*untested, *gallery.left_out))
    patterns = output.folder / "patterns"
    with session():
        with clock.stage("enrol"):
            _enrol(store, gallery, patterns)
        with clock.stage("score"):
            queries, scores = _scores(store, gallery, patterns, config)
    result = BaselineScores(gallery=gallery, queries=queries, scores=scores)
    rows = _rows(result, config)
    write_csv(output.folder, TABLE, rows)
    _write_tables(output.folder, result)
    with clock.stage("figures"):
        _write_figures(output.folder, result, patterns)
    return rows


@dataclass(frozen=True, kw_only=True)
class BaselineScores:
    """Scores of every query with every device's pattern, ``(query, device)`` a method."""

    gallery: Gallery
    queries: list[ImageRecord]
    scores: dict[str, Scores]

    @cached_property
    def contest(self) -> Contest:
        """Who is compared with whom."""
        column = {device: i for i, device in enumerate(self.gallery.devices)}
        models = self.gallery.models()
        firsts = [images[0] for images in self.gallery.enrolled.values()]
        return Contest(
            queries=np.array([column[record.device] for record in self.queries]),
            models=[models[device] for device in self.gallery.devices],
            sizes=[(record.width, record.height) for record in firsts],
        )


def _enrol(store: Store, gallery: Gallery, folder: Folder) -> None:
    """Write the pattern of every device that has none yet of these very images."""
    missing = []
    for device, images in gallery.enrolled.items():
        if folder.exists(pattern_name(device)):
            with PatternFile(folder, device) as pattern:
                if pattern.digest == enrolment_digest(store, images):
                    continue
        missing.append(manifest_table(images))
    work = partial(_enrol_device, store=store.folder.uri, folder=folder.uri)
    for _ in streamed(missing, work, description="enrol", unit="images"):
        pass


def _enrol_device(table: pa.Table, *, store: str, folder: str) -> pa.Table:
    """Write the pattern of the device whose images ``table`` lists; runs on a worker."""
    images = tuple(ImageRecord(**row) for row in table.to_pylist())
    write_pattern(Folder(folder), open_store(store), images)
    return table.select(["image_id"])


def _scores(
    store: Store, gallery: Gallery, folder: Folder, config: Config
) -> tuple[list[ImageRecord], dict[str, Scores]]:
    """Return the queries and their scores ``(query, device)``, streaming chunk by chunk."""
    queries = [record for images in gallery.queries.values() for record in images]
    by_chunk: dict[tuple[str, int], list[ImageRecord]] = defaultdict(list)
    for record in queries:
        by_chunk[record.device, record.chunk].append(record)
    row_of = {record.image_id: row for row, record in enumerate(queries)}
    scores = {m: np.full((len(queries), len(gallery.devices)), np.nan) for m in METHODS}
    work = partial(
        _score_chunk,
        store=store.folder.uri,
        folder=folder.uri,
        devices=gallery.devices,
        config=config,
    )
    tables = [manifest_table(records) for _, records in sorted(by_chunk.items())]
    memory = MEMORY_PER_PIXEL * max(_num_pixels(records) for records in by_chunk.values())
    for result in streamed(tables, work, description="score", unit="images", memory=memory):
        rows = [row_of[name] for name in result["image_id"].to_pylist()]
        for method in METHODS:
            scores[method][rows] = np.stack(result[method].to_numpy(zero_copy_only=False))
    return queries, scores


def _num_pixels(images: Sequence[ImageRecord]) -> int:
    return sum(image.width * image.height for image in images)


def _score_chunk(
    table: pa.Table, *, store: str, folder: str, devices: Sequence[str], config: Config
) -> pa.Table:
    """Score the queries of one chunk, which ``table`` lists; runs on a worker."""
    names = table["image_id"].to_pylist()
    device, number = table["device"][0].as_py(), table["chunk"][0].as_py()
    with ExitStack() as stack:
        chunk = stack.enter_context(open_store(store).chunk(device, number))
        patterns = [stack.enter_context(PatternFile(Folder(folder), d)) for d in devices]
        scores = chunk_scores(chunk, names, patterns, settings=config.enhancer)
    columns = {method: pa.array(list(matrix)) for method, matrix in scores.items()}
    return pa.table({"image_id": names, **columns})


def _rows(result: BaselineScores, config: Config) -> list[dict[str, Any]]:
    counts = sorted({len(images) for images in result.gallery.enrolled.values()})
    enrolled_images = str(counts[0]) if len(counts) == 1 else f"{counts[0]}..{counts[-1]}"
    one_size = len(set(result.contest.sizes)) == 1
    told_apart = [n for n in NEGATIVES if n != "same-size" or not one_size]
    rows = []
    for method in METHODS:
        for negatives in told_apart:
            found = figures(
                result.scores[method],
                result.contest,
                negatives=negatives,
                single_threshold_fpr=config.metrics.single_threshold_fpr,
            )
            if found:
                condition = {
                    "method": method,
                    "images": f"{enrolled_images}+1",
                    "crop_size": "whole",
                    "num_crops": 1,
                    "negatives": negatives,
                    "split": config.split,
                }
                rows.append({**condition, **found})
    return rows


def _write_tables(folder: Folder, result: BaselineScores) -> None:
    """Write every score, a row a device, and the images that took no part."""
    gallery, contest = result.gallery, result.contest
    table = pa.table(
        {
            "image_id": [record.image_id for record in result.queries],
            "device": [record.device for record in result.queries],
            **{method: pa.array(list(scores)) for method, scores in result.scores.items()},
        }
    ).replace_schema_metadata({"devices": json.dumps(gallery.devices)})
    write_table(folder, SCORES, table)
    first = {m: recognised(contest.queries, s) for m, s in result.scores.items()}
    devices = []
    for column, (device, images) in enumerate(gallery.enrolled.items()):
        mine = contest.queries == column
        devices.append(
            {
                "device": device,
                "model": contest.models[column],
                "width": images[0].width,
                "height": images[0].height,
                "enrolled": len(images),
                "enrolled_background": sum(r.kind == "background" for r in images),
                "queries": int(mine.sum()),
                **{f"rank1_{m}": f"{hits[mine].mean():.4f}" for m, hits in first.items()},
                **{
                    f"mean_score_{m}": f"{scores[mine, column].mean():.5f}"
                    for m, scores in result.scores.items()
                },
            }
        )
    write_csv(folder, "devices.csv", devices)
    if gallery.left_out:
        write_csv(folder, "left_out.csv", [asdict(image) for image in gallery.left_out])


def _write_figures(folder: Folder, result: BaselineScores, patterns: Folder) -> None:
    from camid.evaluation.report.figures import matrix_figure, pattern_figure, png

    shown = {}
    for device in result.gallery.devices[:SHOWN_PATTERNS]:
        with PatternFile(patterns, device) as pattern:
            shown[device] = pattern.read(next(iter(pattern.positions)))
    means = {m: mean_scores(result.contest.queries, s) for m, s in result.scores.items()}
    matrix = matrix_figure(means, result.gallery.devices, models=result.contest.models)
    folder.write(PICTURES["matrix"], png(matrix))
    folder.write(PICTURES["patterns"], png(pattern_figure(shown)))
