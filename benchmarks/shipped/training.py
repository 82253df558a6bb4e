"""The shipped network's training: ``python -m benchmarks.shipped.training OUT.keras``.

Phones are simulated in memory, two of each model. A step takes both phones of some models, two
sides of each, and compares every first side with every second one: a batch of 32 phones gives 32
positive pairs and 992 negative ones, the 32 among them that are of one model counting four times.
Sides have 1, 2 and 4 images of the same crop, and all three count. A step costs the evidence of 256
images: seconds on two cores, so hours in all.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import click
import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from camid.cli.errors import one_sentence
from camid.cli.pipeline import print_lines
from camid.comparison.networks.files import network_bytes
from camid.comparison.networks.pairnet import pairnet
from camid.config import Config, PairNet, load_config
from camid.dataset.simulate import phones
from camid.io.folder import Folder
from camid.io.images import pixels
from camid.prnu.luminance import LUMA
from camid.prnu.residual import quantised, residual
from camid.prnu.strips import INTENSITY_STEP, intensity

NUMBERS = (1, 2, 4)
"""Images a side that a step compares with."""
CROP = 128
MARGIN = 24
"""Pixels at the photographs' edges that are left out."""
SIBLINGS = 4.0
"""How often a negative of one model counts."""

Images = tuple[NDArray[np.int8], NDArray[np.uint8]]
"""Residuals ``(image, height, width, 3)`` in eighths of a grey level, and intensities."""


def images_of(number: int, *, config: Config) -> Images:
    """Return the photographs of a phone, denoised, less their edges."""
    phone = phones(config.simulate, seed=config.seed)[number]
    kinds = {
        "background": config.simulate.num_background,
        "foreground": config.simulate.num_foreground,
    }
    inner = slice(MARGIN, -MARGIN)
    found = []
    for kind, count in kinds.items():
        for at in range(1, count + 1):
            image = pixels(phone.photograph(kind, at))  # type: ignore[arg-type]
            strip = image[inner, inner][None]
            found.append((quantised(residual(image))[inner, inner], intensity(strip, LUMA)[0]))
    residuals, lights = zip(*found, strict=True)
    return np.stack(residuals), np.stack(lights)


def batch(rng: np.random.Generator, data: list[Images], *, size: int) -> NDArray[np.float32]:
    """Return levels ``(phone, 2, image, crop, crop, 4)``: a phone a model, then the others."""
    half = len(data) // 2
    models = rng.permutation(half)[: size // 2]
    height, width = data[0][0].shape[1:3]
    top, left = (int(rng.integers((side - CROP) // 8 + 1)) * 8 for side in (height, width))
    levels = np.empty((size, 2 * NUMBERS[-1], CROP, CROP, 4), np.float32)
    for row, number in enumerate(np.concatenate([models, models + half])):
        residuals, lights = data[number]
        some = rng.permutation(len(residuals))[: levels.shape[1]]
        levels[row, ..., :3] = residuals[some, top : top + CROP, left : left + CROP] / 8
        cells = [slice(at // INTENSITY_STEP, (at + CROP) // INTENSITY_STEP) for at in (top, left)]
        light = lights[some][:, cells[0], cells[1]].astype(np.float32) - 128
        levels[row, ..., 3] = light.repeat(INTENSITY_STEP, 1).repeat(INTENSITY_STEP, 2)
    return levels.reshape(size, 2, NUMBERS[-1], CROP, CROP, 4)


def step_of(network: keras.Model, optimiser: keras.optimizers.Optimizer, *, size: int) -> object:
    """Return what takes a step on a batch and returns its loss, compiled by TensorFlow."""
    import tensorflow as tf

    part, unblocked = network.get_layer("evidence"), network.get_layer("unblocked")
    likelihood = network.get_layer("likelihood")
    siblings = np.roll(np.eye(size, dtype=np.float32), size // 2, axis=1)
    shares = (1 + (SIBLINGS - 1) * siblings) * (1 - np.eye(size, dtype=np.float32))
    shares /= shares.sum()

    @tf.function  # type: ignore[untyped-decorator]
    def step(levels: object) -> object:
        with tf.GradientTape() as tape:
            planes = unblocked(part(ops.reshape(levels, (-1, CROP, CROP, 4)), training=True))
            planes = ops.reshape(planes, (size, 2, NUMBERS[-1], CROP * CROP, planes.shape[-1]))
            loss = 0.0
            for number in NUMBERS:
                first, second = (ops.sum(planes[:, s, :number], axis=1) for s in (0, 1))
                products = ops.einsum("ipc,jpc->ijp", first, second)
                ones = ops.ones((size, size))
                sums = [
                    ops.sum(products, axis=-1),
                    ops.sum(products * products, axis=-1),
                    ops.sum(first * first, axis=(1, 2))[:, None] * ones,
                    ops.sum(second * second, axis=(1, 2))[None] * ones,
                    ones * CROP * CROP,
                ]
                llr = likelihood(ops.stack(sums, axis=-1))[..., 0]
                loss += ops.mean(ops.softplus(-ops.diagonal(llr))) / len(NUMBERS)
                loss += ops.sum(ops.softplus(llr) * shares) / len(NUMBERS)
        weights = network.trainable_variables
        optimiser.apply(tape.gradient(loss, weights), weights)
        return loss

    return step


@click.command(help=__doc__)
@click.argument("out")
@click.option("--steps", default=4000)
@click.option("--phones", "num_phones", default=300)
@click.option("--batch", "size", default=32)
@click.option("--set", "given", multiple=True, metavar="SECTION.FIELD=VALUE")
def main(out: str, *, steps: int, num_phones: int, size: int, given: tuple[str, ...]) -> None:
    with one_sentence():
        simulated = [f"num_devices={num_phones}", f"num_models={num_phones // 2}", "portraits=0"]
        simulated += ["num_background=6", "num_foreground=10", "sizes=[[560,560]]"]
        simulated += ["pattern_spread=0.8"]
        config = load_config(settings=["seed=11", *(f"simulate.{s}" for s in simulated), *given])
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            data = [*pool.map(partial(images_of, config=config), range(num_phones))]
        keras.utils.set_random_seed(config.seed)
        network = pairnet(PairNet())
        rate = keras.optimizers.schedules.CosineDecay(
            2e-5, steps, alpha=0.02, warmup_target=2e-3, warmup_steps=50
        )
        optimiser = keras.optimizers.Adam(rate, beta_2=0.98, global_clipnorm=1.0)
        optimiser.build(network.trainable_variables)
        step = step_of(network, optimiser, size=size)
        rng, losses = np.random.default_rng(config.seed), []
        for number in range(1, steps + 1):
            losses.append(float(step(batch(rng, data, size=size))))  # type: ignore[operator]
            if number % 50 == 0:
                print_lines([f"step {number}: loss {np.mean(losses[-50:]):.4f} nats a pair"])
        folder, name = Folder.at(out)
        folder.write(name, network_bytes(network))


if __name__ == "__main__":
    main()
