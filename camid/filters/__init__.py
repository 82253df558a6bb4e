"""Denoisers behind one name: each maps an image plane to its residual."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from camid.filters import lukas

Plane = NDArray[np.float32]
Filter = Callable[..., Plane]


def unfiltered(plane: Plane, **_: object) -> Plane:
    """Return the plane itself: for who wants pixels where others want residuals."""
    return plane


FILTERS: dict[str, Filter] = {"lukas": lukas.residual, "none": unfiltered}
