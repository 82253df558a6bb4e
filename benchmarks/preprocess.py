"""Preprocessing as a whole against the sum of its parts; two processors against one; its memory.

The photographs are simulated, of 12 megapixels, then of 50. Files of other names that are links to
them stand for more. What a megapixel costs on this machine is kept for `camid plan`.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import psutil

from camid.chunking import make_chunk
from camid.config import Config, load_config
from camid.costs import keep_costs, measured
from camid.folder import Folder
from camid.plan import chunks_of
from camid.runtime.ingest import catalogued, preprocess
from camid.runtime.session import home, session
from camid.runtime.simulation import simulate

SIZES = {12: (4000, 3000), 50: (8160, 6144)}
"""Width and height of photographs of so many megapixels."""
NUM_SIMULATED = 8
NUM_IMAGES = 64
"""Photographs that are timed: four chunks, so that two processors have equal work."""
ROUNDS = 3


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


def timed(place: Place, *, num_cpus: int) -> tuple[list[float], int]:
    """Return the seconds of preprocessing on workers that are warm, and their peak in bytes."""
    config = place.linked(NUM_IMAGES)
    seconds = []
    with ray_of(num_cpus):
        preprocess(place.linked(2 * NUM_SIMULATED), fresh=True)
        for _ in range(ROUNDS):
            started = time.perf_counter()
            preprocess(config, fresh=True)
            seconds.append(time.perf_counter() - started)
        return seconds, peak_of_workers()


def plain(place: Place) -> list[float]:
    """Return the seconds of the same chunks made one after the other in this process."""
    config = place.linked(NUM_IMAGES)
    config = replace(config, paths=replace(config.paths, store=str(place.root / "plain")))
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for chunk in chunks_of(catalogued(config)):
            make_chunk(chunk, store=Folder(config.paths.store), config=config)
        seconds.append(time.perf_counter() - started)
    return seconds


def report_speed(place: Place) -> None:
    """Print parts, whole and loss, and keep the costs for `camid plan`."""
    config = place.linked(NUM_IMAGES)
    photographs = [path.read_bytes() for path in sorted((place.root / "simulated").glob("*.jpg"))]
    before = measured(config, place=Folder(str(place.root)), photographs=photographs[:2])
    alone = plain(place)
    one, _ = timed(place, num_cpus=1)
    two, _ = timed(place, num_cpus=2)
    after = measured(config, place=Folder(str(place.root)), photographs=photographs[:2])
    costs = min(before, after, key=lambda found: found.per_megapixel)
    width, height = SIZES[12]
    megapixels = NUM_IMAGES * width * height / 1e6
    parts = NUM_IMAGES * costs.open + megapixels * costs.per_megapixel
    shares = ", ".join(f"{name} {1000 * each:.1f}" for name, each in costs.parts().items())
    print(f"parts, ms a megapixel: {shares}; sum {1000 * parts / megapixels:.1f}")
    print(f"store: {costs.stored:.2f} bytes a sample")
    wholes = (("one process", alone, 1), ("Ray on 1", one, 1), ("Ray on 2", two, 2))
    for name, seconds, cores in wholes:
        each = sorted(1000 * cores * s / megapixels for s in seconds)
        lost = 100 * (1 - 1000 * parts / megapixels / each[0])
        print(
            f"{name:12} {each[0]:5.1f} ms a megapixel and core ({each[0]:.1f}..{each[-1]:.1f}): "
            f"{lost:.0f} % of it is no part's"
        )
    print(f"two processors are {min(one) / min(two):.2f} times as fast as one")
    lost = max(0.0, 1 - parts / 2 / min(two))
    keep_costs(home(), config, replace(costs, lost=lost))


def report_memory(place: Place, megapixels: int, few: int) -> None:
    """Print the peak of the workers for some photographs and for ten times as many."""
    peaks = []
    for count in (few, 10 * few):
        config = place.linked(count)
        with ray_of(2):
            preprocess(config, fresh=True)
            peaks.append(peak_of_workers() / 2**20)
        planned = max(chunk.memory(config.strips) for chunk in chunks_of(catalogued(config)))
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
