"""A gallery's comparisons as matrices: every query's score with every enrolled device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camid.comparison.comparison_list import ComparisonList
from camid.dataset.records import ImageRecord
from camid.evaluation.metrics import recognised

Scores = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class GalleryScores:
    """Scores of a gallery's queries, ``(query, device)`` a method; NaN where not compared."""

    firsts: NDArray[np.int64]
    """The first side of each column, which enrols its device."""
    seconds: NDArray[np.int64]
    """The second side of each row."""
    own: NDArray[np.int64]
    """The column of each query's own device."""
    scores: Mapping[str, Scores]

    def mean_scores(self) -> dict[str, Scores]:
        """Return the mean score of each device's queries with each device, by method.

        ``(device, device)``, NaN where a device has no query or no shared position with the other.
        """
        members = np.eye(len(self.firsts))[self.own].T
        means = {}
        for method, scores in self.scores.items():
            known = np.isfinite(scores)
            counts, sums = members @ known, members @ np.where(known, scores, 0.0)
            blank = np.full_like(sums, np.nan)
            means[method] = np.divide(sums, counts, out=blank, where=counts > 0)
        return means


def gallery_matrices(
    listed: ComparisonList,
    scores: Mapping[str, Scores],
    chosen: NDArray[np.bool_] | None = None,
) -> GalleryScores:
    """Return the scores of a gallery as matrices, with the queries that meet their own device.

    Parameters
    ----------
    listed
        A gallery.
    scores
        By method ``(comparison,)``.
    chosen
        Mask of the comparisons that take part, ``(comparison,)``; all if None.

    Raises
    ------
    ValueError
        If the list is no gallery.
    """
    if not listed.is_gallery:
        raise ValueError("expected a gallery, got a list of drawn pairs")
    indices = np.arange(len(listed.comparisons)) if chosen is None else np.flatnonzero(chosen)
    pairs = [listed.comparisons[index] for index in indices.tolist()]
    firsts, columns = np.unique([pair.first for pair in pairs], return_inverse=True)
    seconds, rows = np.unique([pair.second for pair in pairs], return_inverse=True)
    is_own = np.array([pair.label for pair in pairs]) == 1
    own = np.full(len(seconds), -1)
    own[rows[is_own]] = columns[is_own]
    matrices = {method: np.full((len(seconds), len(firsts)), np.nan) for method in scores}
    for method, values in scores.items():
        matrices[method][rows, columns] = values[indices]
    has_own = own >= 0
    return GalleryScores(
        firsts=firsts,
        seconds=seconds[has_own],
        own=own[has_own],
        scores={method: matrix[has_own] for method, matrix in matrices.items()},
    )


def device_rows(
    listed: ComparisonList,
    gallery: GalleryScores,
    *,
    images: Mapping[str, ImageRecord],
    models: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Return a row for each enrolled device: its images, and its queries' figures by method.

    Parameters
    ----------
    images
        The list's images by sha256.
    models
        Make and model of each device; may be empty.
    """
    hits = {method: recognised(gallery.own, scores) for method, scores in gallery.scores.items()}
    rows = []
    for column, side in enumerate(gallery.firsts.tolist()):
        device, is_own = listed.sides[side].device, gallery.own == column
        enrolled = [images[sha256] for sha256 in listed.sides[side].images]
        row = {
            "device": device,
            "model": models[device],
            "width": enrolled[0].width,
            "height": enrolled[0].height,
            "enrolled": len(enrolled),
            "enrolled_background": sum(record.kind == "background" for record in enrolled),
            "queries": int(is_own.sum()),
        }
        for method, scores in gallery.scores.items():
            row[f"rank1_{method}"] = _mean_text(hits[method][is_own], 4)
            row[f"mean_score_{method}"] = _mean_text(scores[is_own, column], 5)
        rows.append(row)
    return rows


def mistakes(
    listed: ComparisonList, gallery: GalleryScores, method: str, names: Mapping[int, str]
) -> list[dict[str, Any]]:
    """Return the queries that a method assigns to another device, the highest scores first.

    Parameters
    ----------
    names
        Names of the second sides' photographs, by side.
    """
    scores = gallery.scores[method]
    wrong = ~recognised(gallery.own, scores) & np.isfinite(scores).any(axis=1)
    others = np.where(np.isfinite(scores), scores, -np.inf)
    others[np.arange(len(others)), gallery.own] = -np.inf
    best = others.argmax(axis=1)
    devices: Sequence[str] = [listed.sides[side].device for side in gallery.firsts.tolist()]
    rows = [
        {
            "image": names[int(gallery.seconds[query])],
            "device": devices[gallery.own[query]],
            "claimed": devices[best[query]],
            "own_score": float(scores[query, gallery.own[query]]),
            "best_score": float(scores[query, best[query]]),
        }
        for query in np.flatnonzero(wrong).tolist()
    ]
    return sorted(rows, key=lambda mistake: (-mistake["best_score"], mistake["image"]))


def _mean_text(values: NDArray[Any], digits: int) -> str:
    """Return the mean of values to a number of digits; ``nan`` without values."""
    return f"{values.mean() if len(values) else np.nan:.{digits}f}"
