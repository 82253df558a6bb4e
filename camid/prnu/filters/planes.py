"""Filters of one plane as filters of images."""

from collections.abc import Callable
from functools import wraps

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Images = NDArray[np.uint8] | NDArray[np.float32]


def planewise(filtered: Callable[..., Plane]) -> Callable[..., NDArray[np.float32]]:
    """Return a filter of images that applies a filter of float32 planes ``(height, width)``."""

    @wraps(filtered)
    def residuals(images: Images, **settings: object) -> NDArray[np.float32]:
        noise = np.empty(images.shape, np.float32)
        for image, image_noise in zip(images, noise, strict=True):
            for channel in range(image.shape[-1]):
                plane = np.ascontiguousarray(image[:, :, channel], np.float32)
                image_noise[:, :, channel] = filtered(plane, **settings)
        return noise

    return residuals
