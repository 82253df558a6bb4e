"""Enrolment: photographs that a device took become its entries in the database, or improve them."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from camid.casework.counts import counted, tally
from camid.casework.database import Fingerprints
from camid.casework.database_entry import Entry
from camid.casework.decisions import RESERVED, is_reserved
from camid.casework.fingerprint_sums import EnrolledImage, Sample, Sums
from camid.casework.outliers import Middles, suspected
from camid.casework.photographs import Opened, Refused, named, opened, photographs

KEPT_EVERY = 16
"""Images after which an entry is written: a process that dies loses no more."""


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """Outcome of an enrolment: entries, and accepted, skipped and rejected photographs."""

    device: str
    entries: tuple[Entry, ...]
    """Entries that the photographs belong to."""
    accepted: tuple[str, ...]
    """Paths of photographs that were added."""
    skipped: tuple[tuple[str, str], ...]
    """Paths and reasons of photographs that are enrolled already."""
    rejected: tuple[tuple[str, str], ...]
    """Paths and reasons of photographs that were refused."""
    shared: Mapping[str, int]
    """Number of photographs that are also enrolled as another device's, by device."""

    def facts(self) -> dict[str, Any]:
        """Return the outcome, for JSON."""
        return {
            "device": self.device,
            "accepted": list(self.accepted),
            "skipped": [{"path": path, "reason": reason} for path, reason in self.skipped],
            "rejected": [{"path": path, "reason": reason} for path, reason in self.rejected],
            "shared": dict(self.shared),
            "entries": [
                {
                    "entry": entry.name,
                    "images": entry.num_images,
                    "split_half": None if math.isnan(entry.split_half) else entry.split_half,
                    "warnings": list(entry.warnings),
                }
                for entry in self.entries
            ],
        }

    def lines(self) -> list[str]:
        """Return the outcome as sentences: files that were left out, entries, and counts."""
        lines = [f"{path}: {reason}" for path, reason in (*self.rejected, *self.skipped)]
        for entry in self.entries:
            agreement = (
                "" if math.isnan(entry.split_half) else f", halves agree {entry.split_half:.4f}"
            )
            lines.append(f"{entry.name}: {counted(entry.num_images, 'image')}{agreement}")
            lines += [f"  {words}" for words in entry.warnings]
        lines += [
            f"{count} of its photographs enrolled {device} too: one of the two did not take "
            f"{'it' if count == 1 else 'them'}"
            for device, count in self.shared.items()
        ]
        counts = {name: len(getattr(self, name)) for name in ("accepted", "skipped", "rejected")}
        lines.append(f"{self.device}: {tally(counts, 'no photographs')}")
        return lines


def enrol(
    fingerprints: Fingerprints,
    device: str,
    paths: Sequence[str],
    *,
    tell: Callable[[str], None] = lambda _: None,
) -> Enrolled:
    """Add photographs to a device's entries, one per lens and pixel size, and return the outcome.

    Files that are enrolled already, by their digests, are skipped. A photograph whose EXIF names
    another model than the others' is enrolled with a warning; so is a photograph that does not
    carry the pattern of the others, in entries of eight images or more. One image and one entry's
    sums are in memory at a time. A call that is stopped keeps all but the last few images.

    Parameters
    ----------
    paths
        Files, folders of them, or patterns of names.
    tell
        Called with a sentence before each photograph is read.

    Raises
    ------
    ValueError
        If the device has no name, nothing is at a path, an entry's file is damaged, or the
        device is being enrolled by another process.
    """
    _check_name(device)
    groups, rejected = _grouped(named(paths))
    skipped: list[tuple[str, str]] = []
    total, number = sum(map(len, groups.values())), 0
    accepted: list[str] = []
    entries: list[Entry] = []
    with fingerprints.alone(device):
        for (lens, *size), files in sorted(groups.items()):
            with _Growing(fingerprints, device, lens, *size) as growing:
                for file in files:
                    number += 1
                    tell(f"{device}: {number} of {total}: {file.path}")
                    if growing.has(file.sha256):
                        skipped.append((file.path, "enrolled already"))
                        continue
                    try:
                        growing.add(*_read(file))
                    except ValueError as error:
                        rejected.append((file.path, str(error)))
                    else:
                        accepted.append(file.path)
            if growing.entry:
                entries.append(growing.entry)
    return Enrolled(
        device=device,
        entries=tuple(entries),
        accepted=tuple(accepted),
        skipped=tuple(skipped),
        rejected=tuple(rejected),
        shared=_shared(fingerprints, device, entries),
    )


def _check_name(device: str) -> None:
    if not device.strip() or not device.isprintable():
        raise ValueError(f"a device needs a name of printable characters, got {device!r}")
    if is_reserved(device):
        raise ValueError(
            f"a device needs a name that is no decision of an answer, got {device!r}; "
            f"{', '.join(sorted(RESERVED))} are such"
        )


