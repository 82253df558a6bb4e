"""Outliers of an entry: images without the others' pattern, by another camera or zoomed."""

import math
import os
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from typing import IO

import numpy as np
from scipy.ndimage import uniform_filter

from camid.casework.fingerprint_sums import (
    NOISE_STEP,
    WEIGHT_STEP,
    EnrolledImage,
    Half,
    Sample,
    Sums,
)
from camid.prnu.cleaning import cleaned, whitened
from camid.prnu.correlation import ncc
from camid.prnu.residual import restored

FEWEST = 8
"""Images of an entry from which on each is compared with the others."""
CENTRE = 1024
"""Pixels a side of the middle in which images are compared."""
STRANGE = 2.0
"""Standard deviations of a chance correlation that a stranger's image seldom exceeds …"""
KINSHIP = 1 / 30
"""… or this share of the expected score, as patterns of one model resemble each other."""
EXPECTED = 16.0
"""Least expected score of an image that can be suspected. Of the 862 photographs that
the project measures on five were, which are by all signs zoomed or another camera's; of photographs
of other cameras 57 % would be, and up to 99 % where a pattern is strong."""
SUSPICION = "does not carry the pattern of the others: of another camera, zoomed or edited?"
FLOOR = np.float32(1)
"""Energy that flat surroundings have, grey levels squared."""


class Middles:
    """The middles of images, kept on disk until all are added up; a context manager."""

    def __init__(self, shape: tuple[int, int]) -> None:
        corner = [max(0, (side - CENTRE) // 16 * 8) for side in shape]
        self.window = tuple(
            slice(start, min(side, start + CENTRE))
            for start, side in zip(corner, shape, strict=True)
        )
        self.names: list[str] = []
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (closed by the context)

    def __enter__(self) -> "Middles":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def keep(self, name: str, sample: Sample) -> None:
        """Keep the middle of an image."""
        self._file.seek(0, os.SEEK_END)
        for plane in sample:
            self._file.write(np.ascontiguousarray(plane[self.window]).tobytes())
        self.names.append(name)

    def samples(self, *, since: int) -> Iterable[tuple[str, Sample]]:
        """Yield names and middles in order, from number ``since`` on."""
        shape = [side.stop - side.start for side in self.window]
        size = math.prod(shape)
        self._file.seek(2 * size * since)
        for name in self.names[since:]:
            noise = np.frombuffer(self._file.read(size), np.int8).reshape(shape)
            weight = np.frombuffer(self._file.read(size), np.uint8).reshape(shape)
            yield name, Sample(noise, weight)


def suspected(sums: Sums, middles: Middles, *, since: int) -> Sums:
    """Return sums with a warning for each image that does not carry the others' pattern.

    Images whose middles are kept, from number ``since`` on, are judged anew.
    """
    agreement = sums.split_half() if len(sums.images) >= FEWEST else 0.0
    if not agreement > 0:
        return sums
    reliability = 2 * agreement / (1 + agreement)
    total = Half(*(plane[middles.window] for plane in sums.total))
    is_strange = {}
    for name, sample in middles.samples(since=since):
        score, possible = correlation(sample, total.less(sample.half()))
        expected = reliability * possible
        is_strange[name] = expected > EXPECTED and score < max(STRANGE, KINSHIP * expected)
    images = tuple(
        replace(image, warnings=_warnings(image, is_strange=is_strange[image.sha256]))
        if image.sha256 in is_strange
        else image
        for image in sums.images
    )
    return replace(sums, images=images)


def _warnings(image: EnrolledImage, *, is_strange: bool) -> tuple[str, ...]:
    others = [words for words in image.warnings if words != SUSPICION]
    return (*others, *([SUSPICION] if is_strange else []))


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
