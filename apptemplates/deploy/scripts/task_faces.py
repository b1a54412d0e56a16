"""What the network learns: directions by which the pictures of a person lie together, and apart from all others'."""

from typing import Any

import data
import keras
import model
import numpy as np
from keras import ops

BATCH = 64
SCALE, MARGIN = 24.0, 0.2


def margin_softmax(person: Any, cosines: Any) -> Any:
    """The cross-entropy of who it is, where the right one must lead by a margin (Wang et al., 2018, CosFace)."""
    person = ops.cast(ops.reshape(person, (-1,)), "int32")
    right = ops.one_hot(person, cosines.shape[-1])
    return ops.sparse_categorical_crossentropy(person, SCALE * (cosines - MARGIN * right), from_logits=True)


def lesson(whole: keras.Model, records: data.Table) -> tuple[keras.Model, np.ndarray, np.ndarray, Any]:
    """The network, its features (n, h, w, c), who each picture shows (n,), and the loss.

    Args:
        whole: The model; its parts learn with the network.
        records: Pictures and the names of people.
    """
    given = data.SETTINGS["parameters"]
    pictures, problems = data.own.read(records[given["image"]], data.answering().load)
    if (problems != "").any():
        raise data.DataError(f"{data.NAME}: {problems[problems != ''][0]}")
    names, person = np.unique(records[given["person"]].astype(str), return_inverse=True)
    embedding = whole.get_layer("embedding")
    one_each = keras.layers.Dense(len(names), use_bias=False, kernel_constraint=keras.constraints.UnitNorm(axis=0))
    network = keras.Model(embedding.input, one_each(embedding.output))  # the cosine to a direction of each person
    features = model.by_parts(whole.get_layer("preprocessor"), {"image": pictures})
    return network, features, person.astype("int32"), margin_softmax
