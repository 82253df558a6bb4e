"""The analyst's commands: enrol, list, remove, export, check, identify and verify.

Their imports are made when they run, so that ``--help`` answers at once.
"""

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from camid.casework.decisions import NO_ANSWER
from camid.cli.answers import Printed
from camid.cli.console import (
    echo,
    print_named,
    print_warnings,
    reported,
    waited,
    working,
    write_report,
)
from camid.cli.errors import EXIT_CODES, one_sentence
from camid.io.counts import counted

if TYPE_CHECKING:
    from camid.casework.identify_answer import Answer

DATABASE = "fingerprints"
WRONG = 1
STOPPED = "stopped"

database = click.option(
    "--db", default=DATABASE, show_default=True, help="Folder of enrolled devices."
)
as_json = click.option("--json", "is_json", is_flag=True, help="Print JSON and nothing else.")


@click.command(epilog=EXIT_CODES)
@click.argument("device")
@click.argument("paths", nargs=-1, required=True, metavar="PHOTOS...")
@database
@as_json
def enrol(device: str, paths: tuple[str, ...], db: str, is_json: bool) -> None:
    """Enrol DEVICE with photographs that it took, or improve what is enrolled by more.

    Ten or more of even, bright scenes are best; a folder stands for all photographs in it.
    """
    with one_sentence():
        from camid.casework.database import Fingerprints
        from camid.casework.enrol import enrol as enrolled

        outcome = enrolled(Fingerprints(db), device, paths, tell=_tell(is_json))
        facts = outcome.facts()
        if is_json:
            click.echo(json.dumps(facts, indent=2))
        else:
            for line in outcome.lines():
                echo(line)
        if not outcome.accepted and not outcome.skipped:
            rejected = counted(len(outcome.rejected), "photograph")
            raise ValueError(f"{device}: nothing was enrolled, of {rejected}")


@click.command("list", epilog=EXIT_CODES)
@database
@as_json
def list_command(db: str, is_json: bool) -> None:
    """List the devices that are enrolled, and how good their fingerprints are."""
    with one_sentence(STOPPED):
        fingerprints = _opened(db)
        rows = [_entry_facts(entry) for entry in fingerprints.entries()]
        if is_json:
            click.echo(json.dumps(rows, indent=2))
            return
        columns = ("device", "model", "lens", "size", "images", "split_half")
        shown = [
            {name: row[name] for name in columns} | {"warnings": len(row["warnings"])}
            for row in rows
        ]
        print_named(shown, f"{db}: enrolled; --json has the warnings")
        for name, reason in fingerprints.damaged():
            echo(f"{name}: {reason}", err=True)


@click.command(epilog=EXIT_CODES)
@click.argument("device")
@click.argument("paths", nargs=-1, metavar="[PHOTOS]...")
@database
def remove(device: str, paths: tuple[str, ...], db: str) -> None:
    """Remove DEVICE, or only PHOTOS that enrolled it, as if they never had."""
    with one_sentence(STOPPED):
        fingerprints = _opened(db)
        if paths:
            from camid.casework.enrol import withdraw

            removed, rejected = withdraw(fingerprints, device, paths, tell=_tell(is_json=False))
            for path, reason in rejected:
                echo(f"{path}: {reason}")
            left = f", {len(rejected):,} not" if rejected else ""
            echo(f"{device}: {counted(len(removed), 'photograph')} removed{left}")
            if not removed:
                sys.exit(WRONG)
            return
        count = fingerprints.remove(device)
        if not count:
            raise ValueError(f"{db}: no device {device!r}; `camid list` names those that are there")
        echo(f"{device}: {count} {'entry' if count == 1 else 'entries'} removed")


@click.command(epilog=EXIT_CODES)
@click.argument("device")
@click.option("--out", default=".", show_default=True, help="Folder for the files.")
@database
def export(device: str, out: str, db: str) -> None:
    """Write each fingerprint of DEVICE as a NumPy array, what is known of it, and a picture."""
    with one_sentence(STOPPED):
        import numpy as np

        from camid.evaluation.report.figures import pattern_figure, png
        from camid.io.folder import Folder, absolute

        fingerprints = _opened(db)
        entries = [entry for entry in fingerprints.entries() if entry.device == device]
        if not entries:
            raise ValueError(f"{db}: no device {device!r}; `camid list` names those that are there")
        folder = Folder(absolute(out))
        for entry in entries:
            stem, pattern = entry.name.replace("/", "-"), fingerprints.pattern(entry)
            folder.write(f"{stem}.npy", partial(np.save, arr=pattern))
            folder.write(
                f"{stem}.json", (json.dumps(_entry_facts(entry), indent=2) + "\n").encode()
            )
            folder.write(f"{stem}.png", png(pattern_figure({entry.device: pattern})))
            echo(f"{out.rstrip('/')}/{stem}.npy, .json and .png")


