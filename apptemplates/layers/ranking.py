"""From what a person took to a ranked list: everything between item rows and the best items, inside the graph.

Items are numbered from 1; row 0 stands for nothing, and a negative row is an item that was taken and not liked.
"""

from typing import Any

import keras
from keras import ops

from apptemplates.layers.sequence import FAR
from apptemplates.layers.tabular import PACKAGE

TINY = 1e-6


@keras.saving.register_keras_serializable(package=PACKAGE)
class Taken(keras.layers.Layer):
    """How much each item counts (n, items) in histories of rows (n, places), the latest at the last place.

    Args:
        items: Number of items.
        decay: What an item counts as much less as one more was taken after it; 1 for all the same.
    """

    def __init__(self, items: int, decay: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.items, self.decay = items, decay

    def call(self, rows: Any) -> Any:
        places = rows.shape[1]
        ages = ops.cast(ops.arange(places - 1, -1, -1), "float32")
        weight = ops.cast(rows > 0, "float32") * ops.power(float(self.decay), ages)
        counted = spread(ops.maximum(rows, 0), weight, self.items)
        return ops.minimum(counted, 1.0)  # an item that stands there twice counts once

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0], self.items)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "items": self.items, "decay": self.decay}


def spread(rows: Any, weight: Any, items: int) -> Any:
    """The sum of the weights (n, m) of each item among rows (n, m) >= 0, as (n, items)."""
    count = ops.shape(rows)[0]
    there = ops.cast(rows > 0, weight.dtype)
    first = ops.expand_dims(ops.arange(count) * items, 1)
    flat = ops.reshape(ops.maximum(rows - 1, 0) + ops.cast(first, rows.dtype), (-1, 1))
    total = ops.scatter(flat, ops.reshape(weight * there, (-1,)), (count * items,))
    return ops.reshape(total, (-1, items))


