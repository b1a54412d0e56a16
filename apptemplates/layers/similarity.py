"""How alike things are: directions of length 1, their cosines, and the threshold above which two are a match."""

from typing import Any

import keras
import numpy as np
from keras import ops

from apptemplates.layers.tabular import PACKAGE

TINY = 1e-6  # the least length; a vector of zeros stays one
FEW = 20  # people whose mean is half trusted


@keras.saving.register_keras_serializable(package=PACKAGE)
class Direction(keras.layers.Layer):
    """Vectors (n, d) at length 1."""

    def call(self, vectors: Any) -> Any:
        return directed(vectors)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


@keras.saving.register_keras_serializable(package=PACKAGE)
class ClassCosines(keras.layers.Layer):
    """Cosines (n, classes) between vectors (n, d) and one learned direction a class.

    Args:
        classes: Number of classes.

    Reference: Wang et al., 2018, CosFace: Large Margin Cosine Loss for Deep Face Recognition, arXiv:1801.09414.
    """

    def __init__(self, classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.classes = classes

    def build(self, shape: Any) -> None:
        self.directions = self.add_weight(
            name="directions", shape=(shape[-1], self.classes), initializer="glorot_normal"
        )

    def call(self, vectors: Any) -> Any:
        lengths = ops.sqrt(ops.sum(ops.square(self.directions), axis=0, keepdims=True) + TINY**2)
        return ops.matmul(directed(vectors), self.directions / lengths)

    def compute_output_shape(self, shape: Any) -> Any:
        return (*shape[:-1], self.classes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "classes": self.classes}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Discriminant(keras.layers.Layer):
    """Vectors (n, d) turned so that what differs between people counts, and what differs within one person does not.

    Along every direction the spread within a person becomes 1, and the spread between all is left as many times as
    large as it was: the cosines that follow weigh a difference by how much it tells.

    Reference: Fisher, 1936, The Use of Multiple Measurements; Hatch et al., 2006, Within-Class Covariance
    Normalization.
    """

    def build(self, shape: Any) -> None:
        size = shape[-1]
        self.centre = self.add_weight(name="centre", shape=(size,), initializer="zeros", trainable=False)
        self.turn = self.add_weight(name="turn", shape=(size, size), initializer="identity", trainable=False)
        self.built = True

    def adapt(self, vectors: np.ndarray, labels: np.ndarray) -> "Discriminant":
        """Takes both spreads from vectors (n, d) of people (n,), as far as there are enough of them to tell.

        Args:
            vectors: (n, d) float.
            labels: (n,) anything; a person of a single vector tells about the spread of all alone.
        """
        vectors = vectors.astype("float64")
        _, place, count = np.unique(labels, return_inverse=True, return_counts=True)
        size = vectors.shape[1]
        centre = (
            vectors.mean(axis=0) * len(count) / (len(count) + FEW)
        )  # of few people the mean is theirs, not people's
        totals = np.zeros((len(count), size))
        np.add.at(totals, place, vectors)
        rest = vectors - (totals / count[:, None])[place]
        free = len(vectors) - len(count)
        turn = np.eye(size)
        if free and (rest**2).sum() > TINY * free:
            within = shrunk(rest.T @ rest / free, size / (size + free) * 0.5)
            whole = shrunk(np.cov(vectors.T).reshape(size, size), size / (size + len(vectors)) * 0.5)
            spread, axes = np.linalg.eigh(within)
            turn = axes / np.sqrt(spread)
            ratio, axes = np.linalg.eigh(turn.T @ whole @ turn)
            turn = turn @ axes * np.sqrt(ratio)
        self.build(vectors.shape)
        self.set_weights([centre, turn])
        return self

    def call(self, vectors: Any) -> Any:
        return ops.matmul(vectors - self.centre, self.turn)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


def shrunk(spread: np.ndarray, share: float) -> np.ndarray:
    """A spread (d, d) with a share of one that is equal to all sides mixed in."""
    return (1 - share) * spread + share * np.trace(spread) / len(spread) * np.eye(len(spread))


@keras.saving.register_keras_serializable(package=PACKAGE)
class Cosine(keras.layers.Layer):
    """The cosine (n,) of the angle between two directions, (n, d) each of length 1."""

    def call(self, first: Any, second: Any) -> Any:
        return ops.sum(first * second, axis=-1)

    def compute_output_spec(self, first: Any, second: Any) -> Any:
        return keras.KerasTensor(first.shape[:-1], first.dtype)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Match(keras.layers.Layer):
    """True where a similarity (n,) reaches the threshold, which can be set at any time."""

    def build(self, shape: Any = None) -> None:
        self.threshold = self.add_weight(name="threshold", shape=(), initializer="ones", trainable=False)

    def set(self, threshold: float) -> None:
        """Decides anew."""
        self.threshold.assign(threshold)

    def call(self, similarity: Any) -> Any:
        return ops.greater_equal(similarity, self.threshold)

    def compute_output_spec(self, similarity: Any) -> Any:
        return keras.KerasTensor(similarity.shape, "bool")


@keras.saving.register_keras_serializable(package=PACKAGE)
class CentreCrop(keras.layers.Layer):
    """The middle (n, height, width, c) of pictures (n, h, w, c).

    Args:
        size: (height, width) of what is left, at most those of the pictures.
    """

    def __init__(self, size: tuple[int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = tuple(size)

    def call(self, pictures: Any) -> Any:
        top, left = ((whole - part) // 2 for whole, part in zip(pictures.shape[1:3], self.size, strict=True))
        return pictures[:, top : top + self.size[0], left : left + self.size[1], :]

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0], *self.size, shape[3])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable(package=PACKAGE)
class EvenLight(keras.layers.Layer):
    """Pictures (n, h, w, c) 0..255 with mean 0 and spread 1 each, so that lamps and cameras matter less."""

    def call(self, pictures: Any) -> Any:
        rest = pictures - ops.mean(pictures, axis=(1, 2, 3), keepdims=True)
        # a picture without any contrast stays one: noise of a few grey levels is not blown up
        return rest / (ops.sqrt(ops.mean(ops.square(rest), axis=(1, 2, 3), keepdims=True)) + 8.0)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


def directed(vectors: Any) -> Any:
    """Vectors (n, d) at length 1."""
    return vectors / ops.sqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True) + TINY**2)
