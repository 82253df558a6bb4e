"""What an image adds to a side, weighted by how little its scene shines through."""

import numpy as np
from scipy.ndimage import uniform_filter

from camid.images import grey
from camid.methods.method import Array

WINDOW = 9
"""Pixels a side of the surroundings whose energy is taken for the scene's."""
FLOOR = np.float32(1)
"""Energy that flat surroundings have, grey levels squared."""


def weighted_residual(strip: Array) -> Array:
    """Return the grey plane of a residual strip over its local energy plus 1 grey level squared.

    The sum of these is the numerator of a mean weighted by the inverse variance: edges and
    textures, where the residual is the scene's more than the sensor's, count little.
    """
    plane = grey(strip)
    return np.asarray(plane / (uniform_filter(plane * plane, WINDOW) + FLOOR), np.float32)
