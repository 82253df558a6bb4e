"""Splits of devices by name or from a file."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import yaml


@dataclass(frozen=True, kw_only=True)
class Split:
    """Devices of each part; the parts share none."""

    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    missing: tuple[str, ...]
    """Devices that the split names and the data lack."""


def named_split(name: str, devices: Iterable[str]) -> Split:
    """Return the split ``name`` of ``devices``; every device it does not name trains.

    ``all`` has every device in every role of a test: nothing trains. Otherwise ``name`` is one
    that ships with camid (``report2021``) or the path of a YAML file with the lists ``validation``
    and ``test``.

    Raises
    ------
    ValueError
        If there is no such split, a device stands in two parts, or no test device is there.
    """
    present = sorted(set(devices))
    if name == "all":
        return Split(name=name, train=(), validation=(), test=tuple(present), missing=())
    parts = _parts(name)
    twice = sorted(set(parts["validation"]) & set(parts["test"]))
    if twice:
        raise ValueError(f"split {name!r}: in both validation and test: {', '.join(twice)}")
    named = {*parts["validation"], *parts["test"]}
    test = tuple(device for device in present if device in set(parts["test"]))
    if not test:
        raise ValueError(
            f"split {name!r} tests the devices {', '.join(parts['test'][:5])}…, "
            f"and the data have none of them"
        )
    return Split(
        name=name,
        train=tuple(device for device in present if device not in named),
        validation=tuple(device for device in present if device in set(parts["validation"])),
        test=test,
        missing=tuple(sorted(named - set(present))),
    )


def _parts(name: str) -> dict[str, list[str]]:
    shipped = resources.files("camid.splits")
    known = sorted(f.name.removesuffix(".yaml") for f in shipped.iterdir() if ".yaml" in f.name)
    if name in known:
        text = (shipped / f"{name}.yaml").read_text()
    elif name.endswith((".yaml", ".yml")) and Path(name).is_file():
        text = Path(name).read_text()
    else:
        raise ValueError(f"no split {name!r}; there are all, {', '.join(known)}, or a YAML file")
    try:
        parts = yaml.safe_load(text)
    except yaml.YAMLError:
        parts = None
    lists = isinstance(parts, dict) and all(isinstance(p, list | None) for p in parts.values())
    if not lists or set(parts) != {"validation", "test"}:
        raise ValueError(f"split {name!r}: expected the two lists validation and test")
    return {part: [str(device) for device in devices or []] for part, devices in parts.items()}
