"""The classifier of patches: which of N devices took the image that a patch is cut from.

A patch is ``(size, size, 3)`` grey levels, of pixels 0–255 or of residuals around 0; the output is
a logit for each device. The layer ``embedding`` is what the last layer decides by.

Layers for patches of 32 px and 15 devices, and numbers of parameters:

``ghosh2021`` (2,146,671; 25,084,271 of an image of 640 px)
    The study's text: dropout of 10 % of the input → convolution 8×8 to 32 channels, ReLU → dropout
    of 20 % → convolution 3×3 to 64, ReLU → largest of 2×2 → dense 256, ReLU → dense 512, ReLU →
    dense 15. It states neither channels nor strides; images beyond 64 px, which are not cut into
    patches, have a stride of 8 in the first convolution.
``freire2019`` (739,471)
    Freire-Obregón et al. 2019 (doi:10.1016/j.patrec.2018.01.005): convolutions 3×3 with stride 2 to
    64 and 128 channels → largest of 3×3 with stride 2 → dense 256 → dense 512 → dense 15, all with
    leaky ReLU.
``deep`` (78,655)
    In the spirit of VGG, but with normalisation and shortcuts, so that its gradient reaches the
    first layer: convolution 3×3 to 16 → three stages of two convolutions 3×3, each with batch
    normalisation and ReLU before it and a shortcut over both, of 16, 32 and 64 channels, halved
    in between → batch normalisation, ReLU → mean over pixels, 64 → dense 15.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from keras import layers

from camid.comparison.networks.layers import Normalised
from camid.config import Classifier

CHANNELS = 3
LARGEST_PATCH = 64
"""Pixels a side of the largest patches; larger inputs are taken for images that are not cut."""

MOMENTUM = 0.9
"""Momentum of the batch averages that normalise at inference: they follow within 20 steps."""


def classifier(
    settings: Classifier, *, size: int, num_devices: int, is_residual: bool
) -> keras.Model:
    """Return an untrained network for patches ``(patch, size, size, 3)``, with a logit a device.

    Weights are drawn from Keras's seed (``keras.utils.set_random_seed``).

    Parameters
    ----------
    is_residual
        Whether patches are of residuals, a few grey levels around 0, and not of pixels.
    """
    patches = keras.Input((size, size, CHANNELS), name="patches")
    scale, offset = (1 / 4, 0.0) if is_residual else (1 / 128, -1.0)
    maps = layers.Rescaling(scale, offset, name="scaled")(patches)
    embedding = NETWORKS[settings.network](maps, settings)
    logits = layers.Dense(num_devices, dtype="float32", name="logits")(embedding)
    return keras.Model(patches, logits, name=settings.network)


def _ghosh(maps: Any, settings: Classifier) -> Any:
    stride = 8 if maps.shape[1] > LARGEST_PATCH else 1
    maps = layers.Dropout(0.1, name="input_dropout")(maps)
    maps = _convolution(32, 8, settings, strides=stride, activation="relu", name="conv0")(maps)
    maps = layers.Dropout(0.2, name="dropout")(maps)
    maps = _convolution(64, 3, settings, activation="relu", name="conv1")(maps)
    maps = layers.MaxPooling2D(2, name="pool")(maps)
    return _dense(maps, settings, activation="relu")


def _freire(maps: Any, settings: Classifier) -> Any:
    for number, count in enumerate((64, 128)):
        convolution = partial(_convolution, count, 3, settings, strides=2, padding="same")
        maps = convolution(activation="leaky_relu", name=f"conv{number}")(maps)
    maps = layers.MaxPooling2D(3, strides=2, padding="same", name="pool")(maps)
    return _dense(maps, settings, activation="leaky_relu")


def _deep(maps: Any, settings: Classifier) -> Any:
    conv = partial(_convolution, settings=settings, padding="same", use_bias=False)
    maps = conv(16, 3, name="stem")(maps)
    for stage, count in enumerate((16, 32, 64)):
        if stage:
            maps = layers.MaxPooling2D(2, name=f"pool{stage}")(maps)
        inner = maps
        for half in ("a", "b"):
            inner = Normalised(momentum=MOMENTUM, name=f"norm{stage}{half}")(inner)
            inner = layers.ReLU(name=f"relu{stage}{half}")(inner)
            inner = conv(count, 3, name=f"conv{stage}{half}")(inner)
        if maps.shape[-1] != inner.shape[-1]:
            maps = conv(count, 1, name=f"shortcut{stage}")(maps)
        maps = layers.Add(name=f"sum{stage}")([maps, inner])
    maps = layers.ReLU(name="relu")(Normalised(momentum=MOMENTUM, name="norm")(maps))
    return layers.GlobalAveragePooling2D(name="embedding")(maps)


def _dense(maps: Any, settings: Classifier, *, activation: str) -> Any:
    flat = layers.Flatten(name="flat")(maps)
    dense = layers.Dense(_widened(256, settings), activation=activation, name="dense")(flat)
    return layers.Dense(_widened(512, settings), activation=activation, name="embedding")(dense)


def _convolution(count: int, size: int, settings: Classifier, **options: Any) -> layers.Conv2D:
    return layers.Conv2D(_widened(count, settings), size, **options)


def _widened(count: int, settings: Classifier) -> int:
    return max(1, round(count * settings.width))


NETWORKS: dict[str, Callable[[Any, Classifier], Any]] = {
    "ghosh2021": _ghosh,
    "freire2019": _freire,
    "deep": _deep,
}
"""Functions from scaled patches to embeddings, by name."""
