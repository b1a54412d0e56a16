"""What the two kinds of networks are taught, and what they give."""

import keras
import numpy as np
import pytest

from apptemplates.data.schema import DataError
from apptemplates.layers import item_learning
from apptemplates.layers.item_learning import KINDS, PLACES

GIVEN = {"a": np.array([1, 2, 3]), "b": np.array([4]), "c": np.array([], int)}
TAKEN = {"a": np.array([5, 4]), "b": np.array([], int), "c": np.array([1])}


def test_sequences_are_taught_every_step_and_judged_by_the_next():
    kind = KINDS["sequences"]("it", 5, 0)
    rows, following = kind.examples(GIVEN)
    assert rows[rows > 0].tolist() == [1, 2] and following[following > 0].tolist() == [2, 3]
    rows, following = kind.examples(GIVEN, TAKEN)
    assert rows[rows > 0].tolist() == [1, 2, 3] and following[following > 0].tolist() == [5]
    assert kind.examples({"b": GIVEN["b"]}) is None and kind.examples(GIVEN, {}) is None


def test_sets_are_taught_what_stands_in_them():
    kind = KINDS["sets"]("it", 5, 0)
    features, target = kind.examples(GIVEN)
    assert features.tolist() == [[1, 1, 1, 0, 0], [0, 0, 0, 1, 0]] and target is features
    features, target = kind.examples(GIVEN, TAKEN)
    assert (features.tolist(), target.tolist()) == ([[1, 1, 1, 0, 0]], [[0, 0, 0, 1, 1]])
    assert kind.examples({"c": GIVEN["c"]}) is None


def test_too_many_sets_are_refused(monkeypatch):
    monkeypatch.setattr(item_learning, "CELLS", 9)
    with pytest.raises(DataError, match="it: 2 users of 5 items are too many for learns='sets'"):
        KINDS["sets"]("it", 5, 0).examples(GIVEN)


@pytest.mark.parametrize("name", KINDS)
def test_every_item_has_a_score_and_a_vector(name):
    kind = KINDS[name]("it", 7, 0)
    preprocessor, network = kind.preprocessor(60), kind.network()
    history = np.zeros((2, 60), "int32")
    history[:, -2:] = 3, 5
    scores = kind.scored(network)(preprocessor({"history": keras.ops.convert_to_tensor(history)}))
    assert scores.shape == (2, 7) and len(kind.vectors(network)) == 7
    network.compile(**kind.objective(network, 1e-3))
    assert network.input_shape == (None, PLACES if kind.ordered else 7)
