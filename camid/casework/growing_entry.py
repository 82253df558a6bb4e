"""An entry that grows by photographs: read, told from copies, grouped by their pattern, written."""

from collections.abc import Sequence, Set
from dataclasses import replace
from pathlib import PurePath

from camid.casework.camera_groups import Group, Placed, Shown, copies, differs, grouped, known
from camid.casework.database import Fingerprints
from camid.casework.database_entry import MIXED
from camid.casework.fingerprint_sums import EnrolledImage, Half, Sample, Sums
from camid.casework.kept_samples import KeptSamples, middle, whole
from camid.casework.outliers import strangers
from camid.casework.photographs import Opened, Refused, photographs
from camid.io.counts import counted
from camid.io.scene_hash import Contents, turned_hashes

KEPT_EVERY = 16
"""Images after which an entry is written: a process that dies loses no more."""
MOST_GROUPS = 16
"""Groups of other patterns that are kept in memory."""
STRANGER = (
    "does not show the sensor pattern of the others: of another camera or lens, zoomed or edited"
)
"""Why a photograph is left out."""


class GrowingEntry:
    """An entry that images are added to; a context manager.

    Images wait on disk until there are :data:`KEPT_EVERY`, or the call ends, also by an error. Then
    they are grouped with those of before, and the entry is written.
    """

    def __init__(
        self,
        fingerprints: Fingerprints,
        device: str,
        lens: str,
        width: int,
        height: int,
    ) -> None:
        self.entry = fingerprints.entry(device, lens=lens, width=width, height=height)
        """The entry as written, or None."""
        self.accepted: list[str] = []
        self.skipped: list[tuple[str, str]] = []
        self.rejected: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self.hashes: dict[str, tuple[str, ...]] = {}
        """Hashes of what images show, turned and mirrored, by digest."""
        self.lenses: dict[str, list[Opened]] = {}
        """Files of another lens, by its focal length."""
        self._sums = fingerprints.sums(self.entry) if self.entry else Sums.empty(height, width)
        self._fingerprints, self._device, self._lens = fingerprints, device, lens
        self._shape = height, width
        self._files: dict[str, Opened] = {}
        self._images: dict[str, EnrolledImage] = {}
        self._waiting: set[str] = set()
        self._left: list[str] = []
        self._samples = KeptSamples(whole((height, width)))
        self._middles = KeptSamples(middle((height, width)))
        self._groups = self._known_groups()

    def _known_groups(self) -> list[Group]:
        if not self._sums.images:
            return []
        window = self._middles.window
        first, second = (Half(*(plane[window] for plane in half)) for half in self._sums.halves)
        return [known((first, second), len(self._sums.images))]

    def __enter__(self) -> "GrowingEntry":
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        with self._samples, self._middles:
            self._settle()
            if error is None:
                self._finish()

    def take(self, file: Opened, contents: Contents) -> None:
        """Take a file in, or note why it is skipped: what it shows is among ``contents``, say.

        Raises
        ------
        ValueError
            With the reason, if it is refused.
        """
        if file.sha256 in self._files or any(
            image.sha256 == file.sha256 for image in self._sums.images
        ):
            self.skipped.append((file.path, "enrolled already"))
            return
        image, sample, hashes = read_image(file)
        if original := contents.remember(hashes, file.path):
            name = PurePath(original).name
            self.skipped.append((file.path, f"a copy of {name}, by what it shows"))
            return
        self.hashes[file.sha256] = hashes
        self._files[file.sha256], self._images[file.sha256] = file, image
        self._waiting.add(file.sha256)
        self._samples.keep(file.sha256, sample)
        if len(self._waiting) == KEPT_EVERY:
            self._settle()

    def _settle(self) -> None:
        """Group the images that wait, add those of the entry's own pattern, and write it."""
        if not self._waiting:
            return
        window = self._middles.window
        shown = [Shown(name, sample.cut(window)) for name, sample in self._samples.samples()]
        originals = dict(copies(shown))
        for name, original in originals.items():
            words = f"a copy of {self._images[original].name}, by its noise"
            self.skipped.append((self._files[name].path, words))
        shown = [image for image in shown if image.name not in originals]
        before = self._groups
        self._groups = grouped(shown, before)
        if not self._sums.images:
            self._groups.sort(key=lambda group: -group.size)
        main, *others = self._groups
        apart = [group for group in others if group in before or differs(group, main, shown)]
        joining = [main, *(group for group in others if group not in apart)]
        lying = {placed.name: placed for group in joining for placed in group.images}
        for name, sample in self._samples.samples():
            if name in lying:
                self._add(lying[name], sample)
        apart.sort(key=lambda group: -group.size)
        self._groups = [main, *apart[:MOST_GROUPS]]  # more images may come to these
        self._left += [placed.name for group in apart[MOST_GROUPS:] for placed in group.images]
        self._waiting.clear()
        self._samples.clear()
        self._write()

    def _finish(self) -> None:
        """Decide whose the entry is: of a new one, the pattern's that most images show."""
        if not self._groups:
            return
        self._leave_strangers_out()
        main, *others = self._groups
        largest = max(others, key=lambda group: group.size, default=main)
        if not main.num_known and largest.size > max(main.size, len(self._sums.images)):
            self._left += [image.sha256 for image in self._sums.images]
            others = [group for group in others if group is not largest]
            self._sums = Sums.empty(*self._shape)
            self.accepted.clear()
            for placed in largest.images:
                self._add(placed, read_image(self._files[placed.name])[1])
            self._write()
        self._left += [placed.name for group in others for placed in group.images]
        if self._left:
            self._set_apart([self._images[name] for name in self._left])
            self._write()

    def _add(self, lying: Placed, sample: Sample) -> None:
        image = replace(self._images[lying.name], turn=lying.turn, is_mirrored=lying.is_mirrored)
        self._sums = self._sums.plus(image, sample)
        self._middles.keep(
            lying.name, sample.placed(turn=lying.turn, is_mirrored=lying.is_mirrored)
        )
        self.accepted.append(self._files[lying.name].path)

    def _leave_strangers_out(self) -> None:
        """Take out the images that, now that all are there, do not carry the others' pattern."""
        for name in strangers(self._sums, self._middles):
            file = self._files[name]
            self._sums = self._sums.minus(*read_image(file)[:2])
            self.accepted.remove(file.path)
            self._left.append(name)

    def _set_apart(self, images: Sequence[EnrolledImage]) -> None:
        """Leave images of other patterns out, or put them aside for an entry of their lens."""
        own = {image.focal_length for image in self._sums.images}
        lens = [image for image in images if self._is_of_another_lens(image, own)]
        for image in lens:
            name = f"{image.focal_length:g} mm"
            self.lenses.setdefault(name, []).append(self._files[image.sha256])
        for name, files in sorted(self.lenses.items()):
            self.notes.append(
                f"another lens, by focal length and pattern: {counted(len(files), 'photograph')} "
                f"of {name}, enrolled apart"
            )
        strange = [image for image in images if image not in lens]
        if strange:
            self._sums = self._sums.without(image.name for image in strange)
            self.rejected += [(self._files[image.sha256].path, STRANGER) for image in strange]
            num_own = len(self._sums.images)
            doubt = ", though no more than those; see which are the device's"
            self.notes.append(
                f"{MIXED}: {counted(num_own, 'photograph')} with one sensor's pattern enrolled, "
                f"{len(strange)} with another or none of it left out"
                f"{doubt if len(strange) >= num_own else ''}"
            )

    def _is_of_another_lens(self, image: EnrolledImage, own: Set[float]) -> bool:
        """Return whether an image of another pattern has a focal length that no other has."""
        is_stated = image.focal_length > 0 and 0.0 not in own
        is_of_camera = image.camera in {member.camera for member in self._sums.images}
        return not self._lens and is_of_camera and is_stated and image.focal_length not in own

    def _write(self) -> None:
        if self._sums.images:
            self.entry = self._fingerprints.write(self._device, self._sums, lens=self._lens)


def read_image(file: Opened) -> tuple[EnrolledImage, Sample, tuple[str, ...]]:
    """Return an image, its sample, and the hashes of what it shows, turned and mirrored.

    Raises ``ValueError`` with the reason for refusing it.
    """
    (photograph,) = photographs([file.path])
    if isinstance(photograph, Refused):
        raise ValueError(photograph.reason)
    if (
        photograph.rgb.shape[:2] != (file.head.height, file.head.width)
        or photograph.sha256 != file.sha256
    ):
        raise ValueError("changed while it was read, or its header is wrong")
    hashes = turned_hashes(photograph.rgb)
    image = EnrolledImage(
        sha256=file.sha256,
        name=PurePath(file.path).name,
        make=file.head.make,
        model=file.head.model,
        warnings=photograph.warnings,
        content=next(iter(hashes), ""),
        focal_length=file.head.focal_length,
        detail=photograph.quality.visibility.detail,
    )
    return image, Sample.of(photograph.rgb), hashes
