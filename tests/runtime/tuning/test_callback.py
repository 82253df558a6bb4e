"""What a search keeps of a trial whose workers did not tell everything."""

from types import SimpleNamespace

import numpy as np

from camid.config import load_config
from camid.io.folder import Folder
from camid.io.output_layout import CHECKPOINT
from camid.runtime.tracking.runs import Logbook, begin
from camid.runtime.tuning.callback import Follower
from camid.training.checkpoint import Progress, checkpoint_bytes
from camid.training.pair_task import PairTask
from camid.training.trials import Trial, read_trials

HISTORY = [{"step": step, "validation_auc": 0.5 + step / 100} for step in (0, 4, 8)]


def test_a_validation_that_a_worker_kept_and_died_before_telling_is_in_the_record_and_in_mlflow(
    home, tmp_path
):
    from mlflow import MlflowClient

    folder, config = Folder(str(tmp_path / "out")), load_config(settings=["training.num_steps=8"])
    begin(folder, config, pipeline="tune_siamese")
    follower = Follower(folder, [], kind=PairTask, configs=lambda _: config)
    follower.begin(Trial(number=0, values={}))
    place, seen = folder / "trials/00000", SimpleNamespace(config={"trial": 0})
    progress = Progress(step=8, history=HISTORY)
    place.write(CHECKPOINT, checkpoint_bytes([np.zeros(1)], progress))
    with follower.shown(1):
        for row in (HISTORY[0], HISTORY[2]):
            follower.on_trial_result(1, [], seen, {"row": row})
        follower.on_trial_complete(1, [], seen)
    (trial,) = read_trials(folder)
    assert (trial.state, trial.validations) == ("finished", HISTORY)
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    points = client.get_metric_history(Logbook(place).runs[PairTask.method()], "validation/auc")
    assert sorted((point.step, point.value) for point in points) == [
        (row["step"], row["validation_auc"]) for row in HISTORY
    ]
