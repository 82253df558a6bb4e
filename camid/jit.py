"""Compiled loops: Numba, its machine code kept on disk where there is a place for it."""

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of arrays at its first call; it runs without Python's lock.

    Sums may be taken in another order, and no value may be NaN (fast mathematics). Machine code is
    kept beside the module or in the user's cache folder (``NUMBA_CACHE_DIR`` names another); where
    none can be written, every process compiles its own. Loops that call one another belong in one
    module: what is kept knows changes of its own file only.
    """
    return _kept(function, fastmath=True, error_model="numpy")


def exactly_compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function as :func:`compiled` does, with the arithmetic of Python."""
    return _kept(function)


def _kept(function: Callable[..., Any], **how: Any) -> Callable[..., Any]:
    try:
        return njit(nogil=True, cache=True, **how)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # Numba's word for no place to keep it
        return njit(nogil=True, **how)(function)  # type: ignore[no-any-return]
