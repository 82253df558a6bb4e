"""Answers of a command: printed as they come, and kept where they are written at the end."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from camid.casework.decisions import NO_ANSWER
from camid.cli.console import print_identified, write_report
from camid.io.counts import counted


class Printed:
    """Answers of an identification, printed in one form.

    Parameters
    ----------
    is_list, is_lines
        Whether JSON is printed: a list at the end, or a line an answer.
    is_kept
        Whether answers and their pictures are kept.
    """

    def __init__(self, *, is_list: bool, is_lines: bool, is_kept: bool) -> None:
        if is_list and is_lines:
            raise ValueError(
                "--json prints one list and --jsonl a line an answer: expected one of them"
            )
        self.is_json = is_list or is_lines
        self.kept: list[tuple[Mapping[str, Any], Mapping[str, bytes]]] = []
        """Answers and their pictures so far, if they are kept."""
        self.has_answer = False
        """Whether a photograph could be used."""
        self._is_list, self._is_lines, self._is_kept = is_list, is_lines, is_kept

    def add(self, answer: Mapping[str, Any], pictures: Mapping[str, bytes]) -> None:
        """Print an answer, unless a list is printed at the end."""
        self.has_answer |= answer["decision"] not in NO_ANSWER
        if self._is_list or self._is_kept:
            self.kept.append((answer, pictures))
        if self._is_lines:
            _print_line(answer)
        elif not self._is_list:
            print_identified(answer)

    def print_list(self) -> None:
        """Print the list of the answers so far, if there are any and a list was asked for."""
        if self._is_list and self.kept:
            click.echo(json.dumps([answer for answer, _ in self.kept], indent=2))

    def write_report(
        self, place: Path, question: str, parameters: Mapping[str, Any], *, num_asked: int
    ) -> None:
        """Write the page of the answers, which says so if there are fewer than were asked for."""
        kept = tuple(self.kept)
        is_stopped = len(kept) < num_asked
        write_report(
            place,
            question,
            [answer for answer, _ in kept],
            [pictures for _, pictures in kept],
            parameters,
            is_json=self.is_json,
            missing=f"it was stopped after {len(kept):,} of {counted(num_asked, 'photograph')}"
            if is_stopped
            else "",
        )


def _print_line(facts: Mapping[str, Any]) -> None:
    """Print facts as a line of JSON at once; end as if interrupted where no one reads any more."""
    try:
        click.echo(json.dumps(facts))
    except BrokenPipeError:
        # what Python still holds for the pipe would be an error at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise KeyboardInterrupt from None
