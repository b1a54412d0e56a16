"""What the network learns: whether it happens, by every member of the ensemble; without labels, the record itself."""

from typing import Any

import data
import keras
import model
import numpy as np

BATCH = 256


def lesson(whole: keras.Model, records: data.Table) -> tuple[keras.Model, np.ndarray, np.ndarray, Any]:
    """The network, its features (n, d), what it is to say, and the loss.

    Args:
        whole: The model; its parts learn with the network.
        records: Columns with the label.
    """
    given = data.SETTINGS["parameters"]
    inputs = data.prepared(data.answering(), records)
    network = whole.get_layer("network")
    features = model.by_parts(whole.get_layer("preprocessor"), inputs)
    if given["label"] is None:
        return network, features, features, "mse"
    label = records[given["label"]]
    happened = label if given.get("event") is None else label == given["event"]
    target = np.repeat(np.asarray(happened, "float32")[:, None], network.output_shape[-1], axis=1)
    return network, features, target, keras.losses.BinaryCrossentropy(from_logits=True)
