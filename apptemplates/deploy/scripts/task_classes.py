"""What the network learns: the class of each picture or sound, by every member of the ensemble."""

from typing import Any

import data
import keras
import model
import numpy as np
from parts.data.words import to_flags

BATCH = 64


def lesson(whole: keras.Model, records: data.Table) -> tuple[keras.Model, np.ndarray, np.ndarray, Any]:
    """The network, its features (n, h, w, c), what it is to say (n, members, classes), and the loss.

    Args:
        whole: The model; its parts learn with the network.
        records: Columns with the label.
    """
    own, learned = data.answering(), data.SETTINGS["learned"]
    label = data.SETTINGS["parameters"]["finding" if "classes" in learned else "command"]
    names = learned["classes"]["names"] if "classes" in learned else learned["commands"]
    several = bool(learned.get("classes", {}).get("several"))
    inputs = data.prepared(own, records)
    problems = inputs.pop("problem")
    if (problems != "").any():
        raise data.DataError(f"{data.NAME}: {problems[problems != ''][0]}")
    flags = to_flags(records[label], names)
    if not flags.any(axis=1).all() and not several:
        other = records[label][~flags.any(axis=1)][0]
        raise data.DataError(f"{data.NAME}: {other!r} is none of the classes {', '.join(names)}; leave such rows out.")
    network = whole.get_layer("network")
    features = model.by_parts(whole.get_layer("preprocessor"), inputs)
    target = np.repeat(flags.astype("float32")[:, None], network.output_shape[1], axis=1)
    loss = keras.losses.BinaryCrossentropy if several else keras.losses.CategoricalCrossentropy
    return network, features, target, loss(from_logits=True, label_smoothing=0.05)
