"""The study's baselines: correlation of residuals, as they are or after one of Li's enhancers."""

from functools import partial

import pywt

from camid.comparison.methods.correlation import raw_moments, raw_ncc
from camid.comparison.methods.estimators import GREY, mean
from camid.comparison.methods.method import Array, Context, Estimator, Method
from camid.config import Enhancer, Residual
from camid.prnu.enhancers import Zero, enhanced, enhanced_wavelet

MODELS = (1, 2, 3, 4)
"""Models of Li's enhancer with a method each, beside the configured one."""


def study_methods(enhancer: Enhancer, residual: Residual) -> dict[str, Method]:
    """Return the study's methods by name: ``lukas``, ``li``, and ``li-1`` to ``li-4``.

    The first side is a mean of residuals (the study's reference pattern), the second one another;
    ``li`` enhances the second by the configured model, ``li-1`` to ``li-4`` by their own.

    Parameters
    ----------
    enhancer
        Li's model, its α, the domain that it acts in, and its value at 0.
    residual
        How the store's residuals were made: the wavelet and the extent that the enhancer acts on.

    References
    ----------
    Lukas, Fridrich, Goljan 2006, doi:10.1109/TIFS.2006.873602; Li 2010,
    doi:10.1109/TIFS.2010.2046268.
    """
    models = {"li": enhancer.model} | {f"li-{model}": model for model in MODELS}
    enhanced_seconds = {
        name: _enhanced(model, enhancer, residual) for name, model in models.items()
    }
    seconds = {"lukas": mean(GREY)} | enhanced_seconds
    return {
        name: Method(first=mean(GREY), second=second, evidence=raw_moments, score=raw_ncc)
        for name, second in seconds.items()
    }


def _enhanced(model: int, enhancer: Enhancer, residual: Residual) -> Estimator:
    """Return the mean residual after a model of the enhancer."""
    step = partial(_step, model=model, enhancer=enhancer, residual=residual)
    if enhancer.domain == "spatial" or residual.extent == "strip":
        return mean(GREY, step)
    taps = pywt.Wavelet(residual.wavelet).dec_len
    phase = 2**residual.levels
    context = Context(reach=2 * (taps - 1) * (phase - 1), phase=phase)
    return mean(GREY, step, scope="image", context=context)


def _step(plane: Array, *, model: int, enhancer: Enhancer, residual: Residual) -> Array:
    """Return an enhanced plane ``(height, width)``; a small one has fewer levels."""
    zero: Zero = enhancer.zero
    if enhancer.domain == "spatial":
        return enhanced(plane, model=model, alpha=enhancer.alpha, zero=zero)
    allowed = pywt.dwt_max_level(min(plane.shape), pywt.Wavelet(residual.wavelet).dec_len)
    return enhanced_wavelet(
        plane,
        model=model,
        alpha=enhancer.alpha,
        zero=zero,
        wavelet=residual.wavelet,
        levels=min(residual.levels, int(allowed)),
    )
