"""How alike things are: directions of length 1, their cosines, and the threshold above which two are a match."""

from typing import Any

import keras
from keras import ops

from apptemplates.layers.tabular import PACKAGE, TINY


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

    def call(self, similarity: Any) -> Any:
        return ops.greater_equal(similarity, self.threshold)

    def compute_output_spec(self, similarity: Any) -> Any:
        return keras.KerasTensor(similarity.shape, "bool")


@keras.saving.register_keras_serializable(package=PACKAGE)
class Mirror(keras.layers.Layer):
    """Pictures (n, h, w, c) left to right: a face and its mirror image show the same person."""

    def call(self, pictures: Any) -> Any:
        return ops.flip(pictures, axis=2)

    def compute_output_spec(self, pictures: Any) -> Any:
        return keras.KerasTensor(pictures.shape, pictures.dtype)


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
