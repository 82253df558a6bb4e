"""Known devices: the devices that a classifier tells apart, and the parts of their images.

Images are dealt, not devices: no image, copy of an image or scene is in two parts.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from camid.config import Classifier, Enrolment
from camid.dataset.records import ImageRecord
from camid.dataset.splits.gallery import Gallery, Images, comparable, group_of, seeded_rng
from camid.dataset.splits.grouping import LeftOut, left_out, shared_scenes
from camid.dataset.splits.seeded import PARTS, sizes_of
from camid.dataset.splits.split import Part, Split

FEWEST = 2
"""Least number of devices that a classifier tells apart."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """Images of each part by device, in order; a device's index is its label."""

    train: Mapping[str, Images]
    validation: Mapping[str, Images]
    test: Mapping[str, Images]
    unknown: Images
    """Images of other devices."""
    left_out: tuple[LeftOut, ...]

    @property
    def devices(self) -> tuple[str, ...]:
        """The known devices."""
        return tuple(self.train)

    def images(self, part: Part) -> list[ImageRecord]:
        """Return the images of a part, device by device."""
        parts: dict[Part, Mapping[str, Images]] = {
            "train": self.train,
            "validation": self.validation,
            "test": self.test,
        }
        return [record for images in parts[part].values() for record in images]

    def others(self, images: Iterable[ImageRecord]) -> list[ImageRecord]:
        """Return the images of other devices that share nothing with the training images.

        No image is a copy of a known device's image or of another, or shows a training scene.
        """
        scenes = {record.scene for record in self.images("train")} - {""}
        seen = {
            _identity(record)
            for part in ("train", "validation", "test")
            for record in self.images(part)
        }
        records = []
        for record in sorted(images, key=lambda record: record.image_id):
            if record.device in self.train or _identity(record) in seen or record.scene in scenes:
                continue
            seen.add(_identity(record))
            records.append(record)
        return records

    def gallery(self) -> Gallery:
        """Return the test images as queries of the devices, enrolled with the training images."""
        return Gallery(enrolled=dict(self.train), queries=dict(self.test), left_out=self.left_out)


def known_devices(
    images: Sequence[ImageRecord], split: Split, *, settings: Classifier, seed: int
) -> Known:
    """Return the devices of a split that a classifier tells apart, with their images.

    They are ``settings.devices``, or a seeded choice of the devices that the split trains or
    validates on; of all where it is ``all``, which tests them. A device keeps the pixel size and
    angle of most of its images. Background and foreground images are dealt apart, in the same
    shares, so that each part has both; images of one scene go together, and a scene that several
    devices took goes to one part.

    Raises
    ------
    ValueError
        If fewer than two devices have images for all parts, a named device has not, or the shares
        or the split leave nothing to train on.
    """
    if settings.test + settings.validation >= 1:
        raise ValueError(
            f"classifier.test and classifier.validation are {settings.test:g} and "
            f"{settings.validation:g}, expected less than 1 together"
        )
    parts: tuple[Part, ...] = ("test",) if split.name == "all" else ("train", "validation")
    pool = [record for part in parts for record in split.images(part, images)]
    if not pool:
        raise ValueError(
            f"the split {split.name!r} leaves no device for train; name another with --split, "
            "such as all"
        )
    kept, excluded = comparable(pool, Enrolment())
    dealt = _dealt(kept, settings=settings, seed=seed)
    complete = [device for device in kept if all(dealt[part][device] for part in PARTS)]
    for device in set(kept) - set(complete):
        reason = "the device has too few images to train, to validate and to be tested"
        excluded += [left_out(record, reason) for record in kept[device]]
    devices = _chosen(complete, settings=settings, seed=seed)
    chosen = {part: {device: dealt[part][device] for device in devices} for part in PARTS}
    known = Known(
        train=chosen["train"],
        validation=chosen["validation"],
        test=chosen["test"],
        unknown=(),
        left_out=tuple(sorted(excluded, key=lambda image: image.image_id)),
    )
    candidates = [r for r in images if not split.provenance or r.provenance in split.provenance]
    others = known.others(candidates)
    return replace(known, unknown=_sampled(others, settings.unknown_images, seed=seed))


def _dealt(
    kept: Mapping[str, Sequence[ImageRecord]], *, settings: Classifier, seed: int
) -> dict[str, dict[str, Images]]:
    """Return the images of each part of :data:`PARTS` and device."""
    shared = shared_scenes(record for images in kept.values() for record in images)
    shared_parts = _group_parts(
        [f"scene {scene}" for scene in shared], "scenes of classes", settings, seed
    )
    parts: dict[str, dict[str, Images]] = {part: {} for part in PARTS}
    for device, images in kept.items():
        by_kind: dict[str, list[str]] = defaultdict(list)
        for record in images:
            if (group := group_of(record)) not in shared_parts and group not in by_kind[
                record.kind
            ]:
                by_kind[record.kind].append(group)
        part_of = dict(shared_parts)
        for kind, groups in sorted(by_kind.items()):
            part_of |= _group_parts(groups, f"classes {device} {kind}", settings, seed)
        for part in PARTS:
            parts[part][device] = tuple(r for r in images if part_of[group_of(r)] == part)
    return parts


def _group_parts(
    groups: Sequence[str], stream: str, settings: Classifier, seed: int
) -> dict[str, str]:
    """Return each group's part by the shares; of three groups or more each part gets one."""
    shares = [settings.test, settings.validation, 1 - settings.test - settings.validation]
    sizes = sizes_of(len(groups), shares)
    if len(groups) >= len(PARTS):
        for part, size in enumerate(sizes):
            if not size:
                sizes[part], sizes[int(np.argmax(sizes))] = 1, max(sizes) - 1
    order = seeded_rng(seed, stream).permutation(len(groups))
    dealt = np.repeat(PARTS, sizes).tolist()
    return {groups[i]: part for i, part in zip(order, dealt, strict=True)}


def _chosen(complete: Sequence[str], *, settings: Classifier, seed: int) -> list[str]:
    """Return the devices that a classifier tells apart, in order."""
    if missing := sorted(set(settings.devices) - set(complete)):
        raise ValueError(
            f"classifier.devices: {missing[0]!r} has no images for training, validation and test, "
            f"or the split tests it; there are {', '.join(complete) or 'none'}"
        )
    count = settings.num_devices or len(complete)
    order = seeded_rng(seed, "classes").permutation(len(complete))[:count]
    devices = sorted(set(settings.devices) or {complete[i] for i in order})
    if len(devices) < FEWEST:
        raise ValueError(
            f"at least {FEWEST} devices with images for training, validation and test are needed, "
            f"got {len(devices)}"
        )
    return devices


def _sampled(images: Iterable[ImageRecord], count: int, *, seed: int) -> Images:
    """Return ``count`` images of every device, or all if a device has fewer."""
    by_device: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in images:
        by_device[record.device].append(record)
    sample: list[ImageRecord] = []
    for device, records in sorted(by_device.items()):
        order = seeded_rng(seed, f"unknown {device}").permutation(len(records))
        sample += [records[i] for i in sorted(order[:count].tolist())]
    return tuple(sample)


def _identity(record: ImageRecord) -> str:
    return record.sha256 or record.image_id
