"""Pictures told apart by the directions of their edges, in closed form, where there is little to learn from."""

from typing import Any

import keras
import numpy as np
from keras import layers as kl
from keras import ops

from apptemplates.data.batches import predicted
from apptemplates.layers.similarity import Direction, EvenLight
from apptemplates.layers.tabular import PACKAGE

SIDE, DIRECTIONS = 56, 8  # pixels a side at which edges are looked for; how many directions are told apart
WIDTH, REACH = 0.7, 2  # of the bell by which pictures are smoothed, and pixels on each side that it counts
CELL, STEP = 8, 4  # pixels over which edges are gathered, and from one such place to the next
AXES, SHRINK = 400, 0.05  # along which pictures differ most; how far their spread within a person is made even
NUMBERS = 48  # in a direction
# of layers whose weights are set: nothing is drawn for them, so that the networks beside them begin as without them
GIVEN: dict[str, Any] = {"kernel_initializer": "zeros", "trainable": False}
MOST = 20_000  # pictures from which that is learned


@keras.saving.register_keras_serializable(package=PACKAGE)
class EvenEdges(keras.layers.Layer):
    """Strengths of edges (n, h, w, directions), at each place relative to how strong all are there.

    Places with hardly any edge stay weak: they are measured by the mean of the picture as well.
    """

    def call(self, strengths: Any) -> Any:
        strength = ops.sqrt(ops.sum(ops.square(strengths), axis=-1, keepdims=True))
        return strengths / (strength + 0.05 * ops.mean(strength, axis=(1, 2), keepdims=True) + 1e-6)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


def describer(shape: tuple[int, ...]) -> keras.Model:
    """How strong edges of each direction are at each of a grid of places.

    Args:
        shape: (h, w, c) of the pictures, 0..255.

    Returns:
        `keras.Model` from (n, h, w, c) float32 to (n, d) float32, d the same for every shape. Nothing of it is learned.

    Reference: Dalal and Triggs, 2005, Histograms of Oriented Gradients for Human Detection.
    """
    pictures = keras.Input(shape)
    x = kl.Resizing(SIDE, SIDE)(pictures) if tuple(shape[:2]) != (SIDE, SIDE) else pictures
    look = kl.Conv2D(DIRECTIONS, 2 * REACH + 1, use_bias=False, activation="relu", name="look", **GIVEN)
    x = look(EvenLight()(x))
    look.set_weights([np.repeat(slopes()[:, :, None], shape[2], axis=2) / shape[2]])
    x = kl.AveragePooling2D(CELL, STEP)(x)
    return keras.Model(pictures, kl.Flatten()(EvenEdges()(x)), name="describer")


def slopes() -> np.ndarray:
    """Kernels (k, k, directions) of how steep a smoothed picture rises in each direction."""
    place = np.arange(-REACH, REACH + 1)
    bell = np.exp(-(place**2) / (2 * WIDTH**2))
    rise = np.outer(bell, place * bell) / np.abs(np.outer(bell, place * bell)).sum() * 2
    turn = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    return rise[..., None] * np.cos(turn) + rise.T[..., None] * np.sin(turn)


def discriminants(features: np.ndarray, person: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The axes along which people differ most, compared with the pictures of one person.

    Args:
        features: (n, d).
        person: (n,) numbers of who it is, 0 and up.
        most: Axes, at most; there are fewer than people.

    Returns:
        kernel (d, k) and bias (k,) float32: features @ kernel + bias has mean 0, and about spread 1 within a person.

    Reference: Belhumeur, Hespanha and Kriegman, 1997, Eigenfaces vs. Fisherfaces.
    """
    mean, count = features.mean(axis=0, dtype="float64"), np.bincount(person)
    rest = features - mean.astype("float32")
    _, axes = np.linalg.eigh(rest.T @ rest)
    axes = axes[:, ::-1][:, : min(AXES, len(rest) - 1)]
    rest = rest @ axes
    centre = np.zeros((len(count), rest.shape[1]))
    np.add.at(centre, person, rest)
    centre /= count[:, None]
    apart = rest - centre[person]
    within = apart.T @ apart / max(1, len(rest) - len(count))
    within = (1 - SHRINK) * within + SHRINK * np.trace(within) / len(within) * np.eye(len(within))
    spread, turn = np.linalg.eigh(within)
    even = turn / np.sqrt(np.maximum(spread, 1e-9 * spread[-1]))
    _, best = np.linalg.eigh(np.cov((centre @ even).T))
    kernel = axes @ even @ best[:, ::-1][:, : min(most, len(count) - 1)]
    return kernel.astype("float32"), (-mean @ kernel).astype("float32")


def told_apart(shape: tuple[int, ...], kernel: np.ndarray, bias: np.ndarray) -> keras.Model:
    """`keras.Model` named "edges" from pictures (n, h, w, c), 0..255, to directions (n, k) by these discriminants."""
    features = describer(shape)
    axes = kl.Dense(len(bias), name="discriminants", **GIVEN)
    directions = Direction()(axes(features.output))
    axes.set_weights([kernel, bias])
    return keras.Model(features.input, directions, name="edges")


def learned(pictures: np.ndarray, person: np.ndarray, seed: int) -> keras.Model:
    """Edges `told_apart` as these people differ, who may be mirrored.

    Args:
        pictures: (n, h, w, c) uint8.
        person: (n,) who it is.
        seed: Of the draw of the pictures, where there are more than can be learned from at once.
    """
    place = np.unique(person.astype(str), return_inverse=True)[1]
    some = np.sort(np.random.default_rng(seed).permutation(len(place))[:MOST])
    pictures, place = pictures[some], np.unique(place[some], return_inverse=True)[1]
    describe = describer(pictures.shape[1:])
    features = np.concatenate([predicted(describe, seen) for seen in (pictures, pictures[:, :, ::-1])])
    return told_apart(pictures.shape[1:], *discriminants(features, np.concatenate([place, place]), NUMBERS))


def moved(old: keras.Model, shape: tuple[int, ...]) -> keras.Model:
    """Edges `told_apart` in pictures of another size."""
    return told_apart(shape, *old.get_layer("discriminants").get_weights())
