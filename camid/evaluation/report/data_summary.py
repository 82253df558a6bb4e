"""Summary of a run's data for the report, the same for equal data and settings."""

import platform
import re
from collections import Counter, defaultdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from camid.dataset.manifest import ImageTable
from camid.dataset.records import OK, rejected
from camid.dataset.splits import Split
from camid.store.store import Store

PACKAGES = ("camid", "numpy", "scipy", "numba", "pywavelets", "pyarrow", "pillow", "ray")
MAX_EXAMPLES = 25
"""Rejected files that are named for each reason; the manifest names all of them."""


_SIZE = re.compile(r"^\d+x\d+ px(?= is )")
"""A file's own pixel size: files that are too small for one reason are one group."""


def data_summary(store: Store, split: Split, *, pipeline: str) -> dict[str, Any]:
    """Return facts of a store and a split of its devices, as JSON can hold them.

    Parameters
    ----------
    store
        A finished store.
    split
        The devices that train, validate and test.
    pipeline
        Name of the pipeline that repeats the run.
    """
    settings = store.description["settings"]
    simulated = store.description.get("simulated")
    images = store.images()
    return {
        "pipeline": pipeline,
        # Simulated photographs are identified by their settings, wherever they lie.
        "source": "" if simulated else settings["data"],
        "simulated": simulated,
        "store_seed": settings["seed"],
        "store_digest": store.digest,
        "plan_digest": store.description["plan_digest"],
        "num_files": len(store.manifest),
        "num_images": len(images),
        "num_devices": len(images.counted("device")),
        "rejected": _rejections(store),
        "kinds": _counted(images, "kind"),
        "provenances": _counted(images, "provenance"),
        "models": _parts(images, "make", "model", separator=" "),
        "sizes": _parts(images, "width", "height", separator="×"),
        "split": {
            "name": split.name,
            "train": list(split.train),
            "validation": list(split.validation),
            "test": list(split.test),
            "missing": list(split.missing),
            "num_scenes": {part: len(scenes) for part, scenes in split.scenes.items()},
        },
        "versions": versions(),
    }


def _rejections(store: Store) -> list[dict[str, Any]]:
    """Return the reasons for which files were rejected, the commonest first."""
    names: dict[str, list[str]] = defaultdict(list)
    for record in store.manifest.where(store.manifest.has("status", lambda status: status != OK)):
        reason = record.status.removeprefix(rejected(""))
        names[_SIZE.sub("the image", reason)].append(record.image_id)
    ordered = sorted(names.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        {"reason": reason, "files": len(files), "examples": sorted(files)[:MAX_EXAMPLES]}
        for reason, files in ordered
    ]


def _counted(images: ImageTable, name: str) -> dict[str, int]:
    return {str(value): count for (value,), count in sorted(images.counted(name).items())}


def _parts(images: ImageTable, *names: str, separator: str) -> list[dict[str, Any]]:
    """Return devices and the number of images for each combination of values, in order."""
    devices: dict[str, set[str]] = defaultdict(set)
    counts: Counter[str] = Counter()
    for (*values, device), count in images.counted(*names, "device").items():
        name = separator.join(map(str, values)).strip()
        devices[name].add(device)
        counts[name] += count
    return [
        {"name": name, "devices": sorted(devices[name]), "images": counts[name]}
        for name in sorted(counts)
    ]


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that results depend on."""
    installed = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed
