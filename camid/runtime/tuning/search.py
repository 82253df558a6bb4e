"""A search on Ray Tune: trials, each a training on Ray Train, of which the worse stop early.

A trial is a folder with a checkpoint, a network and a record, so that a search that was stopped
goes on: trials that had ended tell again what they told, others go on from their checkpoints. Of
Ray's own state nothing is kept.
"""

import json
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
from camid.io.csv_tables import write_csv
from camid.io.filesystems import filesystem_of
from camid.io.folder import Folder
from camid.io.output_layout import CHECKPOINT, SEARCH, TRIALS, TRIALS_PICTURE, TRIALS_TABLE, WINNER
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
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # it would end a search as if all were well
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}
"""Ray Tune without files and words of its own."""


def searched(
    kind: type[Task], config: Config, output: Output, clock: Clock, *, split: Split
) -> Config:
    """Run the trials of a search that are left, and return the configuration of the winner.

    Writes a folder a trial, their table and picture, and the winner's network, checkpoint and
    configuration, which trains it again. MLflow has a run a trial below the folder's own.

    Raises
    ------
    ValueError
        If the space or a draw is wrong, Ray has too few processors, or no trial came to its end.
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
    trials = read_trials(folder)
    best = winner(trials, figure=kind.figure)
    found = trial_config(config, best)
    told = savings(trials, num_steps=num_steps) | {"winner": best.number}
    _write(folder, trials, space, best, found, kind=kind, told=told)
    return found


def trial_config(config: Config, trial: Trial) -> Config:
    """Return a trial's configuration: a training's, with what the trial drew.

    Raises
    ------
    ValueError
        If its store is another's.
    """
    drawn = drawn_config(replace(config, search=Search()), trial.values)
    if drawn.paths.store != config.paths.store:
        plain = Config()
        drawn = adopted(
            replace(drawn, images=plain.images, strips=plain.strips, residual=plain.residual)
        )
    return drawn


def _check(kind: type[Task], config: Config, space: Sequence[Domain], split: Split) -> None:
    """Raise, before any trial, if trials cannot be trained, or stores to choose from differ.

    Raises
    ------
    ValueError
        If they cannot, or are not.
    """
    training, settings = config.training, config.search
    kind(config=config, store=config.paths.store, split=split).check()
    if settings.scheduler == "asha" and settings.grace_steps > training.num_steps:
        raise ValueError(
            f"search.grace_steps = {settings.grace_steps}: more than training.num_steps = "
            f"{training.num_steps}, so that no trial would be stopped; set search.scheduler=none"
        )
    choice = next((d.arguments for d in space if d.field == "paths.store"), ())
    stores = {store: open_store(store).description for store in (config.paths.store, *choice)}
    plans = [(told["plan_digest"], told["settings"]["strips"]) for told in stores.values()]
    if any(plan != plans[0] for plan in plans):
        raise ValueError(
            f"search.space.paths.store: {', '.join(stores)} are not of the same photographs and "
            "strips; make them of one folder, with other residuals alone"
        )
    for domain in space:
        for value in domain.arguments if domain.sampler == "choice" else ():
            drawn = trial_config(config, Trial(number=0, values={domain.field: value}))
            try:
                kind(config=drawn, store=drawn.paths.store, split=split).check()
            except ValueError as error:
                told = f"search.space.{domain.field}: {told_value(value)}"
                raise ValueError(f"{told}: {error}") from None


@dataclass(frozen=True, kw_only=True)
class _Search:
    """Trials of one kind, that are drawn from a space and kept in a folder."""

    kind: type[Task]
    config: Config
    space: Sequence[Domain]
    split: Split
    folder: Folder
    follower: Follower

    def run(self) -> None:
        """Run trials, so many at once, until all of them have ended."""
        settings, left = self.config.search, self.config.search.num_trials
        left -= len(self.follower.ended)
        if left < settings.num_trials:
            say(f"the search goes on: {settings.num_trials - left} trials have ended, {left} left")
        if not left:
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
            with suppress(OSError):  # what stopped the search is worth more
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
            tune.with_resources(work, {"memory": 1}),  # its workers take the processors
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
        """Return what stops trials early, or lets all come to their ends."""
        settings = self.config.search
        if settings.scheduler == "none":
            return FIFOScheduler()
        return AsyncHyperBandScheduler(
            time_attr="step",
            max_t=self.config.training.num_steps,
            grace_period=settings.grace_steps,
            reduction_factor=settings.reduction,
            stop_last_trials=False,  # they stop by themselves
        )

    def _placed(self) -> Training:
        """Return how each trial trains: with how many processors.

        Raises
        ------
        ValueError
            If Ray has too few processors or graphics cards for one.
        """
        training, count = self.config.training, self._num_places()
        cpus = worker_cpus(training, node_resources(), num_trainings=count)
        return replace(training, worker_cpus=round(max(cpus - _feed(training), LEAST_CPUS), 2))

    def _num_places(self) -> int:
        """Return how many trials run at once, on the nodes that there are now."""
        training, settings = self.config.training, self.config.search
        count = settings.num_concurrent
        if not count:
            feed = _feed(training)
            alone = training.worker_cpus or max(1.0 - feed, LEAST_CPUS)
            fitting = places(training, node_resources(), alone + feed)
            count = max(1, fitting // training.num_workers)
        return min(count, settings.num_trials)


def _feed(training: Training) -> float:
    """Return the processors of what reads for a worker."""
    return training.feed_workers * training.feed_cpus


def _work(
    drawn: Mapping[str, Any], *, kind: type[Task], base: Config, split: Split, output: str
) -> None:
    """Train as one trial, from its checkpoint if it has one; runs in a process of its own."""
    trial = Trial(number=drawn["trial"], values=dict(drawn["values"]))
    folder = Folder(output) / trial.name
    last: dict[str, float] = {SCORE: 0.0, "step": 0}

    def tell(row: Mapping[str, float]) -> None:
        if kind.figure in row:
            last.update({SCORE: row[kind.figure], "step": int(row["step"])})
            tune.report({**last, "row": dict(row)})

    def began(group: str) -> None:
        tune.report({**last, "group": group})

    if folder.exists(CHECKPOINT):
        for row in checkpoint_parts(folder.read(CHECKPOINT))[1].history:
            tell(row)
    if drawn["has_ended"]:
        return
    try:
        config = trial_config(base, trial)
        with session():
            task = kind(config=config, store=config.paths.store, split=split)
            train(task, folder, tell=tell, began=began)
    except ValueError as error:  # of its draw: again it would end so again
        tune.report({SCORE: 0.0, "step": base.training.num_steps, "reason": str(error)})
    except OSError as error:  # of where it is kept, such as a full disk
        tune.report({SCORE: 0.0, "step": base.training.num_steps, "lost": str(error)})


def _write(
    folder: Folder,
    trials: Sequence[Trial],
    space: Sequence[Domain],
    best: Trial,
    found: Config,
    *,
    kind: type[Task],
    told: Mapping[str, float],
) -> None:
    """Write the trials' table and picture, what mattered, and what the winner is."""
    from camid.evaluation.report.figures import png
    from camid.training.search_figures import trials_figure

    write_csv(folder, TRIALS_TABLE, trial_rows(trials, figure=kind.figure))
    shares = importances(trials, space, figure=kind.figure, seed=found.seed)
    picture = trials_figure(trials, space, figure=kind.figure, shares=shares, best=best)
    folder.write(TRIALS_PICTURE, png(picture))
    summary = {**told, "importances": shares}
    folder.write(SEARCH, (json.dumps(summary, indent=2) + "\n").encode())
    alone = replace(found, paths=Paths(store=found.paths.store))
    folder.write(WINNER, config_yaml(alone).encode())
    for name in (kind.network, CHECKPOINT):
        folder.write(name, (folder / best.name).read(name))
    run = Logbook(folder / best.name).runs.get(kind.method())
    if run:
        Logbook(folder).adopt(kind.method(), run)
