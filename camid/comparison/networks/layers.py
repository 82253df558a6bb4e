"""Layers that camid's networks share, of ``keras`` alone: they run on any backend of Keras 3.

Only TensorFlow's normalises over the batches of all workers.
"""

from typing import Any

import keras
from keras import ops

from camid.prnu.cleaning import JPEG_BLOCK

EPSILON = 1e-6


@keras.saving.register_keras_serializable(package="camid")
class Standardised(keras.layers.Layer):  # type: ignore[misc]
    """Maps with mean 0 and standard deviation 1 over each map's pixels.

    ``(image, height, width, channel)`` → the same. The number of images in an average, and how
    strongly a scene is textured, no longer show in the scale.
    """

    def call(self, maps: Any) -> Any:
        """Return the standardised maps, computed in float32."""
        wide = ops.cast(maps, "float32")
        centred = wide - ops.mean(wide, axis=(1, 2), keepdims=True)
        variance = ops.mean(ops.square(centred), axis=(1, 2), keepdims=True)
        return ops.cast(centred * ops.rsqrt(variance + EPSILON), self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the same shape."""
        return input_shape


@keras.saving.register_keras_serializable(package="camid")
class Unblocked(keras.layers.Layer):  # type: ignore[misc]
    """Images without what repeats every 8 pixels: JPEG's blocks, which devices share.

    ``(image, height, width, channel)`` → the same, less the mean over all pixels of one place in
    a block. Heights and widths are multiples of 8.
    """

    def call(self, images: Any) -> Any:
        """Return the images less their mean block, computed in float32."""
        wide = ops.cast(images, "float32")
        height, width, channels = ops.shape(wide)[1:]
        down, across = height // JPEG_BLOCK, width // JPEG_BLOCK
        rows = ops.reshape(wide, (-1, down, JPEG_BLOCK * width * channels))
        block = ops.reshape(ops.mean(rows, axis=1), (-1, JPEG_BLOCK, across, JPEG_BLOCK * channels))
        block = ops.mean(block, axis=2, keepdims=True)
        repeated = ops.reshape(
            ops.repeat(block, across, axis=2), (-1, 1, JPEG_BLOCK * width * channels)
        )
        unblocked = ops.reshape(rows - repeated, (-1, height, width, channels))
        return ops.cast(unblocked, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the same shape."""
        return input_shape


@keras.saving.register_keras_serializable(package="camid")
class Distance(keras.layers.Layer):  # type: ignore[misc]
    """Absolute difference of the two sides' features.

    ``(2 · pair, …)``, sides of a pair one after the other → ``(pair, …)``; the mean over pixels of
    what is a map. Computed in float32, in which it should also go on: what tells devices apart is a
    few thousandths of it.
    """

    def call(self, features: Any) -> Any:
        """Return the differences, of maps their mean over pixels ``(pair, channel)``."""
        wide = ops.cast(features, "float32")
        difference = ops.abs(wide[0::2] - wide[1::2])
        if len(features.shape) == 4:
            difference = ops.mean(difference, axis=(1, 2))
        return ops.cast(difference, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the differences."""
        return (None, input_shape[-1])


@keras.saving.register_keras_serializable(package="camid")
class Normalised(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Batch normalisation, over all workers' batches where the backend can."""

    def __init__(self, **options: Any) -> None:
        is_tensorflow = keras.backend.backend() == "tensorflow"
        super().__init__(**{**options, "synchronized": is_tensorflow})


@keras.saving.register_keras_serializable(package="camid")
class Sides(keras.layers.Layer):  # type: ignore[misc]
    """Pairs as images: ``(pair, 2, height, width, channel)`` → ``(2 · pair, height, width, …)``."""

    def call(self, pairs: Any) -> Any:
        """Return the sides, those of a pair one after the other."""
        _, _, height, width, channels = pairs.shape
        return ops.reshape(pairs, (-1, height, width, channels))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the sides."""
        return (None, *input_shape[2:])
