"""Splits of devices and scenes: by seed, by name or from a file."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from camid.config import Splits
from camid.dataset.manifest import ImageTable
from camid.dataset.records import ImageRecord
from camid.dataset.splits.grouping import (
    LeftOut,
    check_provenances,
    device_models,
    left_out,
    shared_scenes,
)
from camid.dataset.splits.seeded import dealt_devices, dealt_scenes
from camid.io.yaml_text import yaml_texts

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True, kw_only=True)
class Split:
    """Devices of each part; the parts share none."""

    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    missing: tuple[str, ...] = ()
    """Devices that the split names and the data lack."""
    scenes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Scenes that are dealt to each part; any other scene may be in any part."""
    provenance: tuple[str, ...] = ()
    """Provenances that take part; empty for all."""
    divided: tuple[str, ...] = ()
    """Models of which some devices are tested and others are not."""

    def images(self, part: Part, records: Iterable[ImageRecord]) -> ImageTable:
        """Return the records of a part.

        Their device is in the part, their scene dealt to no other and their provenance takes part.
        """
        members = self._members(part, records)
        return members.where(~self._is_out(part, members))

    def left_out(self, part: Part, records: Iterable[ImageRecord]) -> list[LeftOut]:
        """Return the images of a part's devices that are not in the part, and why."""
        members = self._members(part, records)
        out = members.where(self._is_out(part, members))
        return [left_out(r, self._reason(part, r.scene, r.provenance)) for r in out]

    def _members(self, part: Part, records: Iterable[ImageRecord]) -> ImageTable:
        """Return the records of a part's devices."""
        devices = set({"train": self.train, "validation": self.validation, "test": self.test}[part])
        table = ImageTable.of(records)
        return table.where(table.has("device", devices.__contains__))

    def _is_out(self, part: Part, members: ImageTable) -> NDArray[np.bool_]:
        """Return for each image whether it is left out of the part."""
        numbers, combinations = members.keys("scene", "provenance")
        is_out = [bool(self._reason(part, *combination)) for combination in combinations]
        return np.array(is_out, np.bool_)[numbers]

    def _reason(self, part: Part, scene: str, provenance: str) -> str:
        """Return why images of a scene and provenance are not in a part, or "" if they are."""
        if self.provenance and provenance not in self.provenance:
            return f"provenance {provenance!r} takes no part (splits.provenance)"
        elsewhere = self._parts_of_scenes.get(scene, part)
        return "" if elsewhere == part else f"its scene {scene!r} is in {elsewhere}, not in {part}"

    @cached_property
    def _parts_of_scenes(self) -> dict[str, str]:
        return {scene: part for part, scenes in self.scenes.items() for scene in scenes}


def named_split(name: str, records: Iterable[ImageRecord], *, settings: Splits, seed: int) -> Split:
    """Return the split ``name`` of images; every device it does not name trains.

    ``all`` has every device in every role of a test: nothing trains. ``seeded`` deals devices in
    the shares of ``settings``, the same for images in any order. Otherwise ``name`` is a split
    that ships with camid (``report2021``) or the path of a YAML file with the lists ``validation``
    and ``test`` and, if scenes are to be as listed, ``scenes`` with the same two lists.

    Where several parts have devices and ``scene_disjoint`` is set, the scenes that two devices or
    more took are dealt to the parts as well, by the seed unless they are listed.

    Raises
    ------
    ValueError
        If the split does not exist, a device or scene is in two parts, the data have no test
        device, no image has one of the provenances, or the shares exceed 1.
    """
    if settings.test + settings.validation > 1 + 1e-9:
        raise ValueError(
            f"splits.test and splits.validation are {settings.test:g} and "
            f"{settings.validation:g}, expected at most 1 together"
        )
    images = ImageTable.of(records)
    check_provenances(settings.provenance, images, setting="splits.provenance")
    provenances = settings.provenance
    taking_part = images.where(
        images.has("provenance", lambda provenance: not provenances or provenance in provenances)
    )
    models = device_models(taking_part)
    if name == "all":
        return Split(
            name=name, train=(), validation=(), test=tuple(sorted(models)), provenance=provenances
        )
    scenes = shared_scenes(taking_part)
    devices, listed_scenes, missing = _dealt(name, models, settings=settings, seed=seed)
    scene_parts: dict[str, tuple[str, ...]] = {}
    if listed_scenes is not None:
        scene_parts = _listed(
            listed_scenes, sorted({*scenes, *listed_scenes["validation"], *listed_scenes["test"]})
        )
    elif settings.scene_disjoint:
        scene_parts = dealt_scenes(scenes, devices, settings=settings, seed=seed)
    tested_models = {models[device] for device in devices["test"] if models[device]}
    other_models = {models[device] for part in ("train", "validation") for device in devices[part]}
    divided = tuple(sorted(tested_models & other_models))
    return Split(
        name=name,
        missing=missing,
        scenes=scene_parts,
        provenance=provenances,
        divided=divided,
        **devices,
    )


