"""Composites: pictures whose parts fit different devices, or where one part lacks the pattern.

The device that fits best is looked for in all parts of the picture. A part without its pattern is
asked of all entries again, in place and then anywhere; then the rest is looked at again.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, NamedTuple

import numpy as np
from numpy.typing import NDArray

from camid.casework.alignment import Match, Plane
from camid.casework.binarized import E, Gallery
from camid.casework.decisions import NO_DEVICE
from camid.casework.quality import Visibility, quality
from camid.casework.query import Candidate, Ranking
from camid.casework.regions import (
    Box,
    Cells,
    Evidence,
    Scores,
    Window,
    absent,
    amplitude,
    evidence,
    outlined,
)
from camid.casework.search import BUDGET, identify
from camid.casework.transforms import LEAST_SIDE, Shape
from camid.casework.verbal_scale import DECIDED
from camid.io.folder import Folder

SUSPECTED = 3.0
"""Log-likelihood ratio of a window alone, nats, from which its part is asked of all entries."""
MOST_PARTS = 4
"""Parts that are looked for beside the best device's own."""
SMALL = 0.1
"""Share of the picture up to which a part without a pattern is taken for an overlay."""
FORBIDDEN = -1e6
"""Gain of a cell that another part has taken: no outline has it."""


@dataclass(frozen=True, kw_only=True)
class Region:
    """A part of a picture, and the device whose pattern it carries."""

    device: str
    """Its device, or :data:`camid.casework.decisions.NO_DEVICE`."""
    box: Box
    share: float
    """Of the picture's area."""
    llr: float
    """Log-likelihood ratio, nats: that the device took it against another; of a part without a
    device, that another than the best one took it. All windows and hypotheses are counted."""
    is_moved: bool = False
    """Whether it lies elsewhere on the device's sensor than a whole photograph would."""
    is_rest: bool = False
    """Whether it is what the other regions leave, and no rectangle: its box is the picture."""

    @property
    def is_overlay(self) -> bool:
        """Whether it is small and has no device: a mark, a date or a frame may be so."""
        return self.device == NO_DEVICE and self.share < SMALL


class Part(NamedTuple):
    """A window without the best device's pattern, and whose pattern it carries."""

    device: str
    window: Window
    llr: float
    is_moved: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Composite:
    """The regions of a picture, and the map that they are from."""

    regions: tuple[Region, ...]
    """The best device's first; none for a whole picture."""
    gain: Scores
    """Log-likelihood ratio of each cell, ``(row, column)``: the best device against another."""
    cell: tuple[float, float]
    """Height and width of a cell, pixels of the picture."""

    @property
    def is_composite(self) -> bool:
        """Whether a part is of another device, or large and without the best device's pattern."""
        return any(not region.is_overlay for region in self.regions[1:])


