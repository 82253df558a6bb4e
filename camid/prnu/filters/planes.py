"""Filters of one plane as filters of images."""

from collections.abc import Callable
from functools import wraps

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Images = NDArray[np.uint8] | NDArray[np.float32]


def planewise(filtered: Callable[..., Plane]) -> Callable[..., NDArray[np.float32]]:
    """Make a filter of images of a function of a float32 plane ``(height, width)``."""

    @wraps(filtered)
    def residuals(images: Images, **settings: object) -> NDArray[np.float32]:
        noise = np.empty(images.shape, np.float32)
        for image, found in zip(images, noise, strict=True):
            for channel in range(image.shape[-1]):
                plane = np.ascontiguousarray(image[:, :, channel], np.float32)
                found[:, :, channel] = filtered(plane, **settings)
        return noise

    return residuals
