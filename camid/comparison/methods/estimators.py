"""Estimators of a side: means of residuals, weighted or not, and likelihood fingerprints."""

from collections.abc import Callable
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from camid.comparison.methods.method import Array, Context, Estimator, Gathered, Scope
from camid.prnu.fingerprint import intensity_weight, likelihood_pattern
from camid.prnu.luminance import grey

WINDOW = 9
"""Pixels a side of the neighbourhood whose energy is taken for the scene's."""
FLOOR = np.float32(1)
"""Energy of a flat neighbourhood, grey levels squared."""

Step = Callable[[Array], Array]
"""Maps a plane ``(height, width)`` to another."""


def weighted_residual(strip: Array) -> Array:
    """Return the grey plane of a residual strip over its local energy plus 1 grey level squared.

    The sum of these is the numerator of a mean weighted by the inverse variance: edges and
    textures, where the residual is the scene's more than the sensor's, count little.
    """
    plane = grey(strip)
    return np.asarray(plane / (uniform_filter(plane * plane, WINDOW) + FLOOR), np.float32)


def products(strip: Array, intensity: NDArray[np.uint8]) -> Array:
    """Return a strip's residual times its weighted intensity, and that intensity squared."""
    weight = intensity_weight(intensity, len(strip))
    return np.stack([grey(strip) * weight, weight * weight])


def residual_and_intensity(strip: Array, intensity: NDArray[np.uint8]) -> Array:
    """Return the grey plane of a residual strip, and its weighted intensity."""
    return np.stack([grey(strip), intensity_weight(intensity, len(strip))])


GREY = Gathered(of=grey)
WEIGHTED = Gathered(of=weighted_residual)
PRODUCTS = Gathered(of=products, num_planes=2, needs_intensity=True)
RESIDUAL_AND_INTENSITY = Gathered(of=residual_and_intensity, num_planes=2, needs_intensity=True)


def mean(
    gathered: Gathered, *steps: Step, scope: Scope = "strip", context: Context | None = None
) -> Estimator:
    """Return the mean over a side's images, followed by steps in turn.

    Lukas, Fridrich, Goljan 2006, doi:10.1109/TIFS.2006.873602.

    Parameters
    ----------
    scope, context
        The steps' input, as in :class:`Estimator`.
    """

    def prepared(total: Array, count: int) -> Array:
        return _after(steps, total / np.float32(count))

    return Estimator(gathered=gathered, prepared=prepared, scope=scope, context=context)


def likelihood(*steps: Step) -> Estimator:
    """Return the maximum-likelihood pattern ΣWI / (ΣI² + 1), followed by steps in turn.

    Chen, Fridrich, Goljan, Lukáš 2008, doi:10.1109/TIFS.2007.916285.
    """

    def prepared(total: Array, count: int) -> Array:  # noqa: ARG001
        return _after(steps, likelihood_pattern(*total))

    return Estimator(gathered=PRODUCTS, prepared=prepared)


def residual_with_intensity(*steps: Step) -> Estimator:
    """Return the mean residual, followed by steps in turn, and the mean weighted intensity."""

    def prepared(total: Array, count: int) -> Array:
        residual, intensity = total / np.float32(count)
        return np.stack([_after(steps, residual), intensity])

    return Estimator(gathered=RESIDUAL_AND_INTENSITY, prepared=prepared)


def _after(steps: tuple[Step, ...], plane: Array) -> Array:
    return reduce(lambda result, step: step(result), steps, plane)
