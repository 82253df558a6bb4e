"""A watch on Ray: where it dies under a program, the program ends with one sentence.

Ray itself ends such a program without a word, after up to a minute, and leaves processes behind.
"""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Event, Thread
from time import monotonic

import click
import psutil

from camid.io.stopping import SAME_COMMAND, USER_ERROR

CONNECT_SECONDS = 10
HEADS = ("raylet", "gcs_server")
"""Processes of Ray without which nothing goes on."""
EVERY = 1.0
"""Seconds between two looks at processes; five times as many between two at another machine's."""
ENDING = 5.0
"""Seconds that processes that were killed may take to end."""
RECONNECTS = "RAY_gcs_rpc_server_reconnect_timeout_s"
"""Seconds without its head after which Ray ends a program, 60 unless the user sets others."""


@contextmanager
def watched(folder: str) -> Iterator[None]:
    """End the program where the Ray that the body works with dies.

    Parameters
    ----------
    folder
        Folder of a Ray that this program started, which goes with it; empty for another's Ray.
    """
    over = Event()
    watch = (
        partial(_watch_own, over, folder, _family()) if folder else partial(_watch_anothers, over)
    )
    thread = Thread(target=watch, name="watch on Ray", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _watch_own(over: Event, folder: str, known: dict[psutil.Process, str]) -> None:
    """Watch the processes of this program's own Ray, which are among the ``known`` ones."""
    while not over.wait(EVERY):
        family = _family()
        dead = [name for child, name in known.items() if name in HEADS and not family.get(child)]
        if dead and not over.is_set():
            _tell(f"Ray has ended, as its process {dead[0]} was killed or crashed")
            members = [*{**known, **family}]
            for member in members:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
            psutil.wait_procs(members, timeout=ENDING)  # or they still write where it deletes
            shutil.rmtree(folder, ignore_errors=True)
            os._exit(USER_ERROR)
        known = family


def _family() -> dict[psutil.Process, str]:
    """Return the names of all processes that this program has started, and they in turn."""
    return {child: _name(child) for child in psutil.Process().children(recursive=True)}


def _name(process: psutil.Process) -> str:
    """Return the name of a living process; empty for one that has ended."""
    with suppress(psutil.NoSuchProcess):
        return "" if process.status() == psutil.STATUS_ZOMBIE else process.name()
    return ""


def _watch_anothers(over: Event) -> None:
    """Watch whether the head of another's Ray answers."""
    import ray

    address = ray.get_runtime_context().gcs_address
    patience = float(os.environ.get(RECONNECTS, "60")) * 2 / 3
    last = monotonic()
    while not over.wait(5 * EVERY):
        with suppress(OSError):
            reach(address)
            last = monotonic()
        if monotonic() - last > patience and not over.is_set():
            _tell(f"the Ray cluster at {address} has not answered for {patience:.0f} s")
            os._exit(USER_ERROR)


def _tell(reason: str) -> None:
    """Print the last sentence of a program; what Ray itself says of its end is not printed."""
    click.echo(f"camid: {reason}; {SAME_COMMAND}", err=True)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)


def reach(address: str) -> None:
    """Connect once to the host and port of an address; Ray itself would try for minutes.

    Raises
    ------
    OSError
        If nobody answers, or who answers does not speak as a Ray does.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return
    socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    if os.environ.get("RAY_USE_TLS", "0") != "0":
        return  # certificates are Ray's business
    import grpc

    with grpc.insecure_channel(f"{host}:{port}") as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=CONNECT_SECONDS)
        except grpc.FutureTimeoutError:
            raise OSError("who listens there does not answer as a Ray does") from None
