"""MLflow's pages, opened on a table of the methods of all runs."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from camid.runtime.tracking.client import EXPERIMENT, SQLITE, answering, open_tracking, tracking_uri
from camid.runtime.tracking.runs import COMPARED, WHAT

VIEW = "camid"
"""The name of the view, which is a tag of the experiment, as MLflow's own shared views are."""
KIND = ("mlflow.experimentKind", "custom_model_development")
"""Kind of an experiment for the pages: its training runs come first, not traces of agents."""
COLUMNS = (
    *("metrics.`test/eer`", "metrics.`test/auc`", "metrics.`test/rank1`", "metrics.`test/cllr`"),
    *("metrics.`test/same-model/eer`", "metrics.`test/tpr_at_fpr_1e-2`"),
    *(
        f"tags.`{COMPARED}`",
        "tags.`split`",
        "tags.`images`",
        "tags.`crop_size`",
        "tags.`num_crops`",
    ),
)
HOST = "127.0.0.1"
PATIENCE_SECONDS = 60
SERVER = (
    "import runpy, signal; from camid.io.stopping import ends_with_parent; "
    "ends_with_parent(signal.SIGTERM); runpy.run_module('mlflow', run_name='__main__')"
)
"""MLflow's command, which ends with the program that begins it, however that ends."""


def view_address(server: str) -> str:
    """Store the view in the experiment; return the view's address on a server's pages.

    Raises
    ------
    ValueError
        If the server does not answer.
    """
    open_tracking()
    import mlflow

    client = mlflow.MlflowClient()
    with answering():
        experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
        client.set_experiment_tag(experiment, f"mlflow.sharedViewState.{VIEW}", json.dumps(_view()))
        client.set_experiment_tag(experiment, *KIND)
    return f"{server.rstrip('/')}/#/experiments/{experiment}/runs?viewStateShareKey={VIEW}"


def _view() -> dict[str, object]:
    """Return the view: the runs to list, their order, and the columns to show.

    Ordered by anything but time, pages list methods themselves and not their comparisons.
    """
    return {
        "searchFilter": f"tags.{WHAT} = 'method'",
        "orderByKey": f"tags.`{COMPARED}`",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(COLUMNS),
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsHiddenMode": "FIRST_20_RUNS",
        "runsVisibilityMap": {},
        "viewMaximized": False,
        "runListHidden": False,
        "groupBy": None,
        "groupsExpanded": {},
        "useGroupedValuesInCharts": True,
        "autoRefreshEnabled": False,
        "hideEmptyCharts": True,
        "globalLineChartConfig": None,
    }


@contextmanager
def served(port: int) -> Iterator[str]:
    """Serve MLflow's pages over the sqlite file, on this machine only; yield their address.

    Raises
    ------
    ValueError
        If there are no runs yet, or the pages do not come up.
    """
    uri = tracking_uri()
    if not Path(uri.removeprefix(SQLITE)).exists():
        raise ValueError(f"no runs yet in {uri}; run a pipeline first")
    options = ["--backend-store-uri", uri, "--host", HOST, "--port", str(port), "--workers", "1"]
    command = [sys.executable, "-c", SERVER, "server", *options]
    server = subprocess.Popen(command, stdout=sys.stderr)
    try:
        address = f"http://{HOST}:{port}"
        _wait(server, address)
        yield address
        server.wait()
    finally:
        server.terminate()
        server.wait()


def _wait(server: "subprocess.Popen[bytes]", address: str) -> None:
    """Wait until the pages answer."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with urlopen(f"{address}/health"):
                return
        except (URLError, OSError):
            if server.poll() is not None or time.monotonic() > deadline:
                raise ValueError(
                    f"MLflow's pages do not come up at {address}; is the port taken? --port names "
                    "another"
                ) from None
            time.sleep(0.2)
