"""From arrays to the batches a network learns from."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

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
