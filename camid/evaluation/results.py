"""Result rows of methods on one comparison list: figures, intervals, paired differences."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from camid.comparison.comparison_list import LEVELS_OF, NEGATIVE, ComparisonList, overlap
from camid.evaluation.bootstrap import Estimate, Resampled, resampled, resampled_rank1
from camid.evaluation.calibration import Fit, cllr, cllr_min, cross_fitted, logistic_calibrator
from camid.evaluation.fusion import Fusion, logistic_fusion
from camid.evaluation.gallery import gallery_matrices
from camid.evaluation.labels import Compared
from camid.evaluation.metrics import balanced_accuracy, single_threshold
from camid.evaluation.published import study_figures, study_images
from camid.evaluation.result_rows import BY_IMAGE, Condition, DifferenceRow, Kind, ResultRow

Scores = NDArray[np.float64]

SAME_SIZE = "same-size"
JUDGED = LEVELS_OF | {SAME_SIZE: NEGATIVE}
"""Levels of the negatives that each kind of row is judged on."""
MIN_FOLDS = 3
NUM_FOLDS = 5


def judged_rows(
    listed: ComparisonList,
    scores: Mapping[str, Scores],
    *,
    num_crops: Sequence[int],
    split: str,
    seed: int,
    single_threshold_fpr: float,
    is_same_size: NDArray[np.bool_] | None = None,
    kind: Kind | None = None,
) -> tuple[list[ResultRow], list[DifferenceRow]]:
    """Return a row for every method and condition, and one for every difference of two methods.

    A method of the study has its stated figures beside ours, where all negatives count. The
    accuracy is that of calibrated scores at the likelihood ratio 1; its gain is over that of the
    smallest number of crops (what the study calls extended inference).

    Parameters
    ----------
    scores
        By method ``(comparison, number of crops)``; NaN where nothing could be compared, which
        leaves the comparison out for all methods.
    num_crops
        What the second axis counts; empty where whole strips are compared.
    split
        Name of the split that the devices are tested of.
    seed
        Draws the resamples, and the folds that calibrate one another.
    single_threshold_fpr
        Where the study's convention puts its only threshold.
    is_same_size
        Which comparisons are of images of one pixel size; all, if not told.
    kind
        What is compared, if not what the list says.
    """
    kind = kind or ("gallery" if listed.is_gallery else "pairs")
    is_one_size = is_same_size is None or bool(is_same_size.all())
    told_apart = [n for n in JUDGED if n != SAME_SIZE or not is_one_size]
    rows: list[ResultRow] = []
    differences: list[DifferenceRow] = []
    firsts: dict[tuple[str, str], ResultRow] = {}
    for index, number in enumerate(tuple(num_crops) or (0,)):
        found = {method: values[:, index] for method, values in scores.items()}
        for negatives in told_apart:
            chosen = _chosen(listed, found, negatives, is_same_size)
            if not chosen.any():
                continue
            condition = Condition(
                kind=kind,
                images=images_a_side(listed),
                crop_size=listed.crop_size or None,
                num_crops=number or None,
                negatives=negatives,
                split=BY_IMAGE if kind == "classifier" else split,
            )
            some, more = _judged(
                listed, found, chosen, condition, seed=seed, fpr=single_threshold_fpr
            )
            for row in some:
                first = firsts.setdefault((row.method, negatives), row)
                rows.append(_completed(row, first, _reach(listed, chosen, number)))
            differences += more
    return rows, differences


def _completed(row: ResultRow, first: ResultRow, reach: Mapping[str, float]) -> ResultRow:
    """Return a row with its gain over that of the fewest crops, and what the study states."""
    figures = dict(reach)
    if row.num_crops and "accuracy" in row.figures and "accuracy" in first.figures:
        figures["accuracy_gain"] = row.figures["accuracy"] / first.figures["accuracy"]
    if row.negatives != "all":
        return row.with_figures(figures)
    figures |= study_figures(row.method)
    return replace(row.with_figures(figures), study_images=study_images(row.method))


def images_a_side(listed: ComparisonList) -> str:
    """Return the numbers of images of first and second sides, such as ``4+4`` or ``8..15+1``."""
    counts = []
    for which in ("first", "second"):
        numbers = {getattr(pair, which) for pair in listed.comparisons}
        images = sorted({len(listed.sides[number].images) for number in numbers})
        counts.append(f"{images[0]}" if len(images) == 1 else f"{images[0]}..{images[-1]}")
    return "+".join(counts)


def fused_scores(
    listed: ComparisonList, scores: Mapping[str, Scores], *, seed: int
) -> Scores | None:
    """Return the LLR of each comparison by several methods together, nats.

    Those of each number of crops are cross-fitted on their own. They are unbounded: bounds make
    many of them equal, and they are wider for two sides in one fold, as all positives are, than for
    two in two, which would tell the labels. The calibration of the scores bounds them.

    Parameters
    ----------
    scores
        By method ``(comparison, number of crops)``; NaN where nothing could be compared.
    seed
        Deals the devices into folds.

    Returns
    -------
    ``(comparison, number of crops)``, NaN where a method is; None with too few devices.
    """
    fit = partial(_unbounded_fusion, methods=tuple(scores))
    compared, found = compared_in(listed), np.full_like(next(iter(scores.values())), np.nan)
    for index in range(found.shape[1]):
        together = np.stack([values[:, index] for values in scores.values()], axis=1)
        finite = np.asarray(np.isfinite(together).all(axis=1))
        llrs = calibrated(compared.where(finite), together[finite], seed=seed, fit=fit)
        if llrs is None:
            return None
        found[finite, index] = llrs
    return found


def _unbounded_fusion(compared: Compared, scores: ArrayLike, *, methods: tuple[str, ...]) -> Fusion:
    return logistic_fusion(compared, scores, methods=methods).unbounded()


def _chosen(
    listed: ComparisonList,
    scores: Mapping[str, Scores],
    negatives: str,
    is_same_size: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Return the comparisons that take part: negatives of a kind, and positives of their devices.

    So both labels are of the same devices. None where one label is missing.
    """
    levels = np.array([pair.level for pair in listed.comparisons])
    finite = np.all([np.isfinite(values) for values in scores.values()], axis=0)
    negative = finite & np.isin(levels, sorted(JUDGED[negatives]))
    if negatives == SAME_SIZE and is_same_size is not None:
        negative &= is_same_size
    devices = _devices(listed)
    taking_part = np.unique(devices[:, negative])
    positive = finite & (levels == "same-device") & np.isin(devices[0], taking_part)
    if not (negative.any() and positive.any()):
        return np.zeros(len(levels), bool)
    return np.asarray(negative | positive)


