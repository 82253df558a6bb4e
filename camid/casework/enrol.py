"""Enrolment: photographs that a device took become its entries in the database, or improve them."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any

from camid.casework.database import Fingerprints
from camid.casework.database_entry import Entry
from camid.casework.decisions import RESERVED, is_reserved
from camid.casework.entry_facts import name_problem
from camid.casework.fingerprint_sums import Sums
from camid.casework.growing_entry import GrowingEntry, read_image
from camid.casework.photographs import Opened, named, opened
from camid.casework.received import UNTIED, is_tied, largest
from camid.dataset.records import alike_names
from camid.io.counts import counted
from camid.io.scene_hash import Contents


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
    notes: tuple[str, ...] = ()
    """Sentences on what the photographs turned out to be: of several cameras or lenses, turned."""

    def facts(self) -> dict[str, Any]:
        """Return the outcome, for JSON."""
        return {
            "device": self.device,
            "accepted": list(self.accepted),
            "skipped": [{"path": path, "reason": reason} for path, reason in self.skipped],
            "rejected": [{"path": path, "reason": reason} for path, reason in self.rejected],
            "shared": dict(self.shared),
            "notes": list(self.notes),
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
        lines += self.notes
        lines += [
            f"{count} of its photographs enrolled {device} too: one of the two did not take "
            f"{'it' if count == 1 else 'them'}"
            for device, count in self.shared.items()
        ]
        counts = [len(paths) for paths in (self.accepted, self.skipped, self.rejected)]
        lines.append("{}: {} accepted, {} skipped, {} rejected".format(self.device, *counts))
        return lines


def enrol(
    fingerprints: Fingerprints,
    device: str,
    paths: Sequence[str],
    *,
    tell: Callable[[str], None] = lambda _: None,
) -> Enrolled:
    """Add photographs to a device's entries, one per lens and pixel size, and return the outcome.

    Files that are enrolled already, by their digests, are skipped; so are copies of a photograph,
    by what they show and by their residuals. A photograph whose EXIF names another model than the
    others' is enrolled with a warning. Photographs are grouped by the pattern that they show: those
    that lie turned by 180° or mirrored are turned back, those of another lens make an entry of
    their own, and those of another camera are left out (:mod:`camid.casework.camera_groups`); so
    are a few of another size that nothing ties to the device (:mod:`camid.casework.received`). A
    few images wait on disk, and one entry's sums are in memory. A call that is stopped keeps all
    but the last few images.

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
    if alike := alike_names([device, *fingerprints.devices()]):
        raise ValueError(
            f"the devices {alike[1]!r}, which is enrolled, and {alike[0]!r} differ by case, spaces "
            "or the form of accents alone; give this one the other's name, or another"
        )
    groups, refused = _grouped(named(paths))
    outcome = _Outcome(rejected=refused)
    with fingerprints.alone(device):
        _grow(fingerprints, device, groups, outcome, tell)
        received = _deleted_received(fingerprints, device, outcome.entries, tell)
    entries = [entry for entry in outcome.entries if entry not in received]
    for entry in received:
        outcome.rejected += [(path, UNTIED) for path in outcome.added[entry.file]]
        outcome.notes.append(f"{entry.name}: {counted(entry.num_images, 'photograph')} {UNTIED}")
    accepted = [path for entry in entries for path in outcome.added[entry.file]]
    order = {file.path: place for place, file in enumerate(chain(*groups.values()))}
    return Enrolled(
        device=device,
        entries=tuple(sorted(entries, key=lambda entry: entry.name)),
        accepted=tuple(sorted(accepted, key=lambda path: order[path])),
        skipped=tuple(outcome.skipped),
        rejected=tuple(sorted(outcome.rejected, key=lambda row: order.get(row[0], -1))),
        shared=_shared(fingerprints, device, entries, outcome.hashes),
        notes=tuple(outcome.notes),
    )


