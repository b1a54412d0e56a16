"""Networks from a picture of sound to a map of features."""

from typing import Any

import keras
from keras import layers as kl

from apptemplates.layers.backbones import normed, residual


def listener(shape: tuple[int, int, int], width: int = 16, members: int = 1) -> keras.Model:
    """Small residual networks of full convolutions over pitch and time, which CPUs run at full speed.

    Args:
        shape: (bands, frames, 1).
        width: Channels of the first layer; the others have up to three times as many.
        members: Such networks side by side, which differ by where they start.

    Returns:
        `keras.Model` named "backbone" from pictures of 0..255 to a map (n, 1, frames / 8, members x 6 width), that of
        each member after the other: the last layer takes all pitches together.

    Reference: Tang and Lin, 2018, Deep Residual Learning for Small-Footprint Keyword Spotting, arXiv:1710.10361.
    """
    pictures = keras.Input(shape)
    scaled = kl.Rescaling(1 / 64, -2)(pictures)
    maps = []
    for _ in range(members):
        x: Any = kl.ReLU()(normed(kl.Conv2D(width, 5, 2, padding="same", use_bias=False)(scaled)))
        for wide, stride in ((width, 1), (2 * width, 2), (2 * width, 1), (3 * width, 2), (3 * width, 1)):
            x = residual(x, wide, stride)
        maps.append(kl.ReLU()(normed(kl.Conv2D(6 * width, (x.shape[1], 1), use_bias=False)(x))))
    return keras.Model(pictures, maps[0] if members == 1 else kl.Concatenate()(maps), name="backbone")
