"""Scales of a match: a sensor's pattern shows in coarse detail too, added noise in the finest.

Noise that software adds before it rounds grey levels stands out where a camera left least: beyond
what its demosaicking and JPEG keep. Between two devices' photographs it is all that agrees.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

COARSE, FINE = 0.25, 0.375
"""Cycles a pixel, along the steeper axis, up to which detail is coarse, and above which fine."""
LEAST = 0.7
"""Share of what fine detail makes expected of coarse that a sensor leaves at least. Of 108
photographs by real cameras, half of them with an editor's dither, none left less than 0.98, of 24
by simulated ones none less than 1.5; of 3,629 photographs and other cameras that share an editor's
noise, written without loss, none has more than 0.49."""
CLEAR = 3.5
"""Expected score of coarse detail, normal among strangers, from which the share is looked at."""
CHANCE = 1.0
"""Score that coarse detail may lack by chance: its standard deviation."""
CHANCE_OF_TILES = 2.5
"""Score by which tiles may have more of it by chance: two deviations of nine tiles' median."""
TILES = 3
"""Tiles a side that are looked at apart …"""
LEAST_TILE = 64
"""… if they have so many pixels a side."""

FINEST_ALONE = (
    "lies in the finest detail alone, as noise that software adds does; a sensor's pattern shows "
    "in coarser detail too, so that it is not counted"
)
"""What is said of an agreement that is no sensor's."""


class Scales(NamedTuple):
    """Scores of coarse and of fine detail, normal among strangers, and their numbers of samples."""

    coarse: float
    fine: float
    num_coarse: int
    num_fine: int

    def lacks_coarse(self, *, clear: float) -> bool:
        """Return whether coarse detail lacks what fine detail makes expected of it."""
        return self.expected > clear and self.coarse + CHANCE < LEAST * self.expected

    def shows_coarse(self) -> bool:
        """Return whether coarse detail of tiles is what fine detail makes expected, or more."""
        return self.expected > CLEAR and self.coarse - CHANCE_OF_TILES > LEAST * self.expected

    @property
    def expected(self) -> float:
        """Score of coarse detail that fine detail makes expected, were they alike."""
        return float(self.fine * (self.num_coarse / self.num_fine) ** 0.5)


def is_finest_alone(
    a: NDArray[np.float32], b: NDArray[np.float32], *, clear: float = CLEAR
) -> bool:
    """Return whether planes ``(height, width)`` agree in the finest detail alone.

    Noise that software adds all over does so in every part. Letters and lines do in one place, and
    elsewhere a sensor's pattern shows: so the median of tiles decides, where it is clear.

    Parameters
    ----------
    clear
        Expected score of coarse detail from which its lack tells.

    Examples
    --------
    >>> noise = np.random.default_rng(1).standard_normal((64, 64)).astype(np.float32)
    >>> is_finest_alone(noise, noise)
    False
    """
    return scales(a, b).lacks_coarse(clear=clear) and not tile_scales(a, b).shows_coarse()


def tile_scales(a: NDArray[np.float32], b: NDArray[np.float32]) -> Scales:
    """Return the medians of how far planes' tiles agree, each as the score of all tiles."""
    tiles = [scales(p, q) for p, q in zip(_tiles(a), _tiles(b), strict=True)]
    coarse, fine, num_coarse, num_fine = zip(*tiles, strict=True)
    times = len(tiles) ** 0.5
    return Scales(
        times * float(np.median(coarse)),
        times * float(np.median(fine)),
        sum(num_coarse),
        sum(num_fine),
    )


def _tiles(plane: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return the tiles of a plane, or the whole where they would be too small."""
    height, width = (side // TILES for side in plane.shape)
    if min(height, width) < LEAST_TILE:
        return [plane]
    return [
        plane[row * height : (row + 1) * height, column * width : (column + 1) * width]
        for row in range(TILES)
        for column in range(TILES)
    ]


def scales(a: NDArray[np.float32], b: NDArray[np.float32]) -> Scales:
    """Return how far planes ``(height, width)`` agree in coarse and in fine detail."""
    first, second = fft.rfft2(a), fft.rfft2(b)
    steepest = np.maximum(
        np.abs(fft.fftfreq(a.shape[0]))[:, None], np.abs(fft.rfftfreq(a.shape[1]))[None, :]
    )
    parts = []
    for is_part in (steepest < COARSE, steepest >= FINE):
        p, q = first[is_part], second[is_part]
        energy = float(np.vdot(p, p).real) * float(np.vdot(q, q).real)
        number = 2 * p.size
        product = float(np.vdot(p, q).real)
        parts.append((product / energy**0.5 * number**0.5 if energy else 0.0, number))
    (coarse, num_coarse), (fine, num_fine) = parts
    return Scales(coarse, fine, num_coarse, num_fine)
