"""Losses against their formulas."""

import keras
import numpy as np

from apptemplates.losses import EvenChances, MarginSoftmax


def test_the_right_class_must_win_by_the_margin():
    cosines, right = np.array([[0.9, 0.1, -0.2], [0.0, 0.3, 0.5]], "float32"), np.array([0, 1])
    logits = 10 * (cosines - 0.2 * np.eye(3)[right])
    expected = np.log(np.exp(logits).sum(axis=1)) - logits[[0, 1], right]
    loss = MarginSoftmax(scale=10, margin=0.2)
    np.testing.assert_allclose(loss(right[:, None], cosines), expected.mean(), rtol=1e-5)
    plain = MarginSoftmax(scale=10, margin=0.0)
    assert float(loss(right, cosines)) > float(plain(right, cosines))


def test_it_comes_back_from_its_config():
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(MarginSoftmax(5.0, 0.1)))
    assert isinstance(again, MarginSoftmax) and (again.scale, again.margin) == (5.0, 0.1)


def test_uneven_chances_of_groups_cost():
    wanted, flags = np.array([[1.0, 1], [0, 0], [1, 1], [0, 0]]), np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    given = np.concatenate([wanted, flags], axis=1).astype("float32")
    logits = np.array([[2.0, 1], [1, 1], [-1, 0], [-2, -1]], "float32")
    chance = 1 / (1 + np.exp(-logits))
    entropy = -np.mean(wanted * np.log(chance) + (1 - wanted) * np.log(1 - chance))
    mean = chance.mean(axis=1)
    gaps = [0.5 * (mean[rows].mean() - mean.mean()) ** 2 for rows in (slice(0, 2), slice(2, 4))]
    np.testing.assert_allclose(EvenChances(2, 3.0)(given, logits), entropy + 3 * sum(gaps), rtol=1e-5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(EvenChances(2, 3.0)))
    assert (again.members, again.weight) == (2, 3.0)
