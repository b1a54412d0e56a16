"""Many small networks in one, which share most of their weights."""

from typing import Any

import keras
from keras import ops

from apptemplates.layers.tabular import PACKAGE


@keras.saving.register_keras_serializable(package=PACKAGE)
class Members(keras.layers.Layer):
    """Features (n, d) as k differently weighted copies (n, k, d), one for each member of an ensemble.

    The members share every layer that follows and differ by these weights alone, which costs k x d numbers.

    Args:
        members: Number of members k.

    Reference: Gorishniy et al., 2025, TabM, arXiv:2410.24210.
    """

    def __init__(self, members: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.members = members

    def build(self, shape: Any) -> None:
        self.weight = self.add_weight(
            name="weight", shape=(self.members, shape[-1]), initializer=keras.initializers.RandomNormal(0.0, 1.0)
        )

    def call(self, features: Any) -> Any:
        return ops.expand_dims(features, 1) * self.weight

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0], self.members, shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "members": self.members}


@keras.saving.register_keras_serializable(package=PACKAGE)
class MemberHeads(keras.layers.Layer):
    """One linear output for each member: (n, k, d) to (n, k)."""

    def build(self, shape: Any) -> None:
        limit = shape[-1] ** -0.5
        self.kernel = self.add_weight(
            name="kernel", shape=(shape[1], shape[2]), initializer=keras.initializers.RandomUniform(-limit, limit)
        )
        self.bias = self.add_weight(name="bias", shape=(shape[1],), initializer="zeros")

    def call(self, features: Any) -> Any:
        return ops.sum(features * self.kernel, axis=-1) + self.bias

    def compute_output_shape(self, shape: Any) -> Any:
        return tuple(shape[:2])


@keras.saving.register_keras_serializable(package=PACKAGE)
class MeanLogit(keras.layers.Layer):
    """The logit (n,) of the mean probability of k members' logits (n, k), exact also where it is very small."""

    def call(self, logits: Any) -> Any:
        chance, rest = log_sigmoid(logits), log_sigmoid(-logits)
        return log_sum(chance) - log_sum(rest)

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0],)


def log_sigmoid(logits: Any) -> Any:
    """log of sigmoid, by operations every runtime has."""
    return ops.minimum(logits, 0.0) - ops.log(1.0 + ops.exp(-ops.abs(logits)))


def log_sum(values: Any) -> Any:
    """log of the sum of exp over the last axis, (n, k) to (n,)."""
    top = ops.max(values, axis=-1, keepdims=True)
    return ops.log(ops.sum(ops.exp(values - top), axis=-1)) + ops.squeeze(top, -1)
