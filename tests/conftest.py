"""What all tests share: cameras whose patterns are known, and the photographs in ../shared."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from PIL import Image

from tests.budget import pytest_collection_modifyitems as longest_files_first
from tests.budget import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]

settings.register_profile("camid", deadline=None)  # nothing asserts on time
settings.load_profile("camid")

SHARED = Path(__file__).parents[2] / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=1, help="decides when soak tests kill")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest_files_first(items)
    for item in items:
        if {"real_photographs", "bad_inputs"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.shared)


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
