"""Seconds that each file of tests may take, and what says so when one takes more.

``budgets.toml`` is written by hand. The files with the most begin first, so that processes which
take one file after the other end together; who is over is named at the end of a run, with figures.
Nothing fails for it: machines differ.
"""

import tomllib
from collections import Counter
from pathlib import Path

import pytest

BUDGETS = Path(__file__).with_name("budgets.toml")


def budgets() -> dict[str, float]:
    """Return the budgets by the files' paths below the repository; ``default`` for all others."""
    seconds: dict[str, float] = tomllib.loads(BUDGETS.read_text())["seconds"]
    return seconds


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files with the largest budgets first."""
    seconds = budgets()
    items.sort(key=lambda item: -seconds.get(_file(item.nodeid), 0.0))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print which files took longer than their budgets."""
    taken = Counter[str]()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                taken[_file(report.nodeid)] += report.duration
    allowed = budgets()
    over = [
        (file, s) for file, s in taken.most_common() if s > allowed.get(file, allowed["default"])
    ]
    terminalreporter.section(f"{len(over)} of {len(taken)} files over their budgets", sep="=")
    for file, seconds in over:
        budget = allowed.get(file, allowed["default"])
        terminalreporter.line(f"{file}: {seconds:.0f} s of {budget:.0f}; see tests/budgets.toml")


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]
