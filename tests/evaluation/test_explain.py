import numpy as np
import pytest

from apptemplates.evaluation.explain import (
    by_column,
    curves,
    integrated_gradients,
    permutation_importance,
    replacement_curve,
)
from apptemplates.evaluation.faithfulness import trust


@pytest.fixture(scope="module")
def network():
    """A small relu network with fixed random weights, as a TensorFlow function of (n, 8)."""
    import tensorflow as tf

    random = np.random.default_rng(0)
    shapes = [(8, 32), (32, 32), (32, 1)]
    kernels = [tf.constant(random.normal(size=shape) / np.sqrt(shape[0]), tf.float32) for shape in shapes]

    def function(features):
        hidden = tf.convert_to_tensor(features)
        for kernel in kernels[:-1]:
            hidden = tf.nn.relu(hidden @ kernel + 0.1)
        return 3 * hidden @ kernels[-1]

    return function


@pytest.fixture(scope="module")
def queries():
    return np.random.default_rng(1).normal(size=(300, 8)).astype(np.float32)


WEIGHTS = np.array([2.0, -1.0, 0.0, 0.5], np.float32)


def linear(features):
    import tensorflow as tf

    return tf.linalg.matvec(tf.convert_to_tensor(features), WEIGHTS) + 7.0


def test_a_linear_model_is_explained_exactly():
    features = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    baseline = np.array([1, 2, 3, 4], np.float32)
    attributions, error = integrated_gradients(linear, features, baseline)
    np.testing.assert_allclose(attributions, (features - baseline) * WEIGHTS, atol=1e-5)
    assert error.max() < 1e-4


def test_a_relu_network_is_explained_completely(network, queries):
    baseline = np.zeros(8, np.float32)
    attributions, error = integrated_gradients(network, queries, baseline)
    difference = np.asarray(network(queries))[:, 0] - np.asarray(network(baseline[None]))[0, 0]
    assert attributions.shape == (300, 8) and error.shape == (300,) and error.max() < 0.01
    allowed = 0.01 * np.maximum(np.abs(difference), 0.1) + 1e-5
    assert np.all(np.abs(attributions.sum(axis=1) - difference) <= allowed)


def test_steps_are_doubled_only_as_far_as_needed(network, queries):
    baseline = np.zeros(8, np.float32)
    _, rough = integrated_gradients(network, queries, baseline, steps=4, most_steps=4)
    _, fine = integrated_gradients(network, queries, baseline, steps=4)
    assert rough.max() > 0.01 > fine.max()


def test_no_rows_and_wrong_shapes():
    attributions, error = integrated_gradients(linear, np.zeros((0, 4), np.float32), np.zeros(4))
    assert attributions.shape == (0, 4) and error.shape == (0,)
    with pytest.raises(ValueError, match=r"expected \(n, d\) and \(d,\)"):
        integrated_gradients(linear, np.zeros((2, 4), np.float32), np.zeros(3))
    with pytest.raises(ValueError, match="must be finite"):
        integrated_gradients(linear, np.full((2, 4), np.nan, np.float32), np.zeros(4))


def test_features_add_up_to_their_columns():
    parts = by_column(np.array([[1.0, 2.0, 4.0]]), ["amount", "channel", "amount"])
    assert list(parts) == ["amount", "channel"] and parts["amount"] == [5.0] and parts["channel"] == [2.0]
    with pytest.raises(ValueError, match="expected one each"):
        by_column(np.zeros((1, 3)), ["amount"])


def test_permutation_importance_of_a_planted_column():
    random = np.random.default_rng(0)
    table = {"says all": random.normal(size=500), "says nothing": random.normal(size=500)}
    truth = table["says all"] > 0

    def score_of(permute, random):
        shuffled = {n: random.permutation(column) if n == permute else column for n, column in table.items()}
        return float(np.mean((shuffled["says all"] > 0) == truth))

    result = permutation_importance(score_of, ["says nothing", "says all"])
    assert list(result["column"]) == ["says all", "says nothing"]
    assert 0.4 < result["importance"][0] < 0.6 and result["importance"][1] == 0
    assert result["low"][0] <= result["importance"][0] <= result["high"][0]
    loss = permutation_importance(lambda name, random: 1 - score_of(name, random), ["says all"], lower_is_better=True)
    assert loss["importance"][0] > 0.4


def test_replacement_curve_of_a_linear_model_by_hand():
    curve = replacement_curve(linear, np.array([[1, 1, 1, 1]]), np.zeros(4), np.array([[0, 3, 2, 1]]))
    np.testing.assert_allclose(curve, [[8.5, 6.5, 6.0, 6.0, 7.0]], atol=1e-6)
    assert replacement_curve(linear, np.ones((2, 4)), np.zeros(4), np.tile(np.arange(4), (2, 1)), points=2).shape == (
        2,
        3,
    )


def gains(network, queries, attributions, baseline):
    deletion, insertion = curves(network, queries, attributions, baseline)
    return trust(deletion, insertion, "an answer", "none differs").notes


def test_a_true_explanation_is_better_than_chance_and_a_made_up_one_is_not(network, queries):
    baseline = np.zeros(8, np.float32)
    attributions, _ = integrated_gradients(network, queries, baseline)
    right = gains(network, queries, attributions, baseline)
    assert right["deletion better than random by"].low > 0 and right["insertion better than random by"].low > 0
    deletion, insertion = curves(network, queries, attributions, baseline)
    np.testing.assert_allclose(deletion.named[:, 0], insertion.named[:, -1], atol=1e-5)
    np.testing.assert_allclose(deletion.named[:, 0], deletion.random[:, 0], atol=1e-5)
    assert (deletion.named[:, 0] >= 0).all() and not deletion.named[:, -1].any() and not insertion.named[:, 0].any()
    invented = gains(network, queries, np.random.default_rng(5).normal(size=(300, 8)), baseline)
    assert invented["deletion better than random by"].low <= 0
    assert gains(network, queries, -attributions, baseline)["deletion better than random by"].high < 0


def test_answers_that_never_differ_can_not_be_judged():
    assert not gains(lambda rows: np.zeros(len(rows)), np.ones((5, 3)), np.zeros((5, 3)), np.zeros(3))
