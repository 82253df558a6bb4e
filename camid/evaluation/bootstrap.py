"""95 % intervals of figures, and of differences of two methods, by a bootstrap over devices.

Comparisons that share a device are not independent, so devices are drawn with replacement, as many
as there are, together with their comparisons. A positive counts as often as its device was drawn;
a negative as often as its two devices' draws meet, the product of their numbers. Draws of
one device are never compared with each other.

Resampling by subject: Bolle, Ratha, Pankanti 2004, doi:10.1016/j.cviu.2003.08.002. Product weights
for data of two crossed random parties: Owen 2007, doi:10.1214/07-AOAS122; they err on the wide side
where chance alone, and no device, moves the scores of negatives.

Percentile intervals are a little narrow for few devices: in simulations of a dozen devices with
effects of their own, they held the true AUC nine times in ten. Where no resample errs, an interval
is a single point, which does not bound the errors of other devices.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from camid.evaluation.labels import Compared
from camid.evaluation.metrics import recognised
from camid.evaluation.weighted_roc import FIGURES, Parties, curve, parties

Array = NDArray[np.float64]
Verdict = Literal["better", "worse", "undecided"]

RANK1 = "rank1"
LOWER_IS_BETTER = frozenset({"eer"})
FEWEST = 5
"""Devices from which on intervals are stated: fewer have few different resamples, whose figures
say how the same comparisons repeat, and not how other devices would fare."""

_LEVELS = (0.025, 0.975)
_CELLS = 1 << 18
"""Numbers in one array of a block of resamples: 2 MB, about ten of which are held."""


class Estimate(NamedTuple):
    """A figure and its 95 % interval, None of fewer than :data:`FEWEST` devices."""

    value: float
    """On all comparisons, each counted once."""
    low: float | None
    high: float | None


class Difference(NamedTuple):
    """A figure of one method less that of another, and the difference's 95 % interval."""

    value: float
    low: float | None
    """None, as ``high``, of fewer than :data:`FEWEST` devices."""
    high: float | None
    verdict: Verdict
    """On the first method: undecided where the interval holds zero, or there is none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Resampled:
    """Figures of methods on all comparisons, and on resamples that all methods share."""

    num_devices: int
    """That are drawn from."""
    names: tuple[str, ...]
    """Of the figures."""
    values: Mapping[str, Array]
    """By method: on all comparisons ``(figure,)``."""
    draws: Mapping[str, Array]
    """By method: on each resample ``(figure, resample)``."""

    def estimates(self, method: str) -> dict[str, Estimate]:
        """Return a method's figures, each with the percentile interval of its resamples."""
        intervals = self._intervals(self.draws[method])
        return {
            name: Estimate(float(value), low, high)
            for name, value, (low, high) in zip(
                self.names, self.values[method], intervals, strict=True
            )
        }

    def differences(self, method: str, *, baseline: str) -> dict[str, Difference]:
        """Return each figure of ``method`` less that of ``baseline``.

        Paired: both methods have their figures on the same resamples, so that a resample's
        difficulty for both cancels.
        """
        values = self.values[method] - self.values[baseline]
        intervals = self._intervals(self.draws[method] - self.draws[baseline])
        return {
            name: Difference(float(value), low, high, _verdict(name, low, high))
            for name, value, (low, high) in zip(self.names, values, intervals, strict=True)
        }

    def _intervals(self, draws: Array) -> list[tuple[float, float] | tuple[None, None]]:
        """Return the percentile interval of each figure's draws ``(figure, resample)``."""
        if self.num_devices < FEWEST:
            return [(None, None)] * len(draws)
        return [(float(low), float(high)) for low, high in np.quantile(draws, _LEVELS, axis=1).T]


