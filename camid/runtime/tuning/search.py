"""A search on Ray Tune: each trial is a training on Ray Train, and poor trials stop early.

A trial is a folder with a checkpoint, a network and a record, so that a stopped search can resume:
trials that had ended report their rows again, others continue from their checkpoints. Nothing of
Ray's own state is kept.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler

from camid.config import Config, Paths, Search, Training, config_yaml
from camid.dataset.splits import Split
from camid.evaluation.search_summary import write_search
from camid.io.csv_tables import write_csv
from camid.io.filesystems import filesystem_of
from camid.io.folder import Folder
from camid.io.output_layout import CHECKPOINT, TRIALS, TRIALS_PICTURE, TRIALS_TABLE, WINNER
from camid.runtime.cluster.placement_groups import remove_placement_groups
from camid.runtime.cluster.resources import node_resources
from camid.runtime.cluster.session import session
from camid.runtime.console import say
from camid.runtime.run_folder.output import Output
from camid.runtime.run_folder.stage_times import Clock
from camid.runtime.tracking.runs import Logbook
from camid.runtime.training.train import LEAST_CPUS, places, train, worker_cpus
from camid.runtime.tuning.callback import Follower
from camid.runtime.tuning.search_algorithm import SCORE, Draws
from camid.store.settings import adopted
from camid.store.store import open_store
from camid.training.checkpoint import checkpoint_parts
from camid.training.search_space import Domain, drawn_config, search_space, told_value
from camid.training.tasks import Task
from camid.training.trials import Trial, importances, read_trials, savings, trial_rows, winner

RAY = f"{TRIALS}/ray"
"""Folder of Ray's own files of a running search, below the output folder."""
ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # it would end a search as if it had succeeded
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}
"""Environment that keeps Ray Tune from writing files and messages of its own."""


def searched(
    kind: type[Task], config: Config, output: Output, clock: Clock, *, split: Split
) -> Config:
    """Run the remaining trials of a search; return the winner's configuration.

    Writes a folder per trial, the trials' table and picture, and the winner's network, checkpoint
    and configuration, which trains it again. MLflow has a run per trial below the folder's own.

    Raises
    ------
    ValueError
        If the space or a draw is invalid, Ray has too few processors, or no trial finished.
    """
    folder, num_steps = output.folder, config.training.num_steps
    space = search_space(config, searched=kind.searched)
    _check(kind, config, space, split)
    with session(), clock.stage("search"):
        search = _Search(
            kind=kind,
            config=config,
            space=space,
            split=split,
            folder=folder,
            follower=Follower(
                folder,
                read_trials(folder),
                kind=kind,
                configs=partial(trial_config, config),
            ),
        )
        search.run()
        remove_placement_groups()
    trials = read_trials(folder)
    best = winner(trials, figure=kind.figure)
    winner_config = trial_config(config, best)
    figures = savings(trials, num_steps=num_steps) | {"winner": best.number}
    _write(folder, trials, space, best, winner_config, kind=kind, figures=figures)
    return winner_config


def trial_config(config: Config, trial: Trial) -> Config:
    """Return a trial's configuration: that of a training, with the trial's drawn values.

    Raises
    ------
    ValueError
        If its store was made with different settings.
    """
    drawn = drawn_config(replace(config, search=Search()), trial.values)
    if drawn.paths.store != config.paths.store:
        defaults = Config()
        drawn = adopted(
            replace(
                drawn, images=defaults.images, strips=defaults.strips, residual=defaults.residual
            )
        )
    return drawn


def _check(kind: type[Task], config: Config, space: Sequence[Domain], split: Split) -> None:
    """Raise if trials cannot be trained, or if the stores to choose from differ.

    Raises
    ------
    ValueError
        With the name of the invalid setting.
    """
    training, settings = config.training, config.search
    kind(config=config, store=config.paths.store, split=split).check()
    if settings.scheduler == "asha" and settings.grace_steps > training.num_steps:
        raise ValueError(
            f"search.grace_steps = {settings.grace_steps}: more than training.num_steps = "
            f"{training.num_steps}, so that no trial would be stopped; set search.scheduler=none"
        )
    choices = next((d.arguments for d in space if d.field == "paths.store"), ())
    descriptions = {
        store: open_store(store).description for store in (config.paths.store, *choices)
    }
    plans = [
        (description["plan_digest"], description["settings"]["strips"])
        for description in descriptions.values()
    ]
    if any(plan != plans[0] for plan in plans):
        raise ValueError(
            f"search.space.paths.store: {', '.join(descriptions)} are not of the same photographs "
            "and strips; make them of one folder, with other residuals alone"
        )
    for domain in space:
        for value in domain.arguments if domain.sampler == "choice" else ():
            drawn = trial_config(config, Trial(number=0, values={domain.field: value}))
            try:
                kind(config=drawn, store=drawn.paths.store, split=split).check()
            except ValueError as error:
                setting = f"search.space.{domain.field}: {told_value(value)}"
                raise ValueError(f"{setting}: {error}") from None


