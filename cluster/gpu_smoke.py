"""Do several GPUs train together? A minute or two that tell it before hours are paid for.

    ray job submit -- python cluster/gpu_smoke.py --workers 2
    python cluster/gpu_smoke.py --workers 2 --cpu      the same on processors

Simulates twelve small phones, trains camid's network of pairs on them with one worker and with
several, and compares: equal steps have equal losses, to rounding. Ends with 1 where they do not.
Leaves ``gpu-smoke/`` in ``$CAMID_HOME``, which may be deleted.
"""

import sys
import time
from dataclasses import replace

import click
import numpy as np
from rich.filesize import decimal

from camid.cli.pipeline import one_sentence
from camid.config import Config, load_config
from camid.io.folder import Folder
from camid.io.output_layout import CHECKPOINT
from camid.runtime.cluster.session import home, session, tensorflow_uses
from camid.runtime.ingest.ensure_store import make_store
from camid.runtime.ingest.simulate import simulate
from camid.runtime.pipelines.workflow import chosen_split
from camid.runtime.training.train import train
from camid.runtime.training.worker import Row
from camid.store.store import open_store
from camid.training.checkpoint import checkpoint_parts
from camid.training.pair_task import PairTask

SETTINGS = (
    *("split=seeded", "splits.validation=0.2", "simulate.num_devices=12", "simulate.num_models=12"),
    *("simulate.num_background=6", "simulate.num_foreground=6", "simulate.sizes=[[512,512]]"),
    *("pairs.num_images=[2,2]", "comparisons.num_images=[2,2]", "training.validation_pairs=32"),
    *("training.batch_size=32", "training.validate_every=20", "training.num_steps=40"),
    *("training.optimiser=sgd", "training.learning_rate=0.01", "training.warmup_steps=10"),
)
TOLERANCE = 0.002
"""Of losses, relative: graphics cards round products of matrices to ten bits."""


def sight(*, use_gpu: bool) -> str:
    """Return what TensorFlow computes on in this process, with memory that grows as needed."""
    import tensorflow as tf

    tensorflow_uses(1, use_gpu=use_gpu)
    cards = tf.config.get_visible_devices("GPU")
    if len(cards) != int(use_gpu):
        raise ValueError(f"a worker that asked for {int(use_gpu)} GPUs sees {len(cards)} of them")
    return str(tf.reduce_sum(tf.ones((64, 64))).device).rpartition("/")[2]


def see(workers: int, *, use_gpu: bool, seconds: float) -> None:
    """Wait for as many GPUs as workers, which an autoscaler may bring; see what each worker has."""
    import ray

    until = time.monotonic() + seconds
    while use_gpu and (found := ray.cluster_resources().get("GPU", 0)) < workers:
        if time.monotonic() > until:
            raise ValueError(f"expected {workers} GPUs, Ray has {found:g}; see `ray status`")
        time.sleep(5)
    print(f"1. Ray has {f'the {workers} GPUs that are asked for' if use_gpu else 'processors'}.")
    look = ray.remote(num_cpus=0, num_gpus=int(use_gpu))(sight)
    seen = ray.get([look.remote(use_gpu=use_gpu) for _ in range(workers)])
    print(f"2. TensorFlow computes on {', '.join(seen)}.")


def history(config: Config, workers: int) -> list[Row]:
    """Train anew with so many workers; return the row of figures of each span."""
    training = replace(config.training, num_workers=workers)
    config, store = replace(config, training=training), open_store(config.paths.store)
    output = Folder(f"{config.paths.out}/{workers}")
    output.delete()
    split = chosen_split(config, store)
    train(PairTask(config=config, store=config.paths.store, split=split), output)
    return checkpoint_parts(output.read(CHECKPOINT))[1].history[1:]


def speed(row: Row) -> str:
    """Return the figures of a span's speed in words."""
    words = f"{row['pairs_per_second']:.1f} pairs a second, {row['waited']:.1%} of the time waited"
    if "gpu_bytes" not in row:
        return words
    return f"{words}, {decimal(int(row['gpu_bytes']))} of the first worker's GPU at most"


@click.command()
@click.option("--workers", default=2, show_default=True, help="Of the second training.")
@click.option("--cpu", is_flag=True, help="On processors instead of GPUs.")
@click.option("--wait", default=0.0, help="Seconds that an autoscaler may take to bring GPUs.")
def main(workers: int, cpu: bool, wait: float) -> None:
    """See Ray's GPUs and TensorFlow's; train with one worker and with several, and compare."""
    with one_sentence(), session():
        from ray.autoscaler.sdk import request_resources

        out = f"{home().uri}/gpu-smoke"
        config = load_config(settings=[*SETTINGS, f"training.use_gpu={str(not cpu).lower()}"])
        paths = replace(config.paths, data=f"{out}/photographs", store=f"{out}/store", out=out)
        config = replace(config, paths=paths)
        request_resources(bundles=[] if cpu else [{"GPU": 1, "CPU": 1}] * workers)
        try:
            see(workers, use_gpu=not cpu, seconds=wait)
            simulate(Folder(paths.data), config.simulate, seed=config.seed)
            make_store(config, fresh=True)
            one, several = (history(config, count) for count in (1, workers))
        finally:
            request_resources(bundles=[])  # or the nodes would stay, and be paid for
    alone, together = ([row["loss"] for row in rows] for rows in (one, several))
    apart = float(np.max(np.abs(np.divide(together, alone) - 1)))
    is_equal = apart < TOLERANCE  # which what is not a number is not
    print(f"3. Losses of 1 worker {np.round(alone, 4)}, of {workers} {np.round(together, 4)}:")
    print(f"   {'equal' if is_equal else 'NOT EQUAL'}, at most {apart:.1e} of a loss apart.")
    print(f"4. One worker: {speed(one[-1])}.")
    print(f"   {workers}: {speed(several[-1])}.")
    sys.exit(0 if is_equal else 1)


if __name__ == "__main__":
    main()
