"""Training as a pipeline: train, keep the curves, then judge the network beside other methods."""

import json
from collections.abc import Mapping
from typing import Any

from camid.checkpoints import checkpoint_parts
from camid.config import Config
from camid.folder import Folder
from camid.runtime.evaluation import prepared_list, run_evaluation
from camid.runtime.feed import Source
from camid.runtime.output import CHECKPOINT, HISTORY, NETWORK, TRAINING, Output, write_csv
from camid.runtime.session import session
from camid.runtime.stages import Clock
from camid.runtime.tracking import Curves, begun_run, open_tracking, tracking_uri
from camid.runtime.train import train
from camid.splits import Split

RUN = f"{TRAINING}/mlflow.json"
CURVES = "figures/learning.png"


def run_siamese(
    config: Config, output: Output, clock: Clock, *, split: Split
) -> list[dict[str, Any]]:
    """Train the network of pairs on the store at ``config.paths.store``; return the result rows.

    Writes the best network, its history, everything that :func:`run_evaluation` writes of the
    network and of ``evaluate.methods``, and the MLflow run of the training. A training that was
    stopped goes on from its last checkpoint.

    Raises
    ------
    ValueError
        As :func:`train` and :func:`run_evaluation`.
    """
    open_tracking()
    listed = prepared_list(config, output, split=split)  # before hours of training
    size = listed.crop_size or config.strips.size
    if size != config.pairs.crop_size:
        raise ValueError(
            f"{config.evaluate.comparisons}: compares crops of {size} px, and the network is "
            f"trained on pairs.crop_size = {config.pairs.crop_size}"
        )
    folder = output.folder
    run = _run(folder, config)
    curves = Curves(run)
    source = Source(config=config, store=config.paths.store, split=split)
    with session():
        with clock.stage("train"):
            train(source, folder, network=NETWORK, tell=curves.add)
        _keep_history(folder)
        curves.flush()
        trained = {folder.address(NETWORK): run}
        return run_evaluation(config, output, clock, split=split, trained=trained)


def _run(folder: Folder, config: Config) -> str:
    """Return the MLflow run of the training in an output folder, begun if there is none."""
    server = tracking_uri()
    if folder.exists(RUN):
        told: Mapping[str, str] = json.loads(folder.read(RUN))
        if told["server"] == server:
            return told["run"]
    run = begun_run(NETWORK.removesuffix(".keras"), config)
    folder.write(RUN, json.dumps({"server": server, "run": run}).encode())
    return run


def _keep_history(folder: Folder) -> None:
    """Write and draw how the training went."""
    from camid.figures import learning_figure, png

    history = checkpoint_parts(folder.read(CHECKPOINT))[1].history
    write_csv(folder, HISTORY, history)
    folder.write(CURVES, png(learning_figure(history)))
