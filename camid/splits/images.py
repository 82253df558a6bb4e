"""What splits and enrolment ask of images: models, shared scenes, provenances, who is left out."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from camid.records import ImageRecord

T = TypeVar("T", str, tuple[int, int, int])


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """An image that takes no part, and why."""

    image_id: str
    device: str
    reason: str


def left_out(record: ImageRecord, reason: str) -> LeftOut:
    """Return an image as one that takes no part."""
    return LeftOut(image_id=record.image_id, device=record.device, reason=reason)


def majority(values: Iterable[T]) -> T:
    """Return the commonest value, the greatest of several that are as common."""
    counts = Counter(values)
    return max(counts, key=lambda value: (counts[value], value))


def device_models(images: Iterable[ImageRecord]) -> dict[str, str]:
    """Return each device's make and model, as most of its images state it; may be empty."""
    stated: dict[str, list[str]] = defaultdict(list)
    for record in images:
        names = stated[record.device]
        if record.make or record.model:
            names.append(f"{record.make} {record.model}".strip())
    return {device: majority(names or [""]) for device, names in stated.items()}


def shared_scenes(images: Iterable[ImageRecord]) -> list[str]:
    """Return the scenes that several devices took, in order."""
    devices: dict[str, set[str]] = defaultdict(set)
    for record in images:
        if record.scene:
            devices[record.scene].add(record.device)
    return sorted(scene for scene, found in devices.items() if len(found) > 1)


def check_provenances(
    wanted: Iterable[str], images: Sequence[ImageRecord], *, setting: str
) -> None:
    """Refuse a provenance that no image has.

    Raises
    ------
    ValueError
        Naming the setting, and the provenances that the images have.
    """
    known = sorted({record.provenance for record in images if record.provenance})
    for provenance in wanted:
        if provenance not in known:
            raise ValueError(
                f"{setting}: no image has the provenance {provenance!r}; "
                f"the data have {', '.join(known) or 'none'}"
            )
