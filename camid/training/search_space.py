"""The space of a search: which fields of the configuration trials draw, and from what.

``search.space`` names a sampler and its arguments for each field, by Ray Tune's names:
``{training: {learning_rate: {loguniform: [1e-4, 1e-2]}}}``.
"""

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from camid.config import Config, changed

Arguments = Sequence[Any]
SAMPLERS: Mapping[str, Callable[[Arguments], Arguments]] = {
    "choice": list,
    "uniform": lambda ends: ends[:2],
    "loguniform": lambda ends: ends[:2],
    "quniform": lambda ends: ends[:2],
    "qloguniform": lambda ends: ends[:2],
    "randint": lambda ends: [ends[0], ends[1] - 1],
    "lograndint": lambda ends: [ends[0], ends[1] - 1],
}
"""Ends of a sampler's range; those of integers exclude the upper one."""
STEPPED = ("quniform", "qloguniform")
"""Samplers whose third argument is the step that draws are rounded to."""


@dataclass(frozen=True, kw_only=True)
class Domain:
    """Sampler of one field of the configuration, with its arguments."""

    field: str
    """``section.field``."""
    sampler: str
    arguments: tuple[Any, ...]

    @property
    def name(self) -> str:
        """The field without its section."""
        return self.field.rpartition(".")[2]

    @property
    def is_logarithmic(self) -> bool:
        """Whether equal factors are equally likely."""
        return "log" in self.sampler


def search_space(config: Config, *, searched: Sequence[str]) -> tuple[Domain, ...]:
    """Return what trials of a search draw.

    Parameters
    ----------
    searched
        Sections and fields that trials may differ in.

    Raises
    ------
    ValueError
        If there is nothing to draw, a field may not differ, a sampler is not known or has other
        arguments than it takes, or could draw what the field cannot be.
    """
    found = []
    for section, fields in config.search.space.items():
        for field, samplers in fields.items():
            stated = {name: given for name, given in (samplers or {}).items() if given is not None}
            if stated:
                found.append(_domain(f"{section}.{field}", stated))
    if not found:
        raise ValueError(
            "search.space: nothing to draw; name a field and a sampler, such as "
            "{training: {learning_rate: {loguniform: [1e-4, 1e-2]}}}"
        )
    for domain in found:
        _check(domain, config, searched)
    return tuple(found)


def drawn_config(config: Config, values: Mapping[str, Any]) -> Config:
    """Return a configuration with the values that a trial drew, by ``section.field``.

    Raises
    ------
    ValueError
        If a field cannot be so.
    """
    tree: dict[str, Any] = {}
    for name, value in values.items():
        section, _, field = name.partition(".")
        tree.setdefault(section, {})[field] = value
    return changed(config, tree, source="search.space")


def told_value(value: object) -> str:
    """Return a drawn value as tables and pictures show it."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return value.rpartition("/")[2] if isinstance(value, str) else json.dumps(value)


def _domain(field: str, samplers: Mapping[str, Arguments]) -> Domain:
    where = f"search.space.{field}"
    if len(samplers) > 1:
        raise ValueError(f"{where}: one sampler a field, got {', '.join(samplers)}")
    ((name, given),) = samplers.items()
    if name not in SAMPLERS:
        near = difflib.get_close_matches(name, SAMPLERS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(SAMPLERS)}"
        raise ValueError(f"{where}: no sampler {name!r}; {hint}")
    if name == "choice":
        if not given:
            raise ValueError(f"{where}: a choice of nothing; list what there is to choose from")
        return Domain(field=field, sampler=name, arguments=tuple(given))
    count = 3 if name in STEPPED else 2
    what = "[low, high, step]" if name in STEPPED else "[low, high]"
    kinds = int if name.endswith("randint") else (int, float)
    numbers = [n for n in given if isinstance(n, kinds) and not isinstance(n, bool)]
    least = 0 if "log" in name else float("-inf")
    if len(given) != count or len(numbers) != count or not least < given[0] < given[1]:
        kind = "whole numbers" if kinds is int else "numbers"
        above = " above 0" if "log" in name else ""
        raise ValueError(f"{where}: {name} takes {what}, {kind}{above}, got {list(given)}")
    return Domain(field=field, sampler=name, arguments=tuple(given))


def _check(domain: Domain, config: Config, searched: Sequence[str]) -> None:
    """Raise if a field may not differ between trials, or cannot take what its sampler draws."""
    where, section = f"search.space.{domain.field}", domain.field.partition(".")[0]
    for value in SAMPLERS[domain.sampler](domain.arguments):
        try:
            drawn_config(config, {domain.field: value})
        except ValueError as error:
            raise ValueError(f"{where}: {str(error).partition(': ')[2]}") from None
    if not {section, domain.field} & set(searched):
        raise ValueError(
            f"{where}: trials do not differ in it, or would not be held to one measure; they may "
            f"in {', '.join(searched)}"
        )
