"""Identification of many photographs: a portion per Ray task, the answers in order."""

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
"""Photographs of a task, which share the reads of the database."""
MEMORY = 4 * 2**30
"""Bytes that a task may need: a photograph of 12 MP, its spectra, and a fingerprint's."""


def answers_by_ray(
    fingerprints: Fingerprints, files: Sequence[str], **how: Any
) -> Iterator[Answer]:
    """Yield the answers of :func:`camid.casework.identify.answers`, computed on Ray, in order.

    Photographs and database must be where all nodes see them.

    Raises
    ------
    ValueError
        If the cluster cannot be reached.
    """
    files = [absolute(file) for file in files]
    refresh(fingerprints, fingerprints.folder)
    work = partial(_answered, database=absolute(fingerprints.uri), options=how)
    tables = [
        pa.table({"number": range(start, start + len(portion)), "path": list(portion)})
        for start, portion in _portions(files)
    ]
    pending: dict[int, Answer] = {}
    number = 0
    with session():
        for table in streamed(
            tables, work, description="identify", unit="photographs", memory=MEMORY
        ):
            for row in table.to_pylist():
                pictures = dict(zip(row["titles"], row["pictures"], strict=True))
                pending[row["number"]] = json.loads(row["answer"]), pictures
            while number in pending:
                yield pending.pop(number)
                number += 1


def _answered(table: pa.Table, *, database: str, options: dict[str, Any]) -> pa.Table:
    """Return the answers of a portion of photographs; runs on a worker."""
    results = list(answers(Fingerprints(database), table["path"].to_pylist(), **options))
    return pa.table(
        {
            "number": table["number"],
            "answer": [json.dumps(answer) for answer, _ in results],
            "titles": [list(pictures) for _, pictures in results],
            "pictures": pa.array(
                [list(pictures.values()) for _, pictures in results], pa.list_(pa.binary())
            ),
        }
    )


def _portions(files: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield portions of files, each with the number of its first file."""
    for number in range(0, len(files), PORTION):
        yield number, files[number : number + PORTION]