@click.command(epilog=EXIT_CODES)
@database
@as_json
def check(db: str, is_json: bool) -> None:
    """Name entries that are damaged, share photographs, or look like one device twice."""
    with one_sentence(STOPPED):
        from camid.casework.database_check import problems

        fingerprints = _opened(db)
        sentences = working(lambda tell: problems(fingerprints, tell=tell))
        if is_json:
            click.echo(json.dumps(sentences, indent=2))
        else:
            for sentence in sentences:
                echo(sentence)
            echo(f"{db}: {counted(len(sentences), 'problem')}")
        if sentences:
            sys.exit(WRONG)


@click.command(epilog=EXIT_CODES)
@click.argument("paths", nargs=-1, required=True, metavar="PHOTOS...")
@database
@as_json
@click.option(
    "--jsonl",
    "is_jsonl",
    is_flag=True,
    help="Print JSON, an answer a line, each as it comes, and nothing else.",
)
@reported
@click.option(
    "--candidates",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Of a photograph, that are told at most.",
)
@click.option(
    "--budget",
    type=float,
    help="How much is spent on a photograph that may be cropped or zoomed: samples of Fourier "
    "transforms, 1e10 if not told. 0 looks for whole photographs alone.",
)
@click.option(
    "--scale",
    "scales",
    multiple=True,
    type=float,
    help="Look for crops at this scale alone.",
)
@click.option(
    "--together",
    "is_together",
    is_flag=True,
    help="Ask of all photographs at once: they are of one camera, and have one answer.",
)
@click.option("--ray", "is_ray", is_flag=True, help="Many at once, on this machine or a cluster.")
def identify(
    paths: tuple[str, ...],
    *,
    db: str,
    is_json: bool,
    is_jsonl: bool,
    report: Path | None,
    candidates: int,
    budget: float | None,
    scales: tuple[float, ...],
    is_together: bool,
    is_ray: bool,
) -> None:
    """Tell which enrolled device took each of some photographs, or that none did.

    With --together they are asked as one question: what is too weak in each may show in all.
    """
    with one_sentence(STOPPED):
        from camid.casework.identify import BUDGET, state
        from camid.casework.photographs import named

        printed = Printed(is_list=is_json, is_lines=is_jsonl, is_kept=report is not None)
        if is_together and is_ray:
            raise ValueError("--together is one question, which one process answers, without --ray")
        num_samples = BUDGET if budget is None else _num_samples(budget)
        fingerprints, files = _opened(db), named(paths)
        options: dict[str, Any] = {
            "budget": num_samples,
            "scales": scales or None,
            "num_candidates": candidates,
            "has_pictures": report is not None,
        }
        ways = {(True, False): _answered_together, (False, True): _answered_by_ray}
        results = ways.get((is_together, is_ray), _answered)(fingerprints, files, options)
        try:
            for answer, pictures in results:
                printed.add(answer, pictures)
        finally:  # print the answers so far, whatever stops the others
            printed.print_list()
            if report and printed.kept:
                parameters = {
                    "Enrolled devices": state(fingerprints),
                    "Budget": f"{num_samples:,} samples of Fourier transforms",
                    "Scales": ", ".join(map(str, scales))
                    or "what the sizes imply, and common ones",
                }
                question = f"Which enrolled device took {'these' if is_together else 'this'}?"
                num_asked = 1 if is_together else len(files)
                printed.write_report(report, question, parameters, num_asked=num_asked)
        if not printed.has_answer:
            sys.exit(WRONG)


def _num_samples(budget: float) -> int:
    if not 0 <= budget < math.inf:
        raise ValueError(f"--budget {budget:g}: expected a number of samples, 0 or more")
    return int(budget)


def _answered(
    fingerprints: Any, files: Sequence[str], options: Mapping[str, Any]
) -> "Iterator[Answer]":
    from camid.casework.identify import answers

    return waited(lambda tell: answers(fingerprints, files, tell=tell, **options))


