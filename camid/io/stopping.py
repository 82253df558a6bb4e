"""Signals that stop a program: each is an interruption that the work can end at, as Ctrl-C is."""

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_PR_SET_PDEATHSIG = 1
USER_ERROR = 2
"""Exit code of a program that ends with a sentence about what its user can mend."""
SAME_COMMAND = "the same command goes on where it was"
STOPPING = (signal.SIGTERM, signal.SIGHUP) if hasattr(signal, "SIGHUP") else (signal.SIGTERM,)


class Stopped(KeyboardInterrupt):
    """An interruption by a signal; its ``number`` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.strsignal(number) or "stopped")
        self.number = number


def ends_with_parent(number: int) -> None:
    """Have this process get a signal when the one that started it ends, however it ends.

    On systems other than Linux nothing is done.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise :class:`Stopped` where SIGTERM or SIGHUP come while the body runs.

    Signals that are ignored, as ``nohup`` does, stay so. Only a program's main thread gets any.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in STOPPING}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def kept_signals() -> Iterator[None]:
    """Give signals back what the body, a library's start, takes of them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *STOPPING)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, _: FrameType | None) -> None:
    raise Stopped(number)
