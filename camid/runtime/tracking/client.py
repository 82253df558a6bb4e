"""MLflow client: its address, starting and resuming runs, and logging figures by step."""

import hashlib
import json
import logging
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from camid.config import Config, config_tree
from camid.io.folder import FULL, Folder
from camid.io.output_layout import TRAINING
from camid.io.secrets import has_secret
from camid.runtime.cluster.session import home

EXPERIMENT = "camid"
CURVE_NAMES = {
    "loss": "train/loss",
    "pairs_per_second": "train/pairs_per_second",
    "patches_per_second": "train/patches_per_second",
    "waited": "train/waited",
    "readers": "train/readers",
    "gpu_bytes": "train/gpu_bytes",
    "validation_auc": "validation/auc",
    "validation_eer": "validation/eer",
    "validation_accuracy": "validation/accuracy",
    "validation_patch_accuracy": "validation/patch_accuracy",
    "validation_vote_accuracy": "validation/vote_accuracy",
    "validation_top5": "validation/top5",
}
"""Figures of a training's rows, and their names in a run."""
UNWRITTEN = f"{TRAINING}/unwritten.json"
"""File of the points of a training's curves that its run still lacks."""
COMMIT = ".commit"
"""File of an image, beside the code, that says its commit."""
MAX_METRICS = 1000
"""MLflow's limit of metrics in one request."""
SQLITE = "sqlite:///"
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}
"""No telemetry, no addresses among results, and retries that do not last for minutes."""


def tracking_uri() -> str:
    """Return ``$MLFLOW_TRACKING_URI``, else the address of a sqlite file under the home folder.

    Raises
    ------
    ValueError
        If it holds a password, or there is no server and the home folder is not on a file system.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if has_secret(uri):
        raise ValueError(
            "MLFLOW_TRACKING_URI holds a password, which results would keep; give it apart: "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD for a server, PGPASSWORD or "
            "~/.pgpass for PostgreSQL"
        )
    if uri:
        return uri
    if not home().is_local:
        raise ValueError(
            f"CAMID_HOME={home().uri} cannot hold MLflow's sqlite file; name a server with "
            "MLFLOW_TRACKING_URI"
        )
    return f"{SQLITE}{home().local_path}/mlflow.db"


def open_tracking() -> None:
    """Select camid's experiment on the tracking server, or create it.

    Raises
    ------
    ValueError
        If the server does not answer.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    uri = tracking_uri()
    mlflow.set_tracking_uri(uri)
    with answering(), _whole(uri):
        if uri.startswith(SQLITE) and mlflow.get_experiment_by_name(EXPERIMENT) is None:
            artifacts = Path(uri.removeprefix(SQLITE)).absolute().parent / "mlartifacts"
            mlflow.create_experiment(EXPERIMENT, artifact_location=artifacts.as_uri())
        mlflow.set_experiment(EXPERIMENT)


@contextmanager
def tracked_run(
    name: str, config: Config, *, tags: Mapping[str, str], run: str | None = None
) -> Iterator[Any]:
    """Open an MLflow run called ``name`` and yield the ``mlflow`` module to log with.

    The resolved configuration is logged as parameters; ``tags``, the git commit and the digest of
    the lock file as tags. ``run`` is the id of a run that :func:`begun_run` began, which is then
    resumed.

    Raises
    ------
    ValueError
        If the tracking server does not answer, or refuses a request.
    """
    open_tracking()
    import mlflow

    identity = {"run_id": run} if run else {"run_name": name}
    with answering(), mlflow.start_run(**identity, tags={**tags, **_provenance()}):
        if not run:
            mlflow.log_params(_flat(config_tree(config)))
        yield mlflow


def begun_run(name: str, config: Config, *, tags: Mapping[str, str]) -> str:
    """Return the id of a new run, with the configuration as parameters.

    Raises
    ------
    ValueError
        As :func:`tracked_run`.
    """
    with tracked_run(name, config, tags=tags) as mlflow:
        run = str(mlflow.active_run().info.run_id)
    with answering():
        mlflow.MlflowClient().update_run(run, status="RUNNING")
    return run


