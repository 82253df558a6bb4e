"""Alignment of an image with a sensor: the search by correlation, and the map of a match."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft

from camid.casework.false_alarm import evidence_energy, log_false_alarm
from camid.casework.kernels import cell_products
from camid.casework.match_detail import is_finest_alone
from camid.casework.single_peak import once
from camid.casework.spread import MOST, MOST_ABSENT, Spread, absent, spread, too_good
from camid.casework.transforms import UPRIGHT, Hypothesis, Shape, hypotheses, transform_shape
from camid.prnu.borders import inside_borders
from camid.prnu.cleaning import cleaned
from camid.prnu.correlation import Peak, peak
from camid.prnu.luminance import grey_levels
from camid.prnu.residual import residual

Plane = NDArray[np.float32]
CELL = 64
"""Pixels a side of a cell in the map of a match."""
CHECKED = 9.0
"""Energy from which it is examined how a match is spread and whether it stands alone; below, it
supports nothing."""


M = TypeVar("M", bound="Match")


@dataclass(frozen=True, kw_only=True)
class Match:
    """The best place of a query on an entry's sensor, and the extent of the search."""

    pce: float
    """Peak-to-correlation energy."""
    ncc: float
    """Correlation over the shared pixels, −1…1."""
    turn: int
    """Degrees anticlockwise."""
    scale: float
    """Pixels of the query for one of the sensor."""
    is_mirrored: bool = False
    """Whether the query was mirrored left to right before it was turned."""
    is_stretched: bool = False
    """Whether the query was given another aspect."""
    angle: float = 0.0
    """Degrees anticlockwise by which it was turned beside ``turn``."""
    top: int
    """Row of the turned query's top on the sensor, sensor pixels."""
    left: int
    """Column of its left edge."""
    num_lags: int
    """Places tried over all hypotheses."""
    num_hypotheses: int
    """Hypotheses tried."""

    share: float = 1.0
    """Share of its energy that is spread over the picture (:mod:`camid.casework.spread`)."""
    area: float = 1.0
    """Share of the compared area that this is of."""
    is_copy: bool = False
    """Whether it is a copy of an enrolled photograph (:mod:`camid.casework.enrolled_copies`)."""
    is_finest_alone: bool = False
    """Whether it lies in the finest detail alone (:mod:`camid.casework.match_detail`), and so
    counts nothing."""
    absent: float = 0.0
    """Share of the picture that lacks what the rest shows (:func:`camid.casework.spread.absent`);
    from :data:`camid.casework.spread.MOST_ABSENT` on it counts nothing."""
    strength: float = math.nan
    """Score as a share of what its sensor's photograph would reach; NaN if not looked at
    (:mod:`camid.casework.strength`)."""
    is_shared: bool = False
    """Whether that is so little that devices of one model may share it, and counts nothing."""

    @property
    def is_patchy(self) -> bool:
        """Whether too much of the picture lacks what the rest shows."""
        return self.absent > MOST_ABSENT

    @property
    def hypothesis(self) -> Hypothesis:
        """How the query was made."""
        return Hypothesis(
            self.turn,
            self.scale,
            is_mirrored=self.is_mirrored,
            is_stretched=self.is_stretched,
            angle=self.angle,
        )

    @property
    def place(self) -> tuple[int, int]:
        """Row and column of the turned query on the sensor, at the scale of comparison."""
        scale = min(self.scale, 1)
        return round(self.top * scale), round(self.left * scale)

    @property
    def spread_pce(self) -> float:
        """PCE of what is spread over the picture."""
        return self.pce * self.share

    @property
    def energy(self) -> float:
        """PCE of a single lag that would be as rare among strangers."""
        return evidence_energy(self.spread_pce, num_lags=self.num_lags)

    @property
    def false_alarm(self) -> float:
        """Probability that strangers' best has this PCE or more; 0 where a float underflows."""
        return math.exp(self.log_false_alarm)

    @property
    def log_false_alarm(self) -> float:
        """Natural logarithm of the false-alarm probability."""
        return log_false_alarm(self.spread_pce, num_lags=self.num_lags)


