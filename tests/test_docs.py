"""The README is true: its commands, files, fields and modules exist, and its figures are whole."""

import importlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from camid.cli import main
from camid.config import load_config
from camid.evaluation.published import STUDY

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCS = ROOT / "docs"


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_every_make_target_that_is_named_exists():
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)\b", README, re.MULTILINE))
    assert {
        "demo",
        "test",
        "preprocess",
        "baselines",
        "train-siamese",
        "ui",
        "soak",
        "check",
        "bench",
    } <= named
    assert named <= targets()


def test_make_alone_lists_every_target():
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert targets() <= set(re.findall(r"^  ([a-z-]+) ", shown, re.MULTILINE))


def test_every_camid_command_that_is_named_exists():
    commands = re.findall(r"\.venv/bin/camid ([a-z]+(?: [a-z]+)*)", README)
    assert {"plan", "compile", "simulate", "store info", "store verify"} <= set(commands)
    for command in commands:
        shown = CliRunner().invoke(main, [*command.split(), "--help"])
        assert shown.exit_code == 0, command


def test_every_field_that_is_named_exists():
    for setting in re.findall(r"--set ([a-z_]+\.[a-z_]+=\S+?)['`]", README):
        if setting != "section.field=value":
            load_config(settings=[setting])


def test_every_pipeline_and_picture_that_is_named_exists():
    for path in re.findall(r"(?:pipelines|benchmarks)/\w+\.py|docs/[\w.]+", README):
        assert (ROOT / path).is_file(), path


def test_the_map_has_a_row_for_every_package_in_the_contract_s_order():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = contracts["contracts"][0]["layers"]
    order = [name for layer in layers for name in re.findall(r"camid\.(\w+)", layer)]
    packages = re.findall(r"^\| .*$", README.split("## Map")[1].split("## ")[0], re.MULTILINE)
    mapped = re.findall(r"`camid/(\w+)(?:/|\.py)`", "\n".join(packages))
    assert mapped == order
    library = [p for p in (ROOT / "camid").iterdir() if not p.name.startswith("_")]
    assert {path.stem for path in library} == set(order)
    runtime = [p for p in (ROOT / "camid/runtime").iterdir() if not p.name.startswith("_")]
    row = next(line for line in packages if "`camid/runtime/`" in line)
    assert {path.stem for path in runtime} <= set(re.findall(r"`(\w+)`", row))


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{p.name}" for p in DOCS.glob("*.md"))])
def test_every_link_inside_the_repository_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#:]+)[^):]*\)", (ROOT / page).read_text())
    missing = [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]
    assert links
    assert missing == []


def test_the_results_table_has_a_figure_in_every_row():
    rows = re.findall(r"^\|.*\| (?:Lukas|Li) \| (.*) \|$", README, re.MULTILINE)
    assert len(rows) == 6
    for row in rows:
        figures = [cell.strip() for cell in row.split("|")]
        assert all(re.fullmatch(r"0\.\d{3,4}|–", figure) for figure in figures), row


@pytest.mark.parametrize(("method", "name"), [("lukas", "Lukas"), ("li", "Li")])
def test_the_study_s_rows_are_what_it_states(method, name):
    of = STUDY[method]
    assert f"| {name} | {of.crossing} | – | {of.rank1} | {of.eer} | {of.auc} |" in README


def test_what_stores_take_is_what_the_plan_says(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMID_HOME", str(tmp_path))
    rows = re.findall(r"^\| ([\d,]+) of (\d+)×(\d+) px.*?\| ([\d,]+) \|", README, re.MULTILINE)
    assert len(rows) == 2
    for count, width, height, strips in rows:
        size = ["--images", count.replace(",", ""), "--size", f"{width}x{height}"]
        shown = CliRunner().invoke(main, ["plan", *size])
        assert re.search(rf"^strips +{strips} *$", shown.output, re.MULTILINE), shown.output


@pytest.mark.parametrize("python", ["2.7", "3.10", "3.14"])
def test_another_python_is_one_sentence(python, tmp_path):
    """A stand-in for an interpreter of another version: real ones are not on every machine."""
    (tmp_path / "requirements.lock").touch()
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    major, minor = python.split(".")
    stand_in = tmp_path / "python"
    stand_in.write_text(
        "#!/bin/sh\nshift\n"
        f'exec python3 -c "import sys; sys.version_info = ({major}, {minor}, 0); $1"\n'
    )
    stand_in.chmod(0o755)
    refused = subprocess.run(
        ["make", "setup", f"PYTHON={stand_in}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "camid: Python 3.11, 3.12 or 3.13 is needed" in refused.stderr
    assert python in refused.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("file", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda f: f.stem)
def test_a_benchmark_takes_from_camid_what_is_there(file, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    importlib.import_module(f"benchmarks.{file.stem}")
