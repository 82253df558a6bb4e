"""Kinship: whether two devices are of one model or make, as most of their images state it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from camid.records import ImageRecord
from camid.splits.images import device_models, majority


@dataclass(frozen=True, kw_only=True, eq=False)
class Kinship:
    """What is known of some devices; a name is empty where it is not."""

    models: Mapping[str, str]
    """Make and model of each device."""
    makes: Mapping[str, str]
    """In lower case."""

    def siblings(self, device: str, others: Iterable[str]) -> list[str]:
        """Return those of some devices that are known to be of a device's model."""
        return [other for other in others if self.level(device, other) == "same-model"]

    def level(self, one: str, other: str) -> str:
        """Return what two devices share, one of :data:`camid.comparisons.LEVELS`."""
        if one == other:
            return "same-device"
        if self.models[one] and self.models[one] == self.models[other]:
            return "same-model"
        if not (self.makes[one] and self.makes[other]):
            return "unknown"
        return "same-make" if self.makes[one] == self.makes[other] else "other-make"


def kinship(images: Iterable[ImageRecord]) -> Kinship:
    """Return what is known of the devices of some images."""
    records = list(images)
    stated: dict[str, list[str]] = defaultdict(list)
    for record in records:
        if make := record.make.strip():
            stated[record.device].append(make.lower())
    models = device_models(records)
    return Kinship(models=models, makes={d: majority(stated[d] or [""]) for d in models})
