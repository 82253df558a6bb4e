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
    """Enrolled images and queries by device, in order; no image or scene is in both."""

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
    """Return the images that enrol each device, and the others as queries.

    A device keeps the pixel size and angle of most of the images that may enrol it. It
    enrols ``num_background`` background images in a seeded choice, or all of them where there are
    fewer but at least ``min_background`` and a query is left; else a seeded half of all
    its images, where images of one scene stay together. A scene that several devices took enrols
    all of them or none.

    Left out are copies of an image (equal sha256), devices with a single image, images whose
    provenance gives them no role, queries of a scene that enrols any device, and devices that are
    left without an image to enrol or a query.

    Raises
    ------
    ValueError
        If fewer than two devices are left, or no image has one of the provenances.
    """
    for setting in ("provenance", "query_provenance"):
        provenances = getattr(settings, setting)
        check_provenances(provenances, images, setting=f"enrolment.{setting}")
    roles = _Roles(settings)
    kept, excluded = comparable(images, settings)
    chosen = _chosen(kept, roles, settings=settings, seed=seed)
    scenes = {record.scene for records in chosen.values() for record in records if record.scene}
    queries: dict[str, Images] = {}
    for device, records in kept.items():
        enrolled_ids = {record.image_id for record in chosen[device]}
        others = [record for record in records if record.image_id not in enrolled_ids]
        queries[device] = _queries(others, roles, scenes, excluded)
        if not (chosen[device] and queries[device]):
            missing_role = "asks" if chosen[device] else "enrols"
            unused = chosen.pop(device) + queries.pop(device)
            excluded += [
                left_out(r, f"the device has no image left that {missing_role}") for r in unused
            ]
    if len(chosen) < 2:
        reasons = Counter(image.reason for image in excluded).most_common(3)
        raise ValueError(
            f"at least 2 devices with 2 images each are needed, got {len(chosen)} of "
            f"{len({r.device for r in images})} devices with {len(images)} images"
            + "".join(f"; {count} left out: {reason}" for reason, count in reasons)
        )
    return Gallery(enrolled=chosen, queries=queries, left_out=tuple(excluded))


@dataclass(frozen=True)
class _Roles:
    """Roles of an image by its provenance."""

    settings: Enrolment

    def enrols(self, record: ImageRecord) -> bool:
        provenances = self.settings.provenance
        return not provenances or record.provenance in provenances

    def asks(self, record: ImageRecord) -> bool:
        provenances = self.settings.query_provenance
        return not provenances or record.provenance in provenances


def comparable(
    images: Sequence[ImageRecord], settings: Enrolment
) -> tuple[dict[str, list[ImageRecord]], list[LeftOut]]:
    """Return each device's comparable images, by id, and the images that are left out.

    The first of copies stays, and a device's images of its commonest size and angle.
    """
    roles, excluded = _Roles(settings), list[LeftOut]()
    by_device: dict[str, list[ImageRecord]] = defaultdict(list)
    first_of: dict[str, ImageRecord] = {}
    for record in sorted(images, key=lambda record: record.image_id):
        first = first_of.setdefault(record.sha256 or record.image_id, record)
        if first is record:
            by_device[record.device].append(record)
        else:
            excluded.append(left_out(record, f"the same file as {first.image_id}"))
    kept: dict[str, list[ImageRecord]] = {}
    for device in sorted(by_device):
        records = _same_shape(by_device[device], roles, excluded)
        if len(records) > 1:
            kept[device] = records
        else:
            excluded += [left_out(r, "the device's only image of its size") for r in records]
    return kept, excluded


def _same_shape(
    images: list[ImageRecord], roles: _Roles, excluded: list[LeftOut]
) -> list[ImageRecord]:
    """Return a device's images that have a role and the commonest size and angle."""
    active = []
    for record in images:
        if roles.enrols(record) or roles.asks(record):
            active.append(record)
        else:
            reason = f"provenance {record.provenance!r} neither enrols nor asks"
            excluded.append(left_out(record, reason))
    if not active:
        return []
    # A pattern is made of one size: the images that may enrol decide it, not their copies.
    common_shape = majority(map(_shape, [r for r in active if roles.enrols(r)] or active))
    for record in active:
        if _shape(record) != common_shape:
            excluded.append(left_out(record, _unlike(_shape(record), common_shape)))
    return [record for record in active if _shape(record) == common_shape]


def _shape(record: ImageRecord) -> tuple[int, int, int]:
    return record.width, record.height, record.angle


def _unlike(shape: tuple[int, int, int], common_shape: tuple[int, int, int]) -> str:
    """Return the reason for leaving out an image of an uncommon size or angle."""
    own, common = f"{shape[0]}x{shape[1]} px", f"{common_shape[0]}x{common_shape[1]}"
    if shape[2] != common_shape[2]:
        own += f" turned by {shape[2]} degrees"
        common += f" px turned by {common_shape[2]} degrees"
    return f"{own}, most of the device's are {common}"


def _chosen(
    kept: Mapping[str, list[ImageRecord]], roles: _Roles, *, settings: Enrolment, seed: int
) -> dict[str, Images]:
    """Return the images that enrol each device."""
    records = [record for images in kept.values() for record in images]
    shared: dict[str, list[ImageRecord]] = {scene: [] for scene in shared_scenes(records)}
    for record in records:
        if record.scene in shared:
            shared[record.scene].append(record)
    enrolled_scenes = _half(shared, roles, rng=seeded_rng(seed, "scenes that devices share"))
    chosen = {}
    for device, images in kept.items():
        rng = seeded_rng(seed, device)
        ids = _background(images, roles, settings=settings, rng=rng)
        if not ids:
            groups = defaultdict(list)
            for record in images:
                if record.scene not in shared:
                    groups[group_of(record)].append(record)
            enrolled_groups = _half(groups, roles, rng=rng) | {
                f"scene {scene}" for scene in enrolled_scenes
            }
            ids = {r.image_id for r in images if roles.enrols(r) and group_of(r) in enrolled_groups}
        chosen[device] = tuple(record for record in images if record.image_id in ids)
    return chosen


def _background(
    images: list[ImageRecord], roles: _Roles, *, settings: Enrolment, rng: np.random.Generator
) -> set[str]:
    """Return the ids of the background images that enrol a device; none where they are too few."""
    background = [r.image_id for r in images if r.kind == "background" and roles.enrols(r)]
    background_ids = set(background)
    has_query = any(roles.asks(r) and r.image_id not in background_ids for r in images)
    if len(background) < settings.min_background or not has_query:
        return set()
    count = min(settings.num_background, len(background))
    return {background[i] for i in rng.permutation(len(background))[:count]}


def group_of(record: ImageRecord) -> str:
    """Return the name of an image's group: its scene, or the image itself if that is unknown."""
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
    images: list[ImageRecord], roles: _Roles, scenes: AbstractSet[str], excluded: list[LeftOut]
) -> Images:
    """Return a device's other images that may be queries and whose scene enrols no device."""
    queries = []
    for record in images:
        if not roles.asks(record):
            reason = f"provenance {record.provenance!r} does not ask, and the image does not enrol"
        elif record.scene in scenes:
            reason = f"its scene {record.scene!r} enrols"
        else:
            queries.append(record)
            continue
        excluded.append(left_out(record, reason))
    return tuple(queries)


def seeded_rng(seed: int, what: str) -> np.random.Generator:
    """Return the random generator of the choice that ``what`` names."""
    key = hashlib.sha256(what.encode()).digest()[:8]
    return np.random.default_rng([seed, int.from_bytes(key)])
