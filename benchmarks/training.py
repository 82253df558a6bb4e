"""Training: what the feed gives, what trainers wait for it, and two workers against one.

``python -m benchmarks.training [STORE]``; without a store, phones are simulated. Each ratio is of
figures of the same run.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import sys
import tempfile
import time
from dataclasses import replace
from statistics import median

import psutil

from camid.config import Config, load_config
from camid.dataset.splits import named_split
from camid.io.folder import Folder
from camid.io.output_layout import CHECKPOINT
from camid.runtime.cluster.session import session
from camid.runtime.ingest.ensure_store import make_store
from camid.runtime.training.feed import fed
from camid.runtime.training.train import train
from camid.store.store import open_store
from camid.store.strip_reader import RowGroups
from camid.training.checkpoint import checkpoint_parts
from camid.training.pair_task import PairTask

SETTINGS = [
    "split=seeded",
    "simulate.num_background=8",
    "simulate.num_foreground=12",
    "training.batch_size=64",
    "training.micro_batches=8",
    "training.validate_every=15",
    "training.num_steps=45",
    "training.validation_pairs=64",
]
STEPS = 30
"""Steps that the feed alone is timed with."""
EXTRACTORS = ("small", "report")


def source(config: Config) -> PairTask:
    store = open_store(config.paths.store)
    split = named_split(config.split, store.images(), settings=config.splits, seed=config.seed)
    return PairTask(config=config, store=config.paths.store, split=split)


def feed_alone(told: PairTask) -> None:
    """Print pairs a second of one core, drawn and read in this process; then by the feed."""
    config = told.config
    every = range(config.training.micro_batches)
    with RowGroups(open_store(told.store)) as row_groups:
        drawing = told.training(row_groups)
        drawing.share(0, every)
        busy = time.process_time()
        for step in range(STEPS):
            drawing.share(step, every)
        busy = time.process_time() - busy
    plain = STEPS * config.training.batch_size / busy
    print(f"drawn and read, one core: {plain:.0f} pairs/s")
    seen, held = [], []
    with fed(told, every, range(2 * STEPS)) as feed:
        for _ in feed:
            seen.append(time.perf_counter())
            if len(seen) % STEPS == 0:
                held.append(reader_mebibytes())
    rate = (len(seen) - STEPS) * config.training.batch_size / (seen[-1] - seen[STEPS - 1])
    print(f"by the feed, one process: {rate:.0f} pairs/s")
    print(f"its memory after {STEPS} steps and at the end: {held[0]:.0f} and {held[1]:.0f} MiB")


def reader_mebibytes() -> float:
    """Return the memory of this process's readers."""
    family = psutil.Process().children(recursive=True)
    return sum(p.memory_info().rss for p in family if "_Reader" in p.name()) / 2**20


def rates(told: PairTask) -> tuple[float, float]:
    """Return a training's pairs a second and the share of its time that it waited: medians."""
    with tempfile.TemporaryDirectory() as place:
        output = Folder(place)
        train(told, output)
        rows = checkpoint_parts(output.read(CHECKPOINT))[1].history[1:]
    spans = rows[1:] or rows  # the first has the compiling
    return median(row["pairs_per_second"] for row in spans), median(row["waited"] for row in spans)


def main() -> None:
    config = load_config(settings=SETTINGS)
    with tempfile.TemporaryDirectory() as place, session():
        store = sys.argv[1] if len(sys.argv) > 1 else f"{place}/store"
        config = replace(config, paths=replace(config.paths, store=store, out=f"{place}/out"))
        if len(sys.argv) == 1:
            os.environ["CAMID_HOME"] = place
            make_store(config)
        feed_alone(source(config))
        for extractor in EXTRACTORS:
            network = replace(config.siamese, extractor=extractor)
            one, two = (
                rates(
                    source(
                        replace(
                            config,
                            siamese=network,
                            training=replace(config.training, num_workers=workers),
                        )
                    )
                )
                for workers in (1, 2)
            )
            print(
                f"{extractor}: one worker {one[0]:.1f} pairs/s, waited {one[1]:.1%}; "
                f"two {two[0]:.1f}, waited {two[1]:.1%}: {two[0] / one[0]:.2f} times"
            )


if __name__ == "__main__":
    main()
