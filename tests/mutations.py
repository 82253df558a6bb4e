"""Seeded mutations of a file's bytes, as damage or an opponent makes them."""

import random
from collections.abc import Callable

LONGEST = 2**12
"""Bytes that one mutation moves, repeats or overwrites at most."""


def mutated(data: bytes, choice: random.Random) -> bytes:
    """Return other bytes than the given ones: one to four mutations of them."""
    found = data
    for _ in range(choice.randint(1, 4)):
        found = choice.choice(WAYS)(bytearray(found), choice)
    return found if found != data else data + b"\0"


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
    return start, min(len(data), start + choice.randint(1, LONGEST))


WAYS: tuple[Callable[[bytearray, random.Random], bytes], ...] = (
    *(_flipped, _overwritten, _randomised, _cut, _removed, _repeated, _large_number),
)