def _dealt(
    name: str, models: Mapping[str, str], *, settings: Splits, seed: int
) -> tuple[dict[str, tuple[str, ...]], dict[str, list[str]] | None, tuple[str, ...]]:
    """Return each part's devices, a listed split's scenes, and its devices that are not there."""
    if name == "seeded":
        return dealt_devices(models, settings=settings, seed=seed), None, ()
    parts, listed_scenes = _parts(name)
    devices = _listed(parts, sorted(models))
    if not devices["test"]:
        raise ValueError(
            f"split {name!r} tests the devices {', '.join(parts['test'][:5])}…, "
            f"and the data have none of them"
        )
    missing = tuple(sorted({*parts["validation"], *parts["test"]} - set(models)))
    return devices, listed_scenes, missing


def _listed(
    parts: Mapping[str, Sequence[str]], present: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Return the present items that each part lists; items in no list train."""
    validation, test = set(parts["validation"]), set(parts["test"])
    return {
        "train": tuple(item for item in present if item not in validation | test),
        "validation": tuple(item for item in present if item in validation),
        "test": tuple(item for item in present if item in test),
    }


def _parts(name: str) -> tuple[dict[str, list[str]], dict[str, list[str]] | None]:
    """Return a split's lists of devices for validation and test, and of scenes if it has them."""
    shipped = resources.files("camid.dataset.splits")
    names = sorted(
        file.name.removesuffix(".yaml") for file in shipped.iterdir() if ".yaml" in file.name
    )
    if name in names:
        text = (shipped / f"{name}.yaml").read_text()
    elif name.endswith((".yaml", ".yml")) and Path(name).is_file():
        text = Path(name).read_text()
    else:
        names = ["all", *names, "seeded"]
        raise ValueError(f"no split {name!r}; there are {', '.join(names)}, or a YAML file")
    try:
        tree = yaml_texts(text)  # as the scene 0010 is no number 8
    except ValueError as error:
        raise ValueError(f"split {name!r}: {error}") from None
    scenes = tree.pop("scenes", None) if isinstance(tree, dict) else None
    if not _two_lists(tree) or not (scenes is None or _two_lists(scenes)):
        raise ValueError(
            f"split {name!r}: expected the two lists validation and test, "
            "and none or two such lists under scenes"
        )
    listings = [None if part is None else _filled(part) for part in (tree, scenes)]
    for prefix, lists in zip(("", "scenes "), listings, strict=True):
        repeated = sorted(set(lists["validation"]) & set(lists["test"])) if lists else []
        if repeated:
            raise ValueError(
                f"split {name!r}: {prefix}in both validation and test: {', '.join(repeated)}"
            )
    devices, scenes = listings
    assert devices is not None
    return devices, scenes


def _two_lists(tree: Any) -> bool:
    """Return whether a tree has the lists ``validation`` and ``test``, where "" is empty."""
    return (
        isinstance(tree, dict)
        and set(tree) == {"validation", "test"}
        and all(
            items == ""
            or (isinstance(items, list) and all(isinstance(item, str) for item in items))
            for items in tree.values()
        )
    )


def _filled(tree: Mapping[str, Any]) -> dict[str, list[str]]:
    return {part: list(items) for part, items in tree.items()}