@dataclass(frozen=True, kw_only=True)
class _Search:
    """Trials of one task, drawn from a space and kept in a folder."""

    kind: type[Task]
    config: Config
    space: Sequence[Domain]
    split: Split
    folder: Folder
    follower: Follower

    def run(self) -> None:
        """Run trials, several at once, until all of them have ended."""
        settings, num_left = self.config.search, self.config.search.num_trials
        num_left -= len(self.follower.ended)
        if num_left < settings.num_trials:
            say(
                f"the search goes on: {settings.num_trials - num_left} trials have ended, "
                f"{num_left} left"
            )
        if not num_left:
            self.follower.finish()
            return
        training = self._placed()
        os.environ.update(ENVIRONMENT)
        for name in ("ray.tune", "ray.train"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self.folder.delete(RAY)
        try:
            with self.follower.shown(settings.num_trials):
                self._tuner(training).fit()
        finally:
            with suppress(OSError):  # the error that stopped the search matters more
                self.folder.delete(RAY)
        self.follower.finish()

    def _tuner(self, training: Training) -> Any:
        """Return Ray Tune's tuner of all trials."""
        settings = self.config.search
        work = partial(
            _work,
            kind=self.kind,
            base=replace(self.config, training=training),
            split=self.split,
            output=self.folder.uri,
        )
        filesystem, path = filesystem_of(self.folder.uri)
        return tune.Tuner(
            tune.with_resources(work, {"memory": 1}),  # the processors are its workers'
            tune_config=tune.TuneConfig(
                metric=SCORE,
                mode="max",
                num_samples=settings.num_trials,
                search_alg=Draws(
                    self.space,
                    list(self.follower.trials.values()),
                    settings=settings,
                    seed=self.config.seed,
                    begin=self.follower.begin,
                    places=self._num_places,
                ),
                scheduler=self._scheduler(),
            ),
            run_config=tune.RunConfig(
                name=RAY.rpartition("/")[2],
                storage_path=f"{path}/{TRIALS}",
                storage_filesystem=filesystem,
                failure_config=tune.FailureConfig(max_failures=settings.max_failures),
                callbacks=[self.follower],
                verbose=0,
            ),
        )

    def _scheduler(self) -> Any:
        """Return the scheduler, which stops poor trials early or lets all finish."""
        settings = self.config.search
        if settings.scheduler == "none":
            return FIFOScheduler()
        return AsyncHyperBandScheduler(
            time_attr="step",
            max_t=self.config.training.num_steps,
            grace_period=settings.grace_steps,
            reduction_factor=settings.reduction,
            stop_last_trials=False,  # they end by themselves
        )

    def _placed(self) -> Training:
        """Return the training settings of each trial, with its workers' processors.

        Raises
        ------
        ValueError
            If Ray has too few processors or GPUs for one trial.
        """
        training, count = self.config.training, self._num_places()
        cpus = worker_cpus(training, node_resources(), num_trainings=count)
        return replace(training, worker_cpus=round(max(cpus - _feed(training), LEAST_CPUS), 2))

    def _num_places(self) -> int:
        """Return how many trials run at once on the current nodes."""
        training, settings = self.config.training, self.config.search
        count = settings.num_concurrent
        if not count:
            feed_cpus = _feed(training)
            own_cpus = training.worker_cpus or max(1.0 - feed_cpus, LEAST_CPUS)
            num_workers = places(training, node_resources(), own_cpus + feed_cpus)
            count = max(1, num_workers // training.num_workers)
        return min(count, settings.num_trials)


def _feed(training: Training) -> float:
    """Return the processors of the processes that read for a worker."""
    return training.least_readers * training.feed_cpus


def _work(
    drawn: Mapping[str, Any], *, kind: type[Task], base: Config, split: Split, output: str
) -> None:
    """Train one trial, from its checkpoint if it has one; runs in its own process."""
    trial = Trial(number=drawn["trial"], values=dict(drawn["values"]))
    folder = Folder(output) / trial.name
    last: dict[str, float] = {SCORE: 0.0, "step": 0}

    def report_row(row: Mapping[str, float]) -> None:
        if kind.figure in row:
            last.update({SCORE: row[kind.figure], "step": int(row["step"])})
            tune.report({**last, "row": dict(row)})

    def report_group(group: str) -> None:
        tune.report({**last, "group": group})

    if folder.exists(CHECKPOINT):
        for row in checkpoint_parts(folder.read(CHECKPOINT))[1].history:
            report_row(row)
    if drawn["has_ended"]:
        return
    try:
        config = trial_config(base, trial)
        with session():
            task = kind(config=config, store=config.paths.store, split=split)
            train(task, folder, tell=report_row, began=report_group)
    except ValueError as error:  # from its drawn values: it would fail again
        tune.report({SCORE: 0.0, "step": base.training.num_steps, "reason": str(error)})
    except OSError as error:  # from its folder, such as a full disk
        tune.report({SCORE: 0.0, "step": base.training.num_steps, "lost": str(error)})


def _write(
    folder: Folder,
    trials: Sequence[Trial],
    space: Sequence[Domain],
    best: Trial,
    winner_config: Config,
    *,
    kind: type[Task],
    figures: Mapping[str, float],
) -> None:
    """Write the trials' table and picture, the fields' importances, and the winner's files."""
    from camid.evaluation.report.figures import png
    from camid.training.search_figures import trials_figure

    write_csv(folder, TRIALS_TABLE, trial_rows(trials, figure=kind.figure))
    shares = importances(trials, space, figure=kind.figure, seed=winner_config.seed)
    picture = trials_figure(trials, space, figure=kind.figure, shares=shares, best=best)
    folder.write(TRIALS_PICTURE, png(picture))
    write_search(folder, figures=figures, importances=shares)
    written_config = replace(winner_config, paths=Paths(store=winner_config.paths.store))
    folder.write(WINNER, config_yaml(written_config).encode())
    for name in (kind.network, CHECKPOINT):
        folder.write(name, (folder / best.name).read(name))
    run = Logbook(folder / best.name).runs.get(kind.method())
    if run:
        Logbook(folder).adopt(kind.method(), run)