def _shared(fingerprints: Fingerprints, device: str, entries: Sequence[Entry]) -> dict[str, int]:
    """Return the number of the entries' photographs that are other devices' too, by device."""
    sha256s = {sha256 for entry in entries for sha256 in entry.sha256s}
    counts: Counter[str] = Counter()
    for other in fingerprints.entries():
        if other.device != device:
            counts[other.device] += len(sha256s & set(other.sha256s))
    return dict(sorted((+counts).items()))


def withdraw(
    fingerprints: Fingerprints,
    device: str,
    paths: Sequence[str],
    *,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[list[str], list[tuple[str, str]]]:
    """Remove photographs from a device's entries, as if they had never been enrolled.

    Their samples are computed anew and subtracted; an entry without images is deleted.

    Parameters
    ----------
    paths, tell
        As for :func:`enrol`.

    Returns
    -------
    Files that were removed, and files that were not, with reasons.

    Raises
    ------
    ValueError
        If nothing is at a path, an entry's file is damaged, or the device is being enrolled.
    """
    groups, rejected = _grouped(named(paths))
    withdrawn: list[str] = []
    total, number = sum(map(len, groups.values())), 0
    with fingerprints.alone(device):
        for (lens, width, height), files in sorted(groups.items()):
            entry = fingerprints.entry(device, lens=lens, width=width, height=height)
            sums = fingerprints.sums(entry) if entry else Sums.empty(height, width)
            for file in files:
                number += 1
                tell(f"{device}: {number} of {total}: {file.path}")
                if all(image.sha256 != file.sha256 for image in sums.images):
                    rejected.append((file.path, f"has not enrolled {device}"))
                    continue
                sums = sums.minus(*_read(file))
                withdrawn.append(file.path)
            if entry and len(sums.images) < entry.num_images:
                if sums.images:
                    fingerprints.write(device, sums, lens=lens)
                else:
                    fingerprints.folder.delete(entry.file)
    return withdrawn, rejected


class _Growing:
    """An entry that images are added to; a context manager.

    It is written after every :data:`KEPT_EVERY` images, and at the end, also after an error.
    """

    def __init__(
        self, fingerprints: Fingerprints, device: str, lens: str, width: int, height: int
    ) -> None:
        self.entry = fingerprints.entry(device, lens=lens, width=width, height=height)
        """The entry as written, or None."""
        self._sums = fingerprints.sums(self.entry) if self.entry else Sums.empty(height, width)
        self._fingerprints, self._device, self._lens = fingerprints, device, lens
        self._middles = Middles((height, width))
        self._num_written = 0

    def __enter__(self) -> "_Growing":
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        with self._middles:
            if error is None and self._middles.names:
                self._write(since=0)
            elif self._middles.names[self._num_written :]:
                self._write(since=self._num_written)

    def has(self, sha256: str) -> bool:
        """Return whether an image is in the entry already."""
        return any(image.sha256 == sha256 for image in self._sums.images)

    def add(self, image: EnrolledImage, sample: Sample) -> None:
        """Add an image."""
        self._sums = self._sums.plus(image, sample)
        self._middles.keep(image.sha256, sample)
        if len(self._middles.names) - self._num_written == KEPT_EVERY:
            self._write(since=self._num_written)

    def _write(self, *, since: int) -> None:
        """Write the entry; its images from number ``since`` on are compared with all others."""
        self._sums = suspected(self._sums, self._middles, since=since)
        self.entry = self._fingerprints.write(self._device, self._sums, lens=self._lens)
        self._num_written = len(self._middles.names)


def _grouped(
    paths: Sequence[str],
) -> tuple[dict[tuple[str, int, int], list[Opened]], list[tuple[str, str]]]:
    """Return files by lens, width and height, and files whose headers cannot be read."""
    groups: dict[tuple[str, int, int], list[Opened]] = {}
    rejected = []
    for path in paths:
        try:
            file = opened(path)
            groups.setdefault((file.head.lens, file.head.width, file.head.height), []).append(file)
        except ValueError as error:
            rejected.append((path, str(error)))
    return groups, rejected


def _read(file: Opened) -> tuple[EnrolledImage, Sample]:
    """Return an image and its sample, or raise ``ValueError`` with the reason for refusing it."""
    (photograph,) = photographs([file.path])
    if isinstance(photograph, Refused):
        raise ValueError(photograph.reason)
    if (
        photograph.rgb.shape[:2] != (file.head.height, file.head.width)
        or photograph.sha256 != file.sha256
    ):
        raise ValueError("changed while it was read, or its header is wrong")
    image = EnrolledImage(
        sha256=file.sha256,
        name=PurePath(file.path).name,
        make=file.head.make,
        model=file.head.model,
        warnings=photograph.quality.warnings,
    )
    return image, Sample.of(photograph.rgb)
