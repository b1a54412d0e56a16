"""Many small networks in one, which share most of their weights."""

from typing import Any

import keras
import numpy as np
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


@keras.saving.register_keras_serializable(package=PACKAGE)
class BlendedLogit(keras.layers.Layer):
    """share x first + (1 - share) x second of two tensors of one shape; the share was chosen on held-out rows."""

    def __init__(self, share: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.share = share

    def call(self, both: Any) -> Any:
        first, second = both
        return self.share * first + (1.0 - self.share) * second

    def compute_output_shape(self, shapes: Any) -> Any:
        return shapes[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "share": self.share}


def member_logits(x: Any, members: int, widths: tuple[int, int], dropouts: tuple[float, float]) -> Any:
    """One logit for each member (n, k) from features (n, d): two layers that they share, beside a linear part.

    Args:
        x: Features.
        members: How many.
        widths: Of the two layers.
        dropouts: Before the members part, and after the second layer.

    Reference: Gorishniy et al., 2025, TabM, arXiv:2410.24210; Cheng et al., 2016, Wide & Deep, arXiv:1606.07792.
    """
    kl = keras.layers
    wide = kl.Dense(members, kernel_initializer="zeros")(x)
    x = kl.Dense(widths[0], activation="relu")(x)
    if dropouts[0]:
        x = kl.Dropout(dropouts[0])(x)
    x = kl.Dense(widths[1], activation="relu")(Members(members)(x))
    return kl.Add()([MemberHeads()(kl.Dropout(dropouts[1])(x)), wide])


def member_targets(truth: np.ndarray, members: int, teacher: Any, features: np.ndarray) -> np.ndarray:
    """What each member is to say (n, k) float32; with a teacher half of it is what that network says."""
    target = np.repeat(np.asarray(truth)[:, None], members, axis=1).astype("float32")
    if teacher is None:
        return target
    known = teacher.predict(features, batch_size=8192, verbose=0)
    return np.asarray(0.5 * target + 0.5 / (1 + np.exp(-known)), "float32")


def held_fast(target: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Targets (n, c) of which half is what a teacher's members say together, for rows of a class that it knows.

    Args:
        target: (n, c) float32.
        logits: (n, members, known) of the teacher; its classes are the first of c.
    """
    old = logits.shape[-1]
    known = target[:, :old].any(axis=1)
    told = np.asarray(ops.softmax(logits[known])).mean(axis=1)
    target = target.copy()
    target[known, :old] = 0.5 * target[known, :old] + 0.5 * told
    return target
