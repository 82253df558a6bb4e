"""What all tests share: cameras whose patterns are known, and the photographs in ../shared."""

import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from PIL import Image

from tests.scheduling import longest_first, pytest_terminal_summary, pytest_xdist_make_scheduler

__all__ = ["pytest_terminal_summary", "pytest_xdist_make_scheduler"]

settings.register_profile("camid", deadline=None)  # nothing asserts on time
settings.load_profile("camid")

if threading.current_thread() is threading.main_thread():
    # A shell's background jobs ignore Ctrl-C, and so would every process that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = Path(__file__).parents[2] / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=1, help="decides when soak tests kill")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest_first(items)
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


@pytest.fixture(scope="session")
def tracked_home(tmp_path_factory) -> Callable[[Path], Path]:
    """Return a function that makes a home with MLflow's empty database, as later runs find it.

    MLflow takes seconds of a processor to make one.
    """
    from mlflow import MlflowClient

    empty = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{empty}").search_experiments()

    def made(home: Path) -> Path:
        home.mkdir(exist_ok=True)
        shutil.copy(empty, home)
        return home

    return made


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
