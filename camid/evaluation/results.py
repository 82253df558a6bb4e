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
    """Return a row for every method and condition, and a row for every difference of two methods.

    A method of the study has its stated figures beside ours, where all negatives count. The
    accuracy is that of calibrated scores at the likelihood ratio 1; its gain is over that of the
    smallest number of crops (what the study calls extended inference).

    Parameters
    ----------
    scores
        By method ``(comparison, number of crops)``; NaN where nothing could be compared, which
        leaves the comparison out for all methods.
    num_crops
        Numbers of crops on the second axis; empty where whole strips are compared.
    split
        Name of the split whose devices are tested.
    seed
        Seed of the resamples and the calibration folds.
    single_threshold_fpr
        False-accept rate of the study's only threshold.
    is_same_size
        Mask of the comparisons between images of one pixel size; all if None.
    kind
        Kind of the comparisons, if not the list's own.
    """
    is_one_size = is_same_size is None or bool(is_same_size.all())
    kinds_of_negatives = [n for n in JUDGED if n != SAME_SIZE or not is_one_size]
    common = _condition(listed, kind or ("gallery" if listed.is_gallery else "pairs"), split)
    rows: list[ResultRow] = []
    differences: list[DifferenceRow] = []
    first_rows: dict[tuple[str, str], ResultRow] = {}
    for index, crop_count in enumerate(tuple(num_crops) or (0,)):
        crop_scores = {method: values[:, index] for method, values in scores.items()}
        for negatives in kinds_of_negatives:
            chosen = _chosen(listed, crop_scores, negatives, is_same_size)
            if not chosen.any():
                continue
            condition = replace(common, num_crops=crop_count or None, negatives=negatives)
            crop_rows, crop_differences = _judged(
                listed, crop_scores, chosen, condition, seed=seed, fpr=single_threshold_fpr
            )
            for row in crop_rows:
                first = first_rows.setdefault((row.method, negatives), row)
                rows.append(_completed(row, first, _reach(listed, chosen, crop_count)))
            differences += crop_differences
    return rows, differences


def _condition(listed: ComparisonList, kind: Kind, split: str) -> Condition:
    """Return the condition of all of a list's crops and negatives."""
    return Condition(
        kind=kind,
        images=images_a_side(listed),
        crop_size=listed.crop_size or None,
        num_crops=None,
        negatives="all",
        split=BY_IMAGE if kind == "classifier" else split,
    )


def _completed(row: ResultRow, first: ResultRow, reach: Mapping[str, float]) -> ResultRow:
    """Return a row with its gain over that of the fewest crops, and the study's figures."""
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
    for side in ("first", "second"):
        numbers = {getattr(pair, side) for pair in listed.comparisons}
        images = sorted({len(listed.sides[number].images) for number in numbers})
        counts.append(f"{images[0]}" if len(images) == 1 else f"{images[0]}..{images[-1]}")
    return "+".join(counts)


def fused_scores(
    listed: ComparisonList, scores: Mapping[str, Scores], *, seed: int
) -> Scores | None:
    """Return the LLR of each comparison by several methods fused, nats.

    Each number of crops is cross-fitted on its own. LLRs are unbounded: bounds make many of them
    equal, and are wider for two sides in one fold, as all positives are, than in two folds, which
    would reveal the labels. The calibration of the scores bounds them.

    Parameters
    ----------
    scores
        By method ``(comparison, number of crops)``; NaN where nothing could be compared.
    seed
        Seed of the devices' folds.

    Returns
    -------
    ``(comparison, number of crops)``, NaN where a method is; None with too few devices.
    """
    fit = partial(_unbounded_fusion, methods=tuple(scores))
    compared, llrs = compared_in(listed), np.full_like(next(iter(scores.values())), np.nan)
    for index in range(llrs.shape[1]):
        stacked = np.stack([values[:, index] for values in scores.values()], axis=1)
        finite = np.asarray(np.isfinite(stacked).all(axis=1))
        crop_llrs = calibrated(compared.where(finite), stacked[finite], seed=seed, fit=fit)
        if crop_llrs is None:
            return None
        llrs[finite, index] = crop_llrs
    return llrs


def _unbounded_fusion(compared: Compared, scores: ArrayLike, *, methods: tuple[str, ...]) -> Fusion:
    return logistic_fusion(compared, scores, methods=methods).unbounded()


