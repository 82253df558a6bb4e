"""Quality of a photograph as evidence: its grade, its warnings, and reasons to refuse it.

The measure is the evidence that its pixels carry: a pattern shows by intensity, and drowns in what
the scene leaves in the residual, so a pixel counts by its intensity weight squared over the local
energy of the residual plus 1 grey level squared; one without noise does not count. Thresholds were
measured on the 862 photographs of 35 devices that the project measures on, whole (768×768 px) and
in central pieces down to 128×128 px, each with a pattern of the device's other photographs.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from camid.io.counts import counted
from camid.prnu.cleaning import JPEG_BLOCK
from camid.prnu.fingerprint import intensity_weight
from camid.prnu.jpeg_detail import kept_detail
from camid.prnu.luminance import grey_levels
from camid.prnu.residual import residual

GRADES = ("A", "B", "C")
REFUSED = "refused"

MIN_SIDE = 128
"""Pixels; of smaller pieces fewer than half reached four standard deviations."""
A, B, C = 20_000, 3_000, 100
"""Least evidence of each grade, pixels: 94, 86 and 60 % of pieces with as much reached four
standard deviations."""
NOISELESS = 0.1
"""Residual energy, grey levels squared, below which a compressor has left no noise."""
BARE = 0.75
"""Share of pixels without noise that refuses: whole photographs have up to 0.16, of JPEG quality
50 up to 0.64; drawn gradients, discs and random colours have 0.86 and more."""
WHITE, BLACK = 254, 4
"""Grey levels from which, and up to which, a pixel is clipped."""
CLIPPED = 0.98
"""Share of clipped pixels that refuses; with 0.92 a photograph was still identified surely."""
BRIGHT = 0.25
"""Share of saturated pixels that is warned of."""
DARK = 40
"""Mean grey level below which a photograph is called dark."""
ENERGETIC = 9.0
"""Residual energy, grey levels squared, that only a scene's texture has; sensors leave 1 to 4."""
TEXTURED = 0.5
"""Share of such pixels that is warned of."""
BLOCKY = 2.5
"""Steps between JPEG's blocks over those inside: photographs as their cameras wrote them had up to
1.9; a sixth of those written again at quality 70, and a quarter at 50, more than this."""
PERIODIC = 40.0
"""Height of a spectral line over the median, of second derivatives: photographs had up to 38, but a
third of one phone's, which resamples in the camera; 72 and 90 % of photographs had more than this
that were enlarged to 130 and 150 %, 17 % of those to 200 %."""

CENTRE = 768
"""Pixels a side of the middle that is searched for traces of processing; the height of a spectral
line grows with the side."""
LOWEST = 0.06
"""Cycles a pixel below which the scene's own changes lie."""


class Visibility(NamedTuple):
    """What photographs can show of a sensor's pattern."""

    power: float
    """Square of the score, normal among strangers, by which a pattern would show that is known
    exactly and has a standard deviation of 1 grey level."""
    detail: float
    """Share of the detail that JPEG kept, 0 to 1 (:func:`camid.prnu.jpeg_detail.kept_detail`)."""

    @classmethod
    def together(cls, photographs: Iterable["Visibility"]) -> "Visibility":
        """Return what several photographs of one sensor show together."""
        each = list(photographs)
        power = sum(one.power for one in each)
        weighted = sum(one.power * one.detail for one in each)
        return cls(power, weighted / power if power else 0.0)


