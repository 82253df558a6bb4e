"""Pipelines as processes that a test watches and kills."""

import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from camid.training.checkpoint import Progress, checkpoint_parts
from tests.commands import ROOT, environment

SECONDS = 800
"""How long a test waits for what a process does before it fails with what the process has said."""


def started(
    name: str, *options: str, home: Path, out: Path, **variables: str
) -> subprocess.Popen[bytes]:
    """Start a pipeline with a Ray of its own; what it says is kept beside its output folder."""
    with log(out).open("ab") as said:
        return subprocess.Popen(
            [sys.executable, str(ROOT / f"pipelines/{name}.py"), "--out", str(out), *options],
            cwd=home,
            env=environment(home, **variables),
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )


def log(out: Path) -> Path:
    """Return the file of what a pipeline says."""
    return out.with_suffix(".log")


def words(out: Path) -> str:
    """Return what a pipeline has said."""
    return " ".join(log(out).read_text().split())


def family(process: subprocess.Popen[Any]) -> list[psutil.Process]:
    """Return all that a process has started."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive=True)
    return []


def members(process: subprocess.Popen[Any], name: str) -> list[psutil.Process]:
    """Return the processes of a run whose commands have this name; Ray's are its children."""
    found = []
    for member in family(process):
        with suppress(psutil.NoSuchProcess):
            if name in " ".join(member.cmdline()):
                found.append(member)
    return found


def kill_member(process: subprocess.Popen[Any], out: Path, name: str) -> None:
    """Kill -9 the newest process of this name in a run, as soon as there is one."""
    ends = time.monotonic() + SECONDS
    while True:
        with suppress(psutil.NoSuchProcess):
            if found := members(process, name):
                found[-1].kill()
                return
        check_alive(process, out, ends)


def check_alive(process: subprocess.Popen[Any], out: Path, ends: float) -> None:
    """Wait a moment; fail if the process is over, or it is later than ``ends``."""
    assert process.poll() is None, words(out)
    assert time.monotonic() < ends, words(out)
    time.sleep(0.05)


def settle(home: Path) -> None:
    """Wait until no process of a run is left: workers outlive their driver for a moment."""
    while any(_is_run(member, home) for member in psutil.process_iter()):
        time.sleep(0.05)


def _is_run(member: psutil.Process, home: Path) -> bool:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return member.environ().get("CAMID_HOME") == str(home)
    return False


def progress(out: Path) -> Progress:
    """Return how far a training's checkpoint is; it is whole whenever it is looked at."""
    file = out / "training/checkpoint.npz"
    return checkpoint_parts(file.read_bytes())[1] if file.exists() else Progress()


def wait_for_step(process: subprocess.Popen[Any], out: Path, step: int) -> None:
    """Wait for a checkpoint of so many steps."""
    ends = time.monotonic() + SECONDS
    while progress(out).step < step or not progress(out).history:
        check_alive(process, out, ends)


def wait_for_words(process: subprocess.Popen[Any], out: Path, said: str) -> None:
    """Wait until a run has said this."""
    ends = time.monotonic() + SECONDS
    while said not in words(out):
        check_alive(process, out, ends)


def results(out: Path) -> list[dict[str, Any]]:
    """Return the rows of an output folder."""
    rows: list[dict[str, Any]] = json.loads((out / "results.json").read_text())
    return rows
