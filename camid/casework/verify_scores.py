"""Verification: did one camera take two sets of photographs?

Both sides' evidence is compared as evaluations do it, strip by strip and crop by crop, by the
correlation ``classical`` and by the pair network that camid comes with, and the shipped fusion
makes one log-likelihood ratio of the two scores. How the second side lies on the first one's sensor
is not known: the likelihood ratio is the mean over all turns that its shape allows, and at
most the share of one turn at its bound.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.special import logsumexp

from camid.casework.alignment import CELL, CHECKED
from camid.casework.match_detail import is_finest_alone
from camid.casework.quality import Visibility, quality
from camid.casework.single_peak import once
from camid.casework.spread import MOST_ABSENT, absent, most_correlation, spread
from camid.casework.strength import LEAST_OF_SIDES, SideStrength, expected_of_sides
from camid.casework.verify_sides import (
    CLASSICAL,
    Image,
    Shape,
    SideEvidence,
    compared_strips,
    turns_between,
)
from camid.comparison.methods import chosen_methods
from camid.comparison.methods.method import Method, Sums, Tile
from camid.evaluation.fusion import Fusion, shipped_fusion
from camid.prnu.correlation import peak

Planes = tuple[NDArray[np.float32], NDArray[np.float32]]
"""What ``classical`` compares of both sides, strips in their places."""

CROP = 128
"""Pixels a side of crops that are compared, as calibrated."""
REPEATED = 3.0
"""Score by ``classical`` of strips that lie elsewhere that is no chance; normal among strangers."""
SURE = 10.0
"""Expected score of coarse detail from which its lack says that noise was added: cameras' textured
photographs, few a side, vary more than a photograph and a fingerprint."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Verdict:
    """Scores and likelihood ratios of two sides."""

    llr: float
    """Log-likelihood ratio, nats: one camera over two."""
    low: float
    """Least and greatest log-likelihood ratio that the reference devices support, nats."""
    high: float
    turns: Mapping[int, float]
    """Log-likelihood ratio of each turn of the second side, degrees anticlockwise."""
    scores: Mapping[str, float]
    """Score of each method in the likeliest turn."""
    num_crops: int
    heat: NDArray[np.float64]
    """Each crop's ``classical`` score ``(row, column)``: standard normal among strangers."""
    share: float = 1.0
    """Share of the energy that is spread over the picture; the rest does not count."""
    is_finest_alone: bool = False
    """Whether what agrees lies in the finest detail alone (:mod:`camid.casework.match_detail`)."""
    strength: float = math.nan
    """Score by ``classical`` as a share of one sensor's (:mod:`camid.casework.strength`); NaN if
    that is not known."""
    is_shared: bool = False
    """Whether that is so little that devices of one model may share it, and counts nothing."""
    absent: float = 0.0
    """Share of the picture that lacks what the rest shows (:mod:`camid.casework.spread`)."""

    @property
    def is_patchy(self) -> bool:
        """Whether that is too much for a sensor's pattern, and counts nothing."""
        return self.absent > MOST_ABSENT

    @property
    def turn(self) -> int:
        """The likeliest turn of the second side, degrees anticlockwise."""
        return max(self.turns, key=lambda turn: self.turns[turn])


