"""From arrays to the batches a network learns from."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

STEPS, FEWEST = 32, 8  # of a pass over text, and windows of a step, at least: a short text is gone through again
COLD = 16  # one window of so many is learned as if nothing stood before it
COPIED = 2**26  # bytes of a column that TensorFlow may hold a second time


def shuffled(
    features: np.ndarray,
    target: np.ndarray,
    batch_size: int,
    *,
    weight: np.ndarray | None = None,
    training: bool,
    seed: int,
) -> "tf.data.Dataset[Any]":
    """Batches of (features, target[, weight]) from arrays in memory; in training drawn in a new order on each pass.

    Row numbers are shuffled and whole batches gathered, which is far quicker than shuffling rows one by one.

    Args:
        features: (n, d) float32, or pictures (n, h, w, c) uint8 or float32; what is large is read from where it is,
            also from a file (np.memmap), and never copied as a whole.
        target: (n, ...) float32.
        batch_size: Rows in a batch; when not training, eight times as many rows of vectors.
        weight: (n,) float32 or None.
        training: Whether the order is drawn anew on each pass.
        seed: Of that order.
    """
    columns = tuple(gathered(c) for c in (features, target, weight) if c is not None)
    rows = tf.data.Dataset.range(len(features))
    rows = rows.shuffle(len(features), seed=seed) if training else rows
    rows = rows.batch(batch_size if training or features.ndim > 2 else 8 * batch_size)
    return rows.map(lambda index: tuple(rows_of(index) for rows_of in columns)).prefetch(tf.data.AUTOTUNE)


def gathered(column: np.ndarray) -> Callable[[Any], Any]:
    """What gives the rows of a column by their numbers."""
    if column.nbytes <= COPIED and not isinstance(column, np.memmap):
        whole = tf.constant(column)
        return lambda index: tf.gather(whole, index)

    def rows_of(index: Any) -> Any:
        found = tf.numpy_function(lambda rows: column[rows], [index], column.dtype, stateful=False)
        return tf.ensure_shape(found, (None, *column.shape[1:]))

    return rows_of


def by_number(
    features: np.ndarray, target: np.ndarray, numbers: Callable[[], Any], steps: int
) -> "tf.data.Dataset[Any]":
    """Batches of (features, target) of rows that are named one batch after the other.

    Args:
        features: (n, ...), read from where it is.
        target: (n,) whole numbers.
        numbers: Called for each pass; yields the row numbers (b,) of each of its batches.
        steps: Batches of a pass.
    """
    columns = gathered(features), gathered(target)
    rows = tf.data.Dataset.from_generator(numbers, output_signature=tf.TensorSpec((None,), tf.int64))
    given = rows.map(lambda index: tuple(rows_of(index) for rows_of in columns))
    return given.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(tf.data.AUTOTUNE)


def predicted(network: Any, features: np.ndarray, at_once: int = 256) -> np.ndarray:
    """What a network gives for features (n, ...), cast to float32 some at a time."""
    parts = (features[start : start + at_once].astype("float32") for start in range(0, len(features), at_once))
    return np.concatenate([np.asarray(network(part, training=False)) for part in parts])


def with_swaps(batches: "tf.data.Dataset[Any]", share: float) -> "tf.data.Dataset[Any]":
    """The batches with a share of the features (n, d) taken from other rows of the batch, drawn anew on each pass.

    Reference: Vincent et al., 2008, Extracting and Composing Robust Features with Denoising Autoencoders.
    """

    # seeds come with the batches: random operations inside `map` begin anew on each pass where a global seed is set
    seeds = tf.data.Dataset.random(rerandomize_each_iteration=True).batch(2)

    def swap(batch: Any, seed: Any) -> Any:
        features, *rest = batch
        taken = tf.random.stateless_uniform(tf.shape(features), seed) < share
        order = tf.random.experimental.stateless_shuffle(tf.range(tf.shape(features)[0]), seed)
        return tf.where(taken, tf.gather(features, order), features), *rest

    return tf.data.Dataset.zip(batches, seeds).map(swap)


def windows(
    stream: np.ndarray,
    length: int,
    before: int,
    batch_size: int,
    *,
    training: bool,
    seed: int,
    steps: int | None = None,
) -> "tf.data.Dataset[Any]":
    """Batches of (tokens (b, before + length), next tokens (b, length)) from one row of tokens.

    In training, windows begin anywhere; else they lie end to end. `before` tokens stand in front of each; 0 in front of
    the first and, in training, of one in sixteen, so that the beginning of a text is learned, too.

    Args:
        stream: (n,) whole numbers in memory or in a file (np.memmap).
        length: Places that are learned in a window.
        before: Tokens in front of them.
        batch_size: Windows in a batch.
        training: Whether windows are drawn by chance, as many as cover the row once on each pass.
        seed: Of that.
        steps: Batches on a pass; by default what covers the row.
    """
    last = len(stream) - length - 1
    count = max(1, -(-(len(stream) - 1) // length))
    rng = np.random.default_rng(seed)

    def cut(starts: np.ndarray) -> np.ndarray:
        if training:
            starts = rng.integers(0, max(1, last + 1), len(starts))
        else:
            starts = np.minimum(starts * length, max(0, last))
        rows = np.zeros((len(starts), before + length + 1), np.int32)
        for row, start in zip(rows, starts, strict=True):
            part = stream[max(0, start - before) : start + length + 1]
            offset = max(0, before - start)
            row[offset : offset + len(part)] = part
        if training:
            rows[rng.random(len(rows)) < 1 / COLD, :before] = 0
        return rows

    def both(index: Any) -> Any:
        rows = tf.ensure_shape(tf.numpy_function(cut, [index], np.int32), (None, before + length + 1))
        return rows[:, :-1], rows[:, before + 1 :]

    total = count if steps is None else steps * batch_size
    return tf.data.Dataset.range(total).batch(batch_size, drop_remainder=training and total > batch_size).map(both)


def lessons(
    stream: np.ndarray,
    length: int,
    before: int,
    batch_size: int,
    *,
    seed: int,
    replay: np.ndarray | None = None,
) -> "tf.data.Dataset[Any]":
    """Windows to learn a text by: of a short one smaller batches, as many as of a longer one.

    Args:
        stream: (n,) tokens, more than a window of them.
        length: Places that are learned in a window.
        before: Tokens in front of them.
        batch_size: Windows in a batch, at most.
        seed: Of the draw.
        replay: Tokens that were learned before, of which half of what is seen is drawn; where there are too few for two
            windows, none.
    """
    size = int(np.clip(len(stream) // (STEPS * length), min(FEWEST, batch_size), batch_size))
    steps = max(STEPS, len(stream) // (size * length))
    found = windows(stream, length, before, size, training=True, seed=seed, steps=steps)
    if replay is None or len(replay) <= 2 * length:
        return found
    return side_by_side(found, windows(replay, length, before, size, training=True, seed=seed, steps=steps))


def side_by_side(first: "tf.data.Dataset[Any]", second: "tf.data.Dataset[Any]") -> "tf.data.Dataset[Any]":
    """Batches whose rows are those of a batch of each; as many as the shorter one has."""

    def joined(one: Any, other: Any) -> Any:
        return tuple(tf.concat(pair, axis=0) for pair in zip(one, other, strict=True))

    return tf.data.Dataset.zip(first, second).map(joined)
