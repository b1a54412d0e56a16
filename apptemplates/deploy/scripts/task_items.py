"""What the network learns: of what each person took, the next thing from those before it."""

from typing import Any

import data
import keras
import model
import numpy as np

BATCH = 256


def lesson(whole: keras.Model, records: data.Table) -> tuple[keras.Model, np.ndarray, np.ndarray, Any]:
    """The network, what it sees of a history (n, d), the row of the next item (n,), and the loss.

    Args:
        whole: The model; its parts learn with the network.
        records: Interactions of users with items; of items that the model does not know nothing is learned.
    """
    own, given = data.answering(), data.SETTINGS["parameters"]
    times = records[given["time"]] if given["time"] is not None else np.arange(data.rows(records))
    order = np.argsort(times, kind="stable")
    user, item = records[given["user"]][order], own.catalogue.rows(records[given["item"]][order])
    places = own.limits.places
    histories, following = [], []
    for person in np.unique(user.astype(str)):
        taken = item[(user == person) & (item > 0) & (item <= own.catalogue.learned)]
        for place in range(1, len(taken)):
            before = taken[max(0, place - places) : place]
            histories.append(np.pad(before, (places - len(before), 0)))
            following.append(taken[place] - 1)
    if not histories:
        raise data.DataError(f"{data.NAME}: nobody took two items that the model knows; nothing can be learned.")
    network = next(one for one in whole.layers if one.name in ("scores", "network"))
    features = model.by_parts(whole.get_layer("preprocessor"), {"history": np.array(histories, "int32")})
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return network, features, np.array(following, "int32"), loss
