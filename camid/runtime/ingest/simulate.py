"""Synthetic phones written to a folder, one Ray task per device."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pyarrow as pa

from camid.config import Simulate, config_tree, differences
from camid.dataset.simulate import Phone, phones, photograph_names, write_pattern, write_photographs
from camid.io.folder import Folder
from camid.runtime.cluster.map_tasks import streamed

PATTERNS = "-patterns"
"""Suffix of the folder with the planted patterns."""

MEMORY_PER_PIXEL = 90
"""Bytes per pixel of a photograph: planes of its scene, sensor and development."""

NOTED = {"seed", "num_devices", "num_background", "num_foreground"}
"""Settings that the note beside simulated photographs holds, among others."""


def simulate(folder: Folder, settings: Simulate, *, seed: int) -> int:
    """Write the missing photographs of synthetic phones; return their number.

    A file beside the folder, ``<folder>.json``, holds the settings; if the settings ask for them,
    the planted patterns are in ``<folder>-patterns/<device>.npy``.

    Raises
    ------
    ValueError
        If the folder holds photographs of other settings, or of no simulation.
    """
    stated = {"seed": seed, **config_tree(settings)}
    del stated["write_patterns"]  # says nothing of the photographs
    parent, _, name = folder.uri.rpartition("/")
    parent_folder, note = Folder(parent), f"{name}.json"
    if parent_folder.exists(note):
        known = {**config_tree(Simulate()), **json.loads(parent_folder.read(note))}
        del known["write_patterns"]
        changed = differences(known, stated)
        if changed:
            raise ValueError(
                f"{folder.uri}: simulated with other settings ({'; '.join(changed)}); "
                "name another folder or delete it"
            )
    elif folder.files():
        raise ValueError(f"{folder.uri}: holds files that were not simulated; name another folder")
    parent_folder.write(note, (json.dumps(stated, indent=2) + "\n").encode())
    num_written = 0
    for result in _written(folder, settings, seed=seed):
        num_written += result.num_rows
    if settings.write_patterns:
        patterns = Folder(f"{folder.uri}{PATTERNS}")
        tables = [pa.table({"device": [phone.device]}) for phone in phones(settings, seed=seed)]
        work = partial(_plant, folder=patterns.uri, settings=settings, seed=seed)
        for _ in streamed(tables, work, description="patterns", unit="devices"):
            pass
    return num_written


def simulated_with(data: str) -> dict[str, Any] | None:
    """Return the seed and settings of a folder of simulated photographs, ``None`` for others."""
    try:
        parent, name = Folder.at(data)
        stated = json.loads(parent.read(f"{name}.json"))
    except (OSError, ValueError):
        return None
    return stated if isinstance(stated, dict) and set(stated) >= NOTED else None


def _written(folder: Folder, settings: Simulate, *, seed: int) -> Iterator[pa.Table]:
    """Write the missing photographs, and yield their names by device."""
    present = set(folder.files())
    missing = [
        pa.table({"device": [phone.device] * len(names), "name": names})
        for phone in phones(settings, seed=seed)
        if (names := [n for *_, n in photograph_names(phone, settings) if n not in present])
    ]
    work = partial(_write, folder=folder.uri, settings=settings, seed=seed)
    memory = MEMORY_PER_PIXEL * max(width * height for width, height in settings.sizes)
    yield from streamed(missing, work, description="simulate", unit="images", memory=memory)


def _write(table: pa.Table, *, folder: str, settings: Simulate, seed: int) -> pa.Table:
    """Write the photographs that ``table`` lists; runs on a worker."""
    every, names = phones(settings, seed=seed), table["name"].to_pylist()
    number = [phone.device for phone in every].index(table["device"][0].as_py())
    sender = every[(number + 1) % len(every)]
    write_photographs(every[number], sender, Folder(folder), settings, names=names)
    return table


def _plant(table: pa.Table, *, folder: str, settings: Simulate, seed: int) -> pa.Table:
    """Write the pattern of the device that ``table`` names; runs on a worker."""
    write_pattern(_phone(table, settings, seed=seed), Folder(folder))
    return table


def _phone(table: pa.Table, settings: Simulate, *, seed: int) -> Phone:
    device = table["device"][0].as_py()
    return next(p for p in phones(settings, seed=seed) if p.device == device)
