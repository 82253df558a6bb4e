"""Trials of a search: the values, the progress and the figures of each.

A trial is a folder below ``trials/``, a training like any other, with a record of its own.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from camid.io.digested import read_json, write_json
from camid.io.folder import Folder
from camid.io.output_layout import TRIALS
from camid.training.search_space import Domain

RECORD = "trial.json"
_RECORD = re.compile(rf"([0-9]+)/{re.escape(RECORD)}")
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
    validations: list[dict[str, int | float]] = field(default_factory=list)
    """Rows of figures, the first before the first step; whole numbers stay whole when read."""
    seconds: float = 0.0
    """Seconds at work."""
    start_seconds: float = 0.0
    """Seconds at work before its first step."""

    @property
    def name(self) -> str:
        """Folder of the trial, below the search's."""
        return f"{TRIALS}/{self.number:05d}"

    @property
    def has_ended(self) -> bool:
        """Whether no work is left for the trial."""
        return self.state != "running"

    @property
    def step(self) -> int:
        """Steps of the trial so far."""
        return int(self.validations[-1]["step"]) if self.validations else 0

    def best(self, figure: str) -> dict[str, int | float]:
        """Return the best validation, the first of equal ones; empty without validations."""
        return max(self.validations, key=lambda row: row[figure], default={})


def read_trials(folder: Folder) -> list[Trial]:
    """Return the trials of a search's folder, by their numbers.

    Raises
    ------
    ValueError
        If a record is not as it was written.
    """
    names = map(_RECORD.fullmatch, (folder / TRIALS).files())
    trials = [read_json(folder / f"{TRIALS}/{name[1]}", RECORD, Trial) for name in names if name]
    return sorted(trials, key=lambda trial: trial.number)


def write_trial(folder: Folder, trial: Trial) -> None:
    """Write a trial's record into a search's folder."""
    write_json(folder / trial.name, RECORD, asdict(trial))


def winner(trials: Sequence[Trial], *, figure: str) -> Trial:
    """Return the finished trial of the best validation, the first of equal ones.

    A stopped trial lost to others at the same step, whatever its figure.

    Raises
    ------
    ValueError
        If no trial finished.
    """
    finished = [trial for trial in trials if trial.state == "finished"]
    if not finished:
        reasons = [f"trial {trial.number}: {trial.reason}" for trial in trials if trial.reason]
        raise ValueError(f"no trial of {len(trials)} came to its end; {'; '.join(reasons[:1])}")
    return max(finished, key=lambda trial: trial.best(figure)[figure])


def trial_rows(trials: Sequence[Trial], *, figure: str) -> list[dict[str, Any]]:
    """Return a row for each trial, the best first: its values, its state, its best validation."""
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
    """Return the steps and seconds that stopping trials early saved.

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
    """Return the importance of each drawn field for the trials' best figures, the largest first.

    Importance is the loss of a random forest's fit where the field is permuted (Breiman 2001,
    doi:10.1023/A:1010933404324), as a share of all fields' together. Few trials say little.
    """
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    validated = [trial for trial in trials if trial.validations]
    if len(validated) < 2:
        return {domain.field: 0.0 for domain in domains}
    table = np.array(
        [[coordinate(domain, trial.values) for domain in domains] for trial in validated]
    )
    figures = [trial.best(figure)[figure] for trial in validated]
    forest = RandomForestRegressor(200, random_state=seed).fit(table, figures)
    permuted = permutation_importance(forest, table, figures, n_repeats=20, random_state=seed)
    shares = np.maximum(permuted.importances_mean, 0)
    shares = shares / (shares.sum() or 1)
    order = np.argsort(-shares, kind="stable")
    return {domains[i].field: float(shares[i]) for i in order}


def figure_words(figure: str) -> str:
    """Return the name of a validation's figure in tables and pictures."""
    words = figure.removeprefix("validation_").replace("_", " ")
    return words.upper() if words in {"auc", "eer"} else words


def coordinate(domain: Domain, values: Mapping[str, Any]) -> float:
    """Return a drawn value's coordinate: its index in a choice, else the value or its logarithm."""
    value = values[domain.field]
    if domain.sampler == "choice":
        return float(domain.arguments.index(value))
    return float(np.log10(value) if domain.is_logarithmic else value)
