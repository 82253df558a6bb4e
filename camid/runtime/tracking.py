"""MLflow: one run a method, with the same metric names for every method."""

import logging
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from camid.config import Config, config_tree
from camid.folder import Folder
from camid.runtime.session import home

EXPERIMENT = "camid"
FIGURES = (
    "eer",
    "auc",
    "rank1",
    "tpr_at_fpr_1e-2",
    "tpr_at_fpr_1e-3",
    "single_threshold_eer",
    "single_threshold_auc",
)
RETRIES = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}
"""MLflow's own would hold a pipeline for minutes where a server is gone."""


def tracking_uri() -> str:
    """Return ``$MLFLOW_TRACKING_URI``, else the address of a sqlite file under the home folder.

    Raises
    ------
    ValueError
        If there is no server and the home folder is not on a file system.
    """
    named = os.environ.get("MLFLOW_TRACKING_URI", "")
    if named:
        return named
    if not home().is_local:
        raise ValueError(
            f"CAMID_HOME={home().uri} cannot hold MLflow's sqlite file; name a server with "
            "MLFLOW_TRACKING_URI"
        )
    return f"sqlite:///{home().local_path}/mlflow.db"


def metrics(row: Mapping[str, Any], *, part: str = "test") -> dict[str, float]:
    """Return a result row's figures under the names that all methods share.

    ``test/eer`` is against all negatives, ``test/same-model/eer`` against those of one kind.
    """
    negatives = row["negatives"]
    prefix = part if negatives == "all" else f"{part}/{negatives}"
    return {f"{prefix}/{name}": float(row[name]) for name in FIGURES if name in row}


@contextmanager
def tracked_run(
    method: str, config: Config, *, tags: Mapping[str, str], parent: str | None = None
) -> Iterator[Any]:
    """Open an MLflow run called ``method`` and yield the ``mlflow`` module to log with.

    The resolved configuration is logged as parameters; ``tags`` and the git commit as tags.

    Raises
    ------
    ValueError
        If the tracking server does not answer.
    """
    for name, value in RETRIES.items():
        os.environ.setdefault(name, value)
    import mlflow
    from mlflow.exceptions import MlflowException

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    mlflow.set_tracking_uri(tracking_uri())
    try:
        _choose_experiment(mlflow)
        parents = {"mlflow.parentRunId": parent} if parent else {}
        run = mlflow.start_run(run_name=method, tags={**tags, **_commit(), **parents})
    except MlflowException as error:
        words = str(error).splitlines()[0]
        raise ValueError(f"MLflow at {tracking_uri()} does not answer: {words}") from None
    with run:
        mlflow.log_params(_flat(config_tree(config)))
        yield mlflow


def log_files(mlflow: Any, folder: Folder, names: list[str]) -> None:
    """Log files of an output folder as the run's artifacts, under their own folders."""
    for name in names:
        data = folder.read(name)
        *folders, last = name.split("/")
        with _temporary(last, data) as path:
            mlflow.log_artifact(path, artifact_path="/".join(folders) or None)


@contextmanager
def _temporary(name: str, data: bytes) -> Iterator[str]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        yield str(path)


def _choose_experiment(mlflow: Any) -> None:
    """Choose camid's experiment; with sqlite its artifacts lie beside the database."""
    uri = tracking_uri()
    if uri.startswith("sqlite:///") and mlflow.get_experiment_by_name(EXPERIMENT) is None:
        place = Path(uri.removeprefix("sqlite:///")).parent / "mlartifacts"
        mlflow.create_experiment(EXPERIMENT, artifact_location=place.as_uri())
    mlflow.set_experiment(EXPERIMENT)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _commit() -> dict[str, str]:
    """Return the commit of the checkout that this code runs from, where there is one."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {"git_commit": found.stdout.strip()}
