"""Sounds that are a little different on every pass: moved, faster or slower, in noise, with parts hidden."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from apptemplates.data.augment import refuse_unknown

CHOICES = {
    "shift": "seconds, either way",
    "speed": "share by which they become faster or slower, and higher or lower with it",
    "gain": "natural logarithm of the loudness, standard deviation",
    "noise": "share of the sounds that get background noise",
    "mask_time": "seconds that are hidden at most, twice",
    "mask_pitch": "share of the bands that is hidden at most, twice",
    "mix": "share of the sounds that another one is laid under",
}
MOST = {"shift": 1.0, "speed": 0.5, "gain": 2.0, "mask_time": 1.0}
SOFTEST, LOUDEST = 0.0, 30.0  # dB that a sound is louder than its noise


def checked(choices: Mapping[str, float]) -> dict[str, float]:
    """The choices that change anything.

    Raises:
        ValueError: A choice is unknown or out of its range.
    """
    return refuse_unknown(choices, CHOICES, MOST)


def augment(
    batches: "tf.data.Dataset[Any]",
    choices: Mapping[str, float],
    rate: int,
    noise: np.ndarray,
    seed: int,
    loose: np.ndarray | None = None,
) -> "tf.data.Dataset[Any]":
    """The batches with every sound changed by chance, drawn anew on each pass; for training only.

    Args:
        batches: Of (sounds, ...), sounds float32 (n, samples); the rest stays as it is.
        choices: By the names in `CHOICES`, how far a change may go; those of hiding and mixing are left to `hide`.
        rate: Samples a second.
        noise: (m,) float32 background, longer than a sound, or empty.
        seed: Of the draws.
        loose: (c,) which classes of the target (n, c), the first of the rest, are no word that must stay whole: these
            sounds are moved by up to half their length.

    Reference: Ko et al., 2015, Audio Augmentation for Speech Recognition (speed).
    """
    used = checked(choices)
    background = tf.constant(noise)
    seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2)

    def change(batch: Any, start: Any) -> Any:
        sounds, *rest = batch
        is_loose = None if loose is None else tf.tensordot(rest[0], tf.constant(loose, tf.float32), 1) > 0.5
        return changed(sounds, used, rate, background, start, is_loose), *rest

    return tf.data.Dataset.zip(batches, seeds).map(change, num_parallel_calls=tf.data.AUTOTUNE)


def changed(sounds: Any, choices: Mapping[str, float], rate: int, background: Any, seed: Any, loose: Any = None) -> Any:
    """Sounds (n, samples), each changed by its own draws; those that are `loose` (n,) are moved further."""
    count, length = tf.shape(sounds)[0], sounds.shape[1]
    draws = tf.random.stateless_uniform((6, count), seed, -1.0, 1.0)
    if "shift" in choices or "speed" in choices:
        speed = 1 + choices.get("speed", 0.0) * draws[0]
        middle = length / 2
        reach: Any = choices.get("shift", 0.0) * rate
        if loose is not None and reach:
            reach = tf.where(loose, tf.maximum(reach, middle), reach)
        moved = reach * draws[1]
        place = (tf.range(length, dtype=tf.float32)[None] - middle) * speed[:, None] + middle + moved[:, None]
        whole = tf.floor(place)
        inside = (whole >= 0) & (whole < length - 1)
        first = tf.clip_by_value(tf.cast(whole, tf.int32), 0, length - 2)
        part = place - whole
        # a straight line between two samples dulls the highest pitches a little, as other microphones do
        between = (
            tf.gather(sounds, first, batch_dims=1) * (1 - part) + tf.gather(sounds, first + 1, batch_dims=1) * part
        )
        sounds = tf.where(inside, between, 0.0)
    if "gain" in choices:
        normal = tf.random.stateless_normal((count, 1), seed + 1)
        sounds *= tf.exp(choices["gain"] * tf.clip_by_value(normal, -2.5, 2.5))
    if "noise" in choices and len(background) > length:
        start = tf.cast((draws[2] + 1) / 2 * float(len(background) - length), tf.int32)
        hiss = tf.gather(background, start[:, None] + tf.range(length)[None])
        louder = SOFTEST + (LOUDEST - SOFTEST) * (draws[3] + 1) / 2  # dB
        wanted = power(sounds) * tf.pow(10.0, -louder[:, None] / 10)
        used = tf.cast((draws[4] + 1) / 2 < choices["noise"], tf.float32)[:, None]
        sounds += used * hiss * tf.sqrt(wanted / power(hiss))
    return sounds


def power(sounds: Any) -> Any:
    """Mean power (n, 1) of sounds (n, samples), never quite 0."""
    return tf.reduce_mean(tf.square(sounds), axis=1, keepdims=True) + 1e-8


def hide(
    batches: "tf.data.Dataset[Any]", choices: Mapping[str, float], seconds: float, seed: int
) -> "tf.data.Dataset[Any]":
    """The batches with bands and moments of every picture of sound hidden, and some laid over another.

    Args:
        batches: Of (pictures, target[, weight]), float32 (n, bands, frames, 1), (n, classes) and (n,).
        choices: As for `augment`.
        seconds: Length of a sound.
        seed: Of the draws.

    Reference: Park et al., 2019, SpecAugment, arXiv:1904.08779; Zhang et al., 2018, mixup, arXiv:1710.09412.
    """
    used = checked(choices)
    seeds = tf.data.Dataset.random(seed=seed + 1, rerandomize_each_iteration=True).batch(2)
    widths = (used.get("mask_pitch", 0.0), min(1.0, used.get("mask_time", 0.0) / seconds))

    def change(batch: Any, start: Any) -> Any:
        pictures, *rest = batch
        count, shape = tf.shape(pictures)[0], pictures.shape
        mean = tf.reduce_mean(pictures, axis=(1, 2, 3), keepdims=True)
        draws = tf.random.stateless_uniform((10, count, 1), start)
        for turn, (axis, width) in enumerate(((1, widths[0]), (2, widths[1])) * 2):
            if width:
                size = shape[axis]
                line = (tf.range(size, dtype=tf.float32) + 0.5)[None] / size
                length = draws[2 * turn] * width
                begin = draws[2 * turn + 1] * (1 - length)
                hidden = (line >= begin) & (line < begin + length)  # (n, size)
                pictures = tf.where(
                    tf.reshape(hidden, (-1, size, 1, 1) if axis == 1 else (-1, 1, size, 1)), mean, pictures
                )
        if "mix" in used:
            under = tf.where(draws[8, :, 0] < used["mix"], 0.5 * draws[9, :, 0], 0.0)  # share of the other one
            pictures = mixed(pictures, under)
            rest = [mixed(one, under) for one in rest]
        return tf.ensure_shape(pictures, shape), *rest

    zipped = tf.data.Dataset.zip(batches, seeds)
    return zipped.map(change, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def mixed(column: Any, under: Any) -> Any:
    """Rows (n, ...) with a share (n,) of another row in each."""
    share = tf.cast(tf.reshape(under, (-1, *[1] * (len(column.shape) - 1))), column.dtype)
    return column + share * (column[::-1] - column)
