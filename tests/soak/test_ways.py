"""Every pipeline, in every way in which it can be run, gives the results of this machine alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands import FAINT, LUKAS, pipeline
from tests.runtime.conftest import contents
from tests.soak.processes import results
from tests.soak.test_searches import written

pytestmark = [pytest.mark.soak, pytest.mark.long]

SHORT = [
    *(*FAINT, *LUKAS),
    *("--set", "training.batch_size=16", "--set", "training.micro_batches=4"),
]
SEARCH = [*SHORT, "--set", "search.num_trials=2", "--set", "search.scheduler=none"]
PIPELINES = {
    "preprocess": FAINT,
    "baselines": FAINT,
    "evaluate": SHORT,
    "train_siamese": [*SHORT, "--split", "seeded"],
    "train_pairnet": [*SHORT, "--split", "seeded", "--set", "training.num_steps=2"],
    "train_cnn": [*SHORT, "--split", "seeded"],
    "tune_siamese": [*SEARCH, "--split", "seeded"],
    "tune_cnn": [*SEARCH, "--split", "seeded"],
    "demo": FAINT,
}
"""Pipelines and the options they are run with."""
WAYS = ("address", "job", "working-dir")
"""With ``RAY_ADDRESS``; as a job where camid is installed; as a job that brings it along."""
UNTRAINED = {"lukas", "li", "classical", "pairnet"}
TOLERANCE = 0.1
"""Of the error rate of a network whose sums were taken in another order: two of 20 impostors."""


def options(name: str, folder: Path) -> list[str]:
    """Return a pipeline's command line; a search's configuration is written into a folder."""
    kind = name.removeprefix("tune_")
    return [*([written(folder, kind)] if kind != name else []), *PIPELINES[name]]


@pytest.fixture(params=PIPELINES)
def here(request, once: Callable[..., Path]) -> tuple[str, Path]:
    """The name of a pipeline, and a home in which this machine has run it."""
    name: str = request.param

    def make(home: Path) -> None:
        done = pipeline(name, *options(name, home), home=home)
        assert done.returncode == 0, done.stderr

    return name, once(f"here-{name}", make)


@pytest.mark.parametrize("way", WAYS)
def test_a_cluster_s_results_are_this_machine_s(cluster, here, checkout, tmp_path, way):
    name, home = here
    cluster.shape(cpus=2, gpus=0)
    command = ["python", f"pipelines/{name}.py", *options(name, tmp_path)]
    if way != "address":
        told = json.dumps({"env_vars": {"CAMID_HOME": str(tmp_path)}})
        where = ["--working-dir", str(checkout)] if way == "working-dir" else []
        command = ["ray", "job", "submit", *where, "--runtime-env-json", told, "--", *command]
    done = cluster.run(*command, home=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    place = "runs/demo/store" if name == "demo" else "store"
    assert chunks(tmp_path / place) == chunks(home / place) != {}
    if name != "preprocess":
        check_alike(tmp_path / f"runs/{name}", home / f"runs/{name}")


def chunks(store: Path) -> dict[str, bytes]:
    """Return a store's chunks; its tables name photographs, which lie elsewhere each time."""
    return {name: data for name, data in contents(store).items() if name.startswith("device=")}


def check_alike(out: Path, other: Path) -> None:
    """See that rows are the same, but for what was trained with sums in another order."""
    for row, as_there in zip(results(out), results(other), strict=True):
        if row["method"] in UNTRAINED:
            assert row == as_there
        else:
            named = {key: value for key, value in row.items() if not isinstance(value, float)}
            assert named == {key: as_there[key] for key in named}
            assert row["eer"] == pytest.approx(as_there["eer"], abs=TOLERANCE)
