"""The commands a user types, and the small settings that tests run them with."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

ROOT = Path(__file__).parents[1]
SMALL = [
    *("--set", "simulate.num_devices=8", "--set", "simulate.num_models=4"),
    *("--set", "splits.test=0.5", "--set", "splits.validation=0.25"),
    *("--set", "training.num_steps=4", "--set", "training.validate_every=2"),
    *("--set", "training.validation_pairs=32", "--set", "training.micro_batches=8"),
    *("--set", "comparisons.num_pairs=40", "--set", "comparisons.num_crops=[1,4]"),
    *("--set", "simulate.num_background=10", "--set", "simulate.num_foreground=3"),
    *("--set", "simulate.sizes=[[256,256]]"),
    *("--set", "simulate.pattern_strength=0.03", "--set", "simulate.pattern_spread=0"),
    *("--set", "simulate.portraits=0"),
]
"""Eight phones of four models, one strip an image, trainings of four steps."""
FAINT = [*SMALL, "--set", "simulate.pattern_strength=0.002"]
"""The same phones with patterns so faint that methods err, and so differ."""
LUKAS = ["--set", "evaluate.methods=[lukas]"]
"""For tests that are not about methods: the one that costs the least."""


def environment(home: Path, **variables: str) -> dict[str, str]:
    """Return the environment of a process with ``home`` as ``CAMID_HOME`` and a Ray of its own.

    Nothing of what tests in this process have set, such as MLflow's address, goes along.
    """
    left = {"RAY_ADDRESS", "CAMID_HOME", "MLFLOW_TRACKING_URI"}
    kept = {name: value for name, value in os.environ.items() if name not in left}
    return {**kept, "CAMID_HOME": str(home), "RAY_ADDRESS": "local", **variables}


def run(
    *command: str, home: Path, seconds: float = 840, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run Python to its end, at home in ``home``, on a Ray of its own."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=home,
        env=environment(home, **{"HOME": str(home), **variables}),
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )


def pipeline(
    name: str, *options: str, home: Path, seconds: float = 840, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a pipeline to its end."""
    script = str(ROOT / "pipelines" / f"{name}.py")
    return run(script, *options, home=home, seconds=seconds, **variables)


def camid(*options: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the command ``camid`` to its end."""
    return run("-c", "from camid.cli import main; main()", *options, home=home)


def pipeline_here(
    name: str, *options: str, home: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a pipeline in this process, and on its Ray if there is one.

    For tests whose rule is not about processes: it costs no imports and no start of Ray.
    """
    command = importlib.import_module(f"pipelines.{name}").main
    return _run_here(command, *options, home=home, **variables)


def camid_here(*options: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the command ``camid`` in this process, and on its Ray if there is one."""
    return _run_here(importlib.import_module("camid.cli").main, *options, home=home)


def _run_here(
    command: click.Command, *options: str, home: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for key, value in ({"CAMID_HOME": str(home), "RAY_ADDRESS": "local"} | variables).items():
            patch.setenv(key, value)
        result = CliRunner().invoke(command, [*options])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return subprocess.CompletedProcess(options, result.exit_code, result.stdout, result.stderr)
