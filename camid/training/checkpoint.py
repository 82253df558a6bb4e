"""Checkpoints of a training: arrays and progress in one file (NumPy's ``.npz``)."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from camid.config import Training
from camid.io.array_files import arrays_bytes, arrays_of
from camid.io.digested import first_fault

_FACTS = "progress"


@dataclass(kw_only=True)
class Progress:
    """Progress of a training: its step and its validations, held beside the weights."""

    step: int = 0
    """Steps so far."""
    history: list[dict[str, float]] = field(default_factory=list)
    """A row for each validation, the first before the first step."""
    losses: list[float] = field(default_factory=list)
    """Loss of each step since the last validation."""
    is_stopped: bool = False
    """Whether validation ended it early."""
    figure: str = "validation_auc"
    """Figure of a validation: the higher, the better."""

    @property
    def best(self) -> dict[str, float]:
        """The validation with the highest figure, the first of equal ones."""
        return max(self.history, key=lambda row: row[self.figure], default={})

    def is_best(self) -> bool:
        """Return whether the last validation is the best so far."""
        return bool(self.history) and self.best is self.history[-1]

    def is_finished(self, settings: Training) -> bool:
        """Return whether no step is left."""
        return self.is_stopped or self.step >= settings.num_steps

    def has_stalled(self, settings: Training) -> bool:
        """Return whether as many validations as ``patience`` brought no better one."""
        since_best = len(self.history) - 1 - self.history.index(self.best) if self.history else 0
        return bool(settings.patience) and since_best >= settings.patience


def checkpoint_bytes(arrays: Sequence[NDArray[Any]], progress: Progress) -> bytes:
    """Return arrays and progress as one file."""
    members = {_name(number): array for number, array in enumerate(arrays)}
    return arrays_bytes({**members, _FACTS: np.array(json.dumps(asdict(progress)))})


def checkpoint_parts(data: bytes) -> tuple[list[NDArray[Any]], Progress]:
    """Return the arrays and the progress that a file holds.

    Raises
    ------
    ValueError
        If the file is no checkpoint, or damaged.
    """
    try:
        arrays = arrays_of(data)
        facts = json.loads(str(arrays.pop(_FACTS)))
        TypeAdapter(Progress).validate_python(facts)
        return [arrays[_name(number)] for number in range(len(arrays))], Progress(**facts)
    except ValidationError as error:
        raise ValueError(f"not a checkpoint: {first_fault(error)}") from None
    except KeyError as error:
        raise ValueError(f"not a checkpoint: it lacks {error}") from None
    except ValueError as error:
        raise ValueError(f"not a checkpoint, or damaged: {error}") from None


def _name(number: int) -> str:
    return f"{number:05d}"
