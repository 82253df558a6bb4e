"""Methods by name: how two sides are compared, each a few functions put together.

``lukas`` and ``li`` are the study's; a method that is added here is judged beside them.
"""

from functools import partial

from camid.cleaning import cleaned, without_blocks
from camid.enhancers import enhanced_wavelet
from camid.methods.correlation import (
    crop_nccs,
    grey_residual,
    lag_moments,
    lag_score,
    mean,
    mean_ncc,
    moments,
    pooled_ncc,
)
from camid.methods.method import Array, Method
from camid.methods.weighting import weighted_residual

__all__ = ["METHODS", "Method"]


def _enhanced(total: Array, count: int) -> Array:
    return enhanced_wavelet(mean(total, count))


def _cleaned(total: Array, count: int) -> Array:
    return cleaned(mean(total, count))


def _whitened(total: Array, count: int) -> Array:
    return cleaned(mean(total, count), whiten=True)


def _unblocked(total: Array, count: int) -> Array:
    return without_blocks(mean(total, count))


_pooled = partial(Method, gathered=grey_residual, evidence=moments, score=pooled_ncc)

METHODS: dict[str, Method] = {
    "lukas": _pooled(first=mean, second=mean),
    "li": _pooled(first=mean, second=_enhanced),
    "lukas-mean": Method(
        gathered=grey_residual, first=mean, second=mean, evidence=crop_nccs, score=mean_ncc
    ),
    "cleaned": _pooled(first=_cleaned, second=_cleaned, scope="image"),
    "whitened": _pooled(first=_whitened, second=_whitened, scope="image"),
    "unblocked": _pooled(first=_unblocked, second=_unblocked),
    "weighted": _pooled(gathered=weighted_residual, first=_unblocked, second=_unblocked),
    "classical": Method(
        gathered=weighted_residual,
        first=_unblocked,
        second=_unblocked,
        evidence=lag_moments,
        score=lag_score,
    ),
}
"""The study's baselines first."""
