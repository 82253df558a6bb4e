"""Reading pairs from a cold store against one PNG a strip, as the study did; and a saved list.

Both ways run on one processor and give what a network takes: sides of 4 images averaged and cut to
one crop, float32. The study's way decodes a pair's eight PNGs; ours reads strips of row groups.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from camid.comparison.by_position import position_evidence
from camid.comparison.comparison_list import read_list, write_list
from camid.comparison.draw_list import drawn_list
from camid.comparison.located_list import located
from camid.comparison.methods import METHODS
from camid.comparison.sufficient_statistics import Evidence, scores
from camid.config import load_config
from camid.evaluation.metrics import equal_error_rate
from camid.io.folder import Folder
from camid.runtime.cluster.session import session
from camid.runtime.ingest.preprocess import preprocess
from camid.runtime.ingest.simulate import simulate
from camid.store.store import Store, open_store
from camid.store.strip_reader import RowGroups
from camid.training.pair_sampling import Candidates, candidates
from camid.training.pairs import Pair, Side, drawn, side_sums

SETTINGS = [
    "simulate.num_devices=4",
    "simulate.num_models=2",
    "simulate.num_background=16",
    "simulate.num_foreground=16",
    "simulate.portraits=0",
    "simulate.sizes=[[2304, 1280]]",
]
SIZE, BATCH, NUM_STEPS, NUM_REUSED, ROUNDS = 256, 32, 4, 16, 5
"""Pixels a side of a strip; pairs a step; steps a timing without and with reuse; timings."""


def png(folder: Path, side: Side, row: int) -> Path:
    device, chunk, group = side.address
    return folder / f"{device}-{chunk}-{group}-{row}.png"


def write_pngs(folder: Path, store: Store, pairs: Sequence[Pair]) -> None:
    """Write the strips of pairs as 8-bit PNGs of residual + 128 steps."""
    with RowGroups(store) as row_groups:
        for side in (side for pair in pairs for side in pair.sides):
            for strip in row_groups.strips([(side.address, side.rows)]):
                pixels = (strip.samples.view(np.uint8) ^ 128).copy()
                Image.fromarray(pixels).save(png(folder, side, strip.row))


def from_pngs(folder: Path, steps: Sequence[Sequence[Pair]], crop: int) -> NDArray[np.float32]:
    for pairs in steps:
        sides = np.empty((len(pairs), 2, crop, crop, 3), np.float32)
        for number, pair in enumerate(pairs):
            top, left = pair.crop
            for which, side in enumerate(pair.sides):
                total = np.zeros((crop, crop, 3), np.int16)
                for row in side.rows:
                    with Image.open(png(folder, side, row)) as image:
                        total += np.asarray(image)[top : top + crop, left : left + crop]
                np.multiply(total, np.float32(0.125 / len(side.rows)), out=sides[number, which])
        sides -= np.float32(16)
    return sides


def from_store(
    store: Store, steps: Sequence[Sequence[Pair]], crop: int, *, is_checked: bool = True
) -> NDArray[np.float32]:
    with RowGroups(store, is_checked=is_checked) as row_groups:
        for pairs in steps:
            sides = side_sums(pairs, row_groups, crop_size=crop).averages()
    return sides


def cold(folder: Path) -> None:
    """Take a folder's files out of the page cache."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            file = os.open(path, os.O_RDONLY)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that work takes, and those that the processor works on it."""
    wall, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - busy


def steps_of(found: Candidates, *, per_row_group: int, num_steps: int) -> list[list[Pair]]:
    settings = replace(load_config().pairs, per_row_group=per_row_group)
    return [
        drawn(found, step, num_pairs=BATCH, size=SIZE, settings=settings, seed=1)
        for step in range(num_steps)
    ]


def megabytes_at_most() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def bytes_read() -> int:
    """Return the bytes that this process has asked the kernel for."""
    return int(Path("/proc/self/io").read_text().split()[1])