NOTHING = Visibility(0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Quality of one photograph: grade, warnings and measurements."""

    width: int
    height: int
    saturated: float
    """Share of pixels that are clipped at white."""
    mean: float
    """Mean grey level, 0–255."""
    texture: float
    """Share of pixels where the scene outweighs a sensor's noise."""
    evidence: float
    """Number of bright, flat pixels that carry as much."""
    grade: str
    """``A``, ``B``, ``C`` or ``refused``."""
    visibility: Visibility = NOTHING
    """What it can show of a sensor's pattern; nothing if refused."""
    warnings: tuple[str, ...] = ()
    reason: str = ""
    """Reason of a refusal, or empty."""


def quality(rgb: NDArray[np.uint8]) -> Quality:
    """Return the quality of a photograph ``(height, width, 3)``, its pixels as stored.

    Second derivatives of resampled images are periodic: Gallagher 2005, doi:10.1109/CRV.2005.66.
    Shrinking leaves no such line, and is not detected.

    Raises
    ------
    ValueError
        If the array has another number of axes or channels.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"expected an image (height, width, 3), got an array of shape {rgb.shape}")
    height, width, _ = rgb.shape
    levels = grey_levels(rgb)
    saturated, mean = float(np.mean(levels >= WHITE)), float(levels.mean(dtype=np.float64))
    black = float(np.mean(levels <= BLACK))
    bare, texture, evidence, variance = 0.0, 0.0, 0.0, 0.0
    if min(height, width) >= MIN_SIDE:
        noise = residual(levels)
        energy = uniform_filter(noise * noise, 9)
        lit = (levels < WHITE) & (levels > BLACK)
        noisy = energy > NOISELESS
        bare = 1 - float(np.mean(noisy[lit])) if lit.any() else 0.0
        texture = float(np.mean(energy > ENERGETIC))
        pixel_evidence = np.where(noisy, intensity_weight(levels) ** 2 / (energy + 1), 0)
        evidence = float(pixel_evidence.sum(dtype=np.float64))
        variance = float(np.mean(noise * noise / (energy + 1), dtype=np.float64))
    reason = _reason((height, width), clipped=(saturated, black), bare=bare, evidence=evidence)
    warnings: list[str] = []
    grade, visibility = REFUSED, NOTHING
    if not reason:
        middle = _middle(levels)
        (across, left), (down, top) = map(_blocks, (middle, middle.T))
        is_blocky = min(across, down) > BLOCKY
        # a photograph that was cropped since has its blocks elsewhere
        detail = min(kept_detail(levels), kept_detail(levels, top=top, left=left))
        visibility = Visibility(evidence / variance, detail)
        warnings = _seen(saturated, mean, texture)
        if is_blocky:
            warnings.append("strongly compressed: its JPEG blocks stand out")
        if _is_periodic(middle):
            warnings.append("resampled: its pixels look interpolated, in the camera or later")
        level = (evidence < A) + (evidence < B) + is_blocky
        grade = GRADES[min(level, len(GRADES) - 1)]
    return Quality(
        width=width,
        height=height,
        saturated=saturated,
        mean=mean,
        texture=texture,
        evidence=evidence,
        grade=grade,
        visibility=visibility,
        warnings=tuple(warnings),
        reason=reason,
    )


def _reason(
    shape: tuple[int, int], *, clipped: tuple[float, float], bare: float, evidence: float
) -> str:
    """Return why a photograph is refused, or an empty string."""
    height, width = shape
    if min(height, width) < MIN_SIDE:
        return f"{width}x{height} px is too small: {MIN_SIDE} px a side are the least"
    share, words = max(zip(clipped, ("saturated", "black"), strict=True))
    if share > CLIPPED or (evidence < C and share > 0.5):
        return f"{share:.0%} of it is {words}, and no sensor noise shows there"
    if bare > BARE:
        return f"{bare:.0%} of it has no noise: drawn, computed, or heavily processed"
    if evidence < C:
        worth = counted(math.floor(evidence), "pixel")
        return f"it carries next to no sensor noise: worth {worth}, of {C} at least"
    return ""


def _seen(saturated: float, mean: float, texture: float) -> list[str]:
    """Return warnings about the photograph's exposure and texture."""
    warnings = []
    if saturated > BRIGHT:
        warnings.append(f"saturated: {saturated:.0%} of it is white")
    if mean < DARK:
        warnings.append(f"dark: its mean is {mean:.0f} of 255")
    if texture > TEXTURED:
        warnings.append(f"textured: the scene hides the sensor's noise in {texture:.0%} of it")
    return warnings


def _middle(levels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the middle of a plane, aligned to JPEG blocks."""
    top, left = (max(0, (side - CENTRE) // 16 * 8) for side in levels.shape)
    return levels[top : top + CENTRE, left : left + CENTRE].astype(np.float32)


def _is_periodic(plane: NDArray[np.float32]) -> bool:
    """Return whether second derivatives have the same spectral line along both axes."""
    (height, frequency), (other_height, other_frequency) = map(_line, (plane, plane.T))
    return min(height, other_height) > PERIODIC and abs(frequency - other_frequency) < 0.01


def _blocks(plane: NDArray[np.float32]) -> tuple[float, int]:
    """Return by how much steps between JPEG's blocks stand out along rows, and where blocks begin.

    The largest of the 8 phases' mean steps over their median, and the column after it.
    """
    steps = np.minimum(np.abs(np.diff(plane, axis=1)), 12).mean(axis=0)
    phases = steps[: len(steps) // JPEG_BLOCK * JPEG_BLOCK].reshape(-1, JPEG_BLOCK).mean(axis=0)
    contrast = float(phases.max() / max(float(np.median(phases)), 1e-3))
    return contrast, (int(phases.argmax()) + 1) % JPEG_BLOCK


def _line(plane: NDArray[np.float32]) -> tuple[float, float]:
    """Return the highest spectral line over the median, and its frequency, without JPEG's lines."""
    curve = np.minimum(np.abs(np.diff(plane, n=2, axis=1)), 16).mean(axis=0)
    curve = (curve - uniform_filter(curve, 31)) * np.hanning(len(curve)).astype(np.float32)
    spectrum, frequencies = np.abs(np.fft.rfft(curve)), np.fft.rfftfreq(len(curve))
    is_block = np.abs(frequencies * 8 - np.rint(frequencies * 8)) < 0.08
    spectrum[is_block | (frequencies < LOWEST)] = 0
    highest = int(spectrum.argmax())
    return float(spectrum[highest] / max(np.median(spectrum[spectrum > 0]), 1e-6)), frequencies[
        highest
    ]
