"""Methods by name: how two sides are compared, each a few steps put together.

``lukas`` and ``li`` are the study's (``li-2`` and ``li-3`` differ by a factor alone, which no
correlation sees). ``classical`` is of the steps that measured best where a side has several images;
the others are steps one by one. A method that is added here is judged beside them.
"""

from collections.abc import Sequence
from functools import partial

from camid.comparison.methods.correlation import (
    likelihood_moments,
    likelihood_ncc,
    mean_ncc,
    moments,
    pooled_ncc,
    window_nccs,
)
from camid.comparison.methods.estimators import (
    GREY,
    WEIGHTED,
    likelihood,
    mean,
    residual_with_intensity,
)
from camid.comparison.methods.lag_correlation import (
    lag_moments,
    lag_score,
    searched_energy,
    searched_moments,
)
from camid.comparison.methods.method import Estimator, Method, Scope
from camid.comparison.methods.networks import network_method, network_name
from camid.comparison.methods.pairnet import pairnet_method
from camid.comparison.methods.wavelet_bands import band_moments, band_ncc, enhanced_details
from camid.prnu.cleaning import cleaned, without_blocks, zero_mean

__all__ = ["METHODS", "Method", "chosen_methods"]

ALL = "all"
"""Stands for the names of all methods."""


def _ncc(first: Estimator, second: Estimator | None = None, *, scope: Scope = "strip") -> Method:
    """Return the correlation of two estimates, of both sides alike if none is told for one."""
    return Method(
        first=first, second=second or first, evidence=moments, score=pooled_ncc, scope=scope
    )


def _li(model: int) -> Method:
    return _ncc(mean(GREY), mean(GREY, partial(enhanced_details, model=model)))


_WEIGHTED = mean(WEIGHTED, without_blocks)
_weighted = partial(Method, first=_WEIGHTED, second=_WEIGHTED)

METHODS: dict[str, Method] = {
    "lukas": _ncc(mean(GREY)),
    "li": _li(5),
    "li-1": _li(1),
    "li-2": _li(2),
    "li-3": _li(3),
    "li-4": _li(4),
    "lukas-mean": Method(first=mean(GREY), second=mean(GREY), evidence=window_nccs, score=mean_ncc),
    "zero-mean": _ncc(mean(GREY, zero_mean), scope="image"),
    "cleaned": _ncc(mean(GREY, cleaned), scope="image"),
    "whitened": _ncc(mean(GREY, partial(cleaned, whiten=True)), scope="image"),
    "unblocked": _ncc(mean(GREY, without_blocks)),
    "likelihood": Method(
        first=likelihood(without_blocks),
        second=residual_with_intensity(without_blocks),
        evidence=likelihood_moments,
        score=likelihood_ncc,
    ),
    "weighted": _ncc(_WEIGHTED),
    "wavelet": _weighted(evidence=band_moments, score=band_ncc),
    "pce": _weighted(evidence=searched_moments, score=searched_energy),
    "classical": _weighted(evidence=lag_moments, score=lag_score),
    "pairnet": pairnet_method(),
}
"""The study's baselines first."""


def chosen_methods(names: Sequence[str], networks: Sequence[str] = ()) -> dict[str, Method]:
    """Return the methods of these names, or all, in the order of the registry; then networks.

    Parameters
    ----------
    networks
        Paths or addresses of trained networks, each a method of its file's name.

    Raises
    ------
    ValueError
        If a name is not known, or two are alike.
    """
    for name in names:
        if name not in {*METHODS, ALL}:
            raise ValueError(f"no method {name!r}; there are {', '.join(METHODS)}, or {ALL}")
    found = {name: method for name, method in METHODS.items() if {name, ALL} & set(names)}
    for address in networks:
        name = network_name(address)
        if name in {*METHODS, *found}:
            raise ValueError(f"{address}: another method is called {name!r}; rename the file")
        found[name] = network_method(address)
    return found
