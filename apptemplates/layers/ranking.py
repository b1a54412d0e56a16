"""From what a person took to a ranked list: everything between item rows and the best items, inside the graph.

Items are numbered from 1; row 0 stands for nothing, and a negative row is an item that was taken and not liked.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from apptemplates.inference.recommender import LISTED, LOOKED, SHOWN
from apptemplates.layers.sequence import FAR
from apptemplates.layers.tabular import PACKAGE, TINY

LAST = -5.0  # score of a new item that is like none


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
class Blend(keras.layers.Layer):
    """Scores (n, items) of a network and of a simple method, each at mean 0 and spread 1 in every row, in one sum.

    Without a history (n, places of 0) the scores are how popular each item is. `share` of the network is a weight, so
    that it can be chosen on held-out records.
    """

    def build(self, shapes: Any) -> None:
        self.share = self.add_weight(name="share", shape=(), initializer="ones", trainable=False)
        self.popular = self.add_weight(name="popular", shape=(shapes[1][-1],), initializer="zeros", trainable=False)

    def call(self, inputs: Any) -> Any:
        history, network, simple = inputs
        blended = self.share * standard(network) + (1 - self.share) * standard(simple)
        known = ops.cast(ops.any(history > 0, axis=-1, keepdims=True), blended.dtype)  # somebody liked something
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
class First(keras.layers.Layer):
    """The first columns (n, size) of (n, k)."""

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size

    def call(self, rows: Any) -> Any:
        return rows[:, : self.size]

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0], min(self.size, shape[1]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}


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


# ---- items that nobody took yet -------------------------------------------------


@keras.saving.register_keras_serializable(package=PACKAGE)
class StandIn(keras.layers.Layer):
    """Rows (n, l) with each item that was never learned from replaced by the learned one most like it, or by 0.

    Args:
        items: Number of all items.
    """

    def __init__(self, items: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.items = items

    def build(self, shape: Any = None) -> None:
        self.row = self.add_weight(
            name="row", shape=(self.items + 1,), dtype="int32", initializer="zeros", trainable=False
        )

    def call(self, rows: Any) -> Any:
        return ops.take(self.row, ops.abs(rows), axis=0) * ops.sign(rows)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "items": self.items}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Borrowed(keras.layers.Layer):
    """Scores (n, learned) followed by those of `new` items, each the mean of the items that are most like it.

    Args:
        new: Number of items that were never learned from.
        like: How many each of them borrows from.
    """

    def __init__(self, new: int, like: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.new, self.like = new, like

    def build(self, shape: Any) -> None:
        shape = (self.new, self.like)
        self.rows = self.add_weight(name="rows", shape=shape, dtype="int32", initializer="zeros", trainable=False)
        self.shares = self.add_weight(name="shares", shape=shape, initializer="zeros", trainable=False)

    def call(self, scores: Any) -> Any:
        lent = ops.take(scores, ops.reshape(self.rows, (-1,)), axis=1)  # (n, new * like)
        lent = ops.reshape(lent, (-1, self.new, self.like)) * self.shares
        unlike = 1 - ops.sum(self.shares, axis=-1)  # what is like nothing is recommended last
        return ops.concatenate([scores, ops.sum(lent, axis=-1) + LAST * unlike], axis=-1)

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0], shape[1] + self.new)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "new": self.new, "like": self.like}


# ---- the whole graph -------------------------------------------------------------


class Simple(NamedTuple):
    """A closed form: `Together` over all that was taken, or `Followers` of the latest places of a history.

    Args:
        layer: With weights that are set from `weights`.
        places: Of the history that `Followers` looks at; 0 for `Together`.
        decay: What an item counts as much less as one more was taken after it, for `Together`.
    """

    layer: keras.layers.Layer
    weights: tuple[np.ndarray, ...]
    places: int
    decay: float = 1.0


class Alike(NamedTuple):
    """Of each item that was never learned from the learned ones most like it: rows (new, k) from 0, shares (new, k)."""

    rows: np.ndarray
    shares: np.ndarray


def answer_graph(
    preprocessor: Any,
    scored: Any,
    simple: Simple,
    names: list[str],
    alike: Alike | None,
    popular: np.ndarray,
    share: float,
    places: int,
    most: int,
) -> keras.Model:
    """The graph from histories of rows to names, scores and reasons.

    Args:
        preprocessor: From {"history"} to what `scored` takes.
        scored: From that to a score of every learned item.
        simple: What is blended with it, and gives the reasons.
        names: Of all items, the learned ones first.
        alike: What the others borrow; None where there are none.
        popular: Scores (learned,) for those who took nothing.
        share: Of the network in the blend.
        places: Of a history.
        most: How many items are ranked.

    Returns:
        From history (n, places) and exclude, candidates (n, LISTED) int32 and again (n,) float32 to items (n, most),
        scores (n, most) and because (n, SHOWN, 3).
    """
    items = len(names)
    history = keras.Input((places,), dtype="int32", name="history")
    entries = {"history": history, "again": keras.Input((), name="again")}
    entries |= {name: keras.Input((LISTED,), dtype="int32", name=name) for name in ("exclude", "candidates")}
    stand_in = StandIn(items, name="stand_in")
    known = history if alike is None else stand_in(history)
    network = scored(preprocessor({"history": known}))
    recent = Recent(min(LOOKED, places), name="looked")(known)
    if simple.places:
        closed = simple.layer(Recent(min(simple.places, places), name="counted")(known))
    else:
        closed = simple.layer(Taken(network.shape[-1], simple.decay, name="counted")(known))
    simple.layer.set_weights(simple.weights)
    blend = Blend(name="blend")
    scores = blend([known, network, closed])
    blend.set_weights([np.float32(share), popular])
    if alike is not None:
        borrowed = Borrowed(*alike.rows.shape, name="borrowed")
        scores = borrowed(scores)
        borrowed.set_weights([alike.rows, alike.shares])
        learned = items - len(alike.rows)
        most_like = np.where(
            alike.shares.sum(axis=1) > 0, alike.rows[np.arange(items - learned), best_of(alike)] + 1, 0
        )
        stand_in.set_weights([np.concatenate([np.arange(learned + 1), most_like]).astype("int32")])
    allowed = Allowed(name="allowed")([scores, history, entries["again"], entries["exclude"], entries["candidates"]])
    best, values = Best(most, name="best")(allowed)
    shown = First(min(SHOWN, most), name="shown")(best)
    meant = shown if alike is None else stand_in(shown)
    speaks = simple.layer([recent, meant], between=True)
    named = Names(names, name="names")
    because = named(Because(name="because")([Recent(min(LOOKED, places), name="given")(history), meant, speaks]))
    return keras.Model(entries, {"items": named(best), "scores": values, "because": because})


def best_of(alike: Alike) -> np.ndarray:
    """The place (new,) of the most alike of each."""
    return alike.shares.argmax(axis=1)
