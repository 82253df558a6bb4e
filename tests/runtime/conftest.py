"""A real Ray for the tests that need one, and a small store made on it."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from camid.config import Config, load_config
from camid.io.folder import Folder

SMALL = [
    "simulate.num_devices=6",
    "simulate.num_models=3",
    "simulate.num_background=12",
    "simulate.num_foreground=5",
    "simulate.sizes=[[512,256]]",
    "simulate.portraits=0",
    "simulate.pattern_strength=0.02",
    "simulate.pattern_spread=0",
]
"""Six phones of three models, two strips an image: seconds for the whole path."""


@dataclass(frozen=True)
class Place:
    """Where a test's photographs, store and results lie."""

    root: Path

    def config(self, *settings: str, data: str = "photographs", store: str = "store") -> Config:
        config = load_config(settings=[*SMALL, *settings])
        paths = replace(
            config.paths,
            data=str(self.root / data),
            store=str(self.root / store),
            out=str(self.root / "out"),
        )
        return replace(config, paths=paths)

    def folder(self, name: str) -> Folder:
        return Folder(str(self.root / name))


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder; the lock is empty and says nothing."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="package")
def ray_here() -> Iterator[None]:
    import ray

    from camid.runtime.cluster.session import session

    ray.init(address="local", num_cpus=2, log_to_driver=False, include_dashboard=False)
    with session():
        yield
    ray.shutdown()


@pytest.fixture(scope="package")
def made(ray_here, tmp_path_factory) -> Place:
    """Simulated phones and the store made of them; tests only read it."""
    from camid.runtime.ingest.preprocess import preprocess
    from camid.runtime.ingest.simulate import simulate

    place = Place(tmp_path_factory.mktemp("made"))
    config = place.config()
    simulate(place.folder("photographs"), config.simulate, seed=config.seed)
    preprocess(config)
    return place


@pytest.fixture
def home(tmp_path, monkeypatch, tracked_home) -> Path:
    """A home folder of the test's own; MLflow's sqlite lies in it."""
    home = tracked_home(tmp_path / "home")
    monkeypatch.setenv("CAMID_HOME", str(home))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return home


@pytest.fixture
def copied(made, tmp_path) -> Place:
    """A store of one's own, made of the same photographs, to damage."""
    shutil.copytree(made.root / "store", tmp_path / "store")
    (tmp_path / "photographs").symlink_to(made.root / "photographs")
    return Place(tmp_path)


def config_of(made: Place, copied: Place) -> Config:
    """Return the configuration of a copied store, with the photographs that it was made of."""
    return replace(
        copied.config(), paths=replace(copied.config().paths, data=made.config().paths.data)
    )
