"""What the pair network takes on one core: ``python -m benchmarks.pairnet``.

A pair of 4+4 images at 40 crops of 128 px: the comparison of sides whose evidence is there, as it
is for every pair of a list but an image's first, and an image's evidence, a strip, beside Keras's
and the denoising of the same pixels. Least of several times, in turn.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

from camid.comparison.methods import METHODS
from camid.comparison.methods.method import Method, Tile
from camid.comparison.methods.pairnet import shipped_network
from camid.comparison.networks.pairnet_numpy import evidence, read_weights
from camid.prnu.residual import residual

STRIP, CROP, CROPS, IMAGES, TIMES = 256, 128, 40, 4, 7


def tile(method: Method, rng: np.random.Generator) -> Tile:
    """Return 40 crops of two sides' strips, prepared for a method."""
    shape = (2, method.first.gathered.num_planes, STRIP, STRIP)
    totals = rng.normal(size=shape).astype(np.float32)
    sides = [method.first.prepared(total.squeeze(), IMAGES) for total in totals]
    corners = rng.integers(STRIP - CROP + 1, size=(CROPS, 2))
    pairs = np.zeros((CROPS, 2), np.int64)
    return Tile(np.stack(sides[:1]), np.stack(sides[1:]), pairs, corners, CROP)


def least(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the least seconds that each work took, all of them in turn."""
    found = dict.fromkeys(works, np.inf)
    for _ in range(TIMES + 1):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            found[name] = min(found[name], time.perf_counter() - started)
    return found


def keras_evidence() -> Callable[[np.ndarray], object]:
    """Return the same network's evidence by Keras on TensorFlow, on one thread."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from camid.comparison.networks.pairnet import network_of

    return network_of(read_weights(shipped_network())).get_layer("evidence").predict_on_batch  # type: ignore[no-any-return]


def main() -> None:
    rng = np.random.default_rng(1)
    weights = read_weights(shipped_network())
    noise = rng.normal(0, 2, (STRIP, STRIP, 3)).astype(np.float32)
    light = rng.integers(0, 256, (STRIP // 4, STRIP // 4)).astype(np.uint8)
    image = rng.integers(0, 256, (STRIP, STRIP, 3)).astype(np.uint8)
    large = light.repeat(4, 0).repeat(4, 1)[..., None].astype(np.float32) - 128
    levels, by_keras = np.concatenate([noise, large], axis=-1)[None], keras_evidence()
    tiles = {name: tile(METHODS[name], rng) for name in ("lukas", "classical", "pairnet")}
    works: dict[str, Callable[[], object]] = {
        f"40 crops of a pair, {name}": lambda n=name: METHODS[n].score(  # type: ignore[misc]
            METHODS[n].evidence(tiles[n]).sum(axis=0)
        )
        for name in tiles
    }
    works |= {
        "a strip's evidence": lambda: evidence(noise, light, weights),
        "the same by Keras": lambda: by_keras(levels),
        "denoising the strip": lambda: residual(image),
    }
    table = Table("one core", "ms", "as long as", title="The pair network")
    found = least(works)
    for name, seconds in found.items():
        plain = "40 crops of a pair, lukas" if "crops" in name else "denoising the strip"
        ratio = f"{seconds / found[plain]:.1f} × {plain.rsplit(', ', maxsplit=1)[-1]}"
        table.add_row(name, f"{1e3 * seconds:.1f}", ratio)
    Console().print(table)


if __name__ == "__main__":
    main()
