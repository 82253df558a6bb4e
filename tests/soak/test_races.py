"""Two commands at once on one database, store or output: each ends as it would before or after the
other, or says that the other is at work; nothing is damaged, and the next command goes on.
"""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations_with_replacement
from pathlib import Path

import pytest

from camid.casework.database import Fingerprints
from camid.config import Simulate
from camid.dataset.simulate import phones as simulated_phones
from camid.runtime.tracking.client import open_tracking
from tests.commands import FAINT, LUKAS, ROOT, camid_here, environment, run
from tests.runtime.conftest import contents
from tests.soak.processes import settle

pytestmark = pytest.mark.soak

SETTINGS = Simulate(num_devices=3, num_models=1, sizes=((384, 320),), portraits=0.0)
NUM = 6
DATABASE: dict[str, Sequence[str]] = {
    "enrol": ["enrol", "first", "0/more", "--db", "db"],
    "enrol another": ["enrol", "third", "2", "--db", "db"],
    "remove": ["remove", "first", "--db", "db"],
    "remove a photograph": ["remove", "second", "1/0.jpg", "--db", "db"],
    "identify": ["identify", "0/0.jpg", "--db", "db", "--json"],
    "check": ["check", "--db", "db"],
    "list": ["list", "--db", "db"],
    "export": ["export", "second", "--out", "exported", "--db", "db"],
}
"""Commands on one database of a first and a second phone."""
CHANGES = ("enrol", "enrol another", "remove", "remove a photograph")
STORE: dict[str, Sequence[str]] = {
    "preprocess": ["preprocess"],
    "preprocess anew": ["preprocess", "--fresh"],
    "repair": ["store", "verify", "--repair"],
    "verify": ["store", "verify"],
    "baselines": ["baselines", *LUKAS],
}
OUTPUT: dict[str, Sequence[str]] = {
    "baselines": ["baselines", *LUKAS],
    "baselines anew": ["baselines", *LUKAS, "--fresh"],
    "other baselines": ["baselines", *LUKAS, "--set", "seed=2"],
    "evaluate": ["evaluate", *LUKAS],
    "compare": ["compare"],
}
REFUSED = 2
"""Exit code of a command that finds the other at work."""
IN_CI = {("preprocess anew", "repair"), ("baselines", "other baselines")}
"""Pairs of pipelines that ``make soak`` runs, besides all with one of :data:`CHANGES`."""


def pairs(commands: Mapping[str, Sequence[str]]) -> list[object]:
    """Return every pair of commands; those not in CI are long."""

    def is_in_ci(pair: tuple[str, str]) -> bool:
        return bool({*pair} & {*CHANGES}) if commands is DATABASE else pair in IN_CI

    return [
        pytest.param(pair, id=" + ".join(pair), marks=[] if is_in_ci(pair) else [pytest.mark.long])
        for pair in combinations_with_replacement(commands, 2)
    ]


@pytest.fixture(scope="module")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three phones' photographs, and a database of two."""
    home = tmp_path_factory.mktemp("enrolled")
    for number, phone in enumerate(simulated_phones(SETTINGS, seed=3)):
        (home / f"{number}/more").mkdir(parents=True)
        for shot in range(NUM + 2):
            name = f"{number}/{shot}.jpg" if shot < NUM else f"{number}/more/{shot}.jpg"
            (home / name).write_bytes(phone.photograph("background", shot))
    for device, number in (("first", 0), ("second", 1)):
        files = [f"{number}/{shot}.jpg" for shot in range(NUM)]
        done = camid_here("enrol", device, *files, "--db", "db", home=home)
        assert done.returncode == 0, done.stderr
    return home


@pytest.fixture(scope="module")
def outcomes(
    enrolled: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., list[dict[str, str]]]:
    """Return the databases that commands may leave, whichever is first."""
    known: dict[tuple[str, ...], dict[str, str]] = {}

    def after(order: tuple[str, ...]) -> dict[str, str]:
        if order not in known:
            home = tmp_path_factory.mktemp("in turn")
            subprocess.run(["cp", "-r", f"{enrolled}/.", str(home)], check=True)
            for name in order:
                camid_here(*DATABASE[name], home=home)
            known[order] = entries(home / "db")
        return known[order]

    def of(names: Sequence[str]) -> list[dict[str, str]]:
        changes = tuple(name for name in names if name in CHANGES)
        return [after(changes), after(changes[::-1])]

    return of


