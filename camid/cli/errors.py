"""Errors of users, files and disks as one sentence and an exit code."""

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import gettempdir
from threading import Timer

import click

from camid.io.escaping import visible
from camid.io.secrets import redacted
from camid.io.stopping import SAME_COMMAND, USER_ERROR, Stopped, stoppable

BY_SIGNAL = 128
"""Added to a signal's number, this is the exit code of a program that it stopped."""
AGAIN = 0.1
"""Seconds after which a Ctrl-C that was ignored comes again."""
EXIT_CODES = (
    "Exit codes: 0 answered, whatever the answer; 1 check or store verify found problems, remove "
    "removed nothing, or identify and verify could use no photograph; 2 wrong use, or nothing "
    "could be done; 130 stopped by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP."
)
"""What commands end with, for ``--help``."""
GOES_ON = f"stopped; {SAME_COMMAND}"


@contextmanager
def one_sentence(stopped: str = GOES_ON) -> Iterator[None]:
    """End the program with one sentence where a user's mistake or a full disk ends the work.

    ``stopped`` is the sentence for an interruption by the user.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever the terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")
    try:
        with stoppable(), _interruptible():
            yield
    except (ValueError, OSError) as error:
        click.echo(f"camid: {visible(redacted(' '.join(_words(error).split())))}", err=True)
        sys.exit(USER_ERROR)
    except ModuleNotFoundError as error:
        name = (getattr(error, "name", "") or "").partition(".")[0]
        if name in {"", "camid"}:
            raise
        click.echo(f"camid: the package {name} is not installed; `make setup` does it", err=True)
        sys.exit(USER_ERROR)
    except KeyboardInterrupt as stop:
        with suppress(OSError):  # the terminal may be gone
            click.echo(f"camid: {stopped}", err=True)
        sys.exit(BY_SIGNAL + (stop.number if isinstance(stop, Stopped) else signal.SIGINT))


@contextmanager
def _interruptible() -> Iterator[None]:
    """Keep Ctrl-C from being lost where Python ignores exceptions.

    It ignores those that are raised while an object is deleted or a weak reference dies.
    """
    hook = sys.unraisablehook

    def again(unraisable: "sys.UnraisableHookArgs") -> None:
        if unraisable.exc_type is KeyboardInterrupt:
            Timer(AGAIN, os.kill, (os.getpid(), signal.SIGINT)).start()
        else:
            hook(unraisable)

    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = hook


def _words(error: ValueError | OSError) -> str:
    """Return an error's message, without the number of the operating system.

    A full disk may be that of temporary files, which have no name.
    """
    if not (isinstance(error, OSError) and error.strerror):
        return str(error)
    from camid.io.folder import FULL

    words = error.strerror.lower()
    if error.errno in FULL:
        place = error.filename or f"{gettempdir()} or where the output is"
        return f"{place}: {words}; make room and run again"
    return f"{error.filename}: {words}" if error.filename else words
