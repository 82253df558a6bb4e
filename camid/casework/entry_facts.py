"""What an entry's file says of itself, as it is written and as it is checked when it is read.

Files may be others' and made to deceive: each fact has its type and range, and fits the others.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.dataclasses import dataclass

from camid.casework.database_entry import Entry
from camid.casework.fingerprint_sums import NOISE_STEP, EnrolledImage
from camid.io.digested import first_fault
from camid.io.escaping import visible

SCHEMA_VERSION = 1
STEP = 1 / 16
"""Standard deviations a unit of a stored pattern: clipped near ±8, correlating by 0.9998."""
LONGEST = 256
"""Characters of a device's name at most."""
MOST_PIXELS = 2**30
"""Pixels of a pattern at most."""
CURE = "; remove it and enrol the device again"
"""What helps against damage, after the words about it."""

_SHA256 = "^[0-9a-f]{64}$"


def name_problem(name: str) -> str:
    """Return why a text cannot be a device's name, or an empty string."""
    if len(name) > LONGEST:
        return f"a device's name has {LONGEST} characters at most, got {len(name):,}"
    if not name.strip() or not name.isprintable() or visible(name) != name:
        return f"a device needs a name of printable characters, got {name!r}"
    if name != name.strip():
        return f"a device needs a name without spaces around it, got {name!r}"
    return ""


def _named(name: str) -> str:
    if problem := name_problem(name):
        raise ValueError(problem)
    return name


@dataclass(frozen=True, kw_only=True, config=ConfigDict(strict=True, extra="ignore"))
class ImageFacts:
    """Facts of an enrolled image, as :class:`EnrolledImage` has them."""

    sha256: Annotated[str, Field(pattern=_SHA256)]
    name: str
    make: str = ""
    model: str = ""
    warnings: tuple[str, ...] = ()
    content: Annotated[str, Field(pattern="^[0-9a-f]*$")] = ""
    focal_length: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    turn: Literal[0, 180] = 0
    is_mirrored: bool = False
    detail: Annotated[float, Field(ge=0, le=1)] = 0.0


@dataclass(frozen=True, kw_only=True, config=ConfigDict(strict=True, extra="ignore"))
class EntryFacts:
    """Facts of an entry's file."""

    schema_version: int
    device: Annotated[str, AfterValidator(_named)]
    make: str
    model: str
    lens: str
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]
    sha256s: tuple[str, ...]
    split_half: Annotated[float, Field(ge=-1, le=1)] | None
    warnings: tuple[str, ...]
    contents: tuple[str, ...] = ()
    images: tuple[ImageFacts, ...]
    left_out: tuple[str, ...] = ()
    step: float
    noise_step: float
    pattern_digest: Annotated[str, Field(pattern=_SHA256)]
    sums_digest: Annotated[str, Field(pattern=_SHA256)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        digests = tuple(image.sha256 for image in self.images)
        contents = tuple(image.content for image in self.images)
        if self.width * self.height > MOST_PIXELS:
            raise ValueError(f"{self.width}x{self.height} px are too many")
        if self.sha256s != digests or list(digests) != sorted(set(digests)):
            raise ValueError("its digests are not those of its images")
        if self.contents not in {contents, ()}:
            raise ValueError("its contents are not those of its images")
        if (self.step, self.noise_step) != (STEP, NOISE_STEP):
            raise ValueError("its samples are in other steps")
        return self

    @property
    def entry(self) -> Entry:
        """The entry that these facts describe."""
        facts = {name: getattr(self, name) for name in Entry.__dataclass_fields__}
        split_half = math.nan if self.split_half is None else self.split_half
        return Entry(**facts | {"split_half": split_half})

    @property
    def enrolled(self) -> tuple[EnrolledImage, ...]:
        """The images that the entry is made of."""
        return tuple(EnrolledImage(**vars(image)) for image in self.images)


_FACTS = TypeAdapter(EntryFacts)


def facts_json(entry: Entry, images: tuple[EnrolledImage, ...], **more: Any) -> str:
    """Return the facts of an entry as JSON, under a seal.

    Parameters
    ----------
    more
        Its ``left_out``, ``pattern_digest`` and ``sums_digest``.
    """
    facts = {
        "schema_version": SCHEMA_VERSION,
        **asdict(entry),
        "split_half": None if math.isnan(entry.split_half) else entry.split_half,
        "images": [asdict(image) for image in images],
        "step": STEP,
        "noise_step": NOISE_STEP,
        **more,
    }
    return json.dumps(facts | {"seal": _seal(facts)})


def entry_facts(text: bytes) -> EntryFacts:
    """Return the facts that JSON states, which are as they were written.

    Raises
    ------
    ValueError
        If it states no entry's facts, those of another version, or they were changed.
    """
    try:
        stated = json.loads(text)
        version, seal = stated["schema_version"], stated.pop("seal")
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        raise ValueError("not an entry of a fingerprint database") from None
    if not isinstance(version, int):
        raise ValueError("not an entry of a fingerprint database")
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"an entry of schema version {version!r}, and this camid reads {SCHEMA_VERSION}; "
            "enrol the device again or use the camid that wrote it"
        )
    if seal != _seal(stated):
        raise ValueError(f"damaged (what it says of itself is not as it was written){CURE}")
    try:
        return _FACTS.validate_json(json.dumps(stated))
    except ValidationError as error:
        raise ValueError(f"damaged ({first_fault(error)}){CURE}") from None


def _seal(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
