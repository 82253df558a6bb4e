"""Which tests run beside each other, in which order, and which files take too long.

``budgets.toml`` has the seconds that a file may take, written by hand. What takes longest begins
first, so that processes which take one file after the other end together; files that are over
their budgets are named at the end of a run, with figures. Nothing fails for it: machines differ.
"""

import tomllib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling, Scheduling

BUDGETS = Path(__file__).with_name("budgets.toml")
ONE_RAY = "tests/runtime/"
"""Files that share a Ray and what is made on it: one process takes them all."""


@lru_cache
def budgets() -> dict[str, float]:
    """Return seconds by the files' paths below the repository; ``default`` for all others."""
    seconds: dict[str, float] = tomllib.loads(BUDGETS.read_text())["seconds"]
    return seconds


def budget(file: str) -> float:
    """Return the seconds that a file may take."""
    return budgets().get(file, budgets()["default"])


def file_of(nodeid: str) -> str:
    """Return the path of a test's file."""
    return nodeid.partition("::")[0]


def work_unit(nodeid: str) -> str:
    """Return what a test shares a process with: its file, or all files that share a Ray."""
    file = file_of(nodeid)
    return ONE_RAY if file.startswith(ONE_RAY) else file


class WorkUnits(LoadFileScheduling):
    """Give each process one work unit after the other."""

    def _split_scope(self, nodeid: str) -> str:
        return work_unit(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling:
    """Return how tests are dealt to processes."""
    return WorkUnits(config, log)


def longest_first(items: list[pytest.Item]) -> None:
    """Put the work units with the largest budgets first, and their files one after the other."""
    units = Counter[str]()
    for file in {file_of(item.nodeid) for item in items}:
        units[work_unit(file)] += budget(file)
    items.sort(key=lambda item: (-units[work_unit(item.nodeid)], work_unit(item.nodeid)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print which files took longer than their budgets."""
    seconds = Counter[str]()
    for reports in terminalreporter.stats.values():
        for report in _of_tests(reports):
            seconds[file_of(report.nodeid)] += report.duration
    over = [(file, taken) for file, taken in seconds.most_common() if taken > budget(file)]
    terminalreporter.section(f"{len(over)} of {len(seconds)} files over their budgets")
    for file, taken in over:
        line = f"{file}: {taken:.0f} s, budget {budget(file):.0f} s (tests/budgets.toml)"
        terminalreporter.line(line, yellow=True)


def _of_tests(reports: Sequence[object]) -> list[pytest.TestReport]:
    return [report for report in reports if isinstance(report, pytest.TestReport)]
