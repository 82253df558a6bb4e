"""Logistic regression of labels on scores in which both labels weigh half: no prior is in it."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

Array = NDArray[np.float64]

RIDGE = 1e-6
"""Penalty on half the squared slope of standardised scores, beside a mean cross-entropy: it keeps a
fit finite where a threshold separates the labels, and does not move other fits."""


def regression(
    scores: Array, labels: NDArray[np.int64], *, ridge: float = RIDGE
) -> tuple[Array, float]:
    """Return slopes ``(score,)``, nats a unit, and the intercept, nats, of least cross-entropy.

    By Newton's method.

    Parameters
    ----------
    scores
        ``(score, comparison)``, finite.
    labels
        ``(comparison,)``; both 0 and 1.
    ridge
        Penalty on half of each squared slope, of standardised scores.
    """
    weights = halves(labels)
    centres = np.average(scores, axis=1, weights=weights)
    spreads = np.sqrt(np.average((scores - centres[:, None]) ** 2, axis=1, weights=weights))
    spreads[spreads == 0] = 1.0
    design = np.vstack([(scores - centres[:, None]) / spreads[:, None], np.ones(labels.size)])
    signs = np.where(labels == 1, 1.0, -1.0)
    penalties = np.array([*[ridge] * len(scores), 0.0])

    def cost(coefs: Array) -> tuple[float, Array]:
        margins = signs * (coefs @ design)
        value = weights @ np.logaddexp(0, -margins) + penalties @ coefs**2 / 2
        return float(value), design @ (-weights * signs * expit(-margins)) + penalties * coefs

    def curvature(coefs: Array) -> Array:
        chances = expit(coefs @ design)
        return (design * (weights * chances * (1 - chances))) @ design.T + np.diag(penalties)

    start = np.zeros(len(design))
    optimum = minimize(cost, start, method="trust-exact", jac=True, hess=curvature, tol=1e-9)
    slopes = optimum.x[:-1] / spreads
    return slopes, float(optimum.x[-1] - slopes @ centres)


def halves(labels: NDArray[np.int64]) -> Array:
    """Return weights ``(comparison,)`` that give each label half of the total."""
    return np.asarray(0.5 / np.bincount(labels)[labels])
