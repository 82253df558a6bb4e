"""Trials of a search: what each drew, how far it came, and what that was worth.

A trial is a folder below ``trials/``, a training like any other, with a record of its own.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from camid.io.folder import Folder
from camid.io.output_layout import TRIALS
from camid.training.search_space import Domain

RECORD = "trial.json"
State = Literal["running", "finished", "stopped", "failed"]


@dataclass(kw_only=True)
class Trial:
    """One trial of a search, as its record has it."""

    number: int
    values: dict[str, Any]
    """Its draws, by ``section.field``."""
    state: State = "running"
    """``stopped`` by the scheduler, ``failed`` for a reason; ``running`` may have been left so."""
    reason: str = ""
    validations: list[dict[str, float]] = field(default_factory=list)
    """Rows of figures, the first one before the first step."""
    seconds: float = 0.0
    """That it was at work."""
    start_seconds: float = 0.0
    """Of these, before its first step."""

    @property
    def name(self) -> str:
        """Its folder, below the search's."""
        return f"{TRIALS}/{self.number:05d}"

    @property
    def has_ended(self) -> bool:
        """Whether there is nothing left to do for it."""
        return self.state != "running"

    @property
    def step(self) -> int:
        """Steps that it took."""
        return int(self.validations[-1]["step"]) if self.validations else 0

    def best(self, figure: str) -> dict[str, float]:
        """Return its best validation, the first of equal ones; empty if it has none."""
        return max(self.validations, key=lambda row: row[figure], default={})


def read_trials(folder: Folder) -> list[Trial]:
    """Return the trials of a search's folder, by their numbers."""
    names = [name for name in (folder / TRIALS).files() if name.endswith(f"/{RECORD}")]
    trials = [Trial(**json.loads(folder.read(f"{TRIALS}/{name}"))) for name in names]
    return sorted(trials, key=lambda trial: trial.number)


def write_trial(folder: Folder, trial: Trial) -> None:
    """Write a trial's record into a search's folder."""
    folder.write(f"{trial.name}/{RECORD}", json.dumps(asdict(trial)).encode())


def winner(trials: Sequence[Trial], *, figure: str) -> Trial:
    """Return the finished trial of the best validation, the first of equal ones.

    One that was stopped lost to others at the same step, whatever its figure.

    Raises
    ------
    ValueError
        If none finished.
    """
    finished = [trial for trial in trials if trial.state == "finished"]
    if not finished:
        reasons = [f"trial {t.number}: {t.reason}" for t in trials if t.reason]
        raise ValueError(f"no trial of {len(trials)} came to its end; {'; '.join(reasons[:1])}")
    return max(finished, key=lambda trial: trial.best(figure)[figure])


def trial_rows(trials: Sequence[Trial], *, figure: str) -> list[dict[str, Any]]:
    """Return a row a trial, the best first: what it drew, how it ended, its best validation."""
    rows = [
        {
            "trial": trial.number,
            "state": trial.state,
            "steps": trial.step,
            "seconds": round(trial.seconds, 1),
            **{
                name: value
                for name, value in trial.best(figure).items()
                if name.startswith("validation_")
            },
            **trial.values,
            "reason": trial.reason,
        }
        for trial in trials
    ]
    return sorted(rows, key=lambda row: row.get(figure, -np.inf), reverse=True)


def savings(trials: Sequence[Trial], *, num_steps: int) -> dict[str, float]:
    """Return what stopping trials early saved against training all of them to the end.

    ``seconds_saved`` takes each trial's missing steps to be as fast as those that it took.
    """
    saved = [
        (trial.seconds - trial.start_seconds) / trial.step * (num_steps - trial.step)
        for trial in trials
        if trial.state == "stopped" and trial.step
    ]
    return {
        "trials": len(trials),
        "stopped": sum(trial.state == "stopped" for trial in trials),
        "failed": sum(trial.state == "failed" for trial in trials),
        "steps": sum(trial.step for trial in trials),
        "steps_of_all": len(trials) * num_steps,
        "seconds": sum(trial.seconds for trial in trials),
        "seconds_saved": sum(saved),
    }


def importances(
    trials: Sequence[Trial], domains: Sequence[Domain], *, figure: str, seed: int
) -> dict[str, float]:
    """Return how much each drawn field mattered to the trials' best figures, the most first.

    That is the loss of a random forest's fit where one field is permuted (Breiman 2001,
    doi:10.1023/A:1010933404324), as a share of all fields' together. Few trials tell little.
    """
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    told = [trial for trial in trials if trial.validations]
    if len(told) < 2:
        return {domain.field: 0.0 for domain in domains}
    table = np.array([[coordinate(d, trial.values) for d in domains] for trial in told])
    worth = [trial.best(figure)[figure] for trial in told]
    forest = RandomForestRegressor(200, random_state=seed).fit(table, worth)
    lost = permutation_importance(forest, table, worth, n_repeats=20, random_state=seed)
    shares = np.maximum(lost.importances_mean, 0)
    shares = shares / (shares.sum() or 1)
    order = np.argsort(-shares, kind="stable")
    return {domains[i].field: float(shares[i]) for i in order}


def figure_words(figure: str) -> str:
    """Return what tables and pictures call a figure of a validation."""
    words = figure.removeprefix("validation_").replace("_", " ")
    return words.upper() if words in {"auc", "eer"} else words


def coordinate(domain: Domain, values: Mapping[str, Any]) -> float:
    """Return where a drawn value lies: its place in a choice, else itself or its logarithm."""
    value = values[domain.field]
    if domain.sampler == "choice":
        return float(domain.arguments.index(value))
    return float(np.log10(value) if domain.is_logarithmic else value)