def pairs_a_second(store: Store, folder: Path) -> None:
    """Time both ways in turn, cold and warm."""
    found, settings = candidates(store, store.images()), load_config().pairs
    crop, reuse = settings.crop_size, settings.per_row_group
    once = steps_of(found, per_row_group=1, num_steps=NUM_STEPS)
    reused = steps_of(found, per_row_group=reuse, num_steps=NUM_REUSED)
    twice = steps_of(found, per_row_group=reuse, num_steps=2 * NUM_REUSED)
    for pairs in once:
        write_pngs(folder, store, pairs)
    plain, ours = from_pngs(folder, once, crop), from_store(store, once, crop)
    np.testing.assert_allclose(plain, ours, atol=1e-4)
    ways: dict[str, tuple[int, Callable[[], object]]] = {
        "PNGs": (NUM_STEPS, lambda: from_pngs(folder, once, crop)),
        "a pair a side": (NUM_STEPS, lambda: from_store(store, once, crop)),
        f"{reuse} pairs a side": (NUM_REUSED, lambda: from_store(store, reused, crop)),
        "a pair a side, unchecked": (
            NUM_STEPS,
            lambda: from_store(store, once, crop, is_checked=False),
        ),
        f"{reuse} pairs a side, unchecked": (
            NUM_REUSED,
            lambda: from_store(store, reused, crop, is_checked=False),
        ),
    }
    for state in ("cold", "warm"):
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, (num_steps, work) in ways.items():
                if state == "cold":
                    cold(folder if name == "PNGs" else Path(store.folder.local_path))
                times[name].append(tuple(t / num_steps / BATCH for t in timed(work)))
        wall, busy = (
            {name: min(t[i] for t in found) for name, found in times.items()} for i in (0, 1)
        )
        for name in ways:
            print(
                f"{state}, {name:24} {1 / wall[name]:6.0f} pairs/s, "
                f"{wall['PNGs'] / wall[name]:5.1f} times as many; of processor time "
                f"{1 / busy[name]:6.0f}, {busy['PNGs'] / busy[name]:5.1f} times"
            )
    before = megabytes_at_most()
    half = min(timed(lambda: from_store(store, reused, crop))[1] for _ in range(ROUNDS))
    whole = min(timed(lambda: from_store(store, twice, crop))[1] for _ in range(ROUNDS))
    more = megabytes_at_most() - before
    print(f"twice the pairs take {whole / half:.2f} times as long and {more:.0f} MiB more")


def comparison_list(store: Store, folder: Folder) -> None:
    """Draw, save, read and score a list of 1,000 pairs at 40 positions."""
    config, methods = load_config(), {"lukas": METHODS["lukas"]}
    settings = replace(config.comparisons, num_crops=(40,))
    listed = drawn_list(store.images(), settings=settings, strips=config.strips, seed=1)
    write_list(folder, "list.parquet", listed)
    listed = read_list(folder, "list.parquet")
    chunk = {image.sha256: (image.device, image.chunk) for image in store.images()}
    needed = {
        (chunk[image], (crop.top, crop.left))
        for pair in listed.comparisons
        for side in (pair.first, pair.second)
        for image in listed.sides[side].images
        for crop in pair.crops
    }
    size = sum(store.folder.size(name) for name in store.folder.files())
    cold(Path(store.folder.local_path))
    with RowGroups(store) as row_groups:
        before, lean = bytes_read(), megabytes_at_most()
        started = time.perf_counter()
        total = Evidence(sums={})
        whole = located(listed, store)
        for position in whole.positions:
            total += position_evidence(whole, position, row_groups, methods, num_crops=(40,))
        taken, read = time.perf_counter() - started, bytes_read() - before
        reads, counted = row_groups.num_reads, row_groups.num_bytes
    labels = np.array([pair.label for pair in listed.comparisons])
    eer = equal_error_rate(labels, scores(total, methods)["lukas"][:, 0])
    num_positions = [len({crop[:2] for crop in pair.crops}) for pair in listed.comparisons]
    print(f"list of {len(labels)} pairs at {min(num_positions)}..{max(num_positions)} positions:")
    print(f"{reads} reads of {len(needed)} row groups, of {store.index.num_rows} in the store")
    print(
        f"{counted / 2**20:.0f} MiB of strips and footers ({read / 2**20:.0f} by the kernel's "
        f"count), the store has {size / 2**20:.0f}: {read / size:.2f} of it"
    )
    print(f"{taken:.0f} s, {megabytes_at_most() - lean:.0f} MiB more than before, EER {eer:.3f}")


def main() -> None:
    config = load_config(settings=SETTINGS)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        paths = replace(config.paths, data=str(root / "data"), store=str(root / "store"))
        config = replace(config, paths=paths)
        with session():
            simulate(Folder(config.paths.data), config.simulate, seed=config.seed)
            preprocess(config)
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        (root / "png").mkdir()
        store = open_store(config.paths.store)
        comparison_list(store, Folder(place))
        pairs_a_second(store, root / "png")


if __name__ == "__main__":
    main()
