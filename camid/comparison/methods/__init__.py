"""Methods by name: ways to compare two sides, each put together from a few steps.

``lukas`` and ``li`` are the study's (``li-2`` and ``li-3`` differ by a factor alone, which no
correlation sees). ``classical`` is of the steps that measured best where a side has several images;
the others are single steps. A method that is added here is evaluated beside them.
"""

from collections.abc import Sequence
from functools import partial

from camid.comparison.methods.baselines import study_methods
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
from camid.comparison.methods.method import Method
from camid.comparison.methods.networks import network_method, network_name
from camid.comparison.methods.pairnet import pairnet_method
from camid.comparison.methods.wavelet_bands import band_moments, band_ncc
from camid.config import Enhancer, Residual
from camid.prnu.cleaning import cleaned, without_blocks, zero_mean

__all__ = ["METHODS", "Method", "chosen_methods"]

ALL = "all"
"""Stands for all methods' names."""

_GREY, _WEIGHTED = mean(GREY), mean(WEIGHTED, without_blocks)
_ZERO_MEAN = mean(GREY, zero_mean, scope="image")
_CLEANED = mean(GREY, cleaned, scope="image")
_WHITENED = mean(GREY, partial(cleaned, whiten=True), scope="image")
_UNBLOCKED = mean(GREY, without_blocks)
_ncc = partial(Method, evidence=moments, score=pooled_ncc)
_weighted = partial(Method, first=_WEIGHTED, second=_WEIGHTED)

METHODS: dict[str, Method] = {
    **study_methods(Enhancer(), Residual()),
    "lukas-mean": Method(first=_GREY, second=_GREY, evidence=window_nccs, score=mean_ncc),
    "zero-mean": _ncc(first=_ZERO_MEAN, second=_ZERO_MEAN),
    "cleaned": _ncc(first=_CLEANED, second=_CLEANED),
    "whitened": _ncc(first=_WHITENED, second=_WHITENED),
    "unblocked": _ncc(first=_UNBLOCKED, second=_UNBLOCKED),
    "likelihood": Method(
        first=likelihood(without_blocks),
        second=residual_with_intensity(without_blocks),
        evidence=likelihood_moments,
        score=likelihood_ncc,
    ),
    "weighted": _ncc(first=_WEIGHTED, second=_WEIGHTED),
    "wavelet": _weighted(evidence=band_moments, score=band_ncc),
    "pce": _weighted(evidence=searched_moments, score=searched_energy),
    "classical": _weighted(evidence=lag_moments, score=lag_score),
    "pairnet": pairnet_method(),
}
"""The study's first, as its settings have them by default."""


def chosen_methods(
    names: Sequence[str],
    networks: Sequence[str] = (),
    *,
    enhancer: Enhancer | None = None,
    residual: Residual | None = None,
) -> dict[str, Method]:
    """Return the methods of these names, or all, in the order of the registry; then networks.

    Parameters
    ----------
    networks
        Paths or addresses of trained networks, each a method of its file's name.
    enhancer, residual
        Settings of the study's methods, as :func:`study_methods` takes them; its defaults if None.

    Raises
    ------
    ValueError
        If a name is not known, or two are alike.
    """
    for name in names:
        if name not in {*METHODS, ALL}:
            raise ValueError(f"no method {name!r}; there are {', '.join(METHODS)}, or {ALL}")
    methods = METHODS | study_methods(enhancer or Enhancer(), residual or Residual())
    chosen = {name: method for name, method in methods.items() if {name, ALL} & set(names)}
    for address in networks:
        name = network_name(address)
        if name in {*METHODS, *chosen}:
            raise ValueError(f"{address}: another method is called {name!r}; rename the file")
        chosen[name] = network_method(address)
    return chosen
