"""Seeded mutations of a file's bytes, as damage or an opponent makes them."""

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

LONGEST = 2**12
"""Bytes that one mutation moves, repeats or overwrites at most."""
WRONG: tuple[Any, ...] = (
    *(None, True, "", "x", "\x1b[31m\n", "9" * 5000, -1, 0, 2**70, 1e308, 0.5, [], {}, [[]]),
    *({"a": []}, [None] * 3, "../../etc/passwd", "=1+1", "\ud800"),
)
"""Values that stand for others in a tree."""


def mutated(data: bytes, choice: random.Random) -> bytes:
    """Return other bytes than the given ones: one to four mutations of them."""
    found = data
    for _ in range(choice.randint(1, 4)):
        found = choice.choice(WAYS)(bytearray(found), choice)
    return found if found != data else data + b"\0"


def mutated_tree(tree: Any, choice: random.Random) -> Any:
    """Return a tree of mappings, lists and values in which one to three are others, gone or new."""
    found = copy.deepcopy(tree)
    for _ in range(choice.randint(1, 3)):
        places = [*_places(found)]
        if not places:
            return _wrong(choice)
        section, key = choice.choice(places)
        way = choice.choice(["other", "other", "gone", "new", "moved"])
        if way == "other":
            section[key] = _wrong(choice)
        elif way == "gone":
            del section[key]
        elif way == "moved":
            other, place = choice.choice(places)
            section[key] = copy.deepcopy(other[place])
        elif isinstance(section, list):
            section.insert(key, _wrong(choice))
        else:
            section[choice.choice(["", "x", "seed", "__proto__"])] = _wrong(choice)
    return found


def _wrong(choice: random.Random) -> Any:
    return copy.deepcopy(choice.choice(WRONG))


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every value's place in a tree: what holds it, and its key or number there."""
    if isinstance(tree, dict | list):
        for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
            yield tree, key
            yield from _places(tree[key])


def _flipped(data: bytearray, choice: random.Random) -> bytes:
    for _ in range(choice.choice([1, 1, 1, 8, 64])):
        if data:
            data[choice.randrange(len(data))] ^= 1 << choice.randrange(8)
    return bytes(data)


def _overwritten(data: bytearray, choice: random.Random) -> bytes:
    start, end = _piece(data, choice)
    data[start:end] = choice.choice([bytes(end - start), b"\xff" * (end - start)])
    return bytes(data)


def _randomised(data: bytearray, choice: random.Random) -> bytes:
    start, end = _piece(data, choice)
    data[start:end] = choice.randbytes(end - start)
    return bytes(data)


def _cut(data: bytearray, choice: random.Random) -> bytes:
    return bytes(data[: choice.randint(0, len(data))])


def _removed(data: bytearray, choice: random.Random) -> bytes:
    start, end = _piece(data, choice)
    del data[start:end]
    return bytes(data)


def _repeated(data: bytearray, choice: random.Random) -> bytes:
    start, end = _piece(data, choice)
    place = choice.randint(0, len(data))
    data[place:place] = data[start:end] * choice.choice([1, 2, 16])
    return bytes(data)


def _large_number(data: bytearray, choice: random.Random) -> bytes:
    """Write a length or a count that is far too large, or none, where a number may stand."""
    width = choice.choice([1, 2, 4, 8])
    value = choice.choice([0, 2 ** (8 * width) - 1, 2 ** (8 * width - 1) - 1, 2 ** (4 * width)])
    place = choice.randint(0, max(0, len(data) - width))
    data[place : place + width] = value.to_bytes(width, choice.choice(["little", "big"]))
    return bytes(data)


def _piece(data: bytearray, choice: random.Random) -> tuple[int, int]:
    start = choice.randint(0, len(data))
    longest = choice.choice([8, max(1, len(data) // 8), LONGEST])
    return start, min(len(data), start + choice.randint(1, longest))


WAYS: tuple[Callable[[bytearray, random.Random], bytes], ...] = (
    *(_flipped, _overwritten, _randomised, _cut, _removed, _repeated, _large_number),
)
