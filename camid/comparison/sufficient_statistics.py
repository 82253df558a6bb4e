"""Additive statistics of a list's comparisons by method, merged from any parts."""

import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camid.comparison.comparison_list import Comparison, ComparisonList
from camid.comparison.located_list import Window
from camid.comparison.methods.method import Array, Method, Sums, Tile

Planes = Callable[[Sequence[int]], Array]
"""Prepared strips ``(side, height, width)`` of the given sides."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Each method's statistics of every comparison, summed over its first crops."""

    sums: Mapping[str, Sums]
    """By method: ``(comparison, number of crops, number)``; the last number counts windows."""

    def __add__(self, other: "Evidence") -> "Evidence":
        total = dict(self.sums)
        for name, sums in other.sums.items():
            total[name] = total[name] + sums if name in total else sums
        return Evidence(sums=total)


class Ledger:
    """Accumulates evidence, the windows of one position at a time."""

    def __init__(
        self,
        listed: ComparisonList,
        methods: Mapping[str, Method],
        *,
        num_crops: Sequence[int],
        taken: MutableMapping[str, float] | None,
    ) -> None:
        self._listed, self._methods = listed, methods
        self._num_crops = tuple(num_crops) or (1,)
        self._taken = {} if taken is None else taken
        self._sums: dict[str, Sums] = {}

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the duration of the block inside to a method's seconds."""
        started = time.perf_counter()
        yield
        self._taken[name] = self._taken.get(name, 0.0) + time.perf_counter() - started

    def add(self, name: str, windows: Sequence[Window], first: Planes, second: Planes) -> None:
        """Add a method's statistics of the windows at one position."""
        pairs = [self._listed.comparisons[window.comparison] for window in windows]
        firsts, seconds = sorted({p.first for p in pairs}), sorted({p.second for p in pairs})
        with self.timed(name):
            statistics = self._methods[name].evidence(
                Tile(
                    first=first(firsts),
                    second=second(seconds),
                    pairs=_rows(pairs, firsts, seconds),
                    corners=np.array([(window.y, window.x) for window in windows]),
                    size=self._listed.crop_size or self._listed.strip_size,
                )
            )
        if name not in self._sums:
            shape = (len(self._listed.comparisons), len(self._num_crops), statistics.shape[1] + 1)
            self._sums[name] = np.zeros(shape)
        ones = np.ones((len(statistics), 1))
        statistics = np.concatenate([statistics, ones], axis=1)
        ranks = np.array([window.rank for window in windows])
        rows = np.array([window.comparison for window in windows])
        for index, number in enumerate(self._num_crops):
            is_pooled = ranks < number
            np.add.at(self._sums[name][:, index], rows[is_pooled], statistics[is_pooled])

    def evidence(self) -> Evidence:
        """Return the evidence added so far."""
        return Evidence(sums=self._sums)


def scores(evidence: Evidence, methods: Mapping[str, Method]) -> dict[str, NDArray[np.float64]]:
    """Return each method's scores, ``(comparison, number of crops)``.

    NaN where nothing was compared, and 0 where the compared windows have no variance: saturated
    or black ones hold nothing that two sides could have in common.
    """
    by_method = {}
    for name, sums in evidence.sums.items():
        raw = methods[name].score(sums[..., :-1])
        by_method[name] = np.where((sums[..., -1] > 0) & np.isnan(raw), 0.0, raw)
    return by_method


def _rows(
    pairs: Sequence[Comparison], firsts: Sequence[int], seconds: Sequence[int]
) -> NDArray[np.int64]:
    """Return the rows of each pair's sides among the first and among the second sides."""
    first_rows = {side: row for row, side in enumerate(firsts)}
    second_rows = {side: row for row, side in enumerate(seconds)}
    return np.array([(first_rows[pair.first], second_rows[pair.second]) for pair in pairs])
