"""Kinship: whether two devices share a model or make, as most of their images state."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from camid.dataset.manifest import ImageTable
from camid.dataset.records import ImageRecord
from camid.dataset.splits.grouping import commonest, device_models


@dataclass(frozen=True, kw_only=True, eq=False)
class Kinship:
    """Makes and models of devices; empty where they are not known."""

    models: Mapping[str, str]
    """Make and model of each device."""
    makes: Mapping[str, str]
    """In lower case."""

    def level(self, one: str, other: str) -> str:
        """Return two devices' kinship, one of :data:`camid.comparison.comparison_list.LEVELS`."""
        if one == other:
            return "same-device"
        if self.models[one] and self.models[one] == self.models[other]:
            return "same-model"
        if not (self.makes[one] and self.makes[other]):
            return "unknown"
        return "same-make" if self.makes[one] == self.makes[other] else "other-make"


def kinship(images: Iterable[ImageRecord]) -> Kinship:
    """Return the makes and models of the images' devices."""
    table = ImageTable.of(images)
    make_counts: dict[str, Counter[str]] = defaultdict(Counter)
    for (device, make), count in table.counted("device", "make").items():
        if name := make.strip():
            make_counts[device][name.lower()] += count
    models = device_models(table)
    return Kinship(models=models, makes={d: commonest(make_counts[d] or {"": 1}) for d in models})


def siblings(models: Mapping[str, str], devices: Iterable[str]) -> dict[str, list[str]]:
    """Return the devices of each known model, in the order given."""
    by_model: dict[str, list[str]] = defaultdict(list)
    for device in devices:
        if models[device]:
            by_model[models[device]].append(device)
    return by_model
