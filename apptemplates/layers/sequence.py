"""What comes next: items as vectors, attention that looks back, and how long ago counts."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from apptemplates.layers.tabular import PACKAGE

FAR = -1e9  # added to what may not be looked at


@keras.saving.register_keras_serializable(package=PACKAGE)
class ItemTable(keras.layers.Layer):
    """One vector an item: from rows to vectors, and with `reverse=True` from vectors to a score for each item.

    Row 0 stands for nothing: its vector is zero and it gets no score.

    Args:
        items: Number of items, without row 0.
        size: Length of a vector.

    Reference: Press and Wolf, 2017, Using the Output Embedding to Improve Language Models, arXiv:1608.05859.
    """

    def __init__(self, items: int, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.items, self.size = items, size

    def build(self, shape: Any) -> None:
        spread = keras.initializers.RandomNormal(stddev=1 / math.sqrt(self.size))
        self.vectors = self.add_weight(name="vectors", shape=(self.items, self.size), initializer=spread)
        self.bias = self.add_weight(name="bias", shape=(self.items,), initializer="zeros")

    def call(self, inputs: Any, reverse: bool = False) -> Any:
        if reverse:
            return ops.matmul(inputs, ops.transpose(self.vectors)) + self.bias
        there = ops.cast(inputs > 0, self.vectors.dtype)
        return ops.take(self.vectors, ops.maximum(inputs - 1, 0), axis=0) * ops.expand_dims(there, -1)

    def compute_output_spec(self, inputs: Any, reverse: bool = False) -> Any:
        shape = (*inputs.shape[:-1], self.items) if reverse else (*inputs.shape, self.size)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "items": self.items, "size": self.size}


@keras.saving.register_keras_serializable(package=PACKAGE)
class LookBack(keras.layers.Layer):
    """Attention of each place in a row of items to itself and those before it, until the nearest empty place (row 0).

    Several people's items may so stand in one row with an empty place between them, and none of them sees another's.
    How far back a place lies counts through one learned number for each distance and head.

    Args:
        heads: Number of heads; must divide the length of the vectors.
        dropout: Share of the attention that is dropped while learning.

    Reference: Kang and McAuley, 2018, Self-Attentive Sequential Recommendation, arXiv:1808.09781; Raffel et al., 2020,
    arXiv:1910.10683 (learned distances).
    """

    def __init__(self, heads: int, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads, self.dropout = heads, dropout
        self.drop = keras.layers.Dropout(dropout)

    def build(self, shapes: Any) -> None:
        places, size = shapes[0][1:]
        if size % self.heads:
            raise ValueError(f"LookBack: heads must divide the size {size}. Received: {self.heads}.")
        self.project = self.add_weight(name="project", shape=(size, 3 * size), initializer="glorot_uniform")
        self.out = self.add_weight(name="out", shape=(size, size), initializer="glorot_uniform")
        self.distance = self.add_weight(name="distance", shape=(places, self.heads), initializer="zeros")

    def call(self, inputs: Any, training: bool = False) -> Any:
        x, rows = inputs  # (n, l, d), (n, l)
        places, size = x.shape[1:]
        each = size // self.heads
        three = ops.reshape(ops.matmul(x, self.project), (-1, places, 3 * self.heads, each))
        query, key, value = ops.split(ops.transpose(three, (0, 2, 1, 3)), 3, axis=1)  # (n, h, l, e)
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) / math.sqrt(each)  # (n, h, l, l)
        person = ops.cumsum(ops.cast(ops.equal(rows, 0), "int32"), axis=1)
        same = ops.equal(ops.expand_dims(person, 2), ops.expand_dims(person, 1))  # (n, l, l)
        back = ops.reshape(ops.arange(places), (-1, 1)) - ops.reshape(ops.arange(places), (1, -1))
        seen = ops.logical_and(same, ops.expand_dims(back >= 0, 0))
        far = ops.transpose(ops.take(self.distance, ops.maximum(back, 0), axis=0), (2, 0, 1))  # (h, l, l)
        hidden = ops.expand_dims((1 - ops.cast(seen, scores.dtype)) * FAR, 1)
        weights = ops.softmax(scores + ops.expand_dims(far, 0) + hidden, axis=-1)
        found = ops.matmul(self.drop(weights, training=training), value)
        found = ops.reshape(ops.transpose(found, (0, 2, 1, 3)), (-1, places, size))
        return ops.matmul(found, self.out)

    def compute_output_shape(self, shapes: Any) -> Any:
        return shapes[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "heads": self.heads, "dropout": self.dropout}


@keras.saving.register_keras_serializable(package=PACKAGE)
class LastPlace(keras.layers.Layer):
    """The vector (n, d) at the last place of (n, l, d)."""

    def call(self, vectors: Any) -> Any:
        places = vectors.shape[1]
        last = ops.cast(ops.equal(ops.arange(places), places - 1), vectors.dtype)
        return ops.sum(vectors * ops.reshape(last, (1, -1, 1)), axis=1)  # a slice would not convert to LiteRT

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0], shape[2])


def next_item_loss(table: ItemTable, sampled: int, seed: int) -> Callable[[Any, Any], Any]:
    """The cross-entropy of what comes next at every place, over all items or, of large catalogues, a sample.

    Args:
        table: The items' vectors, which learn with the network.
        sampled: Wrong items drawn anew for each batch; 0 takes all items, which is best where there is time for it.
        seed: Of the draws.

    Returns:
        A loss of (following rows (n, l), vectors (n, l, d)): (n,), the sum over the places whose row is not 0, brought
        to the size of a mean.

    Reference: Klenitskiy and Vasilev, 2023, Turning Dross Into Gold Loss, arXiv:2309.07602.
    """
    draws = keras.random.SeedGenerator(seed)

    def loss(target: Any, vectors: Any) -> Any:
        target = ops.cast(target, "int32")
        there = ops.cast(target > 0, vectors.dtype)
        right = ops.maximum(target - 1, 0)
        if sampled:
            wrong = keras.random.randint((sampled,), 0, table.items, seed=draws)
            logits = ops.matmul(vectors, ops.transpose(ops.take(table.vectors, wrong, axis=0)))
            logits += ops.take(table.bias, wrong) + math.log(table.items / sampled)  # as many as the whole catalogue
            logits += FAR * ops.cast(ops.equal(ops.expand_dims(right, -1), wrong), logits.dtype)
            own = ops.sum(vectors * ops.take(table.vectors, right, axis=0), axis=-1) + ops.take(table.bias, right)
            losses = ops.logsumexp(ops.concatenate([ops.expand_dims(own, -1), logits], axis=-1), axis=-1) - own
        else:
            logits = table(vectors, reverse=True)
            losses = ops.sparse_categorical_crossentropy(right, logits, from_logits=True)
        return ops.sum(losses * there, axis=-1) / ops.maximum(ops.mean(ops.sum(there, axis=-1)), 1.0)

    return loss


def next_item_network(items: int, places: int, size: int, blocks: int = 2, heads: int = 2, dropout: float = 0.4) -> Any:
    """A network from item rows (n, places) to what has been taken up to each place, as a vector.

    Returns:
        A `keras.Model` named "network" from rows to vectors (n, places, size), with the layer "items", an `ItemTable`.

    Reference: Kang and McAuley, 2018, Self-Attentive Sequential Recommendation, arXiv:1808.09781.
    """
    kl = keras.layers
    rows = keras.Input((places,), dtype="int32", name="rows")
    table = ItemTable(items, size, name="items")
    x = kl.Dropout(dropout)(kl.Rescaling(math.sqrt(size) / 3)(table(rows)))
    for _ in range(blocks):
        looked = LookBack(heads, dropout)([kl.LayerNormalization(epsilon=1e-6)(x), rows])
        x = kl.Add()([x, kl.Dropout(dropout)(looked)])
        wide = kl.Dense(4 * size, activation="relu")(kl.LayerNormalization(epsilon=1e-6)(x))
        x = kl.Add()([x, kl.Dropout(dropout)(kl.Dense(size)(kl.Dropout(dropout)(wide)))])
    return keras.Model(rows, kl.LayerNormalization(epsilon=1e-6, name="before")(x), name="network")


def next_item(network: Any) -> Any:
    """A model from item rows to the score of each item as the next one, sharing the weights of `next_item_network`."""
    last = LastPlace()(network.output)
    return keras.Model(network.input, network.get_layer("items")(last, reverse=True), name="scores")
