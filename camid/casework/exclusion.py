"""Exclusion: what must hold before two sides are said to be of two cameras.

That nothing was found says little where nothing would have been: photographs may have been edited
beyond what is searched, and weak ones show no pattern. So edits are looked for, and each side's
photographs must agree among themselves by so much that one camera's sides would have agreed too.
"""

from camid.casework.alignment import Match, Plane, laid, less_patchy, plane_absent
from camid.casework.camera_groups import Group, Shown, expected_score, single
from camid.casework.fingerprint_sums import Half, Sample
from camid.casework.kept_samples import middle
from camid.casework.quality import NOTHING, Visibility
from camid.casework.strength import LEAST_OF_SIDES, SideStrength, expected_of_sides, weighed
from camid.casework.transforms import Hypothesis, Shape, edits, hypotheses, scales_for
from camid.casework.verify_sides import Image

FOUND = 12.0
"""Score that one camera's sides are expected to have, standard normal among strangers, from which
on two cameras are stated."""


class SidePatterns:
    """Sums of two sides' images of any sizes, one size a side; no image is kept."""

    def __init__(self) -> None:
        self._halves: dict[int, Half] = {}
        self._groups: dict[int, Group] = {}
        self._last: dict[str, Sample] = {}
        self._visibility: dict[int, Visibility] = {}

    def add(self, image: Image, *, side: int, visibility: Visibility) -> None:
        """Add an image to a side, 0 or 1, and what it can show of a sensor's pattern."""
        known = self._visibility.get(side, NOTHING)
        self._visibility[side] = Visibility.together([known, visibility])
        sample = Sample.of(image)
        half = sample.half()
        self._halves[side] = self._halves[side].plus(half) if side in self._halves else half
        shown = Shown(str(side), sample.cut(middle((image.shape[0], image.shape[1]))))
        group = single(shown)
        if side in self._groups:
            group = self._groups[side].joined(group, 0, False)
        self._groups[side] = group
        self._last[str(side)] = shown.sample

    def pattern(self, side: int) -> Plane:
        """Return the pattern of a side, as a fingerprint is made."""
        return self._halves[side].whitened()

    def middle(self, side: int) -> Plane:
        """Return the pattern of a side's middle."""
        return self._groups[side].total.whitened()

    def strength(self, side: int) -> SideStrength:
        """Return how strongly a side shows its sensor's pattern."""
        return SideStrength(
            self._visibility[side], self._groups[side].pattern.size, self._groups[side].agreement
        )

    def less_shared(self, match: Match) -> Match:
        """Return the match of one side in the other, which counts nothing if it is too weak.

        It is then weak as what devices of one model share (:mod:`camid.casework.strength`).
        """
        sides = [self.strength(side) for side in (0, 1)]
        number = min(side.num_pixels for side in sides)
        expected = expected_of_sides(*sides, num_pixels=number, scale=match.scale)
        return weighed(match, expected, least=LEAST_OF_SIDES)

    def checked(self, match: Match, planes: tuple[Plane, Plane]) -> Match:
        """Return the match of a plane in another, less what no sensor's pattern is."""
        return less_patchy(self.less_shared(match), plane_absent(*laid(*planes, match)))

    def expected_score(self) -> float:
        """Return the score of the sides if one camera took both, lying alike; 0 if not known.

        By what each side's photographs share; of single ones, by what they could show.
        """
        return expected_score(self._groups[0], self._groups[1], (0, False), self._last)


def searched_edits(query: Shape, entry: Shape) -> list[Hypothesis]:
    """Return how a second side is looked for in a first: mirrored, turned a little, zoomed."""
    scales = scales_for(query, entry)
    return [*hypotheses(query, entry, scales=scales), *edits(query, entry, scales=scales)]
