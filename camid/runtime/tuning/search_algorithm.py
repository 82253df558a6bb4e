"""Search algorithms of Ray Tune, applied to camid's search space and trials."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from ray import tune
from ray.tune.search import Searcher

from camid.config import Search
from camid.training.search_space import Domain
from camid.training.trials import Trial

SCORE = "score"
"""Ray Tune's name for the figure of a trial's last validation."""
_DRAW = 46
"""Key that separates the draw of a trial from other draws by the same seed."""


def tune_domain(domain: Domain) -> Any:
    """Return Ray Tune's domain for a domain of the search space.

    Lists among the choices become JSON: searchers expect plain values.
    """
    sampler = getattr(tune, domain.sampler)
    if domain.sampler == "choice":
        return sampler([_plain(value) for value in domain.arguments])
    return sampler(*domain.arguments)


class Draws(Searcher):  # type: ignore[misc]
    """Source of the trials' values: their records, else the algorithm of the search.

    A random draw is a function of the seed and the trial's number, so that a longer search begins
    with the trials of a shorter one.
    """

    def __init__(
        self,
        space: Sequence[Domain],
        known: Sequence[Trial],
        *,
        settings: Search,
        seed: int,
        begin: Callable[[Trial], None],
        places: Callable[[], int],
    ) -> None:
        """Raise if a package that the algorithm needs is not installed.

        Parameters
        ----------
        known
            Trials of an earlier run, from the first on.
        begin
            Receives each new trial before it starts.
        places
            Returns how many trials may run now; another begins if fewer are running.

        Raises
        ------
        ValueError
            If the package is not installed.
        """
        super().__init__(metric=SCORE, mode="max")
        self._space, self._known, self._seed, self._begin = space, list(known), seed, begin
        self._num_trials, self._count = settings.num_trials, 0
        self._places, self._running = places, set[str]()
        self._domains = {domain.field: tune_domain(domain) for domain in space}
        self._guide = self._optuna() if settings.algorithm == "optuna" else None

    def __reduce__(self) -> tuple[Any, ...]:
        return object, ()  # for the state that Ray keeps, from which nothing is restored

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return a trial's number, its values, and whether it has already ended."""
        if self._count == self._num_trials:
            return Searcher.FINISHED  # type: ignore[no-any-return]
        if len(self._running) >= self._places():
            return None
        self._running.add(trial_id)
        drawn = self._guide.suggest(trial_id) if self._guide else self._random()
        if self._count < len(self._known):
            trial = self._known[self._count]
        else:
            trial = Trial(number=self._count, values=self._values(drawn))
            self._begin(trial)
        self._count += 1
        return {"trial": trial.number, "values": trial.values, "has_ended": trial.has_ended}

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        """Report a finished trial to the algorithm, and free its place."""
        self._running.discard(trial_id)
        if self._guide:
            self._guide.on_trial_complete(trial_id, result, error)

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: a search resumes from the trials' own records."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing, as :meth:`save`."""

    def _random(self) -> dict[str, Any]:
        key = np.random.SeedSequence(self._seed, spawn_key=(_DRAW, self._count))
        rng = np.random.default_rng(key)
        return {
            field: domain.sample(random_state=rng)
            for field, domain in sorted(self._domains.items())
        }

    def _optuna(self) -> Any:
        from ray.tune.search.optuna import OptunaSearch

        try:
            return OptunaSearch(
                self._domains,
                metric=SCORE,
                mode="max",
                seed=self._seed,
                points_to_evaluate=[
                    {field: _plain(value) for field, value in trial.values.items()}
                    for trial in self._known
                ],
            )
        except (AssertionError, ImportError):
            raise ValueError(
                "search.algorithm = optuna: Optuna is not installed; pip install 'camid[optuna]', "
                "or search at random"
            ) from None

    def _values(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Return drawn values as values of the configuration."""
        return {domain.field: _value(domain, drawn[domain.field]) for domain in self._space}


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list) else value


def _value(domain: Domain, drawn: Any) -> Any:
    """Return a value that Ray Tune drew as a value of the search space, no NumPy type."""
    if domain.sampler == "choice":
        return next(value for value in domain.arguments if _plain(value) == drawn)
    return int(drawn) if domain.sampler.endswith("randint") else float(drawn)