def _reach(listed: ComparisonList, chosen: NDArray[np.bool_], number: int) -> dict[str, float]:
    """Return how many crops comparisons have of a number, and how much of them is seen twice."""
    if not listed.crop_size:
        return {}
    crops = [listed.comparisons[i].crops[:number] for i in np.flatnonzero(chosen)]
    return {
        "mean_crops": float(np.mean([len(found) for found in crops])),
        "overlap": float(np.mean([overlap(found, listed.crop_size) for found in crops])),
    }


def _devices(listed: ComparisonList) -> NDArray[np.str_]:
    """Return the devices of each comparison's sides, ``(side, comparison)``."""
    names = np.array([side.device for side in listed.sides])
    sides = np.array([(pair.first, pair.second) for pair in listed.comparisons]).T
    return np.asarray(names[sides])


def compared_in(listed: ComparisonList) -> Compared:
    """Return whom a list's comparisons compare."""
    first, second = _devices(listed)
    labels = np.array([pair.label for pair in listed.comparisons])
    return Compared(labels=labels, first=first, second=second)


def _judged(
    listed: ComparisonList,
    scores: Mapping[str, Scores],
    chosen: NDArray[np.bool_],
    condition: Condition,
    *,
    seed: int,
    fpr: float,
) -> tuple[list[ResultRow], list[DifferenceRow]]:
    compared = compared_in(listed).where(chosen)
    labels = compared.labels
    taken = {method: values[chosen] for method, values in scores.items()}
    parts = [resampled(compared, taken, rng=np.random.default_rng(seed))]
    if listed.is_gallery:
        gallery = gallery_matrices(listed, scores, chosen)
        if len(np.unique(gallery.own)) > 1:  # else there is no device to resample
            rng = np.random.default_rng(seed)
            parts.append(resampled_rank1(gallery.own, gallery.scores, rng=rng))
    num_devices, _ = compared.numbered()
    counts = {
        "num_positives": int(labels.sum()),
        "num_negatives": int((1 - labels).sum()),
        "num_devices": num_devices,
    }
    rows, differences = [], []
    baseline = next(iter(scores))
    for method, values in taken.items():
        figures: dict[str, float] = {}
        for part in parts:
            figures |= dict(with_intervals(part.estimates(method)))
        figures |= single_threshold(labels, values, fpr=fpr).figures()
        figures |= _costs(compared, values, seed=seed) | counts
        rows.append(ResultRow(method=method, figures=figures, **asdict(condition)))
        if method != baseline:
            for part in parts:
                differences += difference_rows(part, method, baseline, condition)
    return rows, differences


def difference_rows(
    found: Resampled, method: str, baseline: str, condition: Condition
) -> list[DifferenceRow]:
    """Return a row for each figure of a method, less that of another."""
    mine, theirs = found.estimates(method), found.estimates(baseline)
    return [
        DifferenceRow(
            method=method,
            baseline=baseline,
            figure=name,
            of_method=mine[name].value,
            of_baseline=theirs[name].value,
            **difference._asdict(),
            **asdict(condition),
        )
        for name, difference in found.differences(method, baseline=baseline).items()
    ]


def with_intervals(estimates: Mapping[str, Estimate]) -> Iterator[tuple[str, float]]:
    """Yield figures by name, each with the ends of its interval."""
    for name, estimate in estimates.items():
        yield name, estimate.value
        yield f"{name}_low", estimate.low
        yield f"{name}_high", estimate.high


def _costs(compared: Compared, values: Scores, *, seed: int) -> dict[str, float]:
    """Return the cost of calibrated scores in bits, where there are devices to calibrate with."""
    found = {"cllr_min": cllr_min(compared.labels, values)}
    llrs = calibrated(compared, values, seed=seed)
    if llrs is None:
        return found
    return {
        "cllr": cllr(compared.labels, llrs),
        **found,
        "accuracy": balanced_accuracy(compared.labels, llrs),
    }


def calibrated(
    compared: Compared, values: Scores, *, seed: int, fit: Fit = logistic_calibrator
) -> Scores | None:
    """Return the LLR of each comparison, nats, by fits to others; None with too few devices."""
    num_folds = min(NUM_FOLDS, compared.numbered()[0])
    if num_folds < MIN_FOLDS:
        return None
    try:
        return cross_fitted(compared, values, fit=fit, num_folds=num_folds, seed=seed)
    except ValueError:
        return None  # too few devices outside two folds
