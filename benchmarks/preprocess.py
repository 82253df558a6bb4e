"""Preprocessing as a whole against the sum of its parts; two processors against one; its memory.

The photographs are simulated, of 12 megapixels, then of 50. Files of other names that are links to
them stand for more. What a megapixel costs on this machine is kept for `camid plan`.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import psutil

from camid.config import Config, load_config
from camid.io.folder import Folder
from camid.runtime.cluster.session import home, session
from camid.runtime.ingest.preprocess import catalogued, preprocess
from camid.runtime.ingest.simulate import simulate
from camid.store.chunk_plan import chunks_of
from camid.store.cost_model import keep_costs, measured
from camid.store.make_chunk import make_chunk

SIZES = {12: (4000, 3000), 50: (8160, 6144)}
"""Width and height of photographs of so many megapixels."""
NUM_SIMULATED = 8
NUM_IMAGES = 256
"""Photographs that are timed: sixteen chunks, so that two processors have equal work."""
ROUNDS = 2


@dataclass(frozen=True)
class Place:
    """A folder of photographs of one size and of the stores made of them."""

    root: Path
    config: Config

    def linked(self, count: int) -> Config:
        """Return the configuration of ``count`` files, links to the simulated photographs."""
        folder = self.root / f"data-{count}" / "a"
        if not folder.exists():
            folder.mkdir(parents=True)
            simulated = sorted((self.root / "simulated").glob("*.jpg"))
            for number in range(count):
                os.link(simulated[number % len(simulated)], folder / f"{number:05d}.jpg")
        store = str(self.root / f"store-{count}")
        paths = replace(self.config.paths, data=str(folder.parent), store=store)
        return replace(self.config, paths=paths)


@contextmanager
def ray_of(num_cpus: int) -> Iterator[None]:
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(
        address="local",
        num_cpus=num_cpus,
        log_to_driver=False,
        logging_level="error",
        include_dashboard=False,
    )
    try:
        with session():
            yield
    finally:
        ray.shutdown()


def peak_of_workers() -> int:
    """Return the bytes that the largest worker of Ray has held at once."""
    peaks = [0]
    for process in psutil.Process().children(recursive=True):
        if process.name().startswith("ray::"):
            status = Path(f"/proc/{process.pid}/status").read_text()
            peaks.append(int(status.split("VmHWM:")[1].split()[0]) * 1024)
    return max(peaks)


def simulated(root: Path, megapixels: int) -> Place:
    width, height = SIZES[megapixels]
    config = load_config(
        settings=[
            "simulate.num_devices=1",
            "simulate.num_models=1",
            "simulate.num_background=0",
            f"simulate.num_foreground={NUM_SIMULATED}",
            f"simulate.sizes=[[{width}, {height}]]",
            "simulate.portraits=0",
        ]
    )
    with session():
        simulate(Folder(str(root / "simulated")), config.simulate, seed=1)
    return Place(root, config)


def on_ray(place: Place, *, num_cpus: int) -> float:
    """Return the seconds of preprocessing on workers that are warm."""
    config = place.linked(NUM_IMAGES)
    with ray_of(num_cpus):
        preprocess(place.linked(4 * NUM_SIMULATED), fresh=True)  # workers start here
        started = time.perf_counter()
        preprocess(config)
        taken = time.perf_counter() - started
    shutil.rmtree(config.paths.store)
    return taken


def plain(place: Place) -> float:
    """Return the seconds of the same chunks made one after the other in this process."""
    config = place.linked(NUM_IMAGES)
    store = Folder(str(place.root / "plain"))
    started = time.perf_counter()
    for chunk in chunks_of(catalogued(config)):
        make_chunk(chunk, store=store, config=config)
    taken = time.perf_counter() - started
    shutil.rmtree(store.local_path)
    return taken


def report_speed(place: Place) -> None:
    """Print parts, whole and loss, and keep the costs for `camid plan`."""
    config = place.linked(NUM_IMAGES)
    some = [path.read_bytes() for path in sorted((place.root / "simulated").glob("*.jpg"))[:2]]
    ways: dict[str, tuple[int, Callable[[], float]]] = {
        "one process": (1, lambda: plain(place)),
        "Ray on one": (1, lambda: on_ray(place, num_cpus=1)),
        "Ray on two": (2, lambda: on_ray(place, num_cpus=2)),
    }
    found, seconds = [], {name: list[float]() for name in ways}
    for _ in range(ROUNDS):
        found.append(measured(config, place=Folder(str(place.root)), photographs=some))
        for name, (_, work) in ways.items():
            seconds[name].append(work())
    costs = min(found, key=lambda each: each.per_megapixel)
    width, height = SIZES[12]
    megapixels = NUM_IMAGES * width * height / 1e6
    parts = 1000 * (costs.open * NUM_IMAGES / megapixels + costs.per_megapixel)
    shares = ", ".join(f"{name} {1000 * each:.1f}" for name, each in costs.parts().items())
    print(f"parts, ms a megapixel: {shares}; sum {parts:.1f}; {costs.stored:.2f} bytes a sample")
    for name, (cores, _) in ways.items():
        each = sorted(1000 * cores * taken / megapixels for taken in seconds[name])
        print(
            f"{name:12} {each[0]:5.1f} ms a megapixel and core (up to {each[-1]:.1f}), "
            f"{100 * (1 - parts / each[0]):.0f} % of it is in no part"
        )
    one, two = min(seconds["Ray on one"]), min(seconds["Ray on two"])
    print(f"two processors are {one / two:.2f} times as fast as one")
    lost = max(0.0, 1 - parts * megapixels / 2000 / two)
    keep_costs(home(), config, replace(costs, lost=lost))


def report_memory(place: Place, megapixels: int, few: int) -> None:
    """Print the peak of the workers for some photographs and for ten times as many."""
    peaks = []
    for count in (few, 10 * few):
        config = place.linked(count)
        with ray_of(2):
            preprocess(config, fresh=True)
            peaks.append(peak_of_workers() / 2**20)
        planned = chunks_of(catalogued(config)).memory(config.strips)
        shutil.rmtree(config.paths.store)
    print(
        f"{megapixels} megapixels: {few} photographs {peaks[0]:.0f} MiB a worker at most, "
        f"{10 * few} {peaks[1]:.0f} MiB ({peaks[1] / peaks[0]:.2f} times); "
        f"planned with {planned / 2**20:.0f} MiB"
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        twelve = simulated(Path(folder) / "12", 12)
        report_speed(twelve)
        report_memory(twelve, 12, 16)
    with tempfile.TemporaryDirectory() as folder:
        report_memory(simulated(Path(folder), 50), 50, 7)


if __name__ == "__main__":
    main()
