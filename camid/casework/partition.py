"""Partition of images into cameras by all correlations of two of them at once.

Images of one sensor correlate as products of one strength each, a matrix of rank one; images of two
do so within each and not across. Where two such matrices explain all correlations far better than
one, the images are of two sensors, also where no two of them agree for certain.
"""

from collections.abc import Sequence
from itertools import combinations, pairwise, product

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

GAIN = 30.0
"""Log-likelihood, nats, by which two sensors explain correlations better than one. Of 32 real
cameras whose photographs are of one kind, in twelve each, none gained more than 8."""
SPREAD = 1.25
"""Standard deviation of strangers' correlations of single photographs, as measured."""
ROUNDS = 20
"""Passes over images, at most, in which each changes sides where that explains more."""
FEWEST = 4
"""Images from which on a partition is looked for."""
Scores = NDArray[np.float64]


def pair_scores(units: Sequence[NDArray[np.float32]]) -> Scores:
    """Return the scores of each two images, of their noise, centred and of norm 1."""
    planes = np.stack([plane.ravel() for plane in units])
    return (planes @ planes.T * np.float32(np.sqrt(planes.shape[1]))).astype(np.float64)


def partition(scores: Scores) -> list[list[int]]:
    """Return groups of images, by their numbers; one group if one sensor explains them.

    Parameters
    ----------
    scores
        Correlations of each two images, ``(image, image)``, standard normal among strangers; the
        diagonal is ignored.

    Examples
    --------
    >>> blocks = np.kron(np.eye(2), np.full((5, 5), 9.0))
    >>> partition(blocks)
    [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    """
    scaled = np.array(scores, np.float64) / SPREAD
    np.fill_diagonal(scaled, 0)
    labels = np.zeros(len(scaled), np.int64)
    for label, members in enumerate(_parts(scaled, list(range(len(scaled))))):
        labels[members] = label
    labels = _merged(scaled, _improved(scaled, labels)[1])
    return sorted(np.flatnonzero(labels == label).tolist() for label in np.unique(labels))


def _parts(scores: Scores, members: list[int]) -> list[list[int]]:
    if len(members) < FEWEST:
        return [members]
    own = scores[np.ix_(members, members)]
    of_one_sensor = _likelihood(own, np.zeros(len(members), np.int64))
    ends = [_improved(own, sides) for sides in _starts(own)]
    likelihood, sides = max(ends, key=lambda end: end[0], default=(of_one_sensor, None))
    if sides is None or likelihood - of_one_sensor < GAIN:
        return [members]
    parts = ([m for m, side in zip(members, sides, strict=True) if side == s] for s in (0, 1))
    return [group for part in parts for group in _parts(scores, part)]


def _merged(scores: Scores, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return labels with parts joined that one sensor explains about as well."""
    likelihood = _likelihood(scores, labels)
    while len(names := np.unique(labels)) > 1:
        joined = [np.where(labels == b, a, labels) for a, b in combinations(names, 2)]
        ends = [_improved(scores, labels) for labels in joined]
        best, merged = max(ends, key=lambda end: end[0])
        if likelihood - best >= GAIN:
            break
        likelihood, labels = best, merged
    return labels


def _starts(scores: Scores) -> list[NDArray[np.int64]]:
    """Return partitions to begin with: by the leading eigenvectors, and by average linkage."""
    vectors = np.linalg.eigh(scores)[1][:, : -min(4, len(scores)) : -1].T
    starts = [vector > 0 for vector in vectors]
    starts += [np.abs(vector) > np.median(np.abs(vector)) for vector in vectors]
    starts += [np.abs(first) > np.abs(second) for first, second in pairwise(vectors)]
    distances = squareform(scores.max() - scores, checks=False)
    tree = linkage(distances, "average")
    for number in (2, 3, 4):
        labels = fcluster(tree, number, "maxclust")
        starts += [labels == label for label in range(1, number + 1)]
    return [start.astype(np.int64) for start in starts if 0 < start.sum() < len(start)]


def _improved(scores: Scores, sides: NDArray[np.int64]) -> tuple[float, NDArray[np.int64]]:
    """Return a partition in which no image explains more on another side, and its likelihood."""
    sides, likelihood = sides.copy(), _likelihood(scores, sides)
    names = np.unique(sides)
    for _ in range(ROUNDS):
        before = likelihood
        for image, name in product(range(len(sides)), names):
            own, sides[image] = sides[image], name
            moved = _likelihood(scores, sides) if own != name else likelihood
            if moved > likelihood:
                likelihood = moved
            else:
                sides[image] = own
        if likelihood == before:
            break
    return likelihood, sides


def _likelihood(scores: Scores, sides: NDArray[np.int64]) -> float:
    """Return the log-likelihood of correlations, nats, of the best strengths on each side."""
    expected = np.zeros_like(scores)
    for side in np.unique(sides):
        members = np.flatnonzero(sides == side)
        own = scores[np.ix_(members, members)]
        expected[np.ix_(members, members)] = np.multiply.outer(*[_strengths(own)] * 2)
    differences = (scores - expected)[np.triu_indices(len(scores), 1)]
    return float(-0.5 * np.sum(differences**2))


def _strengths(scores: Scores) -> Scores:
    """Return the strengths, 0 or more, whose products are nearest to correlations of two images.

    Gauss–Seidel steps of the least squares without the diagonal.
    """
    number = len(scores)
    if number < 2:
        return np.zeros(number)
    mean = max(float(scores.sum()) / (number * (number - 1)), 1e-3)
    strengths = np.full(number, np.sqrt(mean))
    for _ in range(6):
        squares = float(strengths @ strengths)
        for image in range(number):
            others = squares - strengths[image] ** 2
            fitted = max(float(scores[image] @ strengths) / others, 0.0) if others > 0 else 0.0
            squares = others + fitted**2
            strengths[image] = fitted
    return strengths