def _chosen(
    listed: ComparisonList,
    scores: Mapping[str, Scores],
    negatives: str,
    is_same_size: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Return the mask of a kind of negatives and of their devices' positives.

    So both labels are of the same devices. All are false where a label is missing.
    """
    levels = np.array([pair.level for pair in listed.comparisons])
    finite = np.all([np.isfinite(values) for values in scores.values()], axis=0)
    negative = finite & np.isin(levels, sorted(JUDGED[negatives]))
    if negatives == SAME_SIZE and is_same_size is not None:
        negative &= is_same_size
    devices = _devices(listed)
    involved = np.unique(devices[:, negative])
    positive = finite & (levels == "same-device") & np.isin(devices[0], involved)
    if not (negative.any() and positive.any()):
        return np.zeros(len(levels), bool)
    return np.asarray(negative | positive)


def _reach(listed: ComparisonList, chosen: NDArray[np.bool_], num_crops: int) -> dict[str, float]:
    """Return the comparisons' mean number of crops, and the mean overlap of the crops."""
    if not listed.crop_size:
        return {}
    crops = [listed.comparisons[i].crops[:num_crops] for i in np.flatnonzero(chosen)]
    return {
        "mean_crops": float(np.mean([len(windows) for windows in crops])),
        "overlap": float(np.mean([overlap(windows, listed.crop_size) for windows in crops])),
    }


def _devices(listed: ComparisonList) -> NDArray[np.str_]:
    """Return the devices of each comparison's sides, ``(side, comparison)``."""
    names = np.array([side.device for side in listed.sides])
    sides = np.array([(pair.first, pair.second) for pair in listed.comparisons]).T
    return np.asarray(names[sides])


def compared_in(listed: ComparisonList) -> Compared:
    """Return the labels and devices of a list's comparisons."""
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
    chosen_scores = {method: values[chosen] for method, values in scores.items()}
    resamplings = [resampled(compared, chosen_scores, rng=np.random.default_rng(seed))]
    if listed.is_gallery:
        gallery = gallery_matrices(listed, scores, chosen)
        if len(np.unique(gallery.own)) > 1:  # a single device cannot be resampled
            rng = np.random.default_rng(seed)
            resamplings.append(resampled_rank1(gallery.own, gallery.scores, rng=rng))
    num_devices, _ = compared.numbered()
    counts = {
        "num_positives": int(labels.sum()),
        "num_negatives": int((1 - labels).sum()),
        "num_devices": num_devices,
    }
    rows, differences = [], []
    baseline = next(iter(scores))
    for method, values in chosen_scores.items():
        figures: dict[str, float] = {}
        for resampling in resamplings:
            figures |= dict(with_intervals(resampling.estimates(method)))
        figures |= single_threshold(labels, values, fpr=fpr).figures()
        figures |= _costs(compared, values, seed=seed) | counts
        rows.append(ResultRow(method=method, figures=figures, **asdict(condition)))
        if method != baseline:
            for resampling in resamplings:
                differences += difference_rows(resampling, method, baseline, condition)
    return rows, differences


def difference_rows(
    found: Resampled, method: str, baseline: str, condition: Condition
) -> list[DifferenceRow]:
    """Return a row for each figure of a method, less that of another."""
    estimates, baseline_estimates = found.estimates(method), found.estimates(baseline)
    return [
        DifferenceRow(
            method=method,
            baseline=baseline,
            figure=name,
            of_method=estimates[name].value,
            of_baseline=baseline_estimates[name].value,
            **difference._asdict(),
            **asdict(condition),
        )
        for name, difference in found.differences(method, baseline=baseline).items()
    ]


def with_intervals(estimates: Mapping[str, Estimate]) -> Iterator[tuple[str, float]]:
    """Yield figures by name, each with the ends of its interval where there is one."""
    for name, estimate in estimates.items():
        yield name, estimate.value
        if estimate.low is not None and estimate.high is not None:
            yield f"{name}_low", estimate.low
            yield f"{name}_high", estimate.high


def _costs(compared: Compared, values: Scores, *, seed: int) -> dict[str, float]:
    """Return the cost of calibrated scores in bits, where there are devices to calibrate with."""
    costs = {"cllr_min": cllr_min(compared.labels, values)}
    llrs = calibrated(compared, values, seed=seed)
    if llrs is None:
        return costs
    return {
        "cllr": cllr(compared.labels, llrs),
        **costs,
        "accuracy": balanced_accuracy(compared.labels, llrs),
    }


def calibrated(
    compared: Compared, values: Scores, *, seed: int, fit: Fit = logistic_calibrator
) -> Scores | None:
    """Return the LLR of each comparison, nats, by fits to other devices; None with too few."""
    num_folds = min(NUM_FOLDS, compared.numbered()[0])
    if num_folds < MIN_FOLDS:
        return None
    try:
        return cross_fitted(compared, values, fit=fit, num_folds=num_folds, seed=seed)
    except ValueError:
        return None  # too few devices outside two folds
