"""Training, plainly: one process, no Ray, no feed, no checkpoint."""

import numpy as np

from camid.store.store import open_store
from camid.store.strip_reader import RowGroups
from camid.training.batches import joined
from camid.training.tasks import Task


def plain_history(task: Task) -> list[dict[str, float]]:
    """Return the history of a training: a row a validation, as checkpoints have it."""
    from camid.training.train_step import Learner

    training = task.config.training
    every = range(training.micro_batches)
    with RowGroups(open_store(task.store)) as row_groups:
        batches, listed = task.training(row_groups), task.validation(row_groups)
        validation = joined([listed.part(number) for number in range(len(listed.parts))])
        learner = Learner(task.build, training, seed=task.config.seed)
        history, losses = list[dict[str, float]](), list[float]()
        for step in range(training.num_steps + 1):
            if step % training.validate_every == 0 or step == training.num_steps:
                outputs = learner.outputs(validation).astype(np.float64)
                figures = task.figures(outputs, validation.labels, listed.parts)
                loss = {"loss": float(np.mean(losses))} if losses else {}
                history.append({"step": step, **loss, **figures})
                losses = []
            if step < training.num_steps:
                losses.append(float(learner.step([batches.share(step, every)])))
    return history
