"""The pair network: a matched filter that learned what to trust, of any number of images.

A pair is ``(pair, 2, image, size, size, 4)``: the images' residuals, grey levels, and their
intensity less 128. The output is a log-likelihood ratio, nats. Images of zeros add nothing, so that
a side with fewer images than the other is filled up with them.

1. *Filter.* A bank of linear filters 7×7 looks at the colour planes of each image's residual.
2. *Reliability.* Energies of the planes and of the bank's outputs, the largest residual and the
   intensity of every 4×4 pixels go through residual blocks of convolutions 3×3, with what they are
   on average in the image; the result weighs the bank's outputs pixel by pixel. It begins as the
   plain residual over its surroundings' energy, which is the method ``weighted``.
3. *Evidence.* The weighted outputs are added over a side's images, less JPEG's blocks, and
   multiplied with the other side's, pixel by pixel: nothing else of the two sides meets. What the
   products are at lags where no pattern is left is demosaicking's lattice, which strangers share:
   their mean is taken off, and their deviation is the noise, or what the products' squares tell,
   whichever is more. Of strangers what is left, over the noise, is a normal number.
4. *Likelihood.* How strong the pattern is nobody knows. Its correlation has a distribution over a
   few values that follows from how much the two sides' evidence weighs together, and the likelihood
   ratio is the mean over it.

That weight alone says nothing for or against one device: at any weight the likelihood ratio of
strangers is 1 on average. A first network that got each side's weight, and not only their product,
told strangers apart by the camera models' processing.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from camid.comparison.networks.layers import Unblocked
from camid.comparison.networks.pairnet_numpy import (
    CELL,
    CHANNELS,
    LAGS,
    MIDDLE,
    NETWORK,
    NUM_SUMS,
    SLACK,
    STRENGTHS,
    Weights,
)
from camid.config import PairNet
from camid.prnu.luminance import LUMA

EVIDENCE, LIKELIHOOD = "evidence", "likelihood"
"""Layers of a pair network: of an image's evidence, and of the ratio from two sides' products."""


@keras.saving.register_keras_serializable(package="camid")
class Filters(keras.initializers.Initializer):  # type: ignore[misc]
    """Initial filters of the bank: the first passes the grey plane, the others are random."""

    def __init__(self) -> None:
        # Of a seed that it draws now: JAX allows no draw while a network is traced.
        self._random = keras.initializers.RandomNormal(stddev=1.0)

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Return filters ``(height, width, 3, filter)``."""
        random = self._random(shape, dtype=dtype) * (0.4 / shape[0])
        first = np.zeros(shape[:3], np.float32)
        first[shape[0] // 2, shape[1] // 2] = LUMA
        return ops.concatenate([first[..., None], random[..., 1:]], axis=-1)


@keras.saving.register_keras_serializable(package="camid")
class Images(keras.layers.Layer):  # type: ignore[misc]
    """Pairs as images: ``(pair, 2, image, size, size, 4)`` → ``(2 · pair · image, size, …)``."""

    def call(self, pairs: Any) -> Any:
        """Return the images of all sides, one after the other."""
        return ops.reshape(pairs, (-1, *ops.shape(pairs)[3:5], CHANNELS))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the images."""
        return (None, *input_shape[3:])


@keras.saving.register_keras_serializable(package="camid")
class CellFacts(keras.layers.Layer):  # type: ignore[misc]
    """Local statistics of every 4×4 pixels, the network's input beside the samples.

    Images ``(image, size, size, 4)`` and the bank's outputs ``(image, size, size, filter)`` →
    ``(image, size / 4, size / 4, 13 + filter)`` and the grey energy of their surroundings,
    ``(image, size / 4, size / 4, 1)``, grey levels squared.
    """

    def call(self, images: Any, bank: Any) -> Any:
        """Return facts and energies."""
        residual, light = images[..., :3], images[..., 3:] / float(MIDDLE)
        grey = ops.sum(residual * ops.convert_to_tensor(LUMA, "float32"), axis=-1, keepdims=True)
        energy = _pooled(grey * grey)
        around = ops.average_pool(energy, 3, strides=1, padding="same")
        light = _pooled(light)
        steps = residual - ops.roll(residual, 1, axis=1)
        facts = [
            ops.log(_pooled(residual * residual) + 0.05) / 2,
            ops.max_pool(ops.abs(residual), CELL, strides=CELL) / 4,
            ops.log(energy + 0.05) / 2,
            ops.log(around + 0.1) / 2,
            light,
            light * light,
            ops.log(_pooled(steps * steps) + 0.05) / 2,
            ops.log(_pooled(bank * bank) + 0.02) / 2,
        ]
        return ops.concatenate(facts, axis=-1), around

    def compute_output_shape(
        self, images_shape: tuple[int | None, ...], bank_shape: tuple[int | None, ...]
    ) -> tuple[tuple[int | None, ...], tuple[int | None, ...]]:
        """Return the shapes of both."""
        sides = (side and side // CELL for side in images_shape[1:3])
        cells = (images_shape[0], *sides)
        return (*cells, 13 + (bank_shape[-1] or 0)), (*cells, 1)


@keras.saving.register_keras_serializable(package="camid")
class Weighed(keras.layers.Layer):  # type: ignore[misc]
    """The bank's outputs, weighted cell by cell: ``(image, size, size, plane)``.

    Takes the bank's outputs, the learned weights of each cell
    ``(image, size / 4, size / 4, plane · filter)``, and the surroundings' energy. The first
    filter's weight in the first plane begins as 1 / (energy + 1).
    """

    def call(self, bank: Any, learned: Any, around: Any) -> Any:
        """Return the weighted sums over filters, of each plane."""
        filters, (height, width) = bank.shape[-1], ops.shape(bank)[1:3]
        planes = learned.shape[-1] // filters
        rows, columns = height // CELL, width // CELL
        parted = ops.reshape(bank, (-1, rows, CELL, columns, CELL, filters))
        first = ops.pad(1 / (around + 1), ((0, 0), (0, 0), (0, 0), (0, planes * filters - 1)))
        weights = ops.reshape(learned + first, (-1, rows, 1, columns, 1, planes, filters))
        sums = [ops.sum(parted * weights[..., plane, :], axis=-1) for plane in range(planes)]
        return ops.reshape(ops.stack(sums, axis=-1), (-1, height, width, planes))

    def compute_output_shape(
        self,
        bank_shape: tuple[int | None, ...],
        learned_shape: tuple[int | None, ...],
        around_shape: tuple[int | None, ...],  # noqa: ARG002
    ) -> tuple[int | None, ...]:
        """Return the shape of the planes."""
        planes = (learned_shape[-1] or 0) // (bank_shape[-1] or 1)
        return (*bank_shape[:-1], planes)


@keras.saving.register_keras_serializable(package="camid")
class Products(keras.layers.Layer):  # type: ignore[misc]
    """Sums of two sides' products: ``(2 · pair · image, size, size, plane)`` → ``(pair, sum)``.

    Takes the planes, less JPEG's blocks, and the pairs, for the number of images of a side.
    Gives the sums over pixels of the products of both sides' planes, of their squares, of each
    side's own squares, and of ones; and of the products at each of
    :data:`~camid.comparison.networks.pairnet_numpy.LAGS`.
    """

    def call(self, planes: Any, pairs: Any) -> Any:
        """Return the sums."""
        images, (height, width) = ops.shape(pairs)[2], ops.shape(planes)[1:3]
        parted = ops.reshape(planes, (-1, 2, images, height, width, planes.shape[-1]))
        sides = ops.sum(parted, axis=2)
        first, second = sides[:, 0], sides[:, 1]
        products = ops.sum(first * second, axis=-1)
        lags = [
            ops.sum(first * ops.roll(second, (-y, -x), axis=(1, 2)), axis=(1, 2, 3))
            for y, x in LAGS
        ]
        return ops.stack(
            [
                ops.sum(products, axis=(1, 2)),
                ops.sum(products * products, axis=(1, 2)),
                ops.sum(first * first, axis=(1, 2, 3)),
                ops.sum(second * second, axis=(1, 2, 3)),
                ops.sum(ops.ones_like(products), axis=(1, 2)),
                *lags,
            ],
            axis=-1,
        )

    def compute_output_shape(
        self,
        planes_shape: tuple[int | None, ...],  # noqa: ARG002
        pairs_shape: tuple[int | None, ...],  # noqa: ARG002
    ) -> tuple[int | None, ...]:
        """Return the shape of the sums."""
        return (None, NUM_SUMS)


@keras.saving.register_keras_serializable(package="camid")
class Likelihood(keras.layers.Layer):  # type: ignore[misc]
    """The log-likelihood ratio of sums of :class:`Products` → ``(…, 1)``, nats.

    Of strangers the products' sum less their mean at lags is normal with mean 0, and its deviation
    is that at lags, or one that is learned times the root of the squares' sum where that is more.
    Of one device its mean is the correlation times the root of both sides' squares. The
    correlation is one of :data:`~camid.comparison.networks.pairnet_numpy.STRENGTHS`, with
    probabilities that follow from the weight of both sides' evidence, the logarithm of the product
    of their squares a pixel.
    """

    def build(self, input_shape: Any) -> None:  # noqa: ARG002
        """Add the weights of each strength's probability, and of the strangers' deviation."""
        self.prior = self.add_weight(shape=(3, len(STRENGTHS)), initializer="zeros", name="prior")
        self.excess = self.add_weight(shape=(), initializer="zeros", name="excess")

    def call(self, sums: Any) -> Any:
        """Return the log-likelihood ratios."""
        product, squares, *energies, size, lags = ops.split(sums, [1, 2, 3, 4, 5], axis=-1)
        energy = (energies[0] + SLACK) * (energies[1] + SLACK)
        deviation = 1 + ops.softplus(self.excess - 2)
        least = deviation * deviation * (squares + SLACK)
        noise = ops.sqrt(ops.maximum(least, ops.mean(lags * lags, axis=-1, keepdims=True)))
        standardised = (product - ops.mean(lags, axis=-1, keepdims=True)) / noise
        weight = ops.stop_gradient(ops.log(energy) - 2 * ops.log(size)) / 4
        power = ops.concatenate([ops.ones_like(weight), weight, weight * weight], axis=-1)
        prior = ops.log_softmax(ops.matmul(power, self.prior), axis=-1)
        strengths = ops.convert_to_tensor(STRENGTHS, "float32")
        mean = strengths * ops.stop_gradient(ops.sqrt(energy) / noise)
        gains = mean * standardised - mean * mean / 2
        return ops.logsumexp(prior + gains, axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the ratios."""
        return (*input_shape[:-1], 1)


def evidence(settings: PairNet) -> keras.Model:
    """Return an untrained network from an image's residual and intensity to its evidence.

    ``(image, size, size, 4)`` → ``(image, size, size, plane)``. Sizes are multiples of 8
    pixels.
    """
    images = keras.Input((None, None, CHANNELS), name="images", dtype="float32")
    bank = layers.Conv2D(
        settings.filters,
        7,
        padding="same",
        use_bias=False,
        name="bank",
        kernel_initializer=Filters(),
    )(images[..., :3])
    facts, around = CellFacts(name="facts", dtype="float32")(images, bank)
    count = settings.channels

    def convolution(name: str, size: int = 3, *, filters: int = count, scale: float = 2.0) -> Any:
        initializer = keras.initializers.VarianceScaling(scale)
        return layers.Conv2D(
            filters, size, padding="same", name=name, kernel_initializer=initializer
        )

    maps = convolution("stem")(facts)
    mean = layers.GlobalAveragePooling2D(keepdims=True, name="mean")(layers.ReLU()(maps))
    maps = layers.Add(name="with_mean")([maps, convolution("context", 1, scale=0.1)(mean)])
    for block in range(settings.blocks):
        inner = convolution(f"conv{block}a")(layers.ReLU(name=f"relu{block}a")(maps))
        inner = layers.ReLU(name=f"relu{block}b")(inner)
        inner = convolution(f"conv{block}b", scale=0.1)(inner)
        maps = layers.Add(name=f"sum{block}")([maps, inner])
    maps = layers.ReLU(name="relu")(maps)
    planes = settings.planes * settings.filters
    learned = convolution("reliability", 1, filters=planes, scale=4e-4)(maps)
    return keras.Model(
        images, Weighed(name="weighed", dtype="float32")(bank, learned, around), name=EVIDENCE
    )


def pairnet(settings: PairNet) -> keras.Model:
    """Return an untrained network for pairs ``(pair, 2, image, size, size, 4)``, with an LLR each.

    Any number of images goes in, the same on both sides of a batch, and any multiple of 8 pixels.
    Weights are drawn from Keras's seed (``keras.utils.set_random_seed``).
    """
    pairs = keras.Input((2, None, None, None, CHANNELS), name="pairs", dtype="float32")
    planes = evidence(settings)(Images(name="sides", dtype="float32")(pairs))
    sums = Products(name="products", dtype="float32")(
        Unblocked(name="unblocked", dtype="float32")(planes), pairs
    )
    llr = Likelihood(name=LIKELIHOOD, dtype="float32")(sums)
    return keras.Model(pairs, llr, name=NETWORK)


def weights_of(network: keras.Model) -> Weights:
    """Return the weights of a pair network."""
    kernels, biases = {}, {}
    for layer in network.get_layer(EVIDENCE).layers:
        if isinstance(layer, layers.Conv2D):
            kernels[layer.name], *bias = layer.get_weights()
            if bias:
                (biases[layer.name],) = bias
    prior, excess = network.get_layer(LIKELIHOOD).get_weights()
    return Weights(
        kernels=kernels,
        biases=biases,
        prior=np.asarray(prior, np.float64),
        deviation=1 + float(np.logaddexp(0, float(excess) - 2)),
    )


def network_of(weights: Weights) -> keras.Model:
    """Return the pair network that has these weights."""
    settings = PairNet(
        filters=weights.num_filters,
        channels=weights.kernels["stem"].shape[-1],
        blocks=weights.num_blocks,
        planes=weights.num_planes,
    )
    network = pairnet(settings)
    for name, kernel in weights.kernels.items():
        arrays = [kernel, weights.biases[name]] if name in weights.biases else [kernel]
        network.get_layer(EVIDENCE).get_layer(name).set_weights(arrays)
    excess = np.log(np.expm1(weights.deviation - 1)) + 2
    network.get_layer(LIKELIHOOD).set_weights([weights.prior, np.float32(excess)])
    return network


def _pooled(maps: Any) -> Any:
    """Return the means of the cells of maps."""
    return ops.average_pool(maps, CELL, strides=CELL)
