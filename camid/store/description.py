"""What ``store.json`` says of a store, as it is checked when it is read.

Stores may be others' and made to deceive: each fact has its type.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic needs it before Python 3.12

from camid.config import Chunks, Images, Residual, Strips
from camid.io.digested import first_fault

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Size = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]


class Settings(TypedDict):
    """Settings that a store is made with."""

    data: str
    seed: Count
    images: Images
    strips: Strips
    residual: Residual
    chunks: Chunks


class Samples(TypedDict):
    """Form of a store's samples."""

    schema_version: int
    shape: tuple[Size, Size, Size]
    dtype: Literal["int8", "uint8"]
    step: float
    filter: dict[str, Any]


class Description(TypedDict, total=False):
    """Facts of a store, in part of one that is unfinished."""

    schema_version: int
    settings: Settings
    samples: Samples
    plan_digest: str
    simulated: dict[str, Any] | None
    num_chunks: Count
    num_row_groups: Count
    files: dict[str, Sha256]
    content_digest: str | None
    """None while the store is unfinished."""
    damaged: list[str]


_DESCRIPTION = TypeAdapter(Description)


def description_fault(description: Mapping[str, Any]) -> str:
    """Return where a description first differs from what a store's is, and how, or nothing."""
    try:
        _DESCRIPTION.validate_json(json.dumps(description))
    except ValidationError as error:
        return first_fault(error)
    finished = {"settings", "samples", "plan_digest", "num_chunks", "num_row_groups", "files"}
    missing = finished - set(description) if description.get("content_digest") else set()
    return f"it lacks {', '.join(sorted(missing))}" if missing else ""
