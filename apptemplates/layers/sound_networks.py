"""Graphs of sound: from samples to a picture, from that to a map of features, and from logits to what is said."""

from typing import Any

import keras
from keras import layers as kl

from apptemplates.layers.backbones import normed, residual
from apptemplates.layers.classes import ClassChances, Unsure
from apptemplates.layers.decision import Temperature
from apptemplates.layers.sound import LogMel, SoundPicture

AFTER = ("mean_of_listeners", "temperature", "chances")  # the layers from the logits of all listeners to chances


def preprocessor(samples: int, rate: int) -> keras.Model:
    """A model named "preprocessor" from {"sound": (n, samples)} float32 to pictures (n, bands, frames, 1)."""
    sound = keras.Input((samples,), dtype="float32", name="sound")
    picture = SoundPicture(name="picture")(LogMel(rate=rate, name="log_mel")(sound))
    return keras.Model({"sound": sound}, picture, name="preprocessor")


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


def decision(preprocessor: keras.Model, network: keras.Model) -> keras.Model:
    """The graph from sounds to `chances` (n, c) of all listeners together, and `unsure` (n,), whether none is enough.

    Args:
        preprocessor: From sounds to pictures.
        network: From pictures to logits (n, listeners, c).

    Returns:
        `keras.Model`; what is to be set in it stands in the layers "temperature" and "unsure".
    """
    logits = kl.GlobalAveragePooling1D(name=AFTER[0])(network(preprocessor(preprocessor.input)))
    chances = ClassChances(name=AFTER[2])(Temperature(name=AFTER[1])(logits))
    unsure = Unsure(name="unsure")(kl.GlobalMaxPooling1D(name="highest")(kl.Reshape((-1, 1))(chances))[:, 0])
    return keras.Model(preprocessor.input, {"chances": chances, "unsure": unsure})