def _answered_together(
    fingerprints: Any, files: Sequence[str], options: Mapping[str, Any]
) -> "Iterator[Answer]":
    from camid.casework.identify_set import answer_together

    yield working(lambda tell: answer_together(fingerprints, files, tell=tell, **options))


def _answered_by_ray(
    fingerprints: Any, files: Sequence[str], options: Mapping[str, Any]
) -> "Iterator[Answer]":
    from camid.runtime.scoring.identify_many import answers_by_ray

    return answers_by_ray(fingerprints, files, **options)


class Sided(click.Command):
    """A command whose ``--side`` takes all words up to the next option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Turn each word of a side into an option of its own, with the side's number."""
        parsed: list[str] = []
        number = -1
        is_side = False
        for word in args:
            if word == "--side" or word.startswith("--side="):
                number, is_side = number + 1, True
                if word != "--side":
                    parsed += ["--side", f"{number}:{word.removeprefix('--side=')}"]
            elif word.startswith("-") and len(word) > 1:
                is_side = False
                parsed.append(word)
            elif is_side:
                parsed += ["--side", f"{number}:{word}"]
            else:
                parsed.append(word)
        return super().parse_args(ctx, parsed)


@click.command(cls=Sided, epilog=EXIT_CODES)
@click.option(
    "--side",
    "words",
    multiple=True,
    metavar="PHOTOS...",
    help="Photographs of one camera, files or a folder; twice.",
)
@as_json
@reported
def verify(words: tuple[str, ...], is_json: bool, report: Path | None) -> None:
    """Tell whether one camera took two sides' photographs: --side a*.jpg --side b*.jpg."""
    with one_sentence(STOPPED):
        from camid.casework.verify import verification

        sides: dict[int, list[str]] = {}
        for word in words:
            number, _, path = word.partition(":")
            sides.setdefault(int(number), []).append(path)
        if len(sides) != 2:
            raise ValueError(
                f"expected two sides, each with photographs, got {len(sides) or 'none'}: "
                "camid verify --side a1.jpg a2.jpg --side b1.jpg"
            )
        side_paths = [sides[number] for number in sorted(sides)]
        is_drawn = report is not None
        answer, pictures = working(
            lambda tell: verification(side_paths, has_pictures=is_drawn, tell=tell)
        )
        if is_json:
            click.echo(json.dumps(answer, indent=2))
        else:
            echo(answer["answer"])
            if answer["llr"] is not None:
                low, high = answer["bounds"]
                echo(
                    f"log-likelihood ratio {answer['llr']:+.2f} nats "
                    f"(the reference devices support {low:+.2f} to {high:+.2f}), "
                    f"grade {answer['grade']}"
                )
            print_warnings(answer["warnings"])
        if report:
            write_report(
                report,
                "Did one camera take both sides?",
                [answer],
                [pictures],
                {},
                is_json=is_json,
            )
        if answer["decision"] in NO_ANSWER:
            sys.exit(WRONG)


def _opened(db: str) -> Any:
    from camid.casework.database import Fingerprints

    fingerprints = Fingerprints(db)
    if fingerprints.folder.is_file():
        raise ValueError(f"{db}: a file where a folder of fingerprints is expected")
    if not fingerprints.entries() and not fingerprints.damaged():
        raise ValueError(f"{db}: no device is enrolled there; `camid enrol DEVICE PHOTOS…` does")
    return fingerprints


def _entry_facts(entry: Any) -> dict[str, Any]:
    return {
        "device": entry.device,
        "entry": entry.name,
        "model": _model(entry.make, entry.model),
        "lens": entry.lens,
        "size": f"{entry.width}x{entry.height}",
        "images": entry.num_images,
        "split_half": round(entry.split_half, 4) if entry.split_half == entry.split_half else None,
        "warnings": list(entry.warnings),
    }


def _model(make: str, model: str) -> str:
    """Return make and model, with the make only once: ``Canon EOS 700D``."""
    brand = make.partition(" ")[0].lower()
    has_brand = model.lower().startswith(brand)
    return model if has_brand else f"{make} {model}".strip()


def _tell(is_json: bool) -> Callable[[str], None]:
    """Return a function that prints progress on standard error, or nothing for JSON."""
    return (lambda _: None) if is_json else (lambda words: echo(words, err=True))


COMMANDS = {
    "enrol": enrol,
    "list": list_command,
    "remove": remove,
    "export": export,
    "check": check,
    "identify": identify,
    "verify": verify,
}
"""Commands by name."""
