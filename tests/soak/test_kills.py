"""Preprocessing that is killed, again and again, ends with the bytes of an undisturbed run."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from camid.io.folder import Folder
from camid.store.chunk_file import ChunkFile
from camid.store.store import open_store
from camid.store.verify import problems
from tests.commands import ROOT, environment, pipeline
from tests.runtime.conftest import contents
from tests.soak.processes import SECONDS, family, settle

pytestmark = pytest.mark.soak

SIZE = [
    *("--set", "simulate.num_devices=8", "--set", "simulate.num_foreground=8"),
    *("--set", "chunks.max_images=4"),
]
RUNS = {"driver": 5, "worker": 2, "raylet": 4, "everything": 5}
"""How many runs of the long test lose what."""


def preprocess(home: Path, store: Path) -> subprocess.Popen[bytes]:
    with log(store).open("wb") as said:  # a pipe that nobody reads would hold a run up
        return subprocess.Popen(
            [
                *(sys.executable, str(ROOT / "pipelines/preprocess.py"), *SIZE),
                *("--data", str(home / "simulated"), "--store", str(store)),
            ],
            cwd=home,
            env=environment(store.parent),
            stderr=said,
            start_new_session=True,
        )


def log(store: Path) -> Path:
    return store.with_suffix(".log")


@pytest.fixture(scope="module")
def undisturbed(once: Callable[..., Path]) -> Path:
    """A home of photographs, the store made of them, and the seconds that it took."""

    def make(home: Path) -> None:
        started = time.monotonic()
        made = pipeline("preprocess", *SIZE, home=home)
        assert made.returncode == 0, made.stderr
        (home / "seconds").write_text(str(time.monotonic() - started))

    return once("undisturbed", make)


def test_kill_9_of_any_process_shows_nothing_half_and_the_next_run_ends_with_the_same_bytes(
    undisturbed, tmp_path, seed
):
    """One run after the other into one store, each hit soon after it wrote a new chunk."""
    whole, store = contents(undisturbed / "store"), tmp_path / "store"
    choice = random.Random(seed)
    for victim in ("driver", "raylet", "everything", "worker"):
        process, begun = preprocess(undisturbed, store), len(names(store))
        watch(process, store, whole, new=begun + 1)
        watch(process, store, whole, seconds=choice.uniform(0, 0.5))
        assert kill(process, victim), f"the run was over before its {victim} was killed"
        code = process.wait()
        check(store, whole)
    assert code == 0, log(store).read_text()  # a worker's death is one that a run outlives
    assert contents(store) == whole
    assert not any(problems(open_store(str(store))))


def test_a_run_that_is_told_to_stop_says_so_ends_all_it_started_and_goes_on(undisturbed, tmp_path):
    """As a scheduler and Ctrl-C tell it."""
    whole, store = contents(undisturbed / "store"), tmp_path / "store"
    for number in (signal.SIGTERM, signal.SIGINT):
        process, begun = preprocess(undisturbed, store), len(names(store))
        watch(process, store, whole, new=begun + 1)
        started = family(process)
        process.send_signal(number)
        assert process.wait() == 128 + number, log(store).read_text()
        assert log(store).read_text().splitlines()[-1] == (
            "camid: stopped; the same command goes on where it was"
        )
        assert "Traceback" not in log(store).read_text()
        assert psutil.wait_procs(started, timeout=SECONDS)[1] == []
        check(store, whole)
    assert preprocess(undisturbed, store).wait() == 0, log(store).read_text()
    assert contents(store) == whole


@pytest.mark.long
@pytest.mark.parametrize("victim", RUNS)
def test_kill_9_at_any_moment_shows_nothing_half_and_ends_with_the_same_bytes(
    undisturbed, tmp_path, victim, seed
):
    """Half of the kills fall anywhere in a run, its start too; half soon after a new chunk."""
    whole, store = contents(undisturbed / "store"), tmp_path / "store"
    seconds, choice = float((undisturbed / "seconds").read_text()), random.Random(f"{victim}{seed}")
    killed = 0
    for number in range(6 * RUNS[victim]):
        process, begun = preprocess(undisturbed, store), len(names(store))
        if number % 2:
            watch(process, store, whole, new=begun + 1)
            watch(process, store, whole, seconds=choice.uniform(0, seconds / 4))
        else:
            watch(process, store, whole, seconds=choice.uniform(0, seconds))
        is_hit = kill(process, victim) > 0
        killed += is_hit
        seconds *= 1 if is_hit else 0.8  # the machine is faster now than when it was undisturbed
        code = process.wait()
        if victim == "worker":  # whom the run outlives, and whose half file it deletes
            assert code == 0, log(store).read_text()
            assert contents(store) == whole
        if check(store, whole) or len(names(store)) > len(whole) / 2:
            settle(tmp_path)
            shutil.rmtree(store)  # so that there is work for the next
        if killed == RUNS[victim]:
            break
    assert killed == RUNS[victim], "most runs were over before their kill came"
    assert preprocess(undisturbed, store).wait() == 0, log(store).read_text()
    assert contents(store) == whole
    assert not any(problems(open_store(str(store))))


def names(store: Path) -> list[str]:
    """Return the chunks that can be seen."""
    return [str(path.relative_to(store)) for path in store.glob("device=*/chunk-*.parquet")]


def check(store: Path, whole: dict[str, bytes]) -> bool:
    """See that all that is visible is whole and right; return whether the store is finished."""
    place = store / "store.json"
    is_finished = place.exists() and json.loads(place.read_bytes())["content_digest"]
    found = {name: (store / name).read_bytes() for name in names(store)}
    for name, data in found.items():
        with ChunkFile(Folder(str(store)), name):
            assert data == whole[name], name
    if not is_finished:
        return False
    for name, data in whole.items():
        assert (store / name).read_bytes() == data, name
    assert {name for name in whole if "/chunk-" in name} == set(found)
    return True


def watch(
    process: subprocess.Popen[bytes],
    store: Path,
    whole: dict[str, bytes],
    *,
    new: int = sys.maxsize,
    seconds: float = 3600,
) -> None:
    """Check a run again and again until it has ``new`` chunks, or for seconds, or it is over."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end and len(names(store)) < new:
        check(store, whole)
        time.sleep(0.05)


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


def is_victim(member: psutil.Process, victim: str, *, driver: int) -> bool:
    name = " ".join(member.cmdline())
    match victim:
        case "driver":
            return member.pid == driver
        case "worker":
            return name.startswith("ray::MapBatches")  # agents of the raylet are ray:: too
        case "raylet":
            return "raylet/raylet" in name
    return True
