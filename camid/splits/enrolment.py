"""Enrolment: which of a device's images make its reference pattern, and which are queries."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from camid.config import Enrolment
from camid.records import ImageRecord

T = TypeVar("T", str, tuple[int, int])


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """An image that takes no part, and why."""

    image_id: str
    device: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Images by their part, devices in order; no image has two parts."""

    enrolled: dict[str, tuple[ImageRecord, ...]]
    queries: dict[str, tuple[ImageRecord, ...]]
    left_out: tuple[LeftOut, ...]

    @property
    def devices(self) -> tuple[str, ...]:
        """Devices with a reference pattern."""
        return tuple(self.enrolled)

    def models(self) -> dict[str, str]:
        """Return each device's make and model, as most of its images state it; may be empty."""
        return {
            device: _majority(_names((*images, *self.queries[device])))
            for device, images in self.enrolled.items()
        }


def enrolled(images: Sequence[ImageRecord], *, settings: Enrolment, seed: int) -> Gallery:
    """Return which images enrol each device, and the others as queries.

    A device keeps the pixel size that most of its images have. It enrols ``num_background``
    background images in a seeded choice, or all of them where there are fewer but at least
    ``min_background`` and something is left to ask; else a seeded half of all its images.
    Copies of an image (equal sha256) and devices with a single image are left out.

    Raises
    ------
    ValueError
        If fewer than two devices are left.
    """
    left_out: list[LeftOut] = []
    by_device: dict[str, list[ImageRecord]] = defaultdict(list)
    first_of: dict[str, ImageRecord] = {}
    for record in sorted(images, key=lambda record: record.image_id):
        first = first_of.setdefault(record.sha256 or record.image_id, record)
        if first is record:
            by_device[record.device].append(record)
        else:
            left_out.append(_left_out(record, f"the same file as {first.image_id}"))
    chosen: dict[str, tuple[ImageRecord, ...]] = {}
    queries: dict[str, tuple[ImageRecord, ...]] = {}
    for device in sorted(by_device):
        size = _majority((r.width, r.height) for r in by_device[device])
        kept = [r for r in by_device[device] if (r.width, r.height) == size]
        left_out += [
            _left_out(r, f"{r.width}x{r.height} px, most of the device's are {size[0]}x{size[1]}")
            for r in by_device[device]
            if (r.width, r.height) != size
        ]
        if len(kept) < 2:
            left_out += [_left_out(r, "the device's only image of its size") for r in kept]
            continue
        enrol = _chosen(kept, settings=settings, seed=seed)
        chosen[device] = tuple(r for r in kept if r.image_id in enrol)
        queries[device] = tuple(r for r in kept if r.image_id not in enrol)
    if len(chosen) < 2:
        raise ValueError(
            f"at least 2 devices with 2 images each are needed, got {len(chosen)} of "
            f"{len(by_device)} devices with {len(images)} images"
        )
    return Gallery(enrolled=chosen, queries=queries, left_out=tuple(left_out))


def _chosen(images: list[ImageRecord], *, settings: Enrolment, seed: int) -> set[str]:
    """Return the ids of the images that enrol a device."""
    key = hashlib.sha256(images[0].device.encode()).digest()[:8]
    rng = np.random.default_rng([seed, int.from_bytes(key)])
    background = [record.image_id for record in images if record.kind == "background"]
    if settings.min_background <= len(background) < len(images):
        count = min(settings.num_background, len(background))
        return {background[i] for i in rng.permutation(len(background))[:count]}
    half = rng.permutation(len(images))[: len(images) // 2]
    return {images[i].image_id for i in half}


def _left_out(record: ImageRecord, reason: str) -> LeftOut:
    return LeftOut(image_id=record.image_id, device=record.device, reason=reason)


def _names(images: Iterable[ImageRecord]) -> list[str]:
    """Return the makes and models that images state, one empty name if none does."""
    return [f"{r.make} {r.model}".strip() for r in images if r.make or r.model] or [""]


def _majority(values: Iterable[T]) -> T:
    """Return the commonest value, the greatest of several that are as common."""
    counts = Counter(values)
    return max(counts, key=lambda value: (counts[value], value))
