"""Alignment of an image with a device's sensor: the search by correlation, and its map."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft

from camid.casework.false_alarm import evidence_energy, log_false_alarm
from camid.casework.kernels import cell_products
from camid.casework.transforms import Hypothesis, Shape, hypotheses, transform_shape
from camid.prnu.cleaning import cleaned
from camid.prnu.correlation import Peak, peak
from camid.prnu.luminance import grey
from camid.prnu.residual import residual

Plane = NDArray[np.float32]
CELL = 64
"""Pixels a side of what a map of a match shows."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """The best place of a query on an entry's sensor, and what was searched for it."""

    pce: float
    """Peak-to-correlation energy."""
    ncc: float
    """Correlation over the shared pixels, −1…1."""
    turn: int
    """Degrees anticlockwise."""
    scale: float
    """Pixels of the query for one of the sensor."""
    top: int
    """Of the turned query on the sensor, its pixels."""
    left: int
    num_lags: int
    """Places tried, of all hypotheses."""
    num_hypotheses: int
    """Hypotheses tried."""

    @property
    def energy(self) -> float:
        """The PCE that a single lag would need to be as rare among strangers."""
        return evidence_energy(self.pce, num_lags=self.num_lags)

    @property
    def false_alarm(self) -> float:
        """The chance that strangers' best has such a PCE; 0 below what a float can tell."""
        return math.exp(self.log_false_alarm)

    @property
    def log_false_alarm(self) -> float:
        """Its natural logarithm."""
        return log_false_alarm(self.pce, num_lags=self.num_lags)


def query_plane(rgb: NDArray[np.uint8]) -> Plane:
    """Return an image ``(height, width, 3)`` as it is compared with patterns, ``(height, width)``.

    The grey residual of the filter ``lukas``, cleaned and whitened.

    Raises
    ------
    ValueError
        If the image is too small for the filter.
    """
    levels = np.rint(grey(rgb)).astype(np.uint8)
    return cleaned(residual(levels), whiten=True)


