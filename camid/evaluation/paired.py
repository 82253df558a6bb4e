"""Methods of several runs beside one another, on the comparisons that all runs made."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from string import ascii_uppercase
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from camid.comparison.comparison_list import LEVELS_OF
from camid.evaluation.bootstrap import resampled
from camid.evaluation.result_rows import Condition, DifferenceRow, ResultRow
from camid.evaluation.results import difference_rows, with_intervals
from camid.evaluation.score_table import Scored


class Merged(NamedTuple):
    """The comparisons that all runs made, and the methods that are compared on them."""

    scored: Scored
    """Methods that several runs have are called ``method A``, ``method B``, by the run."""
    pairs: list[tuple[str, str]]
    """Each method with its baselines in the first run: the same method, and the common baseline."""
    repeated: list[str]
    """Methods of later runs that are left out, as their scores equal the first run's."""


def merged(runs: Mapping[str, Scored], *, than: str = "") -> Merged:
    """Return the methods of several runs on the comparisons that all runs made.

    Parameters
    ----------
    runs
        By name.
    than
        The common baseline, a method of the first run; by default its first.

    Raises
    ------
    ValueError
        If the baseline is missing or the only method, no comparison is in common, or a run
        compared the same images twice.
    """
    (first_name, first_run), *_ = runs.items()
    than = than or next(iter(first_run.scores))
    if than not in first_run.scores:
        raise ValueError(
            f"{first_name}: has no method {than!r}; it has {', '.join(first_run.scores)}"
        )
    common = _common(runs)
    letters = dict(zip(runs, ascii_uppercase, strict=False))
    parts = {letters[name]: run.where(_places(run, common)) for name, run in runs.items()}
    first_scores = parts["A"].scores
    repeated = [
        (letter, method)
        for letter, part in parts.items()
        for method, values in part.scores.items()
        if letter != "A"
        and method in first_scores
        and np.array_equal(values, first_scores[method], equal_nan=True)
    ]
    kept = [
        (letter, method)
        for letter, part in parts.items()
        for method in part.scores
        if (letter, method) not in repeated
    ]
    num_runs = Counter(method for _, method in kept)

    def title(letter: str, method: str) -> str:
        return f"{method} {letter}" if num_runs[method] > 1 else method

    pairs = [
        (title(letter, method), title("A", baseline))
        for letter, method in kept
        for baseline in dict.fromkeys([method, than] if method in first_scores else [than])
        if (letter, method) != ("A", baseline)
    ]
    if not pairs:
        raise ValueError(f"{first_name}: has one method alone; name another run to compare it with")
    scores = {title(*entry): parts[entry[0]].scores[entry[1]] for entry in kept}
    repeated_names = [f"{method} {letter}" for letter, method in repeated]
    return Merged(replace(parts["A"], scores=scores), pairs, repeated_names)


def _common(runs: Mapping[str, Scored]) -> NDArray[np.str_]:
    """Return the keys of the comparisons that all runs made."""
    common = None
    for name, scored in runs.items():
        keys = np.unique(scored.keys)
        if len(keys) < len(scored.keys):
            raise ValueError(f"{name}: compares the same images twice; which is meant is not told")
        common = keys if common is None else np.intersect1d(common, keys)
    if common is None or not len(common):
        raise ValueError(
            f"{' and '.join(runs)}: no comparison in common; judge them on one list: "
            "evaluate.comparisons takes the comparisons.parquet of a run"
        )
    return common


def _places(scored: Scored, keys: NDArray[np.str_]) -> NDArray[np.int64]:
    order = np.argsort(scored.keys)
    return np.asarray(order[np.searchsorted(scored.keys[order], keys)])


def paired_rows(
    scored: Scored, pairs: Sequence[tuple[str, str]], *, seed: int
) -> tuple[list[ResultRow], list[DifferenceRow]]:
    """Return a row for every method and kind of negatives, and a row for every difference.

    A difference is paired: both methods have their figures on the same resampled devices.
    """
    rows: list[ResultRow] = []
    differences: list[DifferenceRow] = []
    for negatives in LEVELS_OF:
        subset = scored.against(negatives)
        if not subset.has_both:
            continue
        resampling = resampled(subset.compared, subset.scores, rng=np.random.default_rng(seed))
        labels = subset.compared.labels
        counts = {
            "num_positives": int(labels.sum()),
            "num_negatives": int((1 - labels).sum()),
            "num_devices": subset.compared.numbered()[0],
        }
        condition = Condition(
            kind=scored.kind,
            images="",
            crop_size=None,
            num_crops=None,
            negatives=negatives,
            split="shared",
        )
        for method in subset.scores:
            figures = dict(with_intervals(resampling.estimates(method))) | counts
            rows.append(ResultRow(method=method, figures=figures, **asdict(condition)))
        for method, baseline in pairs:
            differences += difference_rows(resampling, method, baseline, condition)
    return sorted(rows, key=lambda row: list(scored.scores).index(row.method)), differences
