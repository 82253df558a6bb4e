"""Comparisons as figures need them: the label and the two devices of each."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """Labels and devices of comparisons, ``(comparison,)``; scores are held apart in their order.

    Raises
    ------
    ValueError
        If the arrays differ in size, or a label is not 1 for one device and 0 for two.
    """

    labels: NDArray[np.int64]
    """1 = same device."""
    first: NDArray[np.int64 | np.str_]
    """Name or number of the first side's device."""
    second: NDArray[np.int64 | np.str_]

    def __post_init__(self) -> None:
        sizes = {self.labels.shape, self.first.shape, self.second.shape}
        if len(sizes) > 1 or self.labels.ndim != 1:
            raise ValueError(
                "expected a label and two devices for every comparison, got arrays of "
                f"{self.labels.shape}, {self.first.shape} and {self.second.shape}"
            )
        wrong = np.flatnonzero(self.labels != (self.first == self.second))
        if wrong.size:
            index = wrong[0]
            raise ValueError(
                "expected label 1 for one device and 0 for two, got label "
                f"{self.labels[index]} for {self.first[index]} and {self.second[index]}"
            )

    @property
    def positive(self) -> NDArray[np.bool_]:
        """Mask of the comparisons of one device."""
        return np.asarray(self.labels == 1)

    def numbered(self) -> tuple[int, NDArray[np.int64]]:
        """Return the number of devices, and each side's device by number ``(2, comparison)``.

        Devices are numbered from 0 in sorted order.
        """
        devices = np.stack([self.first, self.second])
        names, numbers = np.unique(devices, return_inverse=True)
        return len(names), numbers.reshape(devices.shape)

    def where(self, chosen: NDArray[np.bool_]) -> "Compared":
        """Return the chosen comparisons."""
        return Compared(
            labels=self.labels[chosen], first=self.first[chosen], second=self.second[chosen]
        )


def judged(compared: Compared, scores: ArrayLike) -> NDArray[np.float64]:
    """Return the scores of comparisons as float64 ``(comparison,)``.

    Raises
    ------
    ValueError
        If a score is missing or not finite, or one of the two labels is missing.
    """
    values = np.asarray(scores, np.float64)
    if values.shape != compared.labels.shape:
        raise ValueError(
            f"expected a score for each of {compared.labels.size} comparisons, "
            f"got an array of {values.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError("expected finite scores")
    if len(np.unique(compared.labels)) < 2:
        raise ValueError("expected scores of both same-device and different-device comparisons")
    return values


def judged_together(compared: Compared, scores: ArrayLike) -> NDArray[np.float64]:
    """Return the scores of one method or of several, ``(comparison,)`` or ``(comparison, method)``.

    Raises
    ------
    ValueError
        As :func:`judged`, for any method.
    """
    values = np.asarray(scores, np.float64)
    for column in np.atleast_2d(values.T):
        judged(compared, column)
    return values
