"""Known devices: those that a classifier tells apart, and which of their images do what.

Images are dealt, not devices: no image, no copy of one and no scene is in two parts.
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
"""Devices that are told apart."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """Images by their part, devices in order; a device's place in it is its label."""

    train: Mapping[str, Images]
    validation: Mapping[str, Images]
    test: Mapping[str, Images]
    unknown: Images
    """Some images of other devices."""
    left_out: tuple[LeftOut, ...]

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that are told apart."""
        return tuple(self.train)

    def images(self, part: Part) -> list[ImageRecord]:
        """Return the images of a part, device by device."""
        of: dict[Part, Mapping[str, Images]] = {
            "train": self.train,
            "validation": self.validation,
            "test": self.test,
        }
        return [record for images in of[part].values() for record in images]

    def others(self, images: Iterable[ImageRecord]) -> list[ImageRecord]:
        """Return those images that are of other devices, and of nothing that was learned from.

        None is a copy of a known device's image or of another, or of a scene that trains.
        """
        scenes = {record.scene for record in self.images("train")} - {""}
        seen = {
            _name(record)
            for part in ("train", "validation", "test")
            for record in self.images(part)
        }
        found = []
        for record in sorted(images, key=lambda record: record.image_id):
            if record.device in self.train or _name(record) in seen or record.scene in scenes:
                continue
            seen.add(_name(record))
            found.append(record)
        return found

    def gallery(self) -> Gallery:
        """Return the test's images as queries of the devices, enrolled with what trains."""
        return Gallery(enrolled=dict(self.train), queries=dict(self.test), left_out=self.left_out)


def known_devices(
    images: Sequence[ImageRecord], split: Split, *, settings: Classifier, seed: int
) -> Known:
    """Return the devices of a split that are told apart, with their images.

    They are ``settings.devices``, or a seeded choice of the devices that the split trains or
    validates on; of all where it is ``all``, which tests them. A device keeps the pixel size and
    angle of most of its images. Background and foreground images are dealt apart, in the same
    shares, so that each part has both; images of one scene go together, and a scene that several
    devices took goes to one part.

    Raises
    ------
    ValueError
        If fewer than two devices have images for all parts, a named one has not, or the shares or
        the split leave nothing to train on.
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
    kept, outside = comparable(pool, Enrolment())
    dealt = _dealt(kept, settings=settings, seed=seed)
    whole = [device for device in kept if all(dealt[part][device] for part in PARTS)]
    for device in set(kept) - set(whole):
        reason = "the device has too few images to train, to validate and to be tested"
        outside += [left_out(record, reason) for record in kept[device]]
    devices = _chosen(whole, settings=settings, seed=seed)
    chosen = {part: {device: dealt[part][device] for device in devices} for part in PARTS}
    known = Known(
        train=chosen["train"],
        validation=chosen["validation"],
        test=chosen["test"],
        unknown=(),
        left_out=tuple(sorted(outside, key=lambda one: one.image_id)),
    )
    wanted = [r for r in images if not split.provenance or r.provenance in split.provenance]
    others = known.others(wanted)
    return replace(known, unknown=_some(others, settings.unknown_images, seed=seed))


def _dealt(
    kept: Mapping[str, Sequence[ImageRecord]], *, settings: Classifier, seed: int
) -> dict[str, dict[str, Images]]:
    """Return the images of each part of :data:`PARTS` and device."""
    shared = shared_scenes(record for images in kept.values() for record in images)
    places = _places([f"scene {scene}" for scene in shared], "scenes of classes", settings, seed)
    parts: dict[str, dict[str, Images]] = {part: {} for part in PARTS}
    for device, images in kept.items():
        own: dict[str, list[str]] = defaultdict(list)
        for record in images:
            if (group := group_of(record)) not in places and group not in own[record.kind]:
                own[record.kind].append(group)
        mine = dict(places)
        for kind, groups in sorted(own.items()):
            mine |= _places(groups, f"classes {device} {kind}", settings, seed)
        for part in PARTS:
            parts[part][device] = tuple(r for r in images if mine[group_of(r)] == part)
    return parts


def _places(groups: Sequence[str], what: str, settings: Classifier, seed: int) -> dict[str, str]:
    """Return the part of each group, in the shares; of three or more, one each at least."""
    shares = [settings.test, settings.validation, 1 - settings.test - settings.validation]
    sizes = sizes_of(len(groups), shares)
    if len(groups) >= len(PARTS):
        for part, size in enumerate(sizes):
            if not size:
                sizes[part], sizes[int(np.argmax(sizes))] = 1, max(sizes) - 1
    order = seeded_rng(seed, what).permutation(len(groups))
    dealt = np.repeat(PARTS, sizes).tolist()
    return {groups[i]: part for i, part in zip(order, dealt, strict=True)}


def _chosen(whole: Sequence[str], *, settings: Classifier, seed: int) -> list[str]:
    """Return the devices that are told apart, in order."""
    if lacking := sorted(set(settings.devices) - set(whole)):
        raise ValueError(
            f"classifier.devices: {lacking[0]!r} has no images for training, validation and test, "
            f"or the split tests it; there are {', '.join(whole) or 'none'}"
        )
    count = settings.num_devices or len(whole)
    order = seeded_rng(seed, "classes").permutation(len(whole))[:count]
    devices = sorted(set(settings.devices) or {whole[i] for i in order})
    if len(devices) < FEWEST:
        raise ValueError(
            f"at least {FEWEST} devices with images for training, validation and test are needed, "
            f"got {len(devices)}"
        )
    return devices


def _some(images: Iterable[ImageRecord], count: int, *, seed: int) -> Images:
    """Return so many images of every device, or all it has."""
    by_device: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in images:
        by_device[record.device].append(record)
    found: list[ImageRecord] = []
    for device, mine in sorted(by_device.items()):
        order = seeded_rng(seed, f"unknown {device}").permutation(len(mine))
        found += [mine[i] for i in sorted(order[:count].tolist())]
    return tuple(found)


def _name(record: ImageRecord) -> str:
    return record.sha256 or record.image_id
