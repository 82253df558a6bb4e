"""The Siamese network: one extractor for both sides of a pair, and what their distance tells.

A pair is ``(2, size, size, 3)``: each side the average of its images' residuals, grey levels, cut
to one crop. The output is a logit, higher = more surely the same device. How many images a side
averages is free, as only averages come in.

Layers for crops of 128 px, and numbers of parameters:

``report`` (9,963,201, most of them in the dense layer)
    The study's text: five times [convolution 3×3 to 32, 64, 128, 256, 512 channels, ReLU; largest
    of 2×2; batch normalisation] → 4×4×512 → dense 1024 → |first − second| → dense 1.
``report-code`` (8,780,993)
    The study's notebooks: the same with 32, 64, 128, 128, 128 channels, the first pooling with
    stride 1 (→ 8×8×128), and dropout before the dense layer (``siamese.dropout=0.3``).
``residual`` (14,809)
    Full resolution: colour planes without JPEG's blocks, standardised → convolution 3×3 to 16
    channels → three residual blocks of twice [batch normalisation, ReLU, convolution 3×3] →
    convolution 1×1 to 8 maps, 128×128×8, standardised → mean over pixels of |first − second|: 8
    numbers → batch normalisation → dense 1.
``small`` (1,225)
    The same planes → convolution 5×5 to 8 channels, tanh → convolution 3×3 to 8 maps, 128×128×8,
    standardised → as above.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from keras import layers

from camid.comparison.networks.layers import (
    Distance,
    Normalised,
    Sides,
    Standardised,
    Unblocked,
)
from camid.config import Siamese
from camid.prnu.cleaning import JPEG_BLOCK

CHANNELS = 3


def siamese(settings: Siamese, *, size: int) -> keras.Model:
    """Return an untrained network for pairs ``(pair, 2, size, size, 3)``, with a logit a pair.

    Weights are drawn from Keras's seed (``keras.utils.set_random_seed``).

    Raises
    ------
    ValueError
        If crops are no multiple of JPEG's blocks, of a network that takes these out.
    """
    pairs = keras.Input((2, size, size, CHANNELS), name="pairs")
    features = EXTRACTORS[settings.extractor](Sides(name="sides")(pairs), settings)
    is_map = len(features.shape) == 4
    distance = Distance(name="distance", dtype="float32")(features)
    if is_map:
        distance = Normalised(name="distance_scale", dtype="float32")(distance)
    logit = layers.Dense(1, dtype="float32", name="logit")(distance)
    return keras.Model(pairs, logit, name=settings.extractor.replace("-", "_"))


def _report(
    maps: Any, settings: Siamese, *, channels: tuple[int, ...], strides: tuple[int, ...]
) -> Any:
    counts = [_widened(count, settings) for count in channels]
    for block, (count, stride) in enumerate(zip(counts, strides, strict=True)):
        convolution = layers.Conv2D(
            count, 3, padding="same", activation="relu", name=f"conv{block}"
        )
        maps = convolution(maps)
        maps = layers.MaxPooling2D(2, strides=stride, padding="same", name=f"pool{block}")(maps)
        maps = Normalised(name=f"norm{block}")(maps)
    flat = layers.Flatten(name="flat")(maps)
    if settings.dropout:
        flat = layers.Dropout(settings.dropout, name="dropout")(flat)
    return layers.Dense(_widened(1024, settings), name="features")(flat)


def _residual(maps: Any, settings: Siamese, *, num_blocks: int = 3) -> Any:
    count = _widened(16, settings)
    conv = partial(layers.Conv2D, count, 3, padding="same", use_bias=False)
    maps = conv(name="stem")(_cleaned(maps))
    for block in range(num_blocks):
        inner = maps
        for half in ("a", "b"):
            inner = Normalised(name=f"norm{block}{half}")(inner)
            inner = layers.ReLU(name=f"relu{block}{half}")(inner)
            inner = conv(name=f"conv{block}{half}")(inner)
        maps = layers.Add(name=f"sum{block}")([maps, inner])
    if settings.dropout:
        maps = layers.SpatialDropout2D(settings.dropout, name="dropout")(maps)
    maps = layers.Conv2D(_widened(8, settings), 1, use_bias=False, name="features")(maps)
    return Standardised(name="maps")(maps)


def _small(maps: Any, settings: Siamese) -> Any:
    count = _widened(8, settings)
    convolution = layers.Conv2D(count, 5, padding="same", activation="tanh", name="conv0")
    maps = convolution(_cleaned(maps))
    if settings.dropout:
        maps = layers.SpatialDropout2D(settings.dropout, name="dropout")(maps)
    maps = layers.Conv2D(count, 3, padding="same", use_bias=False, name="features")(maps)
    return Standardised(name="maps")(maps)


def _cleaned(maps: Any) -> Any:
    """Return colour planes without JPEG's blocks, standardised."""
    if maps.shape[1] % JPEG_BLOCK:
        raise ValueError(
            f"pairs.crop_size = {maps.shape[1]}: expected a multiple of {JPEG_BLOCK} px for this "
            "network"
        )
    return Standardised(name="standardised")(Unblocked(name="unblocked")(maps))


def _widened(count: int, settings: Siamese) -> int:
    return max(1, round(count * settings.width))


EXTRACTORS: dict[str, Callable[[Any, Siamese], Any]] = {
    "report": partial(_report, channels=(32, 64, 128, 256, 512), strides=(2, 2, 2, 2, 2)),
    "report-code": partial(_report, channels=(32, 64, 128, 128, 128), strides=(1, 2, 2, 2, 2)),
    "residual": _residual,
    "small": _small,
}
"""Make features of sides ``(side, height, width, 3)``: a vector, or maps ``(…, channel)``."""
