"""Summary of a run's data for the report, the same for equal data and settings."""

import platform
import re
from collections import Counter, defaultdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from typing_extensions import TypedDict  # pydantic needs it before Python 3.12

from camid.dataset.manifest import ImageTable
from camid.dataset.records import OK, reason_kinds, rejected
from camid.dataset.splits import Split
from camid.io.digested import read_json, write_json
from camid.io.folder import Folder
from camid.io.output_layout import DATA
from camid.store.store import Store

PACKAGES = ("camid", "numpy", "scipy", "numba", "pywavelets", "pyarrow", "pillow", "ray")
MAX_EXAMPLES = 25
"""Rejected files that are named for each reason; the manifest names all of them."""


_SIZE = re.compile(r"^\d+x\d+ px(?= is )")
"""A file's own pixel size: files that are too small for one reason are one group."""


class Rejections(TypedDict):
    """Files that were rejected for one reason."""

    reason: str
    files: int
    examples: list[str]


class Part(TypedDict):
    """Images of one model or pixel size."""

    name: str
    devices: list[str]
    images: int


class SplitFacts(TypedDict):
    """Devices of a split by part."""

    name: str
    train: list[str]
    validation: list[str]
    test: list[str]
    missing: list[str]
    num_scenes: dict[str, int]


class DataFacts(TypedDict, total=False):
    """Facts of a run's data."""

    pipeline: str
    """Name of the pipeline that repeats the run."""
    runs: list[str]
    """Runs that a comparison compares."""
    than: str
    """Method that a comparison compares with; empty for the first of the first run."""
    source: str
    """Folder of the photographs; empty if they are simulated."""
    simulated: dict[str, Any] | None
    """Settings of simulated photographs."""
    store_seed: int
    store_digest: str
    plan_digest: str
    num_files: int
    num_images: int
    num_devices: int
    rejected: list[Rejections]
    kinds: dict[str, int]
    provenances: dict[str, int]
    models: list[Part]
    sizes: list[Part]
    split: SplitFacts
    versions: dict[str, str]


def read_data(folder: Folder) -> DataFacts:
    """Return the facts of an output folder's data; empty where there are none.

    Raises
    ------
    ValueError
        If they are not as they were written.
    """
    return read_json(folder, DATA, DataFacts) if folder.exists(DATA) else {}


def write_data(folder: Folder, data: DataFacts) -> None:
    """Write the facts of an output folder's data."""
    write_json(folder, DATA, data)


def data_summary(store: Store, split: Split, *, pipeline: str) -> DataFacts:
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


def _rejections(store: Store) -> list[Rejections]:
    """Return the reasons for which files were rejected, the commonest first."""
    names: dict[str, list[str]] = defaultdict(list)
    for record in store.manifest.where(store.manifest.has("status", lambda status: status != OK)):
        reason = record.status.removeprefix(rejected(""))
        names[_SIZE.sub("the image", reason)].append(record.image_id)
    kinds = {
        kind: [file for reason in reasons for file in names[reason]]
        for kind, reasons in reason_kinds(names).items()
    }
    ordered = sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        {"reason": reason, "files": len(files), "examples": sorted(files)[:MAX_EXAMPLES]}
        for reason, files in ordered
    ]


def _counted(images: ImageTable, name: str) -> dict[str, int]:
    return {str(value): count for (value,), count in sorted(images.counted(name).items())}


def _parts(images: ImageTable, *names: str, separator: str) -> list[Part]:
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
