"""A set of photographs of one size, added up as a fingerprint is made.

Photographs are read one at a time; of each the middle is kept on disk until it is known whether
the photograph carries the others' pattern.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from camid.casework.alignment import Plane, query_plane
from camid.casework.fingerprint_sums import Half, Sample
from camid.casework.kept_samples import KeptSamples, middle
from camid.casework.outliers import EXPECTED, correlation, is_strange, unit_noise
from camid.casework.partition import pair_scores, partition
from camid.casework.photographs import Photograph, Refused, photographs
from camid.casework.quality import NOTHING, Visibility
from camid.io.scene_hash import Contents, turned_hashes

CARRIED = 8.0
"""Score from which a photograph carries the others' pattern, whatever is expected of it."""
STRANGER = (
    "does not carry the pattern of the set's others of its size: of another camera, cropped "
    "elsewhere, zoomed or edited?"
)
MOST = 64
"""Photographs whose correlations with each other are held at once."""
CHANGED = "was changed while it was read"


class File(NamedTuple):
    """A photograph's file, by its header."""

    path: str
    sha256: str


class Fit(NamedTuple):
    """How well a photograph carries the pattern of a set's others."""

    name: str
    score: float
    """Standard normal if it does not."""
    expected: float
    """Score if it does, as far as the others show what they share."""

    @property
    def is_told(self) -> bool:
        """Whether the photograph carries the others' pattern, or would be known not to."""
        return self.score > CARRIED or self.expected > EXPECTED

    @property
    def is_strange(self) -> bool:
        """Whether the photograph does not carry the pattern, where it is expected to."""
        return is_strange(self.score, self.expected)


@dataclass(kw_only=True)
class PhotographSet:
    """Photographs of one size that are asked together."""

    plane: Plane | None = None
    """What is compared with fingerprints, ``(height, width)``; None if no photograph is used."""
    facts: list[dict[str, Any]] = field(default_factory=list)
    """Of the photographs that are used, in order."""
    left_out: list[Refused] = field(default_factory=list)
    visibility: Visibility = NOTHING
    """What the used photographs can show of a sensor's pattern together."""
    num_untold: int = 0
    """Used photographs of which it cannot be told whether they are of the others' camera."""

    @property
    def size(self) -> str:
        """Width and height, as ``<width>x<height>``."""
        return str(self.facts[0]["size"])


def added(
    files: Sequence[File],
    shape: tuple[int, int],
    *,
    contents: Contents | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> PhotographSet:
    """Return a set of photographs of one size, added up.

    A photograph alone is compared as any other; the sum of several is cleaned and whitened as a
    fingerprint is. Photographs that do not carry the others' pattern where they are expected to
    are left out.

    Parameters
    ----------
    files
        Different files, whose headers tell one shape.
    shape
        Height and width.
    contents
        What is known already, of which copies do not count; what is added here is added there.
    """
    contents = Contents() if contents is None else contents
    result, sums = PhotographSet(), None
    used: dict[str, dict[str, Any]] = {}
    visibility: dict[str, Visibility] = {}
    paths = {file.sha256: file.path for file in files}
    with KeptSamples(middle(shape)) as middles:
        for number, file in enumerate(files, 1):
            tell(f"{shape[1]}x{shape[0]} px: {number} of {len(files)}: {file.path}")
            photograph = _read(file, shape)
            if isinstance(photograph, Refused):
                result.left_out.append(photograph)
                continue
            hashes = turned_hashes(photograph.rgb)
            if original := contents.remember(hashes, file.path):
                reason = f"shows what {original} shows, as copies do"
                result.left_out.append(Refused(path=file.path, reason=reason))
                continue
            sample = Sample.of(photograph.rgb)
            sums = sums.plus(sample.half()) if sums else sample.half()
            middles.keep(file.sha256, sample)
            used[file.sha256] = photograph.facts()
            visibility[file.sha256] = photograph.visibility
        tell(f"{shape[1]}x{shape[0]} px: comparing the photographs with each other")
        fits, strangers = judged(middles)
    for name in strangers:
        refused = Refused(path=paths[name], reason=STRANGER)
        result.left_out.append(refused)
        del used[name]
        sums = sums and sums.less(_sample(File(refused.path, name)).half())
    result.facts = list(used.values())
    result.visibility = Visibility.together(visibility[name] for name in used)
    if len(used) == 1:
        result.plane = query_plane(_photograph(File(paths[next(iter(used))], next(iter(used)))).rgb)
    elif sums and used:
        result.plane = sums.whitened()
        result.num_untold = sum(not fit.is_told for fit in fits)
    return result


def _read(file: File, shape: tuple[int, int]) -> Photograph | Refused:
    (photograph,) = photographs([file.path])
    if isinstance(photograph, Refused):
        return photograph
    if photograph.sha256 != file.sha256:
        return Refused.unreadable(file.path, ValueError(CHANGED))
    if photograph.rgb.shape[:2] != shape:
        promised = f"{shape[1]}x{shape[0]}"
        reason = f"its header promises {promised} px, and its pixels are {photograph.size}"
        return Refused(path=file.path, reason=reason)
    return photograph


def _photograph(file: File) -> Photograph:
    """Return a photograph that was read before."""
    (photograph,) = photographs([file.path])
    if isinstance(photograph, Refused) or photograph.sha256 != file.sha256:
        raise ValueError(f"{file.path}: {CHANGED}")
    return photograph


def _sample(file: File) -> Sample:
    return Sample.of(_photograph(file).rgb)


def judged(middles: KeptSamples) -> tuple[list[Fit], list[str]]:
    """Return the fit of the photographs that belong together, and the names of the others.

    Those that do not fit are taken out together, and the rest is judged anew, until all fit.
    """
    members = _largest_part(middles)
    strangers = [name for name in middles.names if name not in members]
    while True:
        fits = list(_fits(middles, members))
        strange = [fit.name for fit in fits if fit.is_strange]
        if not strange:
            return fits, strangers
        strangers += strange
        members = [name for name in members if name not in strange]


def _largest_part(middles: KeptSamples) -> list[str]:
    """Return the names of the photographs of one camera, of the first :data:`MOST` and the rest.

    Photographs of two cameras are told by all correlations at once, though none stands out.
    """
    first = middles.names[:MOST]
    if len(first) < 2:
        return list(middles.names)
    units = [unit_noise(sample) for _, sample in _samples(middles, first)]
    parts = partition(pair_scores(units))
    largest = max(parts, key=lambda part: (len(part), -part[0]))
    return [*(first[number] for number in largest), *middles.names[MOST:]]


def _fits(middles: KeptSamples, members: Sequence[str]) -> Iterator[Fit]:
    """Yield how each member fits the others.

    What the others share is told by the mean correlation r of two of m of them: of the variance
    of their sum, m r / (1 + (m − 1) r) is their camera's (Spearman 1910, Brown 1910).
    """
    num_others = len(members) - 1
    if num_others < 1:
        return
    total: Half | None = None
    noise = np.zeros((), np.float64)
    with TemporaryFile() as kept:
        for _, sample in _samples(middles, members):
            total = total.plus(sample.half()) if total else sample.half()
            unit = unit_noise(sample)
            noise = noise + unit
            kept.write(unit.tobytes())
        kept.seek(0)
        assert total
        for name, sample in _samples(middles, members):
            unit = np.frombuffer(kept.read(4 * sample.noise.size), np.float32)
            reliability = _reliability(noise - unit.reshape(noise.shape), num_others)
            score, possible = correlation(sample, total.less(sample.half()))
            yield Fit(name, score, reliability * possible)


def _reliability(total: NDArray[np.floating], number: int) -> float:
    """Return the share of the variance of so many photographs' sum that they have in common."""
    if number < 2:
        return 0.0
    mean = (float(np.vdot(total, total)) - number) / (number * (number - 1))
    return number * mean / (1 + (number - 1) * mean)


def _samples(middles: KeptSamples, members: Sequence[str]) -> Iterator[tuple[str, Sample]]:
    return ((name, sample) for name, sample in middles.samples() if name in members)
