"""Enrolment: which of a device's images make its reference pattern, and which are queries."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from camid.config import Enrolment
from camid.dataset.records import ImageRecord
from camid.dataset.splits.grouping import (
    LeftOut,
    check_provenances,
    device_models,
    left_out,
    majority,
    shared_scenes,
)

Images = tuple[ImageRecord, ...]


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Images by their part, devices in order; no image has two parts, and no scene."""

    enrolled: dict[str, Images]
    queries: dict[str, Images]
    left_out: tuple[LeftOut, ...]

    @property
    def devices(self) -> tuple[str, ...]:
        """Devices with a reference pattern."""
        return tuple(self.enrolled)

    def models(self) -> dict[str, str]:
        """Return each device's make and model, as most of its images state it; may be empty."""
        parts = (self.enrolled[d] + self.queries[d] for d in self.devices)
        return device_models(record for part in parts for record in part)


def enrolled(images: Sequence[ImageRecord], *, settings: Enrolment, seed: int) -> Gallery:
    """Return which images enrol each device, and the others as queries.

    A device keeps the pixel size and angle that most of the images have which may enrol it. It
    enrols ``num_background`` background images in a seeded choice, or all of them where there are
    fewer but at least ``min_background`` and something is left to ask; else a seeded half of all
    its images, where images of one scene stay together. A scene that several devices took enrols
    all of them or none.

    Left out are copies of an image (equal sha256), devices with a single image, images whose
    provenance gives them no role, queries of a scene that enrols some device, and devices of which
    that leaves no image to enrol or to ask.

    Raises
    ------
    ValueError
        If fewer than two devices are left, or no image has one of the provenances.
    """
    for setting in ("provenance", "query_provenance"):
        wanted = getattr(settings, setting)
        check_provenances(wanted, images, setting=f"enrolment.{setting}")
    roles = _Roles(settings)
    kept, outside = comparable(images, settings)
    chosen = _chosen(kept, roles, settings=settings, seed=seed)
    scenes = {record.scene for part in chosen.values() for record in part if record.scene}
    queries: dict[str, Images] = {}
    for device, alike in kept.items():
        ids = {record.image_id for record in chosen[device]}
        rest = [record for record in alike if record.image_id not in ids]
        queries[device] = _queries(rest, roles, scenes, outside)
        if not (chosen[device] and queries[device]):
            lacking = "asks" if chosen[device] else "enrols"
            unused = chosen.pop(device) + queries.pop(device)
            outside += [left_out(r, f"the device has no image left that {lacking}") for r in unused]
    if len(chosen) < 2:
        reasons = Counter(image.reason for image in outside).most_common(3)
        raise ValueError(
            f"at least 2 devices with 2 images each are needed, got {len(chosen)} of "
            f"{len({r.device for r in images})} devices with {len(images)} images"
            + "".join(f"; {count} left out: {reason}" for reason, count in reasons)
        )
    return Gallery(enrolled=chosen, queries=queries, left_out=tuple(outside))


@dataclass(frozen=True)
class _Roles:
    """Roles of an image by its provenance."""

    settings: Enrolment

    def enrols(self, record: ImageRecord) -> bool:
        wanted = self.settings.provenance
        return not wanted or record.provenance in wanted

    def asks(self, record: ImageRecord) -> bool:
        wanted = self.settings.query_provenance
        return not wanted or record.provenance in wanted


def comparable(
    images: Sequence[ImageRecord], settings: Enrolment
) -> tuple[dict[str, list[ImageRecord]], list[LeftOut]]:
    """Return the images of each device that can be compared, by id, and which are left out.

    Of copies the first stays, and of a device those of the size and angle of most.
    """
    roles, outside = _Roles(settings), list[LeftOut]()
    by_device: dict[str, list[ImageRecord]] = defaultdict(list)
    first_of: dict[str, ImageRecord] = {}
    for record in sorted(images, key=lambda record: record.image_id):
        first = first_of.setdefault(record.sha256 or record.image_id, record)
        if first is record:
            by_device[record.device].append(record)
        else:
            outside.append(left_out(record, f"the same file as {first.image_id}"))
    kept: dict[str, list[ImageRecord]] = {}
    for device in sorted(by_device):
        alike = _alike(by_device[device], roles, outside)
        if len(alike) > 1:
            kept[device] = alike
        else:
            outside += [left_out(r, "the device's only image of its size") for r in alike]
    return kept, outside


