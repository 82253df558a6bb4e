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
"""Prepared strips ``(side, height, width)`` of some sides."""


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
    """Evidence in the making."""

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
        """Add what is done inside to a method's seconds."""
        started = time.perf_counter()
        yield
        self._taken[name] = self._taken.get(name, 0.0) + time.perf_counter() - started

    def add(self, name: str, windows: Sequence[Window], first: Planes, second: Planes) -> None:
        """Add what a method tells of the windows at one position."""
        pairs = [self._listed.comparisons[window.comparison] for window in windows]
        firsts, seconds = sorted({p.first for p in pairs}), sorted({p.second for p in pairs})
        with self.timed(name):
            told = self._methods[name].evidence(
                Tile(
                    first=first(firsts),
                    second=second(seconds),
                    pairs=_rows(pairs, firsts, seconds),
                    corners=np.array([(window.y, window.x) for window in windows]),
                    size=self._listed.crop_size or self._listed.strip_size,
                )
            )
        if name not in self._sums:
            shape = (len(self._listed.comparisons), len(self._num_crops), told.shape[1] + 1)
            self._sums[name] = np.zeros(shape)
        told = np.concatenate([told, np.ones((len(told), 1))], axis=1)
        ranks = np.array([window.rank for window in windows])
        rows = np.array([window.comparison for window in windows])
        for index, number in enumerate(self._num_crops):
            among = ranks < number
            np.add.at(self._sums[name][:, index], rows[among], told[among])

    def evidence(self) -> Evidence:
        """Return all that was added."""
        return Evidence(sums=self._sums)


def scores(evidence: Evidence, methods: Mapping[str, Method]) -> dict[str, NDArray[np.float64]]:
    """Return each method's scores, ``(comparison, number of crops)``.

    NaN where nothing was compared, and 0 where what was compared has no variance: where it is
    saturated or black there is nothing that two sides could have in common.
    """
    found = {}
    for name, sums in evidence.sums.items():
        told = methods[name].score(sums[..., :-1])
        found[name] = np.where((sums[..., -1] > 0) & np.isnan(told), 0.0, told)
    return found


def _rows(
    pairs: Sequence[Comparison], firsts: Sequence[int], seconds: Sequence[int]
) -> NDArray[np.int64]:
    """Return where both sides of each pair are among the first and among the second sides."""
    first, second = ({side: row for row, side in enumerate(some)} for some in (firsts, seconds))
    return np.array([(first[pair.first], second[pair.second]) for pair in pairs])
