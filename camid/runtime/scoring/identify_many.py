"""Identification of many photographs at once: some a Ray task, the answers in their order."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from camid.casework.database import Fingerprints
from camid.casework.digest_cache import refresh
from camid.casework.identify import answers
from camid.casework.identify_answer import Answer
from camid.io.folder import absolute
from camid.runtime.cluster.map_tasks import streamed
from camid.runtime.cluster.session import session

PORTION = 16
"""Photographs of a task, which share what is read of the database."""
MEMORY = 4 * 2**30
"""Bytes that a task may need: a photograph of 12 MP, its spectra, and a fingerprint's."""


def answers_by_ray(
    fingerprints: Fingerprints, files: Sequence[str], **how: Any
) -> Iterator[Answer]:
    """Yield what :func:`camid.casework.identify.answers` does, made by Ray's tasks, as they come.

    Photographs and database must be where all nodes see them.

    Raises
    ------
    ValueError
        If the cluster cannot be reached.
    """
    files = [absolute(file) for file in files]
    refresh(fingerprints, fingerprints.folder)
    work = partial(_answered, database=absolute(fingerprints.uri), how=how)
    tables = [
        pa.table({"number": range(start, start + len(some)), "path": list(some)})
        for start, some in _portions(files)
    ]
    found: dict[int, Answer] = {}
    number = 0
    with session():
        for table in streamed(
            tables, work, description="identify", unit="photographs", memory=MEMORY
        ):
            for row in table.to_pylist():
                pictures = dict(zip(row["titles"], row["pictures"], strict=True))
                found[row["number"]] = json.loads(row["answer"]), pictures
            while number in found:
                yield found.pop(number)
                number += 1


def _answered(table: pa.Table, *, database: str, how: dict[str, Any]) -> pa.Table:
    """Return the answers of some photographs; runs on a worker."""
    found = list(answers(Fingerprints(database), table["path"].to_pylist(), **how))
    return pa.table(
        {
            "number": table["number"],
            "answer": [json.dumps(answer) for answer, _ in found],
            "titles": [list(pictures) for _, pictures in found],
            "pictures": pa.array(
                [list(pictures.values()) for _, pictures in found], pa.list_(pa.binary())
            ),
        }
    )


def _portions(files: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield portions of files, and the number of the first of each."""
    for number in range(0, len(files), PORTION):
        yield number, files[number : number + PORTION]
