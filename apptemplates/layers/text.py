"""A small language model of text: what stands before as features, attention that keeps what it has seen, and the mix.

Every layer works in two ways: on a whole stretch of text at once (to learn and to judge), and on the next place only,
with the keys and values of the places before it given (to write on).
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from apptemplates.layers.sequence import FAR
from apptemplates.layers.tabular import PACKAGE, TINY

CAP = 20.0  # logits lie within this


class Size(NamedTuple):
    """How large a network is: its width, blocks and heads, and the tables of hashed n-grams."""

    width: int
    blocks: int
    heads: int
    rows: int
    each: int


SIZES = {
    "tiny": Size(96, 3, 3, 1021, 16),
    "small": Size(128, 4, 4, 16_381, 32),
    "medium": Size(256, 6, 8, 16_381, 64),
}


@keras.saving.register_keras_serializable(package=PACKAGE)
class HashedNgrams(keras.layers.Layer):
    """The last token of each place and a row number for each n-gram that ends there: (n, before + t) -> (n, t, 1 + k).

    Rows are hashed: n-grams of one order may share a row, which a learned table and what follows it sort out. Small
    whole numbers throughout, so that every program counts the same.

    Args:
        orders: Lengths of the n-grams, such as (2, 3, 4).
        rows: Of the table of one order; a prime below 2**15, and tokens are below it, too.
        before: Tokens that stand in front of the first place.

    Reference: Svenstrup et al., 2017, Hash Embeddings, arXiv:1709.03933.
    """

    def __init__(self, orders: tuple[int, ...], rows: int, before: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.orders, self.rows, self.before = tuple(orders), rows, before
        # one multiplier for each order and place, always the same
        self.factors = [np.random.default_rng(order).integers(1, rows, order).tolist() for order in self.orders]

    def call(self, tokens: Any) -> Any:
        places = ops.shape(tokens)[1] - self.before
        shifted = [tokens[:, self.before - back : self.before - back + places] for back in range(self.before + 1)]
        features = [shifted[0]]
        for factors in self.factors:
            row = ops.zeros_like(shifted[0])
            for token, factor in zip(shifted, factors, strict=False):
                row = ops.mod(row + ops.mod(token * factor, self.rows), self.rows)
            features.append(row)
        return ops.stack(features, axis=-1)

    def compute_output_spec(self, tokens: Any) -> Any:
        places = None if tokens.shape[1] is None else tokens.shape[1] - self.before
        return keras.KerasTensor((tokens.shape[0], places, 1 + len(self.orders)), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "orders": self.orders, "rows": self.rows, "before": self.before}


@keras.saving.register_keras_serializable(package=PACKAGE)
class TokenEmbedding(keras.layers.Layer):
    """Vectors (n, t, width) of tokens and hashed n-grams (n, t, 1 + k); with `reverse=True` vectors to token logits.

    Args:
        tokens: Number of tokens.
        width: Of the vectors.
        orders: Number k of n-gram tables; 0 for tokens alone.
        rows: Of each table.
        size: Width of a table.
        dropout: Share of the n-gram vectors, whole ones, that are dropped while learning.

    Reference: Press and Wolf, 2017, Using the Output Embedding to Improve Language Models, arXiv:1608.05859.
    """

    def __init__(
        self, tokens: int, width: int, orders: int, rows: int, size: int, dropout: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.tokens, self.width, self.orders, self.rows, self.size = tokens, width, orders, rows, size
        self.dropout = dropout
        self.drop = keras.layers.Dropout(dropout, noise_shape=(None, None, orders, 1)) if orders else None

    def build(self, shape: Any) -> None:
        small = keras.initializers.RandomNormal(stddev=1 / math.sqrt(self.width))
        self.vectors = self.add_weight(name="token_embedding", shape=(self.tokens, self.width), initializer=small)
        self.bias = self.add_weight(name="bias", shape=(self.tokens,), initializer="zeros")
        if self.orders:
            fine = keras.initializers.RandomNormal(stddev=0.5 / math.sqrt(self.size))
            whole = self.orders * self.rows, self.size
            self.tables = self.add_weight(name="ngram_embedding", shape=whole, initializer=fine)
            wide = (self.orders * self.size, self.width)
            self.project = self.add_weight(name="project", shape=wide, initializer="glorot_uniform")

    def call(self, inputs: Any, reverse: bool = False, training: bool = False) -> Any:
        if reverse:
            logits = ops.matmul(inputs, ops.transpose(self.vectors)) + self.bias
            return CAP * ops.tanh(logits / CAP)
        places = ops.shape(inputs)[1]
        token, *rows = ops.split(inputs, 1 + self.orders, axis=-1)  # each (n, t, 1)
        x = ops.take(self.vectors, token[..., 0], axis=0) * math.sqrt(self.width)
        if not self.orders:
            return x
        place = ops.concatenate([row + order * self.rows for order, row in enumerate(rows)], axis=-1)
        found = ops.take(self.tables, place, axis=0)  # (n, t, k, size)
        if self.drop is not None:
            found = self.drop(found, training=training)
        found = ops.reshape(found, (-1, places, self.orders * self.size))
        return x + ops.matmul(found, self.project)

    def compute_output_spec(self, inputs: Any, reverse: bool = False, training: bool = False) -> Any:
        last = self.tokens if reverse else self.width
        return keras.KerasTensor((*inputs.shape[:2], last), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        names = ("tokens", "width", "orders", "rows", "size", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package=PACKAGE)
class RootMeanSquare(keras.layers.Layer):
    """Vectors at a mean square of 1. Reference: Zhang and Sennrich, 2019, arXiv:1910.07467."""

    def call(self, x: Any) -> Any:
        return levelled(x)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


def levelled(x: Any) -> Any:
    """Vectors at a mean square of 1."""
    return x * ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + TINY)


@keras.saving.register_keras_serializable(package=PACKAGE)
class SquaredReLU(keras.layers.Layer):
    """max(x, 0) squared. Reference: So et al., 2021, Primer, arXiv:2109.08668."""

    def call(self, x: Any) -> Any:
        return ops.square(ops.relu(x))

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


@keras.saving.register_keras_serializable(package=PACKAGE)
class CausalAttention(keras.layers.Layer):
    """Attention of each place to itself and those before it, with places as rotations.

    Called on vectors (n, t, width) it answers for all places, and gives their rows (n, t, 2 width) of key and value.
    Called on [vectors (n, 1, width), cache (n, c, 2 width), place (n,)] it answers for the place after the first
    `place` rows of the cache, and gives the row (n, 1, 2 width) to be written there.

    Args:
        heads: Number of heads; twice it must divide the width.

    Reference: Su et al., 2021, RoFormer, arXiv:2104.09864; Henry et al., 2020, Query-Key Normalization for
    Transformers, arXiv:2010.04245.
    """

    def __init__(self, heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads = heads

    def build(self, shape: Any) -> None:
        width = shape[0][-1] if isinstance(shape[0], tuple | list) else shape[-1]
        if width % (2 * self.heads):
            raise ValueError(f"CausalAttention: {width} must be a multiple of 2 x {self.heads} heads.")
        self.width, self.each = width, width // self.heads
        for name in ("query", "key", "value"):
            setattr(self, name, self.add_weight(name=name, shape=(width, width), initializer="glorot_uniform"))
        self.out = self.add_weight(name="out", shape=(width, width), initializer="zeros")
        self.sharpness = self.add_weight(name="sharpness", shape=(self.heads,), initializer="ones")

    def call(self, inputs: Any) -> Any:
        if isinstance(inputs, list | tuple):
            return self._next(*inputs)
        length = ops.shape(inputs)[1]
        place = ops.cast(ops.arange(length), "float32")
        query, key, value = (self._heads(ops.matmul(inputs, w), length) for w in (self.query, self.key, self.value))
        turn = self._turn(ops.reshape(place, (1, 1, -1, 1)))
        query, key = rotated(levelled(query), *turn), rotated(levelled(key), *turn)  # (n, h, t, e)
        scores = ops.matmul(query * self._scale(), ops.transpose(key, (0, 1, 3, 2)))
        later = ops.expand_dims(place, 0) > ops.expand_dims(place, 1)  # (t, t)
        found = ops.matmul(ops.softmax(scores + FAR * ops.cast(later, scores.dtype), axis=-1), value)
        found = ops.matmul(self._joined(found, length), self.out)
        return found, ops.concatenate([self._joined(part, length) for part in (key, value)], axis=-1)

    def _next(self, x: Any, cache: Any, place: Any) -> Any:
        room = cache.shape[1]
        query, key, value = (self._heads(ops.matmul(x, w), 1) for w in (self.query, self.key, self.value))
        turn = self._turn(ops.reshape(ops.cast(place, "float32"), (-1, 1, 1, 1)))
        query, key = rotated(levelled(query), *turn), rotated(levelled(key), *turn)  # (n, h, 1, e)
        keys, values = (self._heads(part, room) for part in ops.split(cache, 2, axis=-1))  # (n, h, c, e)
        query = query * self._scale()
        before = ops.reshape(ops.cast(ops.arange(room), "float32"), (1, 1, 1, -1))
        empty = before >= ops.reshape(ops.cast(place, "float32"), (-1, 1, 1, 1))
        old = ops.matmul(query, ops.transpose(keys, (0, 1, 3, 2))) + FAR * ops.cast(empty, x.dtype)
        own = ops.sum(query * key, axis=-1, keepdims=True)  # (n, h, 1, 1)
        weights = ops.softmax(ops.concatenate([old, own], axis=-1), axis=-1)
        found = ops.matmul(weights, ops.concatenate([values, value], axis=2))
        row = ops.concatenate([self._joined(part, 1) for part in (key, value)], axis=-1)
        return ops.matmul(self._joined(found, 1), self.out), row

    def _heads(self, x: Any, length: Any) -> Any:
        return ops.transpose(ops.reshape(x, (-1, length, self.heads, self.each)), (0, 2, 1, 3))

    def _joined(self, x: Any, length: Any) -> Any:
        return ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, length, self.width))

    def _scale(self) -> Any:
        return ops.reshape(self.sharpness, (1, -1, 1, 1)) / math.sqrt(self.each) * 2.0

    def _turn(self, place: Any) -> tuple[Any, Any]:
        """Cosine and sine (..., e / 2) of how far each pair of numbers is turned at a place."""
        pairs = np.arange(self.each // 2) / (self.each // 2)
        angle = place * ops.convert_to_tensor((1000.0**-pairs).astype("float32").reshape(1, 1, 1, -1))
        return ops.cos(angle), ops.sin(angle)

    def compute_output_spec(self, inputs: Any) -> Any:
        # two outputs in either way: Keras counts those of the first call
        x = inputs[0] if isinstance(inputs, list | tuple) else inputs
        shapes = x.shape, (*x.shape[:2], 2 * x.shape[2])
        return tuple(keras.KerasTensor(shape, dtype=self.compute_dtype) for shape in shapes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "heads": self.heads}


def rotated(x: Any, cosine: Any, sine: Any) -> Any:
    """Vectors (..., e) whose first and second half are turned against each other."""
    first, second = ops.split(x, 2, axis=-1)
    return ops.concatenate([first * cosine - second * sine, first * sine + second * cosine], axis=-1)


@keras.saving.register_keras_serializable(package=PACKAGE)
class NextChances(keras.layers.Layer):
    """Chances (n, v) of each next token: those of the network's logits (n, 1, v) and of counted n-grams (n, v), mixed.

    `share` is the network's part in the mix for each number of tokens (n,) that the n-grams have seen together before:
    weights learned on held-out text, none of them trained by gradients.

    Args:
        orders: Lengths of context that are told apart, 0 among them.
    """

    def __init__(self, orders: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.orders = orders

    def build(self, shapes: Any) -> None:
        self.share = self.add_weight(name="share", shape=(self.orders,), initializer="ones", trainable=False)

    def call(self, inputs: Any) -> Any:
        logits, counted, matched = inputs
        network = ops.softmax(ops.reshape(logits, (-1, logits.shape[-1])), axis=-1)
        share = ops.expand_dims(ops.take(self.share, ops.cast(matched, "int32"), axis=0), -1)
        return share * network + (1 - share) * counted

    def compute_output_shape(self, shapes: Any) -> Any:
        return shapes[1]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "orders": self.orders}


def text_parts(
    tokens: int, width: int, blocks: int, heads: int, orders: int, rows: int, size: int, dropout: float
) -> dict[str, Any]:
    """The layers of a language model by name, for `whole` and `step`.

    Vectors of n-grams, which learn a text by heart before all else, are dropped more often than the rest.
    """
    kl = keras.layers
    parts: dict[str, Any] = {
        "embedding": TokenEmbedding(tokens, width, orders, rows, size, min(0.5, 2.5 * dropout), name="embedding"),
        "drop": kl.Dropout(dropout, name="drop"),
        "level": RootMeanSquare(name="level"),
        "last_level": RootMeanSquare(name="last_level"),
    }
    for block in range(blocks):
        parts |= {
            f"level_a{block}": RootMeanSquare(name=f"level_a{block}"),
            f"attention{block}": CausalAttention(heads, name=f"attention{block}"),
            f"drop_a{block}": kl.Dropout(dropout, name=f"drop_a{block}"),
            f"level_b{block}": RootMeanSquare(name=f"level_b{block}"),
            f"wide{block}": kl.Dense(4 * width, use_bias=False, name=f"wide{block}"),
            f"squared{block}": SquaredReLU(name=f"squared{block}"),
            f"narrow{block}": kl.Dense(width, use_bias=False, kernel_initializer="zeros", name=f"narrow{block}"),
            f"drop_b{block}": kl.Dropout(dropout, name=f"drop_b{block}"),
        }
    return parts


def parts_of(model: Any) -> dict[str, Any]:
    """The layers that a model of `whole` or `step` was made of."""
    return {layer.name: layer for layer in model.layers}


def blocks_of(parts: dict[str, Any]) -> int:
    """How many blocks of attention and feed-forward there are."""
    if "pretrained" in parts:
        return int(parts["pretrained"].blocks)
    return sum(name.startswith("attention") for name in parts)


def size_of(parts: dict[str, Any]) -> tuple[int, int]:
    """How many tokens there are, and the width of a key."""
    first = parts["pretrained"] if "pretrained" in parts else parts["embedding"]
    return first.tokens, first.width


def logits(parts: dict[str, Any], features: Any, caches: list[Any] | None = None, place: Any = None) -> Any:
    """Logits (n, t, v) from features (n, t, 1 + k); with caches of one place (n, 1, v). And rows to be kept."""
    if "pretrained" in parts:
        if caches is None:
            return parts["pretrained"](features)[0], []
        found, rows = parts["pretrained"]([features, place, *caches])
        return found, ops.split(rows, len(caches), axis=-1)
    kept = []
    x = parts["level"](parts["drop"](parts["embedding"](features)))
    for block in range(blocks_of(parts)):
        seen = parts[f"level_a{block}"](x)
        found, row = parts[f"attention{block}"](seen if caches is None else [seen, caches[block], place])
        kept.append(row)
        x = x + parts[f"drop_a{block}"](found)
        wide = parts[f"squared{block}"](parts[f"wide{block}"](parts[f"level_b{block}"](x)))
        x = x + parts[f"drop_b{block}"](parts[f"narrow{block}"](wide))
    return parts["embedding"](parts["last_level"](x), reverse=True), kept


def whole(parts: dict[str, Any], features: int) -> Any:
    """A `keras.Model` named "network" from features (n, t, features) to logits (n, t, v) at every place."""
    entry = keras.Input((None, features), dtype="int32", name="features")
    return keras.Model(entry, logits(parts, entry)[0], name="network")


def reader(network: Any, preprocessor: Any, length: int) -> Callable[[np.ndarray], np.ndarray]:
    """A network of `whole` as one compiled function from tokens (n, length) to logits (n, t, v) at every place."""
    import tensorflow as tf

    wanted = tf.TensorSpec((None, length), tf.int32)
    call = tf.function(lambda t: network(preprocessor(t), training=False)).get_concrete_function(wanted)
    return lambda tokens: call(tf.constant(tokens)).numpy()


def step(parts: dict[str, Any], preprocessor: Any, before: int, context: int, orders: int) -> Any:
    """A `keras.Model` from the last tokens and what is kept of those before to the chances of the next token.

    Inputs: `tokens` (n, before + 1), `place` (n,) how many rows of the caches are filled, `cache0`, `cache1`, ...
    (n, context, 2 width), `counted` (n, v) and `matched` (n,) of the n-gram model. Outputs: `chances` (n, v) and the
    rows `keep0`, `keep1`, ... (n, 1, 2 width) to write at `place`.
    """
    size, width = size_of(parts)
    entries = {
        "tokens": keras.Input((before + 1,), dtype="int32", name="tokens"),
        "place": keras.Input((), dtype="int32", name="place"),
        "counted": keras.Input((size,), name="counted"),
        "matched": keras.Input((), dtype="int32", name="matched"),
    }
    names = [f"cache{block}" for block in range(blocks_of(parts))]
    entries |= {name: keras.Input((context, 2 * width), name=name) for name in names}
    caches = [entries[name] for name in names]
    found, kept = logits(parts, preprocessor(entries["tokens"]), caches, entries["place"])
    chances = NextChances(orders, name="chances")([found, entries["counted"], entries["matched"]])
    return keras.Model(entries, {"chances": chances} | {f"keep{block}": row for block, row in enumerate(kept)})


def widened(network: Any, tokens: int) -> Any:
    """A network like one of `whole`, for more tokens: those it knows as they were, new ones small and by chance."""
    old = parts_of(network)["embedding"]
    if tokens == old.tokens:
        return network
    wider = keras.models.clone_model(
        network, clone_function=lambda layer: type(layer).from_config({**layer.get_config(), **more(layer, tokens)})
    )
    for after, before in zip(wider.weights, network.weights, strict=True):
        value = np.asarray(before)
        if after.shape != value.shape:  # of token vectors and their bias only
            grown = np.asarray(after).copy()
            grown[: len(value)] = value
            value = grown
        after.assign(value)
    return wider


def more(layer: Any, tokens: int) -> dict[str, int]:
    """What of a layer's configuration changes with the number of tokens."""
    return {"tokens": tokens} if isinstance(layer, TokenEmbedding) else {}