class Sides:
    """Sums of two sides' images as they come; no image is kept.

    Parameters
    ----------
    first, second
        The shape of all images of a side.
    fusion
        Fusion of ``classical`` and ``pairnet`` scores; by default the shipped one.

    Raises
    ------
    ValueError
        If the shapes do not fit in any turn.
    """

    def __init__(self, first: Shape, second: Shape, *, fusion: Fusion | None = None) -> None:
        turns = turns_between(first, second)
        if not turns:
            (height, width), (other_height, other_width) = first, second
            raise ValueError(
                f"the first side has {width}x{height} px and the second "
                f"{other_width}x{other_height} px, so that no pixel of one is a pixel of the "
                "other; compare photographs of one size"
            )
        self._fusion = fusion or shipped_fusion()
        self._methods = chosen_methods(self._fusion.methods)
        self._shapes = first, second
        self._first = SideEvidence(turn=0)
        self._second_turns = [SideEvidence(turn=turn) for turn in turns]

    def add(self, image: Image, *, side: int, visibility: Visibility) -> None:
        """Add an image to a side, 0 or 1; to the second in each of its turns.

        Parameters
        ----------
        visibility
            What the image can show of a sensor's pattern.

        Raises
        ------
        ValueError
            If it has another shape than its side, or is too small.
        """
        if image.shape[:2] != self._shapes[side]:
            height, width = self._shapes[side]
            raise ValueError(
                f"expected an image of {width}x{height} px, got {image.shape[1]}x{image.shape[0]}"
            )
        for evidence in self._second_turns if side else [self._first]:
            evidence.add(image, self._methods, visibility)

    def verdict(self) -> Verdict:
        """Return the scores and likelihood ratios of the sides.

        Raises
        ------
        ValueError
            If a side has no image.
        """
        if not self._first.num_images or not self._second_turns[0].num_images:
            raise ValueError("both sides need an image, got a side without one")
        fusion, methods = self._fusion, self._methods
        evidence = {
            second.turn: _compared(self._first, second, methods) for second in self._second_turns
        }
        spreads = {second.turn: self._spread(self._first, second) for second in self._second_turns}
        scores = {
            second.turn: _scores_less_repeats(
                self._first, second, _at(evidence[second.turn], spreads[second.turn]), methods
            )
            for second in self._second_turns
        }
        llrs = {
            turn: float(fusion.llr([turn_scores[name] for name in fusion.methods]))
            for turn, turn_scores in scores.items()
        }
        likeliest = max(llrs, key=lambda turn: llrs[turn])
        planes = self._planes(self._first, self._at(likeliest))
        if llrs[likeliest] > 0:
            scores[likeliest] = _scores_less_second_peaks(planes, scores[likeliest])
            llrs[likeliest] = float(fusion.llr([scores[likeliest][n] for n in fusion.methods]))
        high = fusion.high - math.log(len(llrs))  # the bound of one turn, were all others nothing
        crops = evidence[likeliest]["classical"]
        is_finest = is_finest_alone(*planes, clear=SURE)
        llr = float(logsumexp(list(llrs.values())) - math.log(len(llrs)))
        counted = _at(evidence[likeliest], spreads[likeliest])
        strength = self._strength(self._at(likeliest), counted)
        is_shared = llr > 0 and strength < LEAST_OF_SIDES
        is_patchy = llr > 0 and spreads[likeliest].absent > MOST_ABSENT
        return Verdict(
            llr=0.0 if is_finest or is_shared or is_patchy else min(high, llr),
            low=fusion.low,
            high=high,
            turns=llrs,
            scores=scores[likeliest],
            num_crops=len(crops),
            heat=self._heat(crops),
            share=spreads[likeliest].share,
            is_finest_alone=is_finest,
            strength=strength,
            is_shared=is_shared,
            absent=spreads[likeliest].absent if is_patchy else 0.0,
        )

    def _strength(self, second: SideEvidence, sums: Mapping[str, Sums]) -> float:
        """Return the score by ``classical`` of sums as a share of what one sensor's sides reach.

        What repeats is in both.
        """
        crops, methods = {CLASSICAL: sums[CLASSICAL]}, {CLASSICAL: self._methods[CLASSICAL]}
        sides = map(self._side_strength, (self._first, second))
        expected = expected_of_sides(*sides, num_pixels=len(sums[CLASSICAL]) * CROP**2)
        return _scores(crops, methods)[CLASSICAL] / expected if expected else math.nan

    def _side_strength(self, side: SideEvidence) -> SideStrength:
        """Return how strongly a side shows a pattern, by its halves as by two sides."""
        num_pixels = side.num_strips * side.strip_size**2
        if side.num_images < 2:
            return SideStrength(side.visibility, num_pixels, math.nan)
        first, second = side.halves()
        methods, counted = {CLASSICAL: self._methods[CLASSICAL]}, self._spread(first, second)
        (score,) = _scores(_at(_compared(first, second, methods), counted), methods).values()
        agreement = score / math.sqrt(max(len(counted.numbers), 1) * CROP**2)
        return SideStrength(side.visibility, num_pixels, agreement)

    def _at(self, turn: int) -> SideEvidence:
        """Return the second side in a turn."""
        (second,) = (evidence for evidence in self._second_turns if evidence.turn == turn)
        return second

    def _planes(self, first: SideEvidence, second: SideEvidence) -> Planes:
        """Return what ``classical`` compares of two sides, strips in their places."""
        method, (_, corners) = self._methods[CLASSICAL], compared_strips(*self._shapes[0])
        across = len({left for _, left in corners})
        planes = []
        for side in (first, second):
            strips = side.prepared(CLASSICAL, method)
            size = strips.shape[-1]
            rows = strips.reshape(-1, across, size, size).transpose(0, 2, 1, 3)
            planes.append(np.ascontiguousarray(rows.reshape(-1, across * size), np.float32))
        return planes[0], planes[1]

    def _heat(self, crops: Sums) -> NDArray[np.float64]:
        """Return each crop's score by ``classical``, laid out as in the image."""
        scores = np.nan_to_num(self._methods["classical"].score(crops))
        return _laid_out(scores, self._shapes[0])

    def _spread(self, first: SideEvidence, second: SideEvidence) -> "_Counted":
        """Return which crops count, and how much of the energy is theirs."""
        method = {"classical": self._methods["classical"]}
        (cells,) = _compared(first, second, method, size=CELL).values()
        scores = np.nan_to_num(method["classical"].score(cells))
        counts = first.num_images, second.num_images
        laid_out = _laid_out(scores, self._shapes[0], size=CELL)
        cells_kept = spread(laid_out, most=most_correlation(*counts) * CELL)
        across = CROP // CELL
        rows, columns = (side // across for side in cells_kept.kept.shape)
        parts = cells_kept.kept.reshape(rows, across, columns, across)
        kept = parts.all(axis=(1, 3)) if cells_kept.is_local else np.ones((rows, columns), bool)
        numbers = _laid_out(np.arange(rows * columns, dtype=np.float64), self._shapes[0])
        lacking = absent(laid_out, cells_kept.kept)
        return _Counted(np.sort(numbers[kept]).astype(np.int64), cells_kept.share, lacking)


def _scores_less_repeats(
    first: SideEvidence,
    second: SideEvidence,
    sums: Mapping[str, Sums],
    methods: Mapping[str, Method],
) -> dict[str, float]:
    """Return each method's score, less what it gives crops and strips that lie elsewhere.

    A sensor's pattern agrees at one place alone. Dithers, tiles and block codecs whose period
    divides a crop's or a strip's side agree wherever these lie.
    """
    scores = _scores(sums, methods)
    if scores["classical"] < REPEATED:
        return scores
    moves = [{"roll": CROP}] if second.strip_size > CROP else []
    moves += [{"shift": 1}] if second.num_strips > 1 else []
    for move in moves:
        sums = _compared(first, second, methods, **move)
        elsewhere = _scores(sums, methods)
        if elsewhere["classical"] >= REPEATED:
            left = max(0.0, 1 - elsewhere["classical"] / scores["classical"])
            return {
                name: min(left * score, score - max(elsewhere[name], 0.0))
                for name, score in scores.items()
            }
    return scores


def _scores_less_second_peaks(planes: Planes, scores: Mapping[str, float]) -> dict[str, float]:
    """Return each method's score, less what agrees at other lags as well, at any period."""
    shape, (first, second) = planes[0].shape, map(fft.rfft2, planes)
    lags, *own = (
        np.asarray(fft.irfft2(np.conj(a) * b, shape), np.float32)
        for a, b in ((second, first), (second, second), (first, first))
    )
    best = peak(lags, num_rows=1, num_columns=1)
    if best.pce < CHECKED:
        return dict(scores)
    left = math.sqrt(once(lags, best, *own) / best.pce)
    return {name: min(score, left * score) for name, score in scores.items()}


class _Counted(NamedTuple):
    """Crops that count, by their numbers, and their share of the energy."""

    numbers: NDArray[np.int64]
    share: float
    absent: float
    """Share of the picture that lacks what the rest shows."""


def _at(sums: Mapping[str, Sums], counted: _Counted) -> dict[str, Sums]:
    """Return the sums of the crops that count."""
    return {name: crops[counted.numbers] for name, crops in sums.items()}


def verdict(
    first: Iterable[Image], second: Iterable[Image], *, fusion: Fusion | None = None
) -> Verdict:
    """Return the verdict on two sides' images, of one shape ``(height, width, 3)`` on each side.

    Parameters
    ----------
    fusion
        Fusion of ``classical`` and ``pairnet`` scores; by default the shipped one.

    Raises
    ------
    ValueError
        If a side is empty, its images differ in shape, the sides' shapes do not fit in any turn, or
        they are too small.
    """
    side_images = [*first], [*second]
    sides = Sides(*map(_shape, side_images), fusion=fusion)
    for number, images in enumerate(side_images):
        for image in images:
            graded = quality(image)
            sides.add(image, side=number, visibility=graded.visibility)
    return sides.verdict()


def _shape(side: Sequence[Image]) -> Shape:
    shapes = {image.shape[:2] for image in side}
    if len(shapes) != 1:
        words = ", ".join(f"{width}x{height}" for height, width in sorted(shapes))
        raise ValueError(f"a side needs photographs of one size, got {words or 'none'}")
    height, width = shapes.pop()
    return int(height), int(width)


def _compared(
    first: SideEvidence,
    second: SideEvidence,
    methods: Mapping[str, Method],
    *,
    size: int = CROP,
    roll: int = 0,
    shift: int = 0,
) -> dict[str, Sums]:
    """Return each method's sums of every crop ``(crop, number)``, strip by strip.

    Parameters
    ----------
    size
        Pixels a side of a crop.
    roll
        Pixels by which the second side is moved to the right, round each strip.
    shift
        By how many strips the second side is moved on.
    """
    sums = {}
    for name, method in methods.items():
        first_strips, second_strips = first.prepared(name, method), second.prepared(name, method)
        second_strips = np.roll(second_strips, roll, axis=-1) if roll else second_strips
        places = [*product(range(0, first_strips.shape[-1], size), repeat=2)]
        rows = np.repeat(np.arange(len(first_strips)), len(places))
        sums[name] = method.evidence(
            Tile(
                first=first_strips,
                second=second_strips,
                pairs=np.stack([rows, (rows + shift) % len(first_strips)], axis=1),
                corners=np.array(places * len(first_strips)),
                size=size,
            )
        )
    return sums


def _scores(sums: Mapping[str, Sums], methods: Mapping[str, Method]) -> dict[str, float]:
    """Return each method's score of all crops; 0 where nothing varies."""
    totals = {name: crops.sum(axis=0) for name, crops in sums.items()}
    return {
        name: float(np.nan_to_num(methods[name].score(total))) for name, total in totals.items()
    }


def _laid_out(
    values: NDArray[np.float64], shape: Shape, *, size: int = CROP
) -> NDArray[np.float64]:
    """Return the crops' values, laid out as in the image ``(row, column)``."""
    strip, corners = compared_strips(*shape)
    across, columns = strip // size, len({left for _, left in corners})
    blocks = values.reshape(len(corners) // columns, columns, across, across)
    return blocks.transpose(0, 2, 1, 3).reshape(-1, columns * across)