def entries(folder: Path) -> dict[str, str]:
    """Return each device's entry, the file's bytes."""
    database = Fingerprints(str(folder))
    assert not database.damaged()
    folder = database.folder
    return {entry.device: folder.read(entry.file).hex() for entry in database.entries()}


@pytest.mark.parametrize("pair", pairs(DATABASE))
def test_two_commands_on_one_database(pair, enrolled, outcomes, tmp_path):
    subprocess.run(["cp", "-r", f"{enrolled}/.", str(tmp_path)], check=True)
    command = [sys.executable, "-c", "from camid.cli import main; main()"]
    codes = both(*([*command, *DATABASE[name]] for name in pair), home=tmp_path)
    done = [name for name, code in zip(pair, codes, strict=True) if code != REFUSED]
    assert done
    assert entries(tmp_path / "db") in outcomes(done)
    assert not [*(tmp_path / "db").rglob("*.part")]
    again = camid_here("check", "--db", "db", home=tmp_path)
    assert "damaged" not in again.stdout + again.stderr


@pytest.mark.parametrize("pair", pairs(STORE))
def test_two_commands_on_one_store(pair, phones, tmp_path):
    """The chunks that are there at last are the undisturbed ones."""
    last = line(["preprocess"], tmp_path / "store", out="last")[1:]
    for name in ("first", "second"):
        done = run(*last, home=tmp_path)
        assert done.returncode == 0, (name, done.stderr)
        if name == "first":
            lines = [line(STORE[n], tmp_path / "store", out=f"out {i}") for i, n in enumerate(pair)]
            both(*lines, home=tmp_path)
    assert chunks(tmp_path / "store") == chunks(phones / "store")


def chunks(store: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(store).items() if name.startswith("device=")}


@pytest.mark.parametrize("pair", pairs(OUTPUT))
def test_two_commands_on_one_output(pair, phones, tmp_path):
    """What is there at last is whole and of one of the two, and no MLflow run is left running."""
    store = phones / "store"
    if "compare" in pair:
        done = run(*line(OUTPUT["baselines"], store, out="other")[1:], home=tmp_path)
        assert done.returncode == 0, done.stderr
    codes = both(*(line(OUTPUT[name], store, out="out") for name in pair), home=tmp_path)
    assert 0 in codes
    found = []
    for number, name in enumerate(dict.fromkeys(pair)):
        done = run(*line(OUTPUT[name], store, out=f"alone {number}")[1:], home=tmp_path)
        assert done.returncode == 0, done.stderr
        found.append((tmp_path / f"alone {number}/results.json").read_bytes())
    assert (tmp_path / "out/results.json").read_bytes() in found
    assert not running(tmp_path)


def line(command: Sequence[str], store: Path, *, out: str) -> list[str]:
    """Return a command's line, on a store."""
    name, *rest = command
    if name == "store":
        main = [sys.executable, "-c", "from camid.cli import main; main()"]
        return [*main, "store", *rest[:1], str(store), *rest[1:]]
    given = ["other"] if name == "compare" else [*FAINT, "--store", str(store)]
    return [sys.executable, str(ROOT / f"pipelines/{name}.py"), *rest, *given, "--out", out]


def both(*lines: Sequence[str], home: Path) -> list[int]:
    """Run commands at once; return their codes, which are those of answers and of one sentence."""
    running = [
        subprocess.Popen(
            [*words],
            cwd=home,
            env=environment(home),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for words in lines
    ]
    said = [process.communicate(timeout=800)[1] for process in running]
    codes = [process.returncode for process in running]
    assert set(codes) <= {0, 1, 2}, said
    assert not any("Traceback" in words for words in said), said
    settle(home)
    return codes


def running(home: Path) -> list[str]:
    """Return the ids of a home's MLflow runs that are not over."""
    import mlflow

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMID_HOME", str(home))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        open_tracking()
        found = mlflow.MlflowClient().search_runs(["1", "0"], "attributes.status = 'RUNNING'")
    return [run.info.run_id for run in found]


def test_every_pair_in_ci_is_one():
    known = [*combinations_with_replacement(STORE, 2), *combinations_with_replacement(OUTPUT, 2)]
    assert {*known} >= IN_CI
