"""Synthetic cameras whose patterns are known, written with SOCRatES's names and EXIF.

A scene's light (``scenes``) meets a lens and the photosites of one device (``sensor``), and becomes
a photograph as the camera's model makes it (``development``). Devices of one model share everything
but their pattern, and a part of that too, so that they are hard to tell apart.
"""

import io
from collections.abc import Container, Iterator

import numpy as np

from camid.config import Simulate
from camid.dataset.records import Kind
from camid.dataset.simulate.artefacts import edited, received
from camid.dataset.simulate.models import Model, drawn_model
from camid.dataset.simulate.phone import Phone
from camid.io.folder import Folder

__all__ = ["Model", "Phone", "phones", "photograph_names", "write_pattern", "write_photographs"]

FIRST_ID = 100
"""SOCRatES's ids begin about here."""


def phones(settings: Simulate, *, seed: int) -> list[Phone]:
    """Return the devices, dealt to models in turn; each depends on the seed and its number only."""
    models = [drawn_model(settings, number, seed=seed) for number in range(settings.num_models)]
    return [
        Phone(
            device=str(FIRST_ID + number),
            model=models[number % len(models)],
            portraits=settings.portraits,
        )
        for number in range(settings.num_devices)
    ]


def photograph_names(phone: Phone, settings: Simulate) -> Iterator[tuple[Kind, int, str]]:
    """Yield kind, number and SOCRatES file name of each of a device's photographs."""
    kinds: tuple[tuple[Kind, str, int], ...] = (
        ("background", "BG", settings.num_background),
        ("foreground", "FG", settings.num_foreground),
    )
    for kind, tag, count in kinds:
        for number in range(1, count + 1):
            yield kind, number, f"Eurecom_{phone.device}_pic{tag}_{number:03d}.jpg"


def write_photographs(
    phone: Phone, sender: Phone, folder: Folder, settings: Simulate, *, names: Container[str]
) -> None:
    """Write a device's photographs whose names are in ``names``; some may be received ones."""
    for kind, number, name in photograph_names(phone, settings):
        if name in names:
            is_received = kind == "foreground" and phone.receives(number, settings.received)
            photograph = (sender if is_received else phone).photograph(kind, number)
            if settings.artefacts:
                photograph = edited(photograph, settings.artefacts, number)
            folder.write(name, received(photograph) if is_received else photograph)


def write_pattern(phone: Phone, folder: Folder) -> None:
    """Write a device's planted pattern as ``<device>.npy``, float32 ``(height, width)``."""
    file = io.BytesIO()
    np.save(file, phone.pattern(), allow_pickle=False)
    folder.write(f"{phone.device}.npy", file.getvalue())
