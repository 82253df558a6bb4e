"""Denoisers behind one name: each maps images, or a batch of strips, to their residuals.

A filter is a function of images ``(image, height, width, channel)``, uint8 or float32, 0–255, and
of settings by keyword, those of ``camid.config.Residual`` that it names. It returns float32 of the
same shape, grey levels, each plane on its own.
"""

from collections.abc import Callable
from inspect import signature

import numpy as np
from numpy.typing import NDArray

from camid.prnu.filters import gaussian, lukas, skrabec2021, unfiltered, wiener
from camid.prnu.filters.planes import Images

Filter = Callable[..., NDArray[np.float32]]

FILTERS: dict[str, Filter] = {
    "gaussian": gaussian.residuals,
    "lukas": lukas.residuals,
    "none": unfiltered.residuals,
    "report2021": skrabec2021.residuals,
    "wiener": wiener.residuals,
}


def filtered(images: Images, name: str, **settings: object) -> NDArray[np.float32]:
    """Return images' residuals by the filter ``name``; settings of other filters are ignored.

    Raises
    ------
    ValueError
        For an unknown filter, or images that are too small for it.
    """
    if name not in FILTERS:
        raise ValueError(f"no filter {name!r}; there are {', '.join(sorted(FILTERS))}")
    accepted = signature(FILTERS[name]).parameters
    return FILTERS[name](
        images, **{setting: settings[setting] for setting in settings if setting in accepted}
    )
