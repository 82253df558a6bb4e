"""Whose Ray is joined, how long an address is waited for, and who reaches a Ray of one's own."""

import os
import socket
import subprocess
import sys
import threading

import psutil
import pytest
from filelock import FileLock

from camid.runtime.cluster import session as module


@pytest.fixture
def address_file(tmp_path, monkeypatch):
    """The file in which Ray notes the address of a Ray on this machine."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (tmp_path / "ray").mkdir()
    return tmp_path / "ray/ray_current_cluster"


@pytest.fixture
def silent():
    """A port at which somebody listens and says nothing; and who was there."""
    visitors = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept():
            while True:
                try:
                    visitors.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1], visitors


def planted(file, port, *, owner=None, mode=0o644, is_link=False):
    target = file.with_name("other") if is_link else file
    target.write_text(f"127.0.0.1:{port}")
    target.chmod(mode)
    if is_link:
        file.symlink_to(target)
    if owner is not None:
        os.chown(target, owner, owner)


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(
            {"owner": 65534}, marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root gives")
        ),
        {"mode": 0o666},
        {"mode": 0o664},
        {"is_link": True},
    ],
)
def test_an_address_that_another_user_may_have_written_is_not_visited(address_file, silent, how):
    port, visitors = silent
    planted(address_file, port, **how)
    assert module._address() == "local"
    assert visitors == []


def test_an_own_address_that_is_no_ray_s_is_left(address_file, silent, monkeypatch):
    monkeypatch.setattr("camid.runtime.cluster.watch.CONNECT_SECONDS", 1)
    port, visitors = silent
    planted(address_file, port)
    assert module._address() == "local"
    assert visitors


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_named_address_that_is_no_ray_s_is_one_sentence(silent, monkeypatch, scheme):
    monkeypatch.setattr("camid.runtime.cluster.watch.CONNECT_SECONDS", 1)
    monkeypatch.setenv("RAY_ADDRESS", f"{scheme}127.0.0.1:{silent[0]}")
    with pytest.raises(ValueError, match="no Ray cluster answers at .* does not answer as a Ray"):
        module._address()


LISTENERS = """
import os
import psutil
from camid.runtime.cluster.session import session

with session():
    own = psutil.Process()
    for process in (own, *own.children(recursive=True)):
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                print("listens", connection.laddr.ip)
    (folder,) = [name for name in os.listdir(os.environ["RAY_TMPDIR"])]
    place = os.path.join(os.environ["RAY_TMPDIR"], folder)
    print("folder", oct(os.stat(place).st_mode & 0o777), folder.startswith("camid-ray-"))
print("left", os.listdir(os.environ["RAY_TMPDIR"]))
"""


@pytest.mark.soak
def test_a_ray_of_one_s_own_is_reached_from_this_machine_by_its_user_alone(tmp_path):
    left = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    with module.TemporaryDirectory(dir="/tmp") as place:
        done = subprocess.run(
            [sys.executable, "-c", LISTENERS],
            env={**left, "RAY_TMPDIR": place},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    told = {word: {rest for first, rest in lines if first == word} for word, _ in lines}
    assert told["listens"] <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}, told
    assert told["folder"] == {"0o700 True"}
    assert told["left"] == {"[]"}


def test_the_folder_of_a_killed_ray_is_deleted_and_no_other(tmp_path):
    dead, alive, strange = (tmp_path / f"camid-ray-{name}" for name in ("dead", "alive", "strange"))
    for folder in (dead, alive, strange):
        (folder / "ray").mkdir(parents=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".lock").touch()
    (tmp_path / "camid-ray-link").symlink_to(elsewhere)
    (dead / ".lock").touch()
    with FileLock(alive / ".lock"):
        module._sweep(tmp_path)
    assert not dead.exists()
    assert alive.is_dir()
    assert strange.is_dir()  # it may be about to be locked
    assert elsewhere.is_dir()


@pytest.mark.soak
@pytest.mark.parametrize("victim", ["raylet", "gcs_server"])
def test_a_ray_that_dies_under_a_program_is_one_sentence_and_leaves_nothing(tmp_path, victim):
    left = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    with module.TemporaryDirectory(dir="/tmp") as place, module.TemporaryDirectory() as temporary:
        done = subprocess.run(
            [sys.executable, "-c", DIES, victim],
            env={**left, "RAY_TMPDIR": place, "TMPDIR": temporary},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert os.listdir(place) == os.listdir(temporary) == []  # noqa: PTH208 - names alone
    assert done.returncode == 2
    assert done.stderr == (
        f"camid: Ray has ended, as its process {victim} was killed or crashed; "
        "the same command goes on where it was\n"
    )
    numbers = filter(psutil.pid_exists, map(int, done.stdout.split()))
    family = [psutil.Process(number) for number in numbers]
    assert not psutil.wait_procs(family, timeout=10)[1]


DIES = """
import sys, time, psutil, ray
from camid.runtime.cluster.session import session
with session():
    @ray.remote
    def waits():
        time.sleep(600)
    waiting = waits.remote()
    family = psutil.Process().children(recursive=True)
    print(*(member.pid for member in family), flush=True)
    next(member for member in family if member.name() == sys.argv[1]).kill()
    ray.get(waiting)
"""
