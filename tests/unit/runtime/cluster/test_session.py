"""Whose Ray is joined, how long an address is waited for, and who reaches a Ray of one's own."""

import os
import socket
import subprocess
import sys
import threading

import pytest

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
    monkeypatch.setattr(module, "CONNECT_SECONDS", 1)
    port, visitors = silent
    planted(address_file, port)
    assert module._address() == "local"
    assert visitors


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_named_address_that_is_no_ray_s_is_one_sentence(silent, monkeypatch, scheme):
    monkeypatch.setattr(module, "CONNECT_SECONDS", 1)
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