def resampled(
    compared: Compared,
    scores: Mapping[str, ArrayLike],
    *,
    rng: np.random.Generator,
    num_resamples: int = 1000,
) -> Resampled:
    """Return EER, AUC and TPR at FPR 1e-2 and 1e-3 of methods, resampled over devices.

    Parameters
    ----------
    scores
        By method: a score for every comparison ``(comparison,)``.
    rng
        Draws the resamples, and redraws those without positives or without negatives. A method's
        draws are the same whichever methods stand beside it.

    Raises
    ------
    ValueError
        If a method's scores are not finite, or not as many as comparisons, one of the two labels
        is missing, or no resample is asked for.
    """
    _check(num_resamples)
    devices = parties(compared)
    curves = {method: curve(compared, devices, values) for method, values in scores.items()}
    ones = np.ones((devices.num_devices, 1))
    blocks = {
        method: [ranked.figures(ones, devices.meetings(ones))] for method, ranked in curves.items()
    }
    num_runs = max((ranked.num_runs for ranked in curves.values()), default=1)
    for times, meetings in _resamples(devices, rng, num_resamples, num_runs=num_runs):
        for method, ranked in curves.items():
            blocks[method].append(ranked.figures(times, meetings))
    figures = {method: np.hstack(parts) for method, parts in blocks.items()}
    return _resampled(FIGURES, figures, num_devices=devices.num_devices)


def resampled_rank1(
    queries: NDArray[np.int64],
    scores: Mapping[str, Array],
    *,
    rng: np.random.Generator,
    num_resamples: int = 1000,
) -> Resampled:
    """Return the rank-1 recognition rate of methods, resampled over the queries' devices.

    A query counts as often as its device was drawn; it always meets the whole gallery.

    Parameters
    ----------
    queries
        Each query's own device, a column of the scores.
    scores
        By method: ``(query, device)``; ties and NaN as
        :func:`camid.evaluation.metrics.recognition_rate`.

    Raises
    ------
    ValueError
        If the queries are not as many as rows of scores, or of fewer than two devices, or no
        resample is asked for.
    """
    _check(num_resamples)
    devices, own_devices, counts = np.unique(queries, return_inverse=True, return_counts=True)
    if len(devices) < 2:
        raise ValueError(f"expected queries of at least two devices, got {len(devices)}")
    ones = np.ones((len(devices), 1))
    times = np.hstack([ones, _drawn(rng, len(devices), num_resamples)])
    rates = {}
    for method, matrix in scores.items():
        hits = np.bincount(own_devices, weights=recognised(queries, matrix))
        rates[method] = ((hits @ times) / (counts @ times))[None]
    return _resampled((RANK1,), rates, num_devices=len(devices))


def _resampled(
    names: tuple[str, ...], figures: Mapping[str, Array], *, num_devices: int
) -> Resampled:
    """Return figures ``(figure, 1 + resample)`` as values on all comparisons and on resamples."""
    return Resampled(
        num_devices=num_devices,
        names=names,
        values={method: values[:, 0] for method, values in figures.items()},
        draws={method: values[:, 1:] for method, values in figures.items()},
    )


def _resamples(
    devices: Parties, rng: np.random.Generator, num_resamples: int, *, num_runs: int
) -> Iterator[tuple[Array, Array]]:
    """Yield blocks of the devices' counts ``(device, resample)`` and of their meetings."""
    num_rows = max(num_runs, devices.num_devices, devices.pairs.shape[1])
    num_missing = num_resamples
    while num_missing:
        times = _drawn(rng, devices.num_devices, min(num_missing, max(1, _CELLS // num_rows)))
        meetings = devices.meetings(times)
        usable = devices.usable(times, meetings)
        num_missing -= int(np.count_nonzero(usable))
        yield times[:, usable], meetings[:, usable]


def _drawn(rng: np.random.Generator, num_devices: int, num_resamples: int) -> Array:
    """Return how often each device is drawn ``(device, resample)``."""
    shares = np.full(num_devices, 1 / num_devices)
    draws = rng.multinomial(num_devices, shares, size=num_resamples)
    return np.ascontiguousarray(draws.T, np.float64)


def _check(num_resamples: int) -> None:
    if num_resamples < 1:
        raise ValueError(f"expected at least one resample, got num_resamples={num_resamples}")


def _verdict(name: str, low: float | None, high: float | None) -> Verdict:
    if low is None or high is None or low <= 0 <= high:
        return "undecided"
    return "better" if (high < 0) == (name in LOWER_IS_BETTER) else "worse"
