"""What the network learns: the next token at every place of windows of the text."""

from typing import Any

import data
import keras
import model
import numpy as np

BATCH = 32


def lesson(whole: keras.Model, records: data.Table) -> tuple[keras.Model, np.ndarray, np.ndarray, Any]:
    """The network, features of windows (n, t, k), the tokens that follow (n, t), and the loss.

    Args:
        whole: The model of one step; the network over whole windows is made of the same layers.
        records: Texts.
    """
    own = data.answering()
    length, before = own.shape.context, own.shape.before
    texts = [data.own.text_of(text) for text in records[data.PROSE]]
    stream = np.concatenate([np.zeros(before, np.int32), *(own.coder.encode(text) for text in texts)])
    count = (len(stream) - before - 1) // length
    if count < 2:
        raise data.DataError(f"{data.NAME}: the text is too short; give at least {2 * length + 1:,} characters.")
    starts = np.arange(count)[:, None] * length
    windows = stream[starts + np.arange(before + length)]
    following = stream[starts + before + 1 + np.arange(length)]
    entry = keras.Input((None, whole.get_layer("preprocessor").output_shape[-1]), dtype="int32")
    network = keras.Model(entry, model.logits(model.parts_of(whole), entry)[0])
    features = model.by_parts(whole.get_layer("preprocessor"), {"tokens": windows})
    return network, features, following, keras.losses.SparseCategoricalCrossentropy(from_logits=True)
