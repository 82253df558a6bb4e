"""Seeded dealing of devices, and of scenes that several devices took, to a split's parts."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from camid.config import Splits

Devices = tuple[str, ...]

PARTS = ("test", "validation", "train")
FEWEST_TESTED = 2
DRAWS = 200
"""Seeded orders of models that are tried; the parts nearest to the shares are kept."""


def dealt_devices(models: Mapping[str, str], *, settings: Splits, seed: int) -> dict[str, Devices]:
    """Return the devices of each part.

    The shares are of devices, and at least two devices are tested. With ``whole_models`` devices
    of one model go to one part, and the parts come as near to the shares as whole models allow; a
    device whose model is not known goes alone. Where that leaves nothing to train on, as one model
    would take all, devices are dealt without regard to their models.

    Parameters
    ----------
    models
        Make and model of every device; empty where it is not known.
    """
    devices = sorted(models)
    sizes = sizes_of(len(devices), _shares(settings))
    for part in (1, 2):  # validation, then training gives up devices that the test lacks
        moved = min(sizes[part], max(0, FEWEST_TESTED - sizes[0]))
        sizes[0], sizes[part] = sizes[0] + moved, sizes[part] - moved
    if settings.whole_models:
        by_model: dict[str, list[str]] = defaultdict(list)
        for device in devices:
            by_model[f"model {models[device]}" if models[device] else f"of {device}"].append(device)
        units = [tuple(members) for _, members in sorted(by_model.items())]
        if dealt := _dealt(units, sizes, rng=_rng(seed, "models")):
            return dealt
    dealt = _dealt([(device,) for device in devices], sizes, rng=_rng(seed, "devices"))
    assert dealt is not None
    return dealt


def dealt_scenes(
    scenes: Sequence[str], devices: Mapping[str, Devices], *, settings: Splits, seed: int
) -> dict[str, tuple[str, ...]]:
    """Return the scenes of each part, in the devices' shares, none to a part without devices.

    Empty if there are no scenes, or only a single part has devices.
    """
    has_devices = [bool(devices[part]) for part in PARTS]
    if not scenes or sum(has_devices) < 2:
        return {}
    shares = [share * used for share, used in zip(_shares(settings), has_devices, strict=True)]
    ends = np.cumsum([0, *sizes_of(len(scenes), shares)])
    order = _rng(seed, "scenes").permutation(len(scenes))
    return {
        part: tuple(sorted(scenes[i] for i in order[ends[k] : ends[k + 1]]))
        for k, part in enumerate(PARTS)
    }


def _shares(settings: Splits) -> list[float]:
    """Return the share of each of :data:`PARTS`."""
    return [settings.test, settings.validation, max(0.0, 1 - settings.test - settings.validation)]


def sizes_of(count: int, shares: Sequence[float]) -> list[int]:
    """Return whole numbers of sum ``count`` in the proportion of the shares; all first if none."""
    total = sum(shares) or 1.0
    ends = [round(count * sum(shares[:k]) / total) for k in range(1, len(shares))]
    ends = [0, *ends, count] if sum(shares) else [0, *(count for _ in shares)]
    return np.diff(ends).tolist()


def _dealt(
    units: Sequence[Devices], sizes: Sequence[int], *, rng: np.random.Generator
) -> dict[str, Devices] | None:
    """Return the devices of each part where units stay whole, or ``None`` if that cannot be.

    Test takes the first units of a seeded order, validation the next, training the others.
    """
    fewest = min(FEWEST_TESTED, sum(sizes))
    best: tuple[int, dict[str, Devices]] | None = None
    for _ in range(DRAWS):
        order = [units[i] for i in rng.permutation(len(units))]
        ends = np.cumsum([0, *map(len, order)])
        first = _nearest(ends, sizes[0], start=int(np.searchsorted(ends, fewest)))
        second = _nearest(ends, sizes[0] + sizes[1], start=first)
        cuts = [order[:first], order[first:second], order[second:]]
        parts = [tuple(sorted(device for unit in cut for device in unit)) for cut in cuts]
        if sizes[2] and not parts[2]:
            continue
        distance = sum(abs(len(part) - size) for part, size in zip(parts, sizes, strict=True))
        # An empty part that should have devices weighs more than any number of devices.
        distance += sum(sizes) * sum(
            not part and size > 0 for part, size in zip(parts, sizes, strict=True)
        )
        if best is None or distance < best[0]:
            best = distance, dict(zip(PARTS, parts, strict=True))
        if distance == 0:
            break
    return best[1] if best else None


def _nearest(ends: np.ndarray[tuple[int], np.dtype[np.int64]], target: int, *, start: int) -> int:
    """Return the index from ``start`` on at which ``ends`` comes nearest to ``target``."""
    return start + int(np.argmin(np.abs(ends[start:] - target)))


def _rng(seed: int, name: str) -> np.random.Generator:
    key = hashlib.sha256(f"split {name}".encode()).digest()[:8]
    return np.random.default_rng([seed, int.from_bytes(key)])
