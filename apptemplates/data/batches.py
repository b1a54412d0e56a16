"""From arrays to the batches a network learns from."""

from typing import Any

import numpy as np
import tensorflow as tf


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
        features: (n, d) float32.
        target: (n, ...) float32.
        batch_size: Rows in a batch; when not training, eight times as many.
        weight: (n,) float32 or None.
        training: Whether the order is drawn anew on each pass.
        seed: Of that order.
    """
    columns = tuple(tf.constant(c) for c in (features, target, weight) if c is not None)
    rows = tf.data.Dataset.range(len(features))
    rows = rows.shuffle(len(features), seed=seed) if training else rows
    rows = rows.batch(batch_size if training else 8 * batch_size)
    return rows.map(lambda index: tuple(tf.gather(c, index) for c in columns)).prefetch(tf.data.AUTOTUNE)


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
