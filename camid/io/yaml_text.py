"""YAML of others, read within limits: aliases and depth that would take all memory are refused."""

import re
from typing import Any

import yaml

MOST_BYTES = 2**24
MOST_VALUES = 2**20
"""Values of a text at most, those that aliases repeat counted as often as they do."""
DEEPEST = 32
"""Sections within sections at most."""


class _Unique:
    """A constructor of mappings that say each key once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        """Return a mapping.

        Raises
        ------
        yaml.YAMLError
            If a key is there twice, of which only one would count.
        """
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for name in names:
            if name != "<<" and names.count(name) > 1:
                line = node.start_mark.line + 1
                raise yaml.YAMLError(f"the key {name!r} is there twice below line {line}")
        return super().construct_mapping(node, deep)  # type: ignore[misc]


class _Values(_Unique, yaml.SafeLoader):
    """YAML 1.1 with the floats people write: PyYAML alone reads ``1e-4`` as text."""


_Values.yaml_implicit_resolvers = {
    first: [pair for pair in resolvers if pair[0] != "tag:yaml.org,2002:float"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Values.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)([eE][-+]?\d+)?$"),
    list("-+0123456789."),
)


class _Texts(_Unique, yaml.BaseLoader):
    """YAML whose every scalar is text: YAML 1.1 reads 0010 as the number 8."""


def yaml_values(text: str) -> Any:
    """Return what YAML states.

    Raises
    ------
    ValueError
        If it is none, states a key twice, or is beyond the limits.
    """
    return _loaded(text, _Values)


def yaml_texts(text: str) -> Any:
    """Return what YAML states, every scalar as text.

    Raises
    ------
    ValueError
        As :func:`yaml_values`.
    """
    return _loaded(text, _Texts)


def _loaded(text: str, loader: Any) -> Any:
    try:
        _check_limits(text, loader)
        return yaml.load(text, Loader=loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"not YAML: {' '.join(str(error).split())}") from None
    except (ValueError, OverflowError) as error:  # of a scalar that is no number or date
        raise ValueError(f"not YAML that is read: {error}") from None


def _check_limits(text: str, loader: Any) -> None:
    """Check how much a text stands for, before memory is taken for it."""
    if len(text) > MOST_BYTES:
        raise yaml.YAMLError(f"of more than {MOST_BYTES // 2**20} MiB")
    sizes, anchors = [0], dict[str, int]()
    names: list[str | None] = []
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in names:
                raise yaml.YAMLError(f"{event.anchor!r} is an alias within itself")
            sizes[-1] += anchors.get(event.anchor or "", 1)
        elif isinstance(event, yaml.ScalarEvent):
            sizes[-1] += 1
            anchors |= {event.anchor: 1} if event.anchor else {}
        elif isinstance(event, yaml.CollectionStartEvent):
            sizes.append(1)
            names.append(event.anchor)
        elif isinstance(event, yaml.CollectionEndEvent):
            size, name = sizes.pop(), names.pop()
            sizes[-1] += size
            anchors |= {name: size} if name else {}
        if len(sizes) > DEEPEST:
            raise yaml.YAMLError(f"more than {DEEPEST} sections within sections")
        if sizes[-1] > MOST_VALUES:
            raise yaml.YAMLError(f"its aliases stand for more than {MOST_VALUES:,} values")
