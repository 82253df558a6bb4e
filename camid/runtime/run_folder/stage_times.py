"""Seconds of a pipeline's stages, summed over its runs and kept beside the results."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import perf_counter

from camid.io.csv_tables import csv_rows, write_csv
from camid.io.folder import Folder
from camid.io.output_layout import STAGES


class Clock:
    """Seconds of each stage, in the order in which the stages first began."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._folder: Folder | None = None

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of the body to a stage, even if it fails."""
        self.seconds.setdefault(name, 0.0)
        started = perf_counter()
        try:
            yield
        except BaseException:
            self.seconds[name] += perf_counter() - started
            with suppress(OSError):  # the error that stopped the body matters more
                self._write()
            raise
        self.seconds[name] += perf_counter() - started
        self._write()

    def keep(self, folder: Folder) -> None:
        """Add the seconds of earlier runs into ``folder``, and write the sums there from now on."""
        earlier = stage_seconds(folder)
        names = [*earlier, *(name for name in self.seconds if name not in earlier)]
        self.seconds = {n: earlier.get(n, 0.0) + self.seconds.get(n, 0.0) for n in names}
        self._folder = folder
        self._write()

    def _write(self) -> None:
        if self._folder is None:
            return
        rows = [{"stage": name, "seconds": f"{value:.2f}"} for name, value in self.seconds.items()]
        write_csv(self._folder, STAGES, rows)


def stage_seconds(folder: Folder) -> dict[str, float]:
    """Return the seconds of each stage from an output folder; empty if there are none."""
    try:
        return {row["stage"]: float(row["seconds"]) for row in csv_rows(folder, STAGES)}
    except (KeyError, ValueError):
        return {}  # times are no reason to stop: an unreadable file counts as no time


def stage_line(seconds: dict[str, float]) -> str:
    """Return the stages as one line: ``simulate 41 s · preprocess 150 s``."""
    return " · ".join(
        f"{name} {value:.0f} s" if value >= 1 else f"{name} {value:.1f} s"
        for name, value in seconds.items()
    )