def query_plane(rgb: NDArray[np.uint8]) -> Plane:
    """Return the plane ``(height, width)`` of an image ``(height, width, 3)`` for comparison.

    The grey residual of the filter ``lukas``, cleaned and whitened; 0 in flat borders.

    Raises
    ------
    ValueError
        If the image is too small for the filter.
    """
    levels = grey_levels(rgb)
    window = inside_borders(levels)
    plane = np.zeros(levels.shape, np.float32)
    plane[window] = cleaned(residual(np.ascontiguousarray(levels[window])), whiten=True)
    return plane


class View:
    """A plane, turned and resized for hypotheses, which keeps its latest spectra."""

    def __init__(
        self,
        plane: Plane,
        *,
        keep: int = 1,
        num_threads: int | None = None,
        most: float = math.inf,
    ) -> None:
        self.plane = np.ascontiguousarray(plane, np.float32)
        self.shape: Shape = (self.plane.shape[0], self.plane.shape[1])
        self.most = most
        """Correlation of a part with a pattern that a sensor gives at most."""
        self._keep, self._num_threads = keep, num_threads
        self._spectra: dict[tuple[Hypothesis, Shape, Shape], NDArray[np.complex64]] = {}

    def seen(self, hypothesis: Hypothesis, shape: Shape) -> Plane:
        """Return the plane as a hypothesis mirrors and turns it, resized to ``shape``."""
        plane = self.plane[:, ::-1] if hypothesis.is_mirrored else self.plane
        plane = np.ascontiguousarray(np.rot90(plane, hypothesis.turn // 90))
        if hypothesis.angle:
            image = Image.fromarray(plane)
            plane = np.array(image.rotate(hypothesis.angle, Image.Resampling.BICUBIC))
        return resampled(plane, shape)

    def spectrum(
        self, hypothesis: Hypothesis, shape: Shape, transform: Shape
    ) -> NDArray[np.complex64]:
        """Return the transform of :meth:`seen`, padded with zeros below and on the right."""
        key = replace(hypothesis, scale=1.0, is_stretched=False), shape, transform
        if key not in self._spectra:
            while len(self._spectra) >= self._keep:
                del self._spectra[next(iter(self._spectra))]
            spectrum = fft.rfft2(self.seen(hypothesis, shape), transform, workers=self._num_threads)
            self._spectra[key] = spectrum
        return self._spectra[key]


def search(
    query: Plane | View,
    pattern: Plane | View,
    *,
    tried: Iterable[Hypothesis] | None = None,
    num_threads: int | None = None,
) -> Match | None:
    """Return the best match of a query on an entry's sensor, or None if no hypothesis fits.

    Each hypothesis is tried at all places of the smaller plane within the larger along either axis;
    the highest PCE wins.

    Parameters
    ----------
    query
        Plane of :func:`query_plane`, ``(height, width)``, or its view.
    pattern
        A cleaned and whitened reference pattern, ``(height, width)``, or its view.
    tried
        Hypotheses, by default all of :func:`hypotheses`; any that do not fit are left out.
    num_threads
        Of the transforms; the result is the same for any number.
    """
    query = query if isinstance(query, View) else View(query)
    pattern = pattern if isinstance(pattern, View) else View(pattern)
    shapes = query.shape, pattern.shape
    best: tuple[float, Hypothesis, int, int] | None = None
    num_lags = num_hypotheses = 0
    pool = hypotheses(*shapes) if tried is None else tried
    for hypothesis in (h for h in pool if h.fits(*shapes)):
        energy, top, left = _best_place(query, pattern, hypothesis, num_threads)
        num_hypotheses += 1
        num_lags += hypothesis.num_lags(*shapes)
        if best is None or energy > best[0]:
            best = energy, hypothesis, top, left
    if best is None:
        return None
    energy, hypothesis, top, left = best
    a, b = shared(query, pattern, hypothesis, top, left)
    is_checked = energy >= CHECKED
    is_resampled = hypothesis.scale != 1 or hypothesis.is_stretched or hypothesis.angle != 0
    is_finest = is_checked and not is_resampled and is_finest_alone(a, b)
    share, area = _share(a, b, query.most) if is_checked else (1.0, 1.0)
    return Match(
        pce=energy,
        ncc=correlation(a, b),
        turn=hypothesis.turn,
        scale=hypothesis.scale,
        is_mirrored=hypothesis.is_mirrored,
        is_stretched=hypothesis.is_stretched,
        angle=hypothesis.angle,
        top=round(top / min(hypothesis.scale, 1)),
        left=round(left / min(hypothesis.scale, 1)),
        num_lags=num_lags,
        num_hypotheses=num_hypotheses,
        share=0.0 if is_finest else share,
        area=area,
        is_finest_alone=is_finest,
    )


def less_patchy(match: M, lacking: float) -> M:
    """Return a match that counts nothing if too much of the picture lacks what the rest shows.

    Parameters
    ----------
    lacking
        Share of the picture (:func:`plane_absent`).
    """
    checked = replace(match, absent=lacking)
    return replace(checked, share=0.0) if checked.is_patchy else checked


def heat(query: Plane, pattern: Plane, match: Match, *, cell: int = CELL) -> NDArray[np.float32]:
    """Return the score of each cell of a query at the place of its match, ``(row, column)``.

    Standard normal among strangers: a cell's correlation times the square root of its samples.
    Cells cover the query as displayed, ``cell`` pixels a side at the scale of comparison; pixels
    beyond the pattern count 0.
    """
    query_plane, pattern_plane = laid(query, pattern, match)
    return cell_scores(query_plane, pattern_plane, cell)


def plausible_heat(query: Plane, pattern: Plane, match: Match) -> NDArray[np.float32]:
    """Return :func:`heat`, 0 where a photograph agrees better than a sensor's pattern lets it."""
    planes = laid(query, pattern, match)
    scores, samples = cell_scores(*planes, CELL), cell_samples(*planes, CELL)
    return np.where(too_good(scores, MOST * np.sqrt(np.maximum(samples, 1))), 0, scores)


def laid(query: Plane, pattern: Plane, match: Match) -> tuple[Plane, Plane]:
    """Return a query, as displayed, and what lies below it of a pattern, at their match's place.

    Both cover the query at the scale of comparison; pixels beyond the pattern are 0 in both.
    """
    query_view, pattern_view = View(query), View(pattern)
    hypothesis = match.hypothesis
    shape, _ = hypothesis.shapes(query_view.shape, pattern_view.shape)
    top, left = match.place
    a, b = shared(query_view, pattern_view, hypothesis, top, left)
    planes = np.zeros((2, *shape), np.float32)
    row, column = max(0, -top), max(0, -left)
    planes[:, row : row + a.shape[0], column : column + a.shape[1]] = a, b
    upright = np.rot90(planes, -(hypothesis.turn // 90), axes=(1, 2))
    upright = np.ascontiguousarray(upright[..., ::-1] if hypothesis.is_mirrored else upright)
    return upright[0], upright[1]


def _share(a: Plane, b: Plane, most: float) -> tuple[float, float]:
    """Return the share of a match's energy that is spread as a sensor's is, and of its area."""
    cells = plane_spread(a, b, most=most)
    return cells.share, cells.area(cell_samples(a, b, CELL) > 0)


def plane_spread(a: Plane, b: Plane, *, most: float) -> Spread:
    """Return how the agreement of two planes is spread over their cells.

    Parameters
    ----------
    most
        Correlation that a sensor gives at most.
    """
    sizes = np.sqrt(np.maximum(cell_samples(a, b, CELL), 1))
    return spread(cell_scores(a, b, CELL), most=most * sizes)


def plane_absent(a: Plane, b: Plane, *, most: float = MOST) -> float:
    """Return the share of two planes' places that lack what others clearly show they share."""
    return absent(cell_scores(a, b, CELL), plane_spread(a, b, most=most).kept)


def cell_samples(a: Plane, b: Plane, cell: int) -> NDArray[np.float64]:
    """Return the number of samples of each cell that both planes have."""
    return np.asarray(cell_products(np.abs(np.sign(a)), np.abs(np.sign(b)), cell)[..., 0])


def cell_scores(a: Plane, b: Plane, cell: int) -> NDArray[np.float32]:
    """Return the score of each cell of two planes, standard normal among strangers."""
    products, samples = cell_products(a, b, cell), cell_samples(a, b, cell)
    norms = np.sqrt(products[..., 1] * products[..., 2])
    correlations = np.divide(products[..., 0], norms, out=np.zeros_like(norms), where=norms > 0)
    return np.asarray(correlations * np.sqrt(samples), np.float32)


def shared(query: View, pattern: View, one: Hypothesis, top: int, left: int) -> tuple[Plane, Plane]:
    """Return the pixels common to both planes, at the scale of comparison.

    The turned query lies at ``top``, ``left`` of the pattern, in pixels of that scale.
    """
    query_shape, pattern_shape = one.shapes(query.shape, pattern.shape)
    a, b = query.seen(one, query_shape), pattern.seen(UPRIGHT, pattern_shape)
    a = a[max(0, -top) : pattern_shape[0] - top, max(0, -left) : pattern_shape[1] - left]
    b = b[max(0, top) : top + query_shape[0], max(0, left) : left + query_shape[1]]
    return np.ascontiguousarray(a), np.ascontiguousarray(b)


def correlation(a: Plane, b: Plane) -> float:
    """Return Σab / √(Σa² Σb²) of two planes of one shape, 0 if either is 0."""
    ab, aa, bb = cell_products(a, b, max(a.shape)).sum(axis=(0, 1))
    return float(ab / math.sqrt(aa * bb)) if aa * bb > 0 else 0.0


def resampled(plane: Plane, shape: Shape) -> Plane:
    """Return a plane ``(height, width)`` resized to a shape, bicubically, averaging to shrink.

    Keys 1981, doi:10.1109/TASSP.1981.1163711.
    """
    if plane.shape == shape:
        return plane
    return np.array(Image.fromarray(plane).resize(shape[::-1], Image.Resampling.BICUBIC))


def _best_place(
    query: View, pattern: View, hypothesis: Hypothesis, num_threads: int | None
) -> Peak:
    """Return the highest PCE of a hypothesis, and the turned query's top and left."""
    query_shape, pattern_shape = hypothesis.shapes(query.shape, pattern.shape)
    transform = transform_shape(query_shape, pattern_shape)
    product = np.conj(query.spectrum(hypothesis, query_shape, transform))
    product *= pattern.spectrum(UPRIGHT, pattern_shape, transform)
    product[0, 0] = 0  # the means of both
    lags = np.asarray(fft.irfft2(product, transform, workers=num_threads), np.float32)
    places = [
        (min(0, b - a), abs(b - a) + 1) for a, b in zip(query_shape, pattern_shape, strict=True)
    ]
    (top, num_rows), (left, num_columns) = places
    # all cyclic lags of the larger plane count alike; a transform's zero padding adds none
    num_lags = math.prod(max(a, b) for a, b in zip(query_shape, pattern_shape, strict=True))
    best = peak(
        lags, top=top, num_rows=num_rows, left=left, num_columns=num_columns, num_lags=num_lags
    )
    tried = hypothesis.num_lags(query.shape, pattern.shape)
    if best.pce <= 0 or evidence_energy(best.pce, num_lags=tried) < CHECKED:
        return best
    spectra = (
        query.spectrum(hypothesis, query_shape, transform),
        pattern.spectrum(UPRIGHT, pattern_shape, transform),
    )
    own = (fft.irfft2(np.abs(one) ** 2, transform, workers=num_threads) for one in spectra)
    return best._replace(pce=once(lags, best, *(np.asarray(one, np.float32) for one in own)))
