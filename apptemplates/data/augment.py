"""Pictures that are a little different on every pass, so that a network does not learn them by heart."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from apptemplates.policy import nearest

CHOICES = {
    "flip": "whether half of the pictures are mirrored left to right",
    "flip_vertical": "whether half of the pictures are mirrored top to bottom",
    "rotate": "degrees, either way",
    "shift": "share of the width and of the height, either way",
    "zoom": "share by which they become larger or smaller",
    "brightness": "share of the range 0..255, lighter or darker",
    "contrast": "share by which differences grow or shrink",
    "erase": "largest share of the picture that a grey rectangle covers, on half of the pictures",
    "blur": "0 is none, 1 at most the mean of 3 x 3 pixels",
    "noise": "standard deviation, as a share of the range",
}
GEOMETRIC = ("flip", "flip_vertical", "rotate", "shift", "zoom")


def augment(batches: "tf.data.Dataset[Any]", choices: Mapping[str, float | bool], seed: int) -> "tf.data.Dataset[Any]":
    """The batches with every picture changed by chance, drawn anew on each pass; for training only.

    Whole batches are changed at once: one affine transform for all that moves, one multiplication for light.

    Args:
        batches: Of (pictures, ...), pictures uint8 or float32 0..255 (n, h, w, c); the rest stays as it is.
        choices: By the names in `CHOICES`, how far a change may go, of which every picture draws its own; what is
            not named, or 0 or False, is left out.
        seed: Of the draws.

    Returns:
        Batches of the same length, pictures float32 0..255.

    Raises:
        ValueError: A choice is unknown or not a number of 0 or more.
    """
    used = checked(choices)
    # seeds come with the batches: random operations inside `map` begin anew on each pass where a global seed is set
    seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2)

    def change(batch: Any, start: Any) -> Any:
        pictures, *rest = batch
        return changed(tf.cast(pictures, tf.float32), used, start), *rest

    return tf.data.Dataset.zip(batches, seeds).map(change, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def checked(choices: Mapping[str, float | bool]) -> dict[str, float]:
    """The choices that change anything."""
    return refuse_unknown(choices, CHOICES, {"rotate": 180})


def refuse_unknown(
    choices: Mapping[str, float | bool], known: Mapping[str, str], most: Mapping[str, float]
) -> dict[str, float]:
    """The choices that change anything, once each is known and in its range.

    Args:
        choices: Name -> how far.
        known: Name -> what it means.
        most: Name -> the highest value, where that is not 1.
    """
    for name, value in choices.items():
        if name not in known:
            hint = nearest(name, list(known)) or "."
            raise ValueError(f"augment: there is no {name!r}{hint} It takes {', '.join(known)}.")
        highest = most.get(name, 1)
        if not isinstance(value, int | float) or not 0 <= value <= highest:
            raise ValueError(f"augment: {name} ({known[name]}) must be from 0 to {highest:g}. Received: {value!r}")
    return {name: float(value) for name, value in choices.items() if value}


def changed(pictures: Any, choices: Mapping[str, float], seed: Any) -> Any:
    """Pictures float32 (n, h, w, c), each changed by its own draws."""
    count, shape = tf.shape(pictures)[0], pictures.shape
    draws = tf.random.stateless_uniform((16, count), seed, -1.0, 1.0)
    if any(name in choices for name in GEOMETRIC):
        pictures = moved(pictures, choices, draws)
    if "blur" in choices:
        softer = tf.nn.avg_pool2d(pictures, 3, 1, "SAME")
        pictures += column(tf.abs(draws[5]) * choices["blur"]) * (softer - pictures)
    if "brightness" in choices or "contrast" in choices:
        factor = column(1 + draws[6] * choices.get("contrast", 0.0))
        mean = tf.reduce_mean(pictures, [1, 2, 3], keepdims=True)
        pictures = pictures * factor + (mean * (1 - factor) + column(255 * draws[7] * choices.get("brightness", 0.0)))
    if "noise" in choices:
        spread = 255 * choices["noise"] * 3**0.5  # even draws of this width have the standard deviation asked for
        pictures += tf.random.stateless_uniform(tf.shape(pictures), seed + 1, -spread, spread)
    if "erase" in choices:
        pictures = erased(pictures, choices["erase"], draws[8:13])
    return tf.ensure_shape(tf.clip_by_value(pictures, 0.0, 255.0), shape)


def moved(pictures: Any, choices: Mapping[str, float], draws: Any) -> Any:
    """Pictures mirrored, turned, scaled and shifted in one transform; beyond their edge the edge goes on."""
    height, width = (tf.cast(tf.shape(pictures)[axis], tf.float32) for axis in (1, 2))
    angle = draws[0] * choices.get("rotate", 0.0) * (3.14159265 / 180)
    scale = 1 / (1 + draws[1] * choices.get("zoom", 0.0) * 0.999)
    across = tf.where(draws[13] < 0, -scale, scale) if "flip" in choices else scale
    down = tf.where(draws[14] < 0, -scale, scale) if "flip_vertical" in choices else scale
    cosine, sine = tf.cos(angle), tf.sin(angle)
    middle, centre = (width - 1) / 2, (height - 1) / 2
    # from a place (x, y) of the new picture to the place of the old one it is taken from
    right = middle + draws[2] * choices.get("shift", 0.0) * width
    low = centre + draws[3] * choices.get("shift", 0.0) * height
    a, b, c, d = across * cosine, -across * sine, down * sine, down * cosine
    nothing = tf.zeros_like(a)
    rows = [a, b, middle - a * right - b * low, c, d, centre - c * right - d * low, nothing, nothing]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=pictures,
        transforms=tf.stack(rows, axis=1),  # (n, 8)
        output_shape=tf.shape(pictures)[1:3],
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    )


def erased(pictures: Any, share: float, draws: Any) -> Any:
    """Pictures of which half have a grey rectangle somewhere.

    Reference: Zhong et al., 2020, Random Erasing Data Augmentation.
    """
    height, width = tf.shape(pictures)[1], tf.shape(pictures)[2]
    area = tf.where(draws[0] < 0, 0.0, draws[0] * share)
    side = tf.exp(0.7 * draws[1])  # height to width
    high, wide = tf.sqrt(area * side), tf.sqrt(area / side)
    masks = []
    for size, length, place in ((height, high, draws[2]), (width, wide, draws[3])):
        length = tf.minimum(length, 1.0)[:, None]
        start = (place[:, None] + 1) / 2 * (1 - length)
        line = (tf.cast(tf.range(size), tf.float32) + 0.5)[None] / tf.cast(size, tf.float32)
        masks.append((line >= start) & (line < start + length))
    covered = masks[0][:, :, None, None] & masks[1][:, None, :, None]  # (n, h, w, 1)
    return tf.where(covered, column(127.5 + 127.5 * draws[4]), pictures)


def column(numbers: Any) -> Any:
    """Numbers (n,) as (n, 1, 1, 1), one a picture."""
    return numbers[:, None, None, None]