class View:
    """A plane as hypotheses see it: turned, resized, and its spectra, the latest of them kept."""

    def __init__(self, plane: Plane, *, keep: int = 1, num_threads: int | None = None) -> None:
        self.plane = np.ascontiguousarray(plane, np.float32)
        self.shape: Shape = (self.plane.shape[0], self.plane.shape[1])
        self._keep, self._num_threads = keep, num_threads
        self._spectra: dict[tuple[int, Shape, Shape], NDArray[np.complex64]] = {}

    def seen(self, turn: int, shape: Shape) -> Plane:
        """Return the plane turned anticlockwise by ``turn`` degrees and made of ``shape``."""
        return resampled(np.ascontiguousarray(np.rot90(self.plane, turn // 90)), shape)

    def spectrum(self, turn: int, shape: Shape, transform: Shape) -> NDArray[np.complex64]:
        """Return the transform of :meth:`seen`, zeros below and right of it."""
        key = turn, shape, transform
        if key not in self._spectra:
            while len(self._spectra) >= self._keep:
                del self._spectra[next(iter(self._spectra))]
            made = fft.rfft2(self.seen(turn, shape), transform, workers=self._num_threads)
            self._spectra[key] = made
        return self._spectra[key]


def search(
    query: Plane | View,
    pattern: Plane | View,
    *,
    tried: Iterable[Hypothesis] | None = None,
    num_threads: int | None = None,
) -> Match | None:
    """Return where a query lies best on an entry's sensor, or None where nothing is tried.

    All hypotheses in turn, at all places of the smaller plane within the larger along either axis;
    the highest PCE wins.

    Parameters
    ----------
    query
        What :func:`query_plane` returns, ``(height, width)``, or its view.
    pattern
        A cleaned and whitened reference pattern, ``(height, width)``, or its view.
    tried
        Hypotheses, by default those of :func:`hypotheses`; those that do not fit are left out.
    num_threads
        Of transforms; the result is the same for any number.
    """
    query = query if isinstance(query, View) else View(query)
    pattern = pattern if isinstance(pattern, View) else View(pattern)
    shapes = query.shape, pattern.shape
    best: tuple[float, Hypothesis, int, int] | None = None
    num_lags = num_hypotheses = 0
    every = hypotheses(*shapes) if tried is None else tried
    for one in (one for one in every if one.fits(*shapes)):
        energy, top, left = _best_place(query, pattern, one, num_threads)
        num_hypotheses += 1
        num_lags += one.num_lags(*shapes)
        if best is None or energy > best[0]:
            best = energy, one, top, left
    if best is None:
        return None
    energy, one, top, left = best
    a, b = shared(query, pattern, one, top, left)
    return Match(
        pce=energy,
        ncc=correlation(a, b),
        turn=one.turn,
        scale=one.scale,
        top=round(top / min(one.scale, 1)),
        left=round(left / min(one.scale, 1)),
        num_lags=num_lags,
        num_hypotheses=num_hypotheses,
    )


def heat(query: Plane, pattern: Plane, match: Match, *, cell: int = CELL) -> NDArray[np.float32]:
    """Return how well each cell of a query matches at the place found: ``(row, column)``.

    As standard normal numbers among strangers: a cell's correlation times the square root of its
    samples. Cells cover the query as it is seen, ``cell`` pixels a side at the scale of comparison;
    what lies beyond the pattern is 0.
    """
    seen, laid = View(query), View(pattern)
    one = Hypothesis(match.turn, match.scale)
    shape, _ = one.shapes(seen.shape, laid.shape)
    scale = min(one.scale, 1)
    top, left = round(match.top * scale), round(match.left * scale)
    a, b = shared(seen, laid, one, top, left)
    whole = np.zeros((2, *shape), np.float32)
    above, before = max(0, -top), max(0, -left)
    whole[:, above : above + a.shape[0], before : before + a.shape[1]] = a, b
    back = np.ascontiguousarray(np.rot90(whole, -(one.turn // 90), axes=(1, 2)))
    products = cell_products(back[0], back[1], cell)
    samples = cell_products(*np.abs(np.sign(back)), cell)[..., 0]
    norms = np.sqrt(products[..., 1] * products[..., 2])
    found = np.divide(products[..., 0], norms, out=np.zeros_like(norms), where=norms > 0)
    return np.asarray(found * np.sqrt(samples), np.float32)


def shared(query: View, pattern: View, one: Hypothesis, top: int, left: int) -> tuple[Plane, Plane]:
    """Return the pixels that both planes have, at the scale of comparison.

    The turned query lies at ``top``, ``left`` of the pattern, in pixels of that scale.
    """
    view, laid = one.shapes(query.shape, pattern.shape)
    a, b = query.seen(one.turn, view), pattern.seen(0, laid)
    a = a[max(0, -top) : laid[0] - top, max(0, -left) : laid[1] - left]
    b = b[max(0, top) : top + view[0], max(0, left) : left + view[1]]
    return np.ascontiguousarray(a), np.ascontiguousarray(b)


def correlation(a: Plane, b: Plane) -> float:
    """Return Σab / √(Σa² Σb²) of two planes of one shape, 0 if one of them is 0."""
    ab, aa, bb = cell_products(a, b, max(a.shape)).sum(axis=(0, 1))
    return float(ab / math.sqrt(aa * bb)) if aa * bb > 0 else 0.0


def resampled(plane: Plane, shape: Shape) -> Plane:
    """Return a plane ``(height, width)`` made of another shape, bicubically, averaging to shrink.

    Keys 1981, doi:10.1109/TASSP.1981.1163711.
    """
    if plane.shape == shape:
        return plane
    return np.array(Image.fromarray(plane).resize(shape[::-1], Image.Resampling.BICUBIC))


def _best_place(query: View, pattern: View, one: Hypothesis, num_threads: int | None) -> Peak:
    """Return the highest PCE of a hypothesis, and the turned query's top and left."""
    view, laid = one.shapes(query.shape, pattern.shape)
    transform = transform_shape(view, laid)
    product = np.conj(query.spectrum(one.turn, view, transform))
    product *= pattern.spectrum(0, laid, transform)
    product[0, 0] = 0  # the means of both
    lags = np.asarray(fft.irfft2(product, transform, workers=num_threads), np.float32)
    places = [(min(0, b - a), abs(b - a) + 1) for a, b in zip(view, laid, strict=True)]
    (top, num_rows), (left, num_columns) = places
    # all lags of a plane laid round a larger one are alike; zeros that pad a transform add none
    whole = math.prod(max(a, b) for a, b in zip(view, laid, strict=True))
    return peak(
        lags, top=top, num_rows=num_rows, left=left, num_columns=num_columns, num_lags=whole
    )
