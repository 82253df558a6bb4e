"""What a run was made of: the data's facts for the report, the same for equal data and settings."""

import platform
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from camid.records import OK, ImageRecord, rejected
from camid.splits import Split
from camid.store import Store

PACKAGES = ("camid", "numpy", "scipy", "pywavelets", "pyarrow", "pillow", "ray")
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
        # Simulated photographs are told by their settings, wherever they lie.
        "source": "" if simulated else settings["data"],
        "simulated": simulated,
        "store_seed": settings["seed"],
        "store_digest": store.digest,
        "plan_digest": store.description["plan_digest"],
        "num_files": store.manifest.num_rows,
        "num_images": len(images),
        "num_devices": len({record.device for record in images}),
        "rejected": _rejections(store),
        "kinds": _counted(record.kind for record in images),
        "provenances": _counted(record.provenance for record in images),
        "models": _parts(images, of=lambda r: f"{r.make} {r.model}".strip()),
        "sizes": _parts(images, of=lambda r: f"{r.width}×{r.height}"),
        "split": {
            "name": split.name,
            "train": list(split.train),
            "validation": list(split.validation),
            "test": list(split.test),
            "missing": list(split.missing),
            "num_scenes": {part: len(scenes) for part, scenes in split.scenes.items()},
        },
        "versions": {"Python": platform.python_version(), **_versions()},
    }


def _rejections(store: Store) -> list[dict[str, Any]]:
    """Return every reason for which files were rejected, the commonest first."""
    names: dict[str, list[str]] = defaultdict(list)
    for row in store.manifest.select(["image_id", "status"]).to_pylist():
        if row["status"] != OK:
            reason = row["status"].removeprefix(rejected(""))
            names[_SIZE.sub("the image", reason)].append(row["image_id"])
    ordered = sorted(names.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        {"reason": reason, "files": len(files), "examples": sorted(files)[:MAX_EXAMPLES]}
        for reason, files in ordered
    ]


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _parts(
    images: Iterable[ImageRecord], *, of: Callable[[ImageRecord], str]
) -> list[dict[str, Any]]:
    """Return devices and the number of images for each value of ``of``, in order."""
    members: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in images:
        members[of(record)].append(record)
    return [
        {"name": name, "devices": sorted({r.device for r in found}), "images": len(found)}
        for name, found in sorted(members.items())
    ]


def _versions() -> dict[str, str]:
    """Return the versions of what results depend on; a package that is not installed is left."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
