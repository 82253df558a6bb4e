"""The classifier as a pipeline: train it, ask it about images, judge its answers and embedding."""

from collections.abc import Mapping
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from camid.comparison.comparison_list import ComparisonList, read_list, write_list
from camid.comparison.draw_list import drawn_list, gallery_list
from camid.comparison.methods import chosen_methods
from camid.comparison.sufficient_statistics import scores
from camid.config import Config
from camid.dataset.splits import Split
from camid.dataset.splits.grouping import device_models
from camid.evaluation.classification import (
    Asked,
    best_scores,
    by_group,
    closed_set,
    confusion,
    gallery_scores,
    open_set,
    reliability,
    temperature,
)
from camid.evaluation.result_rows import ResultRow
from camid.io.csv_tables import write_csv
from camid.io.folder import Folder
from camid.io.output_layout import (
    ANSWERS,
    DEVICES,
    EMBEDDING,
    GROUPS,
    LEFT_OUT,
    LIST,
    PICTURES,
    TABLE,
)
from camid.runtime.cluster.session import session
from camid.runtime.console import say
from camid.runtime.run_folder.output import Output
from camid.runtime.run_folder.stage_times import Clock
from camid.runtime.scoring.collect import gather
from camid.runtime.scoring.evaluate import run_evaluation
from camid.runtime.training.classify import classified
from camid.runtime.training.train_and_evaluate import trained
from camid.store.store import open_store
from camid.training.patch_task import PatchTask

CLASSIFIER = "cnn"
EMBEDDED = "cnn-embedding.keras"


def run_cnn(config: Config, output: Output, clock: Clock, *, split: Split) -> list[ResultRow]:
    """Train the classifier on the store at ``config.paths.store``; return the result rows.

    The classifier and ``evaluate.methods`` name the device of each test image: methods by the
    reference patterns of the classifier's training images, from the residuals of the same strips.
    Then both compare other devices, the classifier by its embedding. Writes the best network, its
    history, ``devices.csv`` in the order of the network's outputs, ``groups.csv`` with a row per
    device and kind, figures, and everything that :func:`run_evaluation` writes. A stopped training
    resumes from its last checkpoint.

    Raises
    ------
    ValueError
        As :func:`train` and :func:`run_evaluation`.
    """
    folder = output.folder
    task = PatchTask(config=config, store=config.paths.store, split=split)
    queries, others = prepare_cnn(task, folder)  # fails before hours of training
    with session():
        trained(task, folder, clock)
        with clock.stage("ask"):
            validation, test, unknown = _asked(task, folder)
        heat = temperature(validation)
        classifier_scores = gallery_scores(test, *_compared(queries, task), heat)
        paths = replace(config.paths, store=config.paths.residuals or config.paths.store)
        residual_config = replace(config, paths=paths)
        rows = run_evaluation(
            replace(residual_config, evaluate=replace(config.evaluate, networks=())),
            output,
            clock,
            split=split,
            told={CLASSIFIER: classifier_scores[:, None]},
            kind="classifier",
        )
        classifier_figures = closed_set(test, heat) | open_set(
            test, unknown, validation=validation, heat=heat, accepted=config.classifier.accepted
        )
        rows = [_named(row, classifier_figures) for row in rows]
        write_csv(folder, TABLE, [row.flat() for row in rows])
        write_csv(folder, GROUPS, by_group(test, task.known.devices))
        _draw(task, folder, test, unknown, heat)
        if others:
            rows += [
                row.in_part(EMBEDDING) for row in _embedded(task, residual_config, folder, clock)
            ]
    folder.delete(ANSWERS)
    return rows


def prepare_cnn(task: PatchTask, folder: Folder) -> tuple[ComparisonList, ComparisonList | None]:
    """Return the lists that a classifier is judged on: of its own devices, and of other devices.

    Both are kept in the folder, with the classifier's devices and the images that are left out.

    Raises
    ------
    ValueError
        If a list cannot be drawn or read, or its crops hold no patch.
    """
    lists = _queries(task, folder), _others(task, folder)
    _write_devices(task, folder)
    return lists


def _named(row: ResultRow, classifier_figures: Mapping[str, float]) -> ResultRow:
    """Return a row of queries with the accuracy of naming a device instead of comparisons'."""
    pair_figures = ("accuracy", "accuracy_gain")
    figures = {name: value for name, value in row.figures.items() if name not in pair_figures}
    if "rank1" in figures:
        figures["accuracy"] = figures["rank1"]
    if row.method == CLASSIFIER and row.negatives == "all":
        figures = {"rank1": classifier_figures["accuracy"], **figures, **classifier_figures}
    return replace(row, figures=figures)


def _queries(task: PatchTask, folder: Folder) -> ComparisonList:
    """Return the list of all test images against all devices, kept in the folder."""
    if folder.exists(LIST):
        return read_list(folder, LIST)
    config = task.config
    listed = gallery_list(task.known.gallery(), strips=config.strips, seed=config.seed)
    write_list(folder, LIST, listed)
    return listed


def _others(task: PatchTask, folder: Folder) -> ComparisonList | None:
    """Return the comparison list of other devices, kept in the folder; ``None`` without any.

    Whole strips are compared if crops may be too small to hold a patch.
    """
    subfolder, config = folder / EMBEDDING, task.config
    if subfolder.exists(LIST):
        return read_list(subfolder, LIST)
    settings, store = config.comparisons, open_store(task.store)
    size = config.patches.size or config.strips.size
    if settings.crop_size and settings.crop_size < 2 * size - 2:
        say(f"crops of {settings.crop_size} px need not hold a patch: whole strips are compared")
        settings = replace(settings, crop_size=0)
    if config.evaluate.comparisons != "drawn":
        listed = read_list(*Folder.at(config.evaluate.comparisons))
    else:
        images = task.known.others(task.split.images("test", store.images()))
        if settings.crop_size > config.strips.size:
            raise ValueError(
                f"comparisons.crop_size = {settings.crop_size}: larger than the store's strips of "
                f"{config.strips.size} px"
            )
        try:
            listed = drawn_list(images, settings=settings, strips=config.strips, seed=config.seed)
        except ValueError as error:
            say(f"no other devices are compared: {error}")
            return None
    write_list(subfolder, LIST, listed)
    return listed


def _write_devices(task: PatchTask, folder: Folder) -> None:
    """Write the devices in the order of the network's outputs, and the images that are left out."""
    known = task.known
    models = device_models(open_store(task.store).images())
    rows = [
        {
            "device": device,
            "label": label,
            "model": models[device],
            "train": len(known.train[device]),
            "validation": len(known.validation[device]),
            "test": len(known.test[device]),
        }
        for label, device in enumerate(known.devices)
    ]
    write_csv(folder, DEVICES, rows)
    if known.left_out:
        write_csv(folder, LEFT_OUT, [asdict(image) for image in known.left_out])


def _asked(task: PatchTask, folder: Folder) -> tuple[Asked, Asked, Asked]:
    """Return the network's answers for the validation, test and unknown images."""
    known = task.known
    parts = [known.images("validation"), known.images("test"), list(known.unknown)]
    answers = classified(
        open_store(task.store),
        [record for part in parts for record in part],
        known.devices,
        folder,
        network=task.network,
        config=task.config,
    )
    part_numbers = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    validation, test, unknown = (
        answers.where(part_numbers == number) for number in range(len(parts))
    )
    return validation, test, unknown


def _compared(
    listed: ComparisonList, task: PatchTask
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the row of the image and the column of the device of each comparison."""
    row_of = {record.sha256: row for row, record in enumerate(task.known.images("test"))}
    column_of = {device: column for column, device in enumerate(task.known.devices)}
    sides = [(listed.sides[pair.first], listed.sides[pair.second]) for pair in listed.comparisons]
    queries = [row_of[second.images[0]] for _, second in sides]
    return np.array(queries), np.array([column_of[first.device] for first, _ in sides])


def _embedded(
    task: PatchTask, residual_config: Config, folder: Folder, clock: Clock
) -> list[ResultRow]:
    """Return the result rows of other devices, with the network's embedding as a method."""
    output, config = Output(folder / EMBEDDING), task.config
    listed = read_list(output.folder, LIST)
    evidence_folder = output.folder / ANSWERS  # its store may differ from the other methods'
    write_list(evidence_folder, LIST, listed)
    output.folder.write(EMBEDDED, folder.read(task.network))  # named as the method
    address = output.folder.address(EMBEDDED)
    num_crops = config.comparisons.num_crops if listed.crop_size else ()
    with clock.stage("embed"):
        evidence, _ = gather(
            open_store(task.store),
            listed,
            evidence_folder,
            (),
            networks=[address],
            num_crops=num_crops,
        )
    embedding_scores = scores(evidence, chosen_methods((), [address]))
    rows = run_evaluation(residual_config, output, clock, split=task.split, told=embedding_scores)
    output.folder.delete(ANSWERS)
    return rows


def _draw(task: PatchTask, folder: Folder, test: Asked, unknown: Asked, heat: float) -> None:
    from camid.evaluation.report.figures import (
        histogram_figure,
        matrix_figure,
        png,
        reliability_figure,
    )

    devices = task.known.devices
    models = device_models(open_store(task.store).images())
    confusion_figure = matrix_figure(
        {CLASSIFIER: confusion(test)},
        devices,
        models=[models[device] for device in devices],
        score="share of images",
        columns="taken for",
    )
    folder.write(PICTURES["confusion"], png(confusion_figure))
    reliabilities = {"as trained": reliability(test, 1.0), "calibrated": reliability(test, heat)}
    folder.write(PICTURES["reliability"], png(reliability_figure(reliabilities)))
    if len(unknown.labels):
        scores_by_kind = {
            "one of the devices": best_scores(test, heat),
            "another device": best_scores(unknown, heat),
        }
        histograms = histogram_figure(
            {CLASSIFIER: scores_by_kind}, score="log-odds of the best device"
        )
        folder.write(PICTURES["open_set"], png(histograms))
