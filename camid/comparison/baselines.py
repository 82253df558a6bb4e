"""Scores of query images against reference patterns."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camid.comparison.pattern_files import PatternFile
from camid.config import Enhancer
from camid.prnu.correlation import Moments, score_matrix
from camid.prnu.enhancers import enhanced, enhanced_wavelet
from camid.prnu.luminance import grey
from camid.prnu.strips import Position, assembled, cut
from camid.store.chunk_file import ChunkFile

Scores = NDArray[np.float64]

METHODS = ("lukas", "li")


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
