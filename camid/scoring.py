"""Scores of query images against reference patterns, and the figures that judge them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camid.chunk_files import ChunkFile
from camid.config import Enhancer
from camid.enhancers import enhanced, enhanced_wavelet
from camid.images import grey
from camid.matching import Moments, score_matrix
from camid.metrics import (
    equal_error_rate,
    recognition_rate,
    roc_auc,
    single_threshold,
    tpr_at_fpr,
)
from camid.pattern_files import PatternFile
from camid.strips import Position, assembled, cut

Scores = NDArray[np.float64]

METHODS = ("lukas", "li")
NEGATIVES = ("all", "different-model", "same-model", "same-size")


@dataclass(frozen=True, kw_only=True)
class Contest:
    """Who is compared with whom: the queries' own devices and the devices of the gallery."""

    queries: NDArray[np.int64]
    """Column of each query's own device."""
    models: Sequence[str]
    """Make and model of each device; empty where it is not known."""
    sizes: Sequence[tuple[int, int]]
    """Pixel size of each device's images."""

    def impostors(self, negatives: str) -> NDArray[np.bool_]:
        """Return which devices count as negatives of which, ``(device, device)``."""
        others = ~np.eye(len(self.models), dtype=bool)
        known = np.array([bool(model) for model in self.models])
        names = np.array(self.models)
        same_model = (names[:, None] == names) & known[:, None]
        other_model = (names[:, None] != names) & known[:, None] & known
        sides = np.array(self.sizes)
        same_size = (sides[:, None] == sides).all(axis=2)
        allowed = {
            "all": others,
            "different-model": others & other_model,
            "same-model": others & same_model,
            "same-size": others & same_size,
        }
        if negatives not in allowed:
            raise ValueError(f"expected negatives of {', '.join(NEGATIVES)}, got {negatives!r}")
        return np.asarray(allowed[negatives])


def chunk_scores(
    chunk: ChunkFile,
    queries: Sequence[str],
    patterns: Sequence[PatternFile],
    *,
    settings: Enhancer,
) -> dict[str, Scores]:
    """Return the NCC of a chunk's ``queries`` with all patterns, ``(query, pattern)`` a method.

    ``lukas`` correlates grey residuals as they are, ``li`` after the enhancer. Patterns are
    streamed a position at a time; residuals of the chunk's queries are held whole.
    """
    where, strips = _residuals(chunk, queries)
    size = strips.shape[-1]
    gallery = [pattern.positions for pattern in patterns]
    present = np.array([[place in found for place in where] for found in gallery])
    variants = {"lukas": strips, "li": _enhanced(strips, where, chunk.format, settings=settings)}
    dots = {method: np.zeros((len(queries), len(patterns))) for method in variants}
    moments = np.zeros((2, len(patterns), len(where)))
    for index, place in enumerate(where):
        having = np.flatnonzero(present[:, index]).tolist()
        if not having:
            continue
        rows = np.stack([patterns[i].read(place).ravel() for i in having])
        moments[0, having, index] = rows.sum(axis=1, dtype=np.float64)
        moments[1, having, index] = np.square(rows, dtype=np.float64).sum(axis=1)
        for method, variant in variants.items():
            dots[method][:, having] += variant[index].reshape(len(queries), -1) @ rows.T
    gallery_moments = Moments(moments[0], moments[1], present)
    return {
        method: score_matrix(dots[method], _moments(variant), gallery_moments, samples=size * size)
        for method, variant in variants.items()
    }


def figures(
    scores: Scores, contest: Contest, *, negatives: str, single_threshold_fpr: float
) -> dict[str, float | int]:
    """Return the error rates of a score matrix ``(query, device)`` against some negatives.

    Only queries whose device has such a negative take part, also as positives, so that both kinds
    of score are of the same devices. Comparisons without a shared position (NaN) are left out. An
    empty dictionary where nothing can be compared.
    """
    impostor: NDArray[np.bool_] = contest.impostors(negatives)[contest.queries]
    impostor &= np.isfinite(scores)
    taking_part = np.asarray(impostor.any(axis=1))
    if not taking_part.any():
        return {}
    own = np.zeros_like(impostor)
    own[np.arange(len(own)), contest.queries] = True
    compared = (own | impostor) & taking_part[:, None] & np.isfinite(scores)
    labels, values = own[compared].astype(int), scores[compared]
    single = single_threshold(labels, values, fpr=single_threshold_fpr)
    gallery = np.where(own | impostor, scores, np.nan)[taking_part]
    return {
        "eer": equal_error_rate(labels, values),
        "auc": roc_auc(labels, values),
        "rank1": recognition_rate(contest.queries[taking_part], gallery),
        "tpr_at_fpr_1e-2": tpr_at_fpr(labels, values, fpr=1e-2),
        "tpr_at_fpr_1e-3": tpr_at_fpr(labels, values, fpr=1e-3),
        **single.figures(),
        "num_positives": int(labels.sum()),
        "num_negatives": int((1 - labels).sum()),
        "num_devices": len(np.unique(contest.queries[taking_part])),
    }


def mean_scores(queries: NDArray[np.int64], scores: Scores) -> Scores:
    """Return the mean score of each device's queries with each pattern, ``(device, device)``.

    ``queries`` holds each query's own device, a column of ``scores`` ``(query, device)``. NaN where
    a device has no query, or no shared position with the other.
    """
    known = np.isfinite(scores)
    own = np.eye(scores.shape[1])[queries].T
    counts = own @ known
    sums = own @ np.where(known, scores, 0.0)
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def _residuals(
    chunk: ChunkFile, queries: Sequence[str]
) -> tuple[list[Position], NDArray[np.float32]]:
    """Return the chunk's positions and its queries' grey residuals ``(position, query, h, w)``."""
    where: list[Position] = []
    strips: list[NDArray[np.float32]] = []
    for group in range(chunk.num_row_groups):
        batch = chunk.read(group)
        rows = [batch.image_ids.index(query) for query in queries]
        where.append(batch.position)
        strips.append(grey(batch.residuals()[rows]))
    return where, np.stack(strips)


def _enhanced(
    strips: NDArray[np.float32],
    where: Sequence[Position],
    form: Mapping[str, Any],
    *,
    settings: Enhancer,
) -> NDArray[np.float32]:
    """Return the strips with Li's enhancer applied to them, or to the whole images' wavelets."""
    how = {"model": settings.model, "alpha": settings.alpha, "zero": settings.zero}
    if settings.domain == "spatial":
        return enhanced(strips, **how)  # type: ignore[arg-type]
    made = form["filter"]
    how |= {"wavelet": made["wavelet"], "levels": made["levels"]}
    if made["extent"] == "strip":
        planes = strips.reshape(-1, *strips.shape[-2:])
        changed = np.stack([enhanced_wavelet(plane, **how) for plane in planes])  # type: ignore[arg-type]
        return changed.reshape(strips.shape)
    top, left = min(t for t, _ in where), min(x for _, x in where)
    places = [(t - top, x - left) for t, x in where]
    result = np.empty_like(strips)
    for query in range(strips.shape[1]):
        image = assembled(strips[:, query], where)
        changed = enhanced_wavelet(image, **how)  # type: ignore[arg-type]
        result[:, query] = cut(changed, places, size=strips.shape[-1])
    return result


def _moments(strips: NDArray[np.float32]) -> Moments:
    sums = strips.sum(axis=(2, 3), dtype=np.float64).T
    squares = np.einsum("pqhw,pqhw->qp", strips, strips, dtype=np.float64)
    return Moments(sums, squares, np.ones(sums.shape, bool))
