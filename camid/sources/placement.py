"""What a reader says of one file."""

from dataclasses import dataclass

from camid.records import Kind


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a file belongs. An empty make or model is filled in from EXIF."""

    device: str
    kind: Kind = "foreground"
    make: str = ""
    model: str = ""
    lens: str = ""
    scene: str = ""
    provenance: str = ""
