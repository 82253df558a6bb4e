"""Training as a pipeline: train, keep the curves, then judge the network among other methods."""

from camid.config import Config
from camid.dataset.splits import Split
from camid.evaluation.result_rows import ResultRow
from camid.io.csv_tables import write_csv
from camid.io.folder import Folder
from camid.io.output_layout import CHECKPOINT, HISTORY, PICTURES
from camid.runtime.cluster.placement_groups import remove_placement_groups
from camid.runtime.cluster.session import session
from camid.runtime.run_folder.output import Output
from camid.runtime.run_folder.stage_times import Clock
from camid.runtime.scoring.evaluate import run_evaluation
from camid.runtime.scoring.prepare_list import prepared_list
from camid.runtime.tracking.runs import training_curves
from camid.runtime.training.train import train
from camid.training.checkpoint import checkpoint_parts
from camid.training.pair_task import PairTask
from camid.training.tasks import Task


def run_pairs(
    config: Config, output: Output, clock: Clock, *, split: Split, kind: type[PairTask]
) -> list[ResultRow]:
    """Train a network of pairs on the store at ``config.paths.store``; return the result rows.

    Writes the best network, its history, and everything that :func:`run_evaluation` writes of the
    network and of ``evaluate.methods``. A stopped training resumes from its last checkpoint.

    Parameters
    ----------
    kind
        Task of the network to train.

    Raises
    ------
    ValueError
        As :meth:`PairTask.check_settings`, :func:`train` and :func:`run_evaluation`.
    """
    listed = prepared_list(config, output, split=split)  # fails before hours of training
    size = listed.crop_size or config.strips.size
    kind.check_settings(config, size=size, source=config.evaluate.comparisons)
    task = kind(config=config, store=config.paths.store, split=split)
    with session():
        trained(task, output.folder, clock)
        networks = [output.folder.address(task.network)]
        return run_evaluation(config, output, clock, split=split, trained=networks)


def trained(task: Task, folder: Folder, clock: Clock) -> None:
    """Train a task's network to the end, and keep its curves, which MLflow gets as they grow."""
    from camid.evaluation.report.figures import learning_figure, png

    curves = training_curves(folder, task.method(), task.config)
    with clock.stage("train"):
        train(task, folder, tell=curves.add)
        remove_placement_groups()
    history = checkpoint_parts(folder.read(CHECKPOINT))[1].history
    write_csv(folder, HISTORY, history)
    folder.write(
        PICTURES["learning"], png(learning_figure(history, figure=task.figure, unit=task.unit))
    )
    curves.flush()
