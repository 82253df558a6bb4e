"""What all tests share: cameras whose patterns are known, and the photographs in ../shared."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

SHARED = Path(__file__).parents[2] / "shared"


def _shared(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"../shared/{name} is not there")
    return folder


@pytest.fixture(scope="session")
def real_photographs() -> Path:
    return _shared("photos")


@pytest.fixture(scope="session")
def bad_inputs() -> Path:
    return _shared("badinputs")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def write_image(tmp_path: Path):
    """Write pixels as an image file below the test's folder, and return its path."""

    def write(name: str, pixels: NDArray[np.generic], **options: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, **options)
        return path

    return write
