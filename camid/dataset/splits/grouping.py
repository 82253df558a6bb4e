"""Grouping of images for splits and enrolment: models, shared scenes, provenances, left out."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from camid.dataset.manifest import ImageTable
from camid.dataset.records import ImageRecord

T = TypeVar("T", str, tuple[int, int, int])


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """An image that takes no part, and why."""

    image_id: str
    device: str
    reason: str


def left_out(record: ImageRecord, reason: str) -> LeftOut:
    """Return an image's id and device with the reason why the image takes no part."""
    return LeftOut(image_id=record.image_id, device=record.device, reason=reason)


def majority(values: Iterable[T]) -> T:
    """Return the commonest value, the greatest in a tie."""
    return commonest(Counter(values))


def commonest(counts: Mapping[T, int]) -> T:
    """Return the value of the largest count, the greatest in a tie."""
    return max(counts, key=lambda value: (counts[value], value))


def device_models(images: Iterable[ImageRecord]) -> dict[str, str]:
    """Return each device's make and model, as most of its images state it; may be empty."""
    stated: dict[str, Counter[str]] = defaultdict(Counter)
    counts = ImageTable.of(images).counted("device", "make", "model")
    for (device, make, model), count in counts.items():
        names = stated[device]
        if make or model:
            names[f"{make} {model}".strip()] += count
    return {device: commonest(names or {"": 1}) for device, names in stated.items()}


def shared_scenes(images: Iterable[ImageRecord]) -> list[str]:
    """Return the scenes that several devices took, in order."""
    pairs = ImageTable.of(images).counted("scene", "device")
    devices = Counter(scene for scene, _ in pairs if scene)
    return sorted(scene for scene, count in devices.items() if count > 1)


def check_provenances(
    wanted: Iterable[str], images: Iterable[ImageRecord], *, setting: str
) -> None:
    """Raise unless images have every provenance of ``wanted``.

    Raises
    ------
    ValueError
        Naming the setting, and the provenances that the images have.
    """
    known = [name for (name,) in sorted(ImageTable.of(images).counted("provenance")) if name]
    for provenance in wanted:
        if provenance not in known:
            raise ValueError(
                f"{setting}: no image has the provenance {provenance!r}; "
                f"the data have {', '.join(known) or 'none'}"
            )
