"""Synthetic phones written to a folder, a Ray task a device."""

import json
from dataclasses import asdict
from functools import partial

import pyarrow as pa

from camid.config import Simulate, differences
from camid.folder import Folder
from camid.runtime.stream import streamed
from camid.simulate import phones, photograph_names, write_photographs


def simulate(folder: Folder, settings: Simulate, *, seed: int) -> int:
    """Write the photographs of synthetic phones, those that are not there yet; return how many.

    A file beside the folder, ``<folder>.json``, says what it was made with.

    Raises
    ------
    ValueError
        If the folder holds photographs of other settings, or of no simulation.
    """
    stated = {"seed": seed, **asdict(settings)}
    parent, _, name = folder.uri.rpartition("/")
    beside, note = Folder(parent), f"{name}.json"
    if beside.exists(note):
        changed = differences(json.loads(beside.read(note)), stated)
        if changed:
            raise ValueError(
                f"{folder.uri}: simulated with other settings ({'; '.join(changed)}); "
                "name another folder or delete it"
            )
    elif folder.files():
        raise ValueError(f"{folder.uri}: holds files that were not simulated; name another folder")
    beside.write(note, (json.dumps(stated, indent=2) + "\n").encode())
    present = set(folder.files())
    missing = [
        pa.table({"device": [phone.device] * len(names), "name": names})
        for phone in phones(settings, seed=seed)
        if (names := [n for *_, n in photograph_names(phone, settings) if n not in present])
    ]
    work = partial(_write, folder=folder.uri, settings=settings, seed=seed)
    num_written = 0
    for result in streamed(missing, work, description="simulate", unit="images"):
        num_written += result.num_rows
    return num_written


def _write(table: pa.Table, *, folder: str, settings: Simulate, seed: int) -> pa.Table:
    """Write the photographs that ``table`` lists; runs on a worker."""
    phone = next(p for p in phones(settings, seed=seed) if p.device == table["device"][0].as_py())
    write_photographs(phone, Folder(folder), settings, names=table["name"].to_pylist())
    return table
