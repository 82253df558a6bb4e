"""Preprocessing that is killed, again and again, ends with the bytes of an undisturbed run."""

import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from camid.store import open_store
from camid.verify import problems
from tests.runtime.conftest import contents

ROOT = Path(__file__).parents[2]
SIZE = ["--set", "simulate.num_devices=8", "--set", "simulate.num_foreground=8"]


def preprocess(home: Path, store: Path) -> subprocess.Popen[bytes]:
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    words = log(store).open("wb")  # a pipe that nobody reads would hold a run up
    return subprocess.Popen(
        [
            *(sys.executable, str(ROOT / "pipelines/preprocess.py"), *SIZE),
            *("--data", str(home / "simulated"), "--store", str(store)),
        ],
        cwd=home,
        env={**environment, "CAMID_HOME": str(home)},
        stderr=words,
        start_new_session=True,
    )


def log(store: Path) -> Path:
    return store.with_suffix(".log")


def chunks(store: Path) -> int:
    return len(list(store.glob("device=*/chunk-*.parquet")))


def wait_for_chunks(store: Path, process: subprocess.Popen[bytes], count: int) -> None:
    """Wait until a run has made ``count`` chunks or is over."""
    while process.poll() is None and chunks(store) < count:
        time.sleep(0.05)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    from camid.config import load_config
    from camid.folder import Folder
    from camid.runtime.session import session
    from camid.runtime.simulation import simulate

    home = tmp_path_factory.mktemp("home")
    config = load_config(settings=[s for s in SIZE if s != "--set"])
    with session():
        simulate(Folder(str(home / "simulated")), config.simulate, seed=config.seed)
    assert preprocess(home, home / "store").wait() == 0
    return home


@pytest.mark.soak
@pytest.mark.parametrize("victim", ["driver", "worker", "raylet", "everything"])
def test_kill_9_loses_at_most_the_work_in_flight(undisturbed, tmp_path, victim):
    store = tmp_path / "store"
    choice = random.Random(victim)
    whole, killed = chunks(undisturbed / "store"), 0
    for count in sorted(choice.sample(range(1, whole), 2)):
        process = preprocess(undisturbed, store)
        wait_for_chunks(store, process, count)
        killed += kill(process, victim)
        process.wait()
    assert killed
    last = preprocess(undisturbed, store)
    assert last.wait() == 0, log(store).read_text()
    assert contents(store) == contents(undisturbed / "store")
    assert not any(problems(open_store(str(store))))


def kill(process: subprocess.Popen[bytes], victim: str) -> int:
    """Kill -9 part of a run (driver, a worker at its task, raylet, or all); return how many."""
    while process.poll() is None:
        killed = 0
        for member in [psutil.Process(process.pid), *family(process)]:
            with suppress(psutil.NoSuchProcess):
                if is_victim(member, victim, driver=process.pid):
                    member.kill()
                    killed += 1
                    if victim == "worker":
                        break
        if killed:
            return killed
        time.sleep(0.05)  # no worker is at a task yet
    return 0


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive=True)
    return []


def is_victim(member: psutil.Process, victim: str, *, driver: int) -> bool:
    name = " ".join(member.cmdline())
    match victim:
        case "driver":
            return member.pid == driver
        case "worker":
            return name.startswith("ray::") and "IDLE" not in name
        case "raylet":
            return "raylet/raylet" in name
    return True
