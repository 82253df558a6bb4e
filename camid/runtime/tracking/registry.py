"""MLflow's registry of models: the winner of a search under an alias, and networks by name."""

from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np

from camid.config import Config
from camid.io.folder import Folder
from camid.runtime.cluster.session import home
from camid.runtime.console import quiet
from camid.runtime.tracking.client import answering, open_tracking
from camid.runtime.tracking.runs import Logbook
from camid.training.tasks import Task

ALIAS = "best"
MODELS = "models:/"
"""Beginning of the addresses of registered networks."""


def register(kind: type[Task], folder: Folder) -> str:
    """Register the network in an output folder; return its address, ``models:/siamese@best``.

    The network becomes a new version, to which the alias moves, and is logged with the run that
    trained it. A run's network is registered once.

    Raises
    ------
    ValueError
        If the tracking server does not answer.
    """
    open_tracking()
    import mlflow

    with quiet():
        from camid.comparison.networks.files import read_network

    name, client = kind.method(), mlflow.MlflowClient()
    run = Logbook(folder).runs[name]
    with answering():
        versions = client.search_model_versions(f"name = '{name}' and run_id = '{run}'")
        if versions:
            version_number = versions[0].version
        else:
            with quiet(), mlflow.start_run(run_id=run):
                network = read_network(folder, kind.network)
                logged = mlflow.keras.log_model(
                    network,
                    name=name,
                    registered_model_name=name,
                    signature=_signature(network),
                    pip_requirements=[f"camid=={version('camid')}"],
                )
            version_number = logged.registered_model_version
        client.set_registered_model_alias(name, ALIAS, version_number)
    return f"{MODELS}{name}@{ALIAS}"


def with_networks(config: Config) -> Config:
    """Return a configuration with registered networks replaced by files of current versions.

    Raises
    ------
    ValueError
        If a model does not exist, or the tracking server does not answer.
    """
    networks = config.evaluate.networks
    files = tuple(_fetched(name) if name.startswith(MODELS) else name for name in networks)
    return replace(config, evaluate=replace(config.evaluate, networks=files))


def _fetched(address: str) -> str:
    """Return the file of a registered network, ``$CAMID_HOME/networks/NAME-VERSION.keras``."""
    open_tracking()
    import mlflow
    from mlflow.exceptions import MlflowException

    client = mlflow.MlflowClient()
    name, _, alias = address.removeprefix(MODELS).partition("@")
    with answering():
        try:
            if alias:
                model_version = client.get_model_version_by_alias(name, alias)
            else:
                name, _, version_number = name.partition("/")
                model_version = client.get_model_version(name, version_number)
        except MlflowException as error:
            if error.get_http_status_code() in {400, 404}:
                raise ValueError(f"{address}: no such model in MLflow's registry") from None
            raise
        folder, file = home() / "networks", f"{name}-{model_version.version}.keras"
        if not folder.exists(file):
            path = mlflow.artifacts.download_artifacts(f"{MODELS}{name}/{model_version.version}")
            folder.write(file, Folder(f"{path}/data").read("model.keras"))
    return folder.address(file)


def _signature(network: Any) -> Any:
    """Return MLflow's signature of a network's inputs and outputs."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Schema, TensorSpec

    def schema(shape: tuple[int | None, ...]) -> Schema:
        return Schema([TensorSpec(np.dtype(np.float32), (-1, *shape[1:]))])

    return ModelSignature(schema(network.input_shape), schema(network.output_shape))