class Curves:
    """Figures of a training by step, written to its run at every validation.

    Figures that the server does not take are kept in the training's folder until it does.
    """

    def __init__(self, folder: Folder, begin: Callable[[], str]) -> None:
        """Continue with the figures that are not written yet.

        Parameters
        ----------
        begin
            Returns the id of the run, which it begins if there is none.
        """
        self._folder, self._begin = folder, begin
        unwritten = folder.read(UNWRITTEN) if folder.exists(UNWRITTEN) else b"[]"
        self._rows: list[tuple[int, Mapping[str, float]]] = [
            (time_ms, row) for time_ms, row in json.loads(unwritten)
        ]
        self._is_kept = bool(self._rows)

    def add(self, row: Mapping[str, float]) -> None:
        """Add a row of figures with its ``step``; a server that is gone gets the row later."""
        self._rows.append((int(time.time() * 1000), dict(row)))
        if any(name.startswith("validation_") for name in row):
            self.flush()

    def flush(self) -> bool:
        """Write all rows that are not written yet, or keep them; return whether all are written."""
        try:
            log_rows(self._begin(), self._rows)
        except (ValueError, OSError):
            self._folder.write(UNWRITTEN, json.dumps(self._rows).encode())
            self._is_kept = True
            return False
        self._rows = []
        if self._is_kept:
            self._folder.delete(UNWRITTEN)
            self._is_kept = False
        return True


def log_rows(run: str, rows: Sequence[tuple[int, Mapping[str, float]]]) -> None:
    """Write rows of a training's figures, each with its time in ms, to its run.

    Raises
    ------
    ValueError
        If the server does not answer.
    """
    from mlflow.entities import Metric

    metrics = [
        Metric(CURVE_NAMES[name], value, time_ms, int(row["step"]))
        for time_ms, row in rows
        for name, value in row.items()
        if name in CURVE_NAMES
    ]
    log_metrics(run, metrics)


def log_metrics(run: str, metrics: Sequence[Any]) -> None:
    """Write MLflow's metrics to a run, in as many requests as are needed.

    Raises
    ------
    ValueError
        If the server does not answer.
    """
    from mlflow import MlflowClient

    with answering():
        for start in range(0, len(metrics), MAX_METRICS):
            batch = list(metrics[start : start + MAX_METRICS])
            MlflowClient(tracking_uri()).log_batch(run, metrics=batch)


@contextmanager
def _whole(uri: str) -> Iterator[None]:
    """Let one process at a time make or renew a sqlite file; delete a new one that is not whole.

    MLflow would never open it again, and fails where another process makes its tables.

    Raises
    ------
    OSError
        If the file cannot be written in its folder; MLflow itself would try for minutes.
    """
    if not uri.startswith(SQLITE):
        yield
        return
    file = Path(uri.removeprefix(SQLITE)).absolute()
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=file.parent):
        pass
    with FileLock(file.parent / f".{file.name}.lock"):
        is_new = not file.exists()
        try:
            yield
        except BaseException:
            if is_new:
                for leftover in file.parent.glob(f"{file.name}*"):
                    leftover.unlink(missing_ok=True)
            raise


@contextmanager
def answering() -> Iterator[None]:
    """Turn MLflow's exceptions into errors of one sentence.

    Raises
    ------
    ValueError
        If MLflow does not answer, or refuses a request.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except DBAPIError as error:  # the sqlite file: MLflow lets its errors through
        raise ValueError(f"MLflow at {tracking_uri()} cannot be used: {error.orig}") from None
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise OSError(
            f"MLflow at {tracking_uri()}: {error.strerror}; make room and run again"
        ) from None
    except MlflowException as error:
        words = str(error).splitlines()[0]
        raise ValueError(f"MLflow at {tracking_uri()} does not answer: {words}") from None


def log_files(mlflow: Any, folder: Folder, names: Sequence[str]) -> None:
    """Log files of an output folder as the run's artifacts, under their own folders."""
    with tempfile.TemporaryDirectory() as temporary:
        for name in names:
            path = Path(temporary) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(folder.read(name))
        mlflow.log_artifacts(temporary)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _provenance() -> dict[str, str]:
    """Return the commit and lock digest of this code, if they are known.

    An image has no checkout, and a file that says its commit.
    """
    root = Path(__file__).parents[3]
    provenance = {}
    lock = root / "requirements.lock"
    if lock.exists():
        provenance["lock_sha256"] = hashlib.sha256(lock.read_bytes()).hexdigest()
    commit = (root / COMMIT).read_text().strip() if (root / COMMIT).exists() else ""
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    with suppress(OSError, subprocess.CalledProcessError):
        completed = subprocess.run(command, capture_output=True, text=True, check=True)
        commit = completed.stdout.strip()
    return provenance | ({"git_commit": commit} if commit else {})