@dataclass(kw_only=True)
class _Outcome:
    """What has become of photographs so far: lists of paths with reasons, and entries."""

    rejected: list[tuple[str, str]]
    skipped: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    added: dict[str, list[str]] = field(default_factory=dict)
    """Paths of photographs that were added, by their entry's file."""
    hashes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Hashes of what photographs show, turned and mirrored, by digest."""

    def by(self, growing: GrowingEntry) -> None:
        """Note what became of an entry's photographs."""
        self.hashes |= growing.hashes
        self.skipped += growing.skipped
        self.rejected += growing.rejected
        self.notes += growing.notes
        if growing.entry:
            self.entries.append(growing.entry)
            self.added[growing.entry.file] = growing.accepted


def _grow(
    fingerprints: Fingerprints,
    device: str,
    groups: Mapping[tuple[str, int, int], Sequence[Opened]],
    outcome: _Outcome,
    tell: Callable[[str], None],
) -> None:
    """Add photographs, by lens, width and height, to entries, and note what becomes of them."""
    total, number = sum(map(len, groups.values())), 0
    contents = _contents(fingerprints, device)
    todo = sorted(groups.items())
    while todo:
        (lens, width, height), files = todo.pop(0)
        with GrowingEntry(fingerprints, device, lens, width, height) as growing:
            for file in files:
                number += 1
                tell(f"{device}: {min(number, total)} of {total}: {file.path}")
                try:
                    growing.take(file, contents)
                except ValueError as error:
                    outcome.rejected.append((file.path, str(error)))
        outcome.by(growing)
        for other, apart in sorted(growing.lenses.items()):
            todo.append(((other, width, height), apart))
            contents.forget(file.path for file in apart)


def _deleted_received(
    fingerprints: Fingerprints, device: str, entries: Sequence[Entry], tell: Callable[[str], None]
) -> list[Entry]:
    """Delete those of the entries that nothing ties to the device, and return them."""
    main = largest([entry for entry in fingerprints.entries() if entry.device == device])
    untied = []
    for entry in entries:
        if main and entry.file != main.file:
            tell(f"{device}: looking for {entry.name} in {main.name}")
            if not is_tied(fingerprints, entry, main):
                fingerprints.folder.delete(entry.file)
                untied.append(entry)
    return untied


def _contents(fingerprints: Fingerprints, device: str) -> Contents:
    """Return what a device's enrolled photographs show, to find copies."""
    return Contents(
        (content, "one that is enrolled")
        for entry in fingerprints.entries()
        if entry.device == device
        for content in entry.contents
    )


def _check_name(device: str) -> None:
    if problem := name_problem(device):
        raise ValueError(problem)
    if is_reserved(device):
        raise ValueError(
            f"a device needs a name that is no decision of an answer, got {device!r}; "
            f"{', '.join(sorted(RESERVED))} are such"
        )


def _shared(
    fingerprints: Fingerprints,
    device: str,
    entries: Sequence[Entry],
    hashes: Mapping[str, Sequence[str]],
) -> dict[str, int]:
    """Return the number of the entries' photographs that are other devices' too, by device.

    Copies count too: ``hashes`` are of what photographs show, turned and mirrored.
    """
    images = {
        sha256: hashes.get(sha256, [content])
        for entry in entries
        for sha256, content in zip_longest(entry.sha256s, entry.contents, fillvalue="")
    }
    counts: Counter[str] = Counter()
    for other in fingerprints.entries():
        if other.device != device:
            known = Contents((content, other.device) for content in other.contents)
            counts[other.device] += sum(
                sha256 in other.sha256s or known.find(shown) is not None
                for sha256, shown in images.items()
            )
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
                image, sample, _ = read_image(file)
                sums = sums.minus(image, sample)
                withdrawn.append(file.path)
            if entry and len(sums.images) < entry.num_images:
                if sums.images:
                    fingerprints.write(device, sums, lens=lens)
                else:
                    fingerprints.folder.delete(entry.file)
    return withdrawn, rejected


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
