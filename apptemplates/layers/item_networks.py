"""What goes with what: a network over sets of items, and closed forms of what is taken together or after another.

Items are numbered from 1; row 0 stands for nothing.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from apptemplates.layers.ranking import Simple, spread
from apptemplates.layers.tabular import PACKAGE, TINY


@keras.saving.register_keras_serializable(package=PACKAGE)
class UnitLength(keras.layers.Layer):
    """Rows (n, d) at length 1; a row of zeros stays one."""

    def call(self, rows: Any) -> Any:
        return rows / ops.sqrt(ops.sum(ops.square(rows), axis=-1, keepdims=True) + TINY)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


@keras.saving.register_keras_serializable(package=PACKAGE)
class NoisyCode(keras.layers.Layer):
    """A code (n, d) of means and log variances (n, 2 d): while learning a draw, afterwards the mean.

    How far the codes lie from a normal bell is added to the loss, with a weight that rises over the first steps.

    Args:
        strength: The weight at the end.
        steps: Until then.

    Reference: Liang et al., 2018, Variational Autoencoders for Collaborative Filtering, arXiv:1802.05814.
    """

    def __init__(self, strength: float = 0.2, steps: int = 1000, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.strength, self.steps, self.seed = strength, steps, seed
        self.random = keras.random.SeedGenerator(seed)

    def build(self, shape: Any) -> None:
        self.step = self.add_weight(name="step", shape=(), initializer="zeros", trainable=False)

    def call(self, inputs: Any, training: bool = False) -> Any:
        mean, spread_ = ops.split(inputs, 2, axis=-1)
        if not training:
            return mean
        self.step.assign_add(1.0)
        distance = 0.5 * ops.sum(ops.exp(spread_) + ops.square(mean) - 1 - spread_, axis=-1)
        self.add_loss(self.strength * ops.minimum(1.0, self.step / self.steps) * ops.mean(distance))
        return mean + ops.exp(0.5 * spread_) * keras.random.normal(ops.shape(mean), seed=self.random)

    def compute_output_shape(self, shape: Any) -> Any:
        return (*shape[:-1], shape[-1] // 2)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "strength": self.strength, "steps": self.steps, "seed": self.seed}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Together(keras.layers.Layer):
    """What taken items (n, items) say about every other one: a product with fixed weights (items, items).

    With `between=True` it is called on (taken rows (n, l), other rows (n, k)) and gives the weights (n, k, l).
    """

    def build(self, shape: Any) -> None:
        self.items = shape[-1]
        self.weight = self.add_weight(
            name="weight", shape=(self.items, self.items), initializer="zeros", trainable=False
        )

    def call(self, inputs: Any, between: bool = False) -> Any:
        if not between:
            return ops.matmul(inputs, self.weight)
        taken, rows = (ops.maximum(part - 1, 0) for part in inputs)
        place = ops.expand_dims(taken, 1) * self.items + ops.expand_dims(rows, 2)  # (n, k, l)
        return ops.take(ops.reshape(self.weight, (-1,)), place)

    def compute_output_spec(self, inputs: Any, between: bool = False) -> Any:
        shape = (inputs[0].shape[0], inputs[1].shape[1], inputs[0].shape[1]) if between else inputs.shape
        return keras.KerasTensor(shape, dtype=self.compute_dtype)


@keras.saving.register_keras_serializable(package=PACKAGE)
def taken_loss(target: Any, logits: Any) -> Any:
    """Cross-entropy (n,) of one choice among all items, summed over what was taken (n, items)."""
    return -ops.sum(target * ops.log_softmax(logits, axis=-1), axis=-1)


def set_network(items: int, width: int, code: int, steps: int, seed: int, dropout: float = 0.5) -> Any:
    """A network from what was taken (n, items) to a score of every item: a variational autoencoder.

    Args:
        items: Number of items.
        width: Of the layer on either side of the code.
        code: Length of the code.
        steps: Until the code counts in full in the loss.
        seed: Of the draws.

    Returns:
        A `keras.Model` named "network" with the layers "person" (the last vector) and "items" (the scores).

    Reference: Liang et al., 2018, Variational Autoencoders for Collaborative Filtering, arXiv:1802.05814.
    """
    kl = keras.layers
    taken = keras.Input((items,), name="taken")
    x = kl.Dropout(dropout, seed=seed)(UnitLength()(kl.Rescaling(1.0)(taken)))  # flags come as bytes
    x = kl.Dense(width, activation="tanh", name="first")(x)
    x = NoisyCode(steps=steps, seed=seed)(kl.Dense(2 * code)(x))
    x = kl.Dense(width, activation="tanh", name="person")(x)
    return keras.Model(taken, kl.Dense(items, name="items")(x), name="network")


@keras.saving.register_keras_serializable(package=PACKAGE)
class Followers(keras.layers.Layer):
    """What taken items say about others through the few that most often go with each: rows (n, l) to (n, items).

    With `between=True` it is called on (taken rows (n, l), other rows (n, k)) and gives the weights (n, k, l).

    Args:
        items: Number of items.
        number: Followers of each item.
        decay: What an item says as much less as one more was taken after it; 1 for all the same.
    """

    def __init__(self, items: int, number: int, decay: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.items, self.number, self.decay = items, number, decay

    def build(self, shape: Any = None) -> None:
        shape = (self.items + 1, self.number)  # row 0 follows nothing
        self.rows = self.add_weight(name="rows", shape=shape, dtype="int32", initializer="zeros", trainable=False)
        self.weight = self.add_weight(name="weight", shape=shape, initializer="zeros", trainable=False)

    def call(self, inputs: Any, between: bool = False) -> Any:
        taken = inputs[0] if between else inputs
        places = taken.shape[1]
        ages = ops.cast(ops.arange(places - 1, -1, -1), "float32")
        age = ops.reshape(ops.power(float(self.decay), ages), (1, -1, 1))
        found = ops.take(self.rows, taken, axis=0)  # (n, l, m)
        weight = ops.take(self.weight, taken, axis=0) * age
        if not between:
            flat = (-1, places * self.number)
            return spread(ops.reshape(found, flat), ops.reshape(weight, flat), self.items)
        same = ops.equal(ops.expand_dims(found, 1), ops.reshape(inputs[1], (-1, inputs[1].shape[1], 1, 1)))
        return ops.sum(ops.cast(same, weight.dtype) * ops.expand_dims(weight, 1), axis=-1)

    def compute_output_spec(self, inputs: Any, between: bool = False) -> Any:
        shape = (*inputs[0].shape[:1], inputs[1].shape[1], inputs[0].shape[1]) if between else ()
        return keras.KerasTensor(shape or (inputs.shape[0], self.items), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "items": self.items, "number": self.number, "decay": self.decay}


def closed_form(weights: tuple[np.ndarray, ...], items: int, decay: float, places: int) -> Simple:
    """The layer "closed", `Together` or `Followers`, for the weights of a closed form.

    Args:
        weights: (items, items) alone; or rows and weights (items + 1, m) of the followers of each item.
        items: Number of items.
        decay: What an item counts as much less as one more was taken after it.
        places: Of a history that `Followers` looks at.
    """
    if len(weights) == 1:  # a weight for every pair of items
        return Simple(Together(name="closed"), weights, 0, decay)
    return Simple(Followers(items, weights[0].shape[1], decay, name="closed"), weights, places)


def flags(histories: Any, items: int) -> np.ndarray:
    """Which items (n, items) uint8 stand in histories of rows from 1."""
    found = np.zeros((len(histories), items), "uint8")
    for row, rows in enumerate(histories):
        found[row, rows - 1] = 1
    return found


def recalled(teacher: Any, features: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Targets (n, items) float32 that are half what was taken and half what a network of fewer items said before."""
    known = teacher.output_shape[-1]
    logits = teacher.predict(features[:, :known].astype("float32"), batch_size=1024, verbose=0)
    chance = np.exp(logits - logits.max(axis=1, keepdims=True))
    chance *= target.sum(axis=1, keepdims=True) / chance.sum(axis=1, keepdims=True)
    blended = 0.5 * target.astype("float32")
    blended[:, :known] += 0.5 * chance
    return blended


def with_weights(network: Any, weights: Any) -> Any:
    """A network for more items that knows what one for fewer did: weights keep their place at the front."""
    fresh = [np.array(weight) for weight in network.get_weights()]
    for new, old in zip(fresh, weights, strict=True):
        new[tuple(slice(size) for size in np.shape(old))] = old
    network.set_weights(fresh)
    return network