@keras.saving.register_keras_serializable(package=PACKAGE)
class Recent(keras.layers.Layer):
    """The last rows (n, size) of histories (n, places), with 0 for what was not liked."""

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size

    def call(self, rows: Any) -> Any:
        return ops.maximum(rows[:, -self.size :], 0)

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0], min(self.size, shape[1]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}


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
class AloneScores(keras.layers.Layer):
    """What the network would say of items (n, k) had each of the items (n, l) been taken alone: scores (n, k, l).

    Args:
        items: Number of items.
        size: Length of the vectors: `alone` of a person who took that item only, `vectors` of the item.
    """

    def __init__(self, items: int, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.items, self.size = items, size

    def build(self, shapes: Any) -> None:
        for name in ("alone", "vectors"):
            shape = (self.items, self.size)
            setattr(self, name, self.add_weight(name=name, shape=shape, initializer="zeros", trainable=False))

    def call(self, inputs: Any) -> Any:
        taken, rows = (ops.maximum(part - 1, 0) for part in inputs)
        people = ops.transpose(ops.take(self.alone, taken, axis=0), (0, 2, 1))  # (n, d, l)
        return ops.matmul(ops.take(self.vectors, rows, axis=0), people)

    def compute_output_shape(self, shapes: Any) -> Any:
        return (shapes[0][0], shapes[1][1], shapes[0][1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "items": self.items, "size": self.size}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Blend(keras.layers.Layer):
    """Scores (n, items) of a network and of a simple method, each at mean 0 and spread 1 in every row, in one sum.

    Without a history (n, places of 0) the scores are how popular each item is. `share` of the network is a weight, so
    that it can be chosen on held-out records.
    """

    def build(self, shapes: Any) -> None:
        self.share = self.add_weight(name="share", shape=(), initializer="ones", trainable=False)
        self.popular = self.add_weight(name="popular", shape=(shapes[1][-1],), initializer="zeros", trainable=False)

    def call(self, inputs: Any) -> Any:
        history, *scores = inputs
        blended = standard(scores[0])
        if len(scores) > 1:
            blended = self.share * blended + (1 - self.share) * standard(scores[1])
        known = ops.cast(ops.any(history > 0, axis=-1, keepdims=True), blended.dtype)
        return known * blended + (1 - known) * ops.expand_dims(self.popular, 0)

    def compute_output_shape(self, shapes: Any) -> Any:
        return shapes[1]


def standard(scores: Any) -> Any:
    """Scores (n, items) at mean 0 and spread 1 in every row."""
    centred = scores - ops.mean(scores, axis=-1, keepdims=True)
    return centred / ops.sqrt(ops.mean(ops.square(centred), axis=-1, keepdims=True) + TINY**2)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Allowed(keras.layers.Layer):
    """Scores (n, items) lowered beyond reach for what may not be recommended.

    Called on (scores, history, again, exclude, candidates): what stands in the history (n, places), unless `again` (n,)
    is 1; what stands in `exclude` (n, m); and all that does not stand in `candidates` (n, m), where any does.
    """

    def call(self, inputs: Any) -> Any:
        scores, history, again, exclude, candidates = inputs
        items = scores.shape[-1]
        seen = 1 - ops.cast(again > 0.5, scores.dtype)
        ones = ops.cast(ops.not_equal(history, 0), scores.dtype) * ops.expand_dims(seen, 1)
        out = spread(ops.abs(history), ones, items) + spread(exclude, ops.cast(exclude > 0, scores.dtype), items)
        asked = ops.cast(candidates > 0, scores.dtype)
        wanted = spread(candidates, asked, items)
        any_wanted = ops.cast(ops.any(candidates > 0, axis=-1, keepdims=True), scores.dtype)
        refused = ops.minimum(out + any_wanted * ops.cast(wanted < 0.5, scores.dtype), 1.0)
        return scores + FAR * refused

    def compute_output_shape(self, shapes: Any) -> Any:
        return shapes[0]


@keras.saving.register_keras_serializable(package=PACKAGE)
class Best(keras.layers.Layer):
    """The highest of scores (n, items): their rows (n, k), 0 where there are no more, and the scores (n, k).

    Args:
        k: How many.
    """

    def __init__(self, k: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.k = k

    def call(self, scores: Any) -> Any:
        best, places = ops.top_k(scores, self.k)
        allowed = ops.cast(best > FAR / 2, "int32")
        return (ops.cast(places, "int32") + 1) * allowed, best * ops.cast(allowed, best.dtype)

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0], self.k), (shape[0], self.k)

    def compute_output_spec(self, scores: Any) -> Any:
        shape = (scores.shape[0], self.k)
        return keras.KerasTensor(shape, dtype="int32"), keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "k": self.k}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Names(keras.layers.Layer):
    """The names of item rows, "" for row 0.

    Args:
        names: Of rows 1, 2, ...
    """

    def __init__(self, names: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.names = list(names)

    def call(self, rows: Any) -> Any:
        import tensorflow as tf

        return tf.gather(tf.constant(["", *self.names]), rows)

    def compute_output_spec(self, rows: Any) -> Any:
        return keras.KerasTensor(rows.shape, dtype="string")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "names": self.names}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Because(keras.layers.Layer):
    """The taken items (n, k, shown) that speak most for each recommended one, 0 where none speaks for it.

    Called on (taken rows (n, l), recommended rows (n, k), how much each speaks for each (n, k, l)).

    Args:
        shown: How many for each recommended item.
    """

    def __init__(self, shown: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shown = shown

    def call(self, inputs: Any) -> Any:
        taken, rows, speaks = inputs
        there = ops.cast(ops.expand_dims(taken, 1) > 0, speaks.dtype)
        there = there * ops.cast(ops.expand_dims(rows, 2) > 0, speaks.dtype)
        most, where = ops.top_k(speaks * there + FAR * (1 - there), min(self.shown, taken.shape[1]))
        return chosen(taken, where) * ops.cast(most > 0, "int32")

    def compute_output_spec(self, inputs: Any) -> Any:
        taken, rows, _ = inputs
        return keras.KerasTensor((*rows.shape, min(self.shown, taken.shape[1])), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "shown": self.shown}


def chosen(taken: Any, where: Any) -> Any:
    """The values of rows (n, l) at places (n, k, m), as (n, k, m)."""
    count, places = ops.shape(taken)[0], taken.shape[1]
    first = ops.reshape(ops.arange(count) * places, (-1, 1, 1))
    return ops.take(ops.reshape(taken, (-1,)), ops.cast(where, "int32") + ops.cast(first, "int32"))


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
    x = kl.Dropout(dropout, seed=seed)(UnitLength()(taken))
    x = kl.Dense(width, activation="tanh", name="first")(x)
    x = NoisyCode(steps=steps, seed=seed)(kl.Dense(2 * code)(x))
    x = kl.Dense(width, activation="tanh", name="person")(x)
    return keras.Model(taken, kl.Dense(items, name="items")(x), name="network")


def set_person(network: Any) -> Any:
    """From what was taken to the vector (n, d) of whoever took it: what a network of `set_network` ends in."""
    return keras.Model(network.input, network.get_layer("person").output, name="person")
