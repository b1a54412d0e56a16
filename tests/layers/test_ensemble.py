"""Many networks in one: each member's own weights, and the logit of their mean probability."""

import keras
import numpy as np
import pytest

from apptemplates.deploy.fast import Fast, batch
from apptemplates.layers.ensemble import MeanLogit, MemberHeads, Members, held_fast


def exact(logits):
    """The logit of the mean of sigmoids, in float64."""
    logits = np.asarray(logits, "float64")
    chance, rest = -np.logaddexp(0, -logits), -np.logaddexp(0, logits)
    return np.logaddexp.reduce(chance, axis=-1) - np.logaddexp.reduce(rest, axis=-1)


@pytest.mark.parametrize("spread", [0.1, 1, 5, 20, 60])
def test_mean_logit_is_the_logit_of_the_mean_probability(spread):
    logits = np.random.default_rng(0).normal(0, spread, (500, 8)).astype("float32")
    np.testing.assert_allclose(MeanLogit()(logits).numpy(), exact(logits), rtol=2e-5, atol=2e-6)


def test_mean_logit_at_the_ends():
    logits = np.array([[-80, -80], [80, 80], [-80, -10], [-80, 80], [1e4, 1e4], [-1e4, 3], [0, 0]], "float32")
    found = MeanLogit()(logits).numpy()
    np.testing.assert_allclose(found, exact(logits), rtol=1e-5, atol=1e-5)
    assert found[0] == pytest.approx(-80) and found[1] == pytest.approx(80)  # not -inf: the order of small risks stays
    chance = 1 / (1 + np.exp(-np.array([[-2.0, 1.0, 0.5]])))
    expected = np.log(chance.mean() / (1 - chance.mean()))
    assert MeanLogit()(np.array([[-2.0, 1.0, 0.5]], "float32")).numpy()[0] == pytest.approx(expected, rel=1e-5)


def test_mean_logit_is_learned_through_without_nan():
    import tensorflow as tf

    logits = tf.Variable([[-100.0, 100.0, 0.0], [0.01, 0.01, 0.01], [1e4, 1e4, 1e4]])
    with tf.GradientTape() as tape:
        out = MeanLogit()(logits)
    slope = tape.gradient(out, logits).numpy()
    assert np.isfinite(slope).all()
    np.testing.assert_allclose(slope[1], 1 / 3, rtol=1e-5)


def test_members_weigh_the_same_features_differently():
    features = np.random.default_rng(0).normal(size=(20, 5)).astype("float32")
    layer = Members(3)
    found = layer(features).numpy()
    weight = layer.get_weights()[0]
    assert found.shape == (20, 3, 5) and weight.shape == (3, 5)
    np.testing.assert_allclose(found, np.einsum("nd,kd->nkd", features, weight), rtol=1e-6)
    assert len(np.unique(weight.round(6), axis=0)) == 3


def test_heads_give_each_member_its_own_output():
    features = np.random.default_rng(0).normal(size=(20, 3, 5)).astype("float32")
    layer = MemberHeads()
    layer.build((None, 3, 5))
    kernel, bias = np.random.default_rng(1).normal(size=(3, 5)), np.array([1.0, -2.0, 0.5])
    layer.set_weights([kernel, bias])
    np.testing.assert_allclose(
        layer(features).numpy(), np.einsum("nkd,kd->nk", features, kernel) + bias, rtol=1e-4, atol=1e-5
    )
    other = features.copy()
    other[:, 1] += 1
    moved = (layer(other).numpy() != layer(features).numpy()).any(axis=0)
    assert moved.tolist() == [False, True, False]


def test_ensemble_survives_saving_and_conversion(tmp_path):
    keras.utils.set_random_seed(0)
    entry = keras.Input((5,), name="features")
    members = keras.layers.Dense(4, activation="relu")(Members(3)(entry))
    logits = MemberHeads()(members)
    model = keras.Model({"features": entry}, {"logits": logits, "logit": MeanLogit()(logits)})
    features = np.random.default_rng(0).normal(size=(40, 5)).astype("float32") * 3
    features[0] = 1e3
    expected = batch(model)({"features": features})
    assert expected["logit"].shape == (40,) and model.output["logit"].shape == (None,)
    model.save(tmp_path / "model.keras")
    again = batch(keras.saving.load_model(tmp_path / "model.keras", safe_mode=True))({"features": features})
    one = Fast(model, None, {"features": features[:8]})
    assert one.form == "litert"
    for name in expected:
        np.testing.assert_array_equal(again[name], expected[name])
        rows = np.concatenate([one({"features": features[i : i + 1]})[name] for i in range(40)])
        np.testing.assert_allclose(rows, expected[name], rtol=1e-4, atol=1e-5)


def test_what_a_teacher_knows_is_held_fast():
    target = np.eye(3, dtype="float32")
    logits = np.log(np.array([[[0.8, 0.2]] * 2, [[0.4, 0.6]] * 2, [[0.5, 0.5]] * 2], "float32"))  # it knows two classes
    held = held_fast(target, logits)
    np.testing.assert_allclose(held, [[0.9, 0.1, 0], [0.2, 0.8, 0], [0, 0, 1]], atol=1e-6)
    assert (target == np.eye(3)).all()
