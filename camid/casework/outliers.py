"""Outliers of an entry: images without the others' pattern, by another camera or zoomed."""

import math

import numpy as np
from scipy.ndimage import uniform_filter

from camid.casework.fingerprint_sums import (
    NOISE_STEP,
    WEIGHT_STEP,
    Half,
    Plane,
    Sample,
    Sums,
    reliability,
)
from camid.casework.kept_samples import KeptSamples
from camid.prnu.cleaning import cleaned, whitened
from camid.prnu.correlation import ncc
from camid.prnu.residual import restored

FEWEST = 8
"""Images of an entry from which on each is compared with the others."""
STRANGE = 2.0
"""Standard deviations of a chance correlation that a stranger's image seldom exceeds …"""
KINSHIP = 1 / 30
"""… or this share of the expected score, as patterns of one model resemble each other."""
EXPECTED = 16.0
"""Least expected score of an image that can be suspected. Of the 862 photographs that
the project measures on five were, which are by all signs zoomed or another camera's; of photographs
of other cameras 57 % would be, and up to 99 % where a pattern is strong."""
FLOOR = np.float32(1)
"""Energy that flat surroundings have, grey levels squared."""


def strangers(sums: Sums, middles: KeptSamples) -> list[str]:
    """Return the digests of images that do not carry the pattern of all others, of those kept.

    Few images are not judged by one another, nor where halves do not agree.
    """
    share = reliability(sums.split_half()) if len(sums.images) >= FEWEST else 0.0
    if not share:
        return []
    total = Half(*(plane[middles.window] for plane in sums.total))
    strange = []
    for name, sample in middles.samples():
        score, possible = correlation(sample, total.less(sample.half()))
        if is_strange(score, share * possible):
            strange.append(name)
    return strange


def is_strange(score: float, expected: float) -> bool:
    """Return whether a score is too low for one sensor, where one would be expected to show."""
    return expected > EXPECTED and score < max(STRANGE, KINSHIP * expected)


def unit_noise(sample: Sample) -> Plane:
    """Return an image's noise ``(height, width)``, cleaned and whitened, centred and of norm 1."""
    noise = cleaned(restored(sample.noise, step=NOISE_STEP), whiten=True)
    return unit(np.where(sample.weight, noise, np.float32(0)))


def unit(plane: Plane) -> Plane:
    """Return a plane centred and of norm 1, so that products are correlations."""
    centred = plane - plane.mean(dtype=np.float64)
    norm = float(np.linalg.norm(centred))
    return np.ascontiguousarray(centred / norm if norm else centred, np.float32)


def correlation(sample: Sample, others: Half) -> tuple[float, float]:
    """Return the score of an image against other images' pattern, and the score without noise.

    Both in standard deviations of a chance correlation. An image of the same sensor reaches the
    second if the pattern is exact; multiplied by the pattern's reliability, it is the expected
    score. Intensity and local energy of the residual are taken into account.
    """
    pattern = cleaned(others.pattern())
    noise = cleaned(restored(sample.noise, step=NOISE_STEP))
    score = ncc(whitened(noise), whitened(pattern)) * math.sqrt(noise.size)
    local = np.sqrt(uniform_filter(noise * noise, 9) + FLOOR)
    signal = sample.weight * np.float32(WEIGHT_STEP) * pattern / local
    return score, float(np.linalg.norm(signal) / max(float(np.std(noise / local)), 1e-6))