@dataclass(frozen=True, kw_only=True, eq=False)
class Finder(Generic[E]):
    """What the parts of one picture are compared with, and how.

    Parameters
    ----------
    plane
        Plane of :func:`camid.casework.alignment.query_plane`, ``(height, width)``.
    rgb
        The picture, ``(height, width, 3)``.
    gallery
        The entries and their patterns.
    llr
        Function from a match to its log-likelihood ratio, nats.
    check
        Function from a ranking, the plane that was asked and what it can show, to the ranking that
        counts (:func:`camid.casework.entry_checks.checked_ranking`).
    folder, budget, scales, most
        As of :func:`camid.casework.search.identify`.
    """

    plane: Plane
    rgb: NDArray[np.uint8]
    gallery: Gallery[E]
    llr: Callable[[Match], float]
    check: Callable[[Ranking, Plane, Visibility], Ranking] = lambda ranking, *_: ranking
    folder: Folder | None = None
    budget: int = BUDGET
    scales: Sequence[float] | None = None
    most: float = math.inf

    def composite(self, ranking: Ranking) -> Composite | None:
        """Return the regions of the picture, or None if no device is supported for all of it.

        None too if the gallery can no longer read a pattern.
        """
        first = next(iter(self._supported(ranking.candidates)), None)
        if first is None:
            return None
        try:
            return self._composite(first)
        except ConnectionError:
            raise
        except (ValueError, OSError):
            return None

    def _composite(self, first: Candidate) -> Composite:
        left = whole = self._evidence(first)
        claimed = np.zeros(whole.shape, bool)
        parts: list[Part] = []
        while len(parts) < MOST_PARTS and (part := self._part(first, left, claimed)) is not None:
            parts.append(part)
            left = left.without(part.window)
            claimed[part.window.cells] = True
        gain = whole.gain(left.strength())
        regions = _regions(first.device, self.llr(first), parts, whole, self._shape)
        return Composite(regions=regions if parts else (), gain=gain, cell=whole.cell)

    @cached_property
    def _shown(self) -> Plane:
        return amplitude(self.rgb)

    @property
    def _shape(self) -> Shape:
        return self.plane.shape[0], self.plane.shape[1]

    def _part(self, first: Candidate, left: Evidence, claimed: Cells) -> Part | None:
        """Return the part that most lacks the pattern of the first device, if one does.

        No cell that is claimed is in it.
        """
        absence = absent(left)
        if absence is None or absence.llr < SUSPECTED:
            return None
        own = left.gain(left.without(absence.window).strength())
        window = outlined(np.where(claimed, FORBIDDEN, -own), absence.window)
        if claimed[window.cells].any():
            return None
        candidates = self._in_place(box := left.box(window, self._shape))
        other = _ahead(candidates, first.device)
        support = self.llr(other) if other else 0.0
        if (candidates and other is None) or absence.counted_llr + support < DECIDED:
            return None
        if other:
            theirs = self._evidence(other)
            gain = theirs.gain(theirs.strength(window)) - own
            outline = outlined(np.where(claimed, FORBIDDEN, gain), window)
            return Part(other.device, outline, support)
        moved = next(iter(self._anywhere(box)), None)
        if moved:
            return Part(moved.device, window, self.llr(moved), is_moved=True)
        return Part(NO_DEVICE, window, absence.counted_llr)

    def _evidence(self, candidate: Candidate) -> Evidence:
        """Return the map of a candidate's match."""
        entry = next(one for one in self.gallery.entries() if one.name == candidate.entry)
        pattern = self.gallery.pattern(entry)
        return evidence(self.plane, self._shown, pattern, candidate, most=self.most)

    def _in_place(self, box: Box) -> Sequence[Candidate]:
        """Return the supported candidates of a part where it lies, with all other pixels 0."""
        plane = np.zeros_like(self.plane)
        plane[_pixels(box)] = self.plane[_pixels(box)]
        return self._supported(self._identified(plane, box, budget=0).candidates)

    def _anywhere(self, box: Box) -> Sequence[Candidate]:
        """Return the supported candidates of a part at all places, within the budget."""
        if not self.budget or min(box[2:]) < LEAST_SIDE:
            return ()
        part = np.ascontiguousarray(self.plane[_pixels(box)])
        return self._supported(self._identified(part, box, budget=self.budget).candidates)

    def _identified(self, plane: Plane, box: Box, *, budget: int) -> Ranking:
        """Return the ranking of a plane that shows a box of the picture."""
        ranking = identify(
            plane,
            self.gallery,
            folder=self.folder,
            budget=budget,
            scales=self.scales,
            num_candidates=None,
            most=self.most,
        )
        part = quality(self.rgb[_pixels(box)])
        return self.check(ranking, plane, part.visibility)

    def _supported(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        return [candidate for candidate in candidates if self.llr(candidate) >= DECIDED]


def _ahead(candidates: Sequence[Candidate], device: str) -> Candidate | None:
    """Return the best candidate if it is not of a device, and clearly better than that device."""
    if not candidates or candidates[0].device == device:
        return None
    own = max((one.energy for one in candidates if one.device == device), default=-math.inf)
    return candidates[0] if candidates[0].energy > own + 2 * DECIDED else None


def _regions(
    device: str, llr: float, parts: Sequence[Part], whole: Evidence, shape: Shape
) -> tuple[Region, ...]:
    """Return the regions of parts, after what they leave to the device that fits best."""
    is_left = np.ones(whole.shape, bool)
    for part in parts:
        is_left[part.window.cells] = False
    rows, columns = (np.flatnonzero(is_left.any(axis=axis)) for axis in (1, 0))
    bounding = (
        Window(
            int(rows[0]),
            int(columns[0]),
            int(rows[-1] - rows[0] + 1),
            int(columns[-1] - columns[0] + 1),
        )
        if is_left.any()
        else Window(0, 0, *whole.shape)
    )
    is_rest = not is_left[bounding.cells].all()
    window = Window(0, 0, *whole.shape) if is_rest else bounding
    rest = Region(
        device=device,
        box=whole.box(window, shape),
        share=float(is_left.mean()),
        llr=llr,
        is_rest=is_rest,
    )
    others = [
        Region(
            device=part.device,
            box=(box := whole.box(part.window, shape)),
            share=box[2] * box[3] / math.prod(shape),
            llr=part.llr,
            is_moved=part.is_moved,
        )
        for part in parts
    ]
    return (rest, *others)


def _pixels(box: Box) -> tuple[slice, slice]:
    left, top, width, height = box
    return slice(top, top + height), slice(left, left + width)