def _alike(images: list[ImageRecord], roles: _Roles, outside: list[LeftOut]) -> list[ImageRecord]:
    """Return the images of a device that have a role and the size and angle of most."""
    active = []
    for record in images:
        if roles.enrols(record) or roles.asks(record):
            active.append(record)
        else:
            reason = f"provenance {record.provenance!r} neither enrols nor asks"
            outside.append(left_out(record, reason))
    if not active:
        return []
    # A pattern is made of one size: the images that may enrol decide it, not their copies.
    most = majority(map(_shape, [r for r in active if roles.enrols(r)] or active))
    for record in active:
        if _shape(record) != most:
            outside.append(left_out(record, _unlike(_shape(record), most)))
    return [record for record in active if _shape(record) == most]


def _shape(record: ImageRecord) -> tuple[int, int, int]:
    return record.width, record.height, record.angle


def _unlike(shape: tuple[int, int, int], most: tuple[int, int, int]) -> str:
    """Return the reason for leaving out an image of another size or angle than most."""
    mine, theirs = f"{shape[0]}x{shape[1]} px", f"{most[0]}x{most[1]}"
    if shape[2] != most[2]:
        mine += f" turned by {shape[2]} degrees"
        theirs += f" px turned by {most[2]} degrees"
    return f"{mine}, most of the device's are {theirs}"


def _chosen(
    kept: Mapping[str, list[ImageRecord]], roles: _Roles, *, settings: Enrolment, seed: int
) -> dict[str, Images]:
    """Return the images that enrol each device."""
    every = [record for images in kept.values() for record in images]
    shared: dict[str, list[ImageRecord]] = {scene: [] for scene in shared_scenes(every)}
    for record in every:
        if record.scene in shared:
            shared[record.scene].append(record)
    enrolling = _half(shared, roles, rng=seeded_rng(seed, "scenes that devices share"))
    chosen = {}
    for device, images in kept.items():
        rng = seeded_rng(seed, device)
        ids = _background(images, roles, settings=settings, rng=rng)
        if not ids:
            groups = defaultdict(list)
            for record in images:
                if record.scene not in shared:
                    groups[group_of(record)].append(record)
            half = _half(groups, roles, rng=rng) | {f"scene {scene}" for scene in enrolling}
            ids = {r.image_id for r in images if roles.enrols(r) and group_of(r) in half}
        chosen[device] = tuple(record for record in images if record.image_id in ids)
    return chosen


def _background(
    images: list[ImageRecord], roles: _Roles, *, settings: Enrolment, rng: np.random.Generator
) -> set[str]:
    """Return the ids of the background images that enrol a device; none where they are too few."""
    background = [r.image_id for r in images if r.kind == "background" and roles.enrols(r)]
    enrolling = set(background)
    asking = any(roles.asks(r) and r.image_id not in enrolling for r in images)
    if len(background) < settings.min_background or not asking:
        return set()
    count = min(settings.num_background, len(background))
    return {background[i] for i in rng.permutation(len(background))[:count]}


def group_of(record: ImageRecord) -> str:
    """Return the name of what stays together: a scene, or an image of no known scene."""
    return f"scene {record.scene}" if record.scene else f"image {record.image_id}"


def _half(
    groups: Mapping[str, list[ImageRecord]], roles: _Roles, *, rng: np.random.Generator
) -> set[str]:
    """Return a seeded half of the groups that may enrol or ask, and those that can only enrol."""
    enrols = [name for name, images in groups.items() if any(map(roles.enrols, images))]
    either = [name for name in enrols if any(map(roles.asks, groups[name]))]
    half = {either[i] for i in rng.permutation(len(either))[: len(either) // 2]}
    return half | (set(enrols) - set(either))


def _queries(
    images: list[ImageRecord], roles: _Roles, scenes: AbstractSet[str], outside: list[LeftOut]
) -> Images:
    """Return those of a device's other images that may ask and whose scene enrols no device."""
    asking = []
    for record in images:
        if not roles.asks(record):
            reason = f"provenance {record.provenance!r} does not ask, and the image does not enrol"
        elif record.scene in scenes:
            reason = f"its scene {record.scene!r} enrols"
        else:
            asking.append(record)
            continue
        outside.append(left_out(record, reason))
    return tuple(asking)


def seeded_rng(seed: int, what: str) -> np.random.Generator:
    """Return the generator of what one choice draws."""
    key = hashlib.sha256(what.encode()).digest()[:8]
    return np.random.default_rng([seed, int.from_bytes(key)])
