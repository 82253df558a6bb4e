"""Messages and progress bars on standard error."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from camid.io.escaping import visible
from camid.io.secrets import redacted

T = TypeVar("T")

console = Console(stderr=True)


def say(*lines: str) -> None:
    """Print lines, which may hold any path, on standard error."""
    for line in lines:
        console.print(visible(redacted(line)), soft_wrap=True, markup=False, highlight=False)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep libraries from writing to stderr.

    TensorFlow reports every missing driver there on import, whatever its log level.
    """
    stderr, devnull = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(devnull)


class _Rate(ProgressColumn):
    """Column of the units per second so far."""

    def render(self, task: object) -> Text:
        speed = getattr(task, "finished_speed", None) or getattr(task, "speed", None)
        return Text(f"{speed:.1f}/s" if speed else "", style="progress.data.speed")


def progress() -> Progress:
    """Return a progress display with counts, rate and an estimate; silent without a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        redirect_stdout=sys.stdout.isatty(),  # print above the display if both are on a terminal
    )


def tracked(items: Iterable[T], *, description: str, unit: str, total: int) -> Iterator[T]:
    """Yield ``items`` under a progress display."""
    with progress() as display:
        task = display.add_task(escape(visible(description)), total=total, unit=unit)
        for item in items:
            yield item
            display.advance(task)
