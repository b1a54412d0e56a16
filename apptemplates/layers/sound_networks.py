"""Networks from a picture of sound to a map of features."""

from typing import Any

import keras
from keras import layers as kl

from apptemplates.layers.backbones import normed, residual


def listener(shape: tuple[int, int, int], width: int = 16) -> keras.Model:
    """A small residual network of full convolutions over pitch and time, which CPUs run at full speed.

    Args:
        shape: (bands, frames, 1).
        width: Channels of the first layer; the others have up to three times as many.

    Returns:
        `keras.Model` named "backbone" from pictures of 0..255 to a map (n, 1, frames / 8, 6 width): the last layer
        takes all pitches together.

    Reference: Tang and Lin, 2018, Deep Residual Learning for Small-Footprint Keyword Spotting, arXiv:1710.10361.
    """
    pictures = keras.Input(shape)
    x: Any = kl.Rescaling(1 / 64, -2)(pictures)
    x = kl.ReLU()(normed(kl.Conv2D(width, 5, 2, padding="same", use_bias=False)(x)))
    for wide, stride in ((width, 1), (2 * width, 2), (2 * width, 1), (3 * width, 2), (3 * width, 1)):
        x = residual(x, wide, stride)
    x = kl.ReLU()(normed(kl.Conv2D(6 * width, (x.shape[1], 1), use_bias=False)(x)))
    return keras.Model(pictures, x, name="backbone")


def head(shape: tuple[int, ...], outputs: int, dropout: float) -> keras.Model:
    """From a map (n, 1, frames, d) to logits: mean and maximum over time, and a linear layer called "logits"."""
    features = keras.Input(shape)
    pooled = kl.Concatenate()([kl.GlobalAveragePooling2D()(features), kl.GlobalMaxPooling2D()(features)])  # (n, 2 d)
    return keras.Model(features, kl.Dense(outputs, name="logits")(kl.Dropout(dropout)(pooled)), name="head")
