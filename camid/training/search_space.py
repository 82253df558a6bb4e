"""The space of a search: the fields of the configuration that trials draw, and their samplers.

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
"""Values of a choice, or the ends of a range; integer samplers exclude the stated upper end."""
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
    """Return the domains that trials of a search draw from.

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
    domains = []
    for section, fields in config.search.space.items():
        for field, samplers in fields.items():
            stated = {
                name: arguments
                for name, arguments in (samplers or {}).items()
                if arguments is not None
            }
            if stated:
                domains.append(_domain(f"{section}.{field}", stated))
    if not domains:
        raise ValueError(
            "search.space: nothing to draw; name a field and a sampler, such as "
            "{training: {learning_rate: {loguniform: [1e-4, 1e-2]}}}"
        )
    for domain in domains:
        _check(domain, config, searched)
    return tuple(domains)


def drawn_config(config: Config, values: Mapping[str, Any]) -> Config:
    """Return a configuration with the values that a trial drew, by ``section.field``.

    Raises
    ------
    ValueError
        If a field cannot take its value.
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
    setting = f"search.space.{field}"
    if len(samplers) > 1:
        raise ValueError(f"{setting}: one sampler a field, got {', '.join(samplers)}")
    ((name, arguments),) = samplers.items()
    if name not in SAMPLERS:
        matches = difflib.get_close_matches(name, SAMPLERS, n=1)
        hint = f"did you mean {matches[0]!r}?" if matches else f"there are {', '.join(SAMPLERS)}"
        raise ValueError(f"{setting}: no sampler {name!r}; {hint}")
    if name == "choice":
        if not arguments:
            raise ValueError(f"{setting}: a choice of nothing; list what there is to choose from")
        return Domain(field=field, sampler=name, arguments=tuple(arguments))
    count = 3 if name in STEPPED else 2
    form = "[low, high, step]" if name in STEPPED else "[low, high]"
    kinds = int if name.endswith("randint") else (int, float)
    numbers = [n for n in arguments if isinstance(n, kinds) and not isinstance(n, bool)]
    lower_bound = 0 if "log" in name else float("-inf")
    if (
        len(arguments) != count
        or len(numbers) != count
        or not lower_bound < arguments[0] < arguments[1]
    ):
        kind = "whole numbers" if kinds is int else "numbers"
        above = " above 0" if "log" in name else ""
        raise ValueError(f"{setting}: {name} takes {form}, {kind}{above}, got {list(arguments)}")
    return Domain(field=field, sampler=name, arguments=tuple(arguments))


def _check(domain: Domain, config: Config, searched: Sequence[str]) -> None:
    """Raise if a field may not differ between trials, or cannot take its sampler's draws."""
    setting, section = f"search.space.{domain.field}", domain.field.partition(".")[0]
    for value in SAMPLERS[domain.sampler](domain.arguments):
        try:
            drawn_config(config, {domain.field: value})
        except ValueError as error:
            raise ValueError(f"{setting}: {str(error).partition(': ')[2]}") from None
    if not {section, domain.field} & set(searched):
        raise ValueError(
            f"{setting}: trials do not differ in it, or would not be held to one measure; they may "
            f"in {', '.join(searched)}"
        )
