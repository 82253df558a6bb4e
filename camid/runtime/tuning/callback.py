"""Ray Tune's callback of a search: progress, a record per trial, and MLflow runs."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ray import tune

from camid.config import Config, config_yaml
from camid.io.folder import Folder
from camid.io.output_layout import CHECKPOINT, CONFIG
from camid.runtime.console import progress, say
from camid.runtime.tracking.client import Curves
from camid.runtime.tracking.runs import trial_curves, write_trial_run
from camid.runtime.training.train import remove_group
from camid.training.checkpoint import checkpoint_parts
from camid.training.tasks import Task
from camid.training.trials import Trial, figure_words, write_trial

LINGER_SECONDS = 15
"""Seconds that a trial's process may outlive the trial."""


class Follower(tune.Callback):  # type: ignore[misc]
    """Recorder of a search's trials as they run; called by Ray Tune, in the driver."""

    def __init__(
        self,
        folder: Folder,
        trials: Sequence[Trial],
        *,
        kind: type[Task],
        configs: Callable[[Trial], Config],
    ) -> None:
        """Continue from the given trials.

        Parameters
        ----------
        configs
            Returns a trial's configuration.
        """
        self.folder = folder
        self.trials = {trial.number: trial for trial in trials}
        self._kind, self._configs = kind, configs
        self._curves: dict[int, Curves] = {}
        self._since: dict[int, float] = {}
        self._groups: dict[int, set[str]] = defaultdict(set)
        self._left: list[tuple[float, str]] = []
        self._lost: dict[int, str] = {}
        self._died: dict[int, str] = {}
        self._display = progress()
        self._bar: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        return object, ()  # for the state that Ray keeps, from which nothing is restored

    @property
    def ended(self) -> set[int]:
        """Numbers of the trials that have ended."""
        return {number for number, trial in self.trials.items() if trial.has_ended}

    @contextmanager
    def shown(self, total: int) -> Iterator[None]:
        """Show a progress bar of the trials that have ended."""
        with self._display:
            self._bar = self._display.add_task("search", total=total, unit="trials")
            yield

    def begin(self, trial: Trial) -> None:
        """Record a newly drawn trial."""
        self.trials[trial.number] = trial
        (self.folder / trial.name).write(CONFIG, config_yaml(self._configs(trial)).encode())
        write_trial(self.folder, trial)

    def on_trial_start(
        self,
        iteration: int,  # noqa: ARG002
        trials: Sequence[Any],  # noqa: ARG002
        trial: Any,
        **_: Any,
    ) -> None:
        """Start a trial's clock."""
        self._since[self._of(trial).number] = time.monotonic()

    def on_trial_result(
        self,
        iteration: int,  # noqa: ARG002
        trials: Sequence[Any],  # noqa: ARG002
        trial: Any,
        result: Mapping[str, Any],
        **_: Any,
    ) -> None:
        """Record a new validation."""
        record, row = self._of(trial), result.get("row")
        if record.has_ended:
            return
        if result.get("group"):
            self._groups[record.number].add(result["group"])
        record.reason = result.get("reason", "")
        self._lost |= {record.number: result["lost"]} if "lost" in result else {}
        if row and row["step"] > max((past["step"] for past in record.validations), default=-1):
            record.validations.append(dict(row))
            self._curve(record).add(row)
        self._keep(record)
        if not record.step:
            record.start_seconds = record.seconds
        self._describe()

    def on_trial_complete(
        self,
        iteration: int,  # noqa: ARG002
        trials: Sequence[Any],  # noqa: ARG002
        trial: Any,
        **_: Any,
    ) -> None:
        """Record the end of a trial."""
        self._end(self._of(trial))

    def on_trial_error(
        self,
        iteration: int,  # noqa: ARG002
        trials: Sequence[Any],  # noqa: ARG002
        trial: Any,
        **_: Any,
    ) -> None:
        """Note that a trial's process died too often: with all of Ray, or from its drawn values."""
        record = self._of(trial)
        self._died[record.number] = f"its process died: {_last_line(trial)}"
        self._since.pop(record.number, None)
        self._leave(record)

    def on_trial_recover(
        self,
        iteration: int,  # noqa: ARG002
        trials: Sequence[Any],  # noqa: ARG002
        trial: Any,
        **_: Any,
    ) -> None:
        """Release the placement groups of a trial whose process died."""
        self._leave(self._of(trial))

    def on_step_end(
        self,
        iteration: int,  # noqa: ARG002
        trials: Sequence[Any],  # noqa: ARG002
        **_: Any,
    ) -> None:
        """Remove placement groups of trials whose processes must have ended by now."""
        now = time.monotonic()
        while self._left and self._left[0][0] < now:
            remove_group(self._left.pop(0)[1])

    def finish(self) -> None:
        """Remove the remaining placement groups, and end the trials whose processes died.

        Raises
        ------
        OSError
            If a trial could not be written; the trial has not ended then.
        """
        for group in [group for _, group in self._left]:
            remove_group(group)
        if self._lost:
            number, reason = next(iter(self._lost.items()))
            raise OSError(f"trial {number} could not go on: {reason}")
        for number, reason in self._died.items():  # Ray itself is still running
            self.trials[number].reason = reason
            self._end(self.trials[number])

    def _of(self, trial: Any) -> Trial:
        return self.trials[trial.config["trial"]]

    def _curve(self, trial: Trial) -> Curves:
        if trial.number not in self._curves:
            curves = trial_curves(self.folder, trial, self._configs(trial), kind=self._kind)
            self._curves[trial.number] = curves
        return self._curves[trial.number]

    def _keep(self, trial: Trial) -> None:
        """Write a trial's record, with its time so far."""
        now = time.monotonic()
        trial.seconds += now - self._since.get(trial.number, now)
        self._since[trial.number] = now
        write_trial(self.folder, trial)

    def _leave(self, trial: Trial) -> None:
        """Schedule the removal of the placement groups of a trial's workers.

        A remaining group would keep its processors from all later trials.
        """
        due = time.monotonic() + LINGER_SECONDS
        self._left += [(due, group) for group in self._groups.pop(trial.number, ())]

    def _end(self, trial: Trial) -> None:
        self._leave(trial)
        if self._bar is not None:
            self._display.advance(self._bar)
        if trial.has_ended or trial.number in self._lost:
            return
        if trial.reason:
            trial.state = "failed"
        else:
            done = checkpoint_parts((self.folder / trial.name).read(CHECKPOINT))[1]
            # A worker that died after writing its checkpoint has not reported its last validation.
            trial.validations = [dict(row) for row in done.history]
            is_over = done.is_finished(self._configs(trial).training)
            trial.state = "finished" if is_over else "stopped"
        self._keep(trial)
        with suppress(ValueError, OSError):  # else written at the search's end
            write_trial_run(self.folder, trial, self._configs(trial), kind=self._kind)
        say(f"trial {trial.number} {_ending(trial, self._kind)}")

    def _describe(self) -> None:
        """Show the best figure so far, and how many trials are at work."""
        figure = self._kind.figure
        best = max((t.best(figure).get(figure, 0.0) for t in self.trials.values()), default=0.0)
        working = sum(not trial.has_ended for trial in self.trials.values())
        description = f"search, {working} at work, best {figure_words(figure)} {best:.3f}"
        self._display.update(self._bar, description=description)


def _ending(trial: Trial, kind: type[Task]) -> str:
    """Return a description of a trial's end."""
    if trial.state == "failed":
        return f"failed: {trial.reason}"
    figure = f"{figure_words(kind.figure)} {trial.best(kind.figure)[kind.figure]:.3f}"
    return f"{trial.state} at step {trial.step}, best {figure}"


def _last_line(trial: Any) -> str:
    """Return the last line of Ray's error of a trial."""
    error = trial.get_error()
    lines = str(error or "no word").strip().splitlines()
    return lines[-1]
