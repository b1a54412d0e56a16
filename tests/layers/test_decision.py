"""From scores to decisions: what the layers compute, and that it is the same once saved or converted."""

import keras
import numpy as np
import pytest

from apptemplates.deploy.fast import Fast, batch
from apptemplates.layers.decision import Alarm, Chance, Sureness, Temperature, Unusualness, Weighed


def test_temperature_divides_and_chance_is_its_sigmoid():
    logits = np.array([-30, -2, 0, 1.5, 40], "float32")
    layer = Temperature()
    np.testing.assert_array_equal(layer(logits).numpy(), logits)
    layer.temperature.assign(2.5)
    np.testing.assert_allclose(layer(logits).numpy(), logits / 2.5, rtol=1e-6)
    np.testing.assert_allclose(Chance()(logits).numpy(), 1 / (1 + np.exp(-logits.astype("float64"))), rtol=1e-5)
    assert not layer.trainable_variables


def test_alarm_by_probability_by_cost_and_at_the_edge():
    probability = np.array([0.1, 0.25, 0.5, 0.9], "float32")
    amount = np.array([1000, 4, 0, 10], "float32")
    layer = Alarm()
    layer.build()
    layer.set(0.0, 1.0, 0.5)
    assert layer(probability, amount).numpy().tolist() == [False, False, True, True]
    layer.set(1.0, 0.0, 9.0)  # expected loss of at least 9
    assert layer(probability, amount).numpy().tolist() == [True, False, False, True]
    layer.set(1.0, 5.0, 1.25)  # p (amount + 5) >= 1.25
    expected = probability * (amount + 5) >= 1.25
    assert layer(probability, amount).numpy().tolist() == expected.tolist() == [True, True, True, True]
    layer.set(0.0, 1.0, 2.0)
    assert not layer(probability, amount).numpy().any()
    assert not layer.trainable_variables and len(layer.get_weights()) == 3


@pytest.mark.parametrize("spread, middle", [(1.0, 0.0), (1e-4, 5.0)])
def test_unusualness_is_the_share_of_rows_below(spread, middle):
    scores = np.random.default_rng(0).normal(middle, spread, 5000)
    layer = Unusualness().adapt(scores)
    asked = np.linspace(scores.min() - 1, scores.max() + 1, 4001).astype("float32")
    found = layer(asked).numpy()
    assert (np.diff(found) >= -1e-6).all()
    assert found[0] == 0 and found[-1] == pytest.approx(1, abs=1e-5) and found.max() <= 1 + 1e-5
    values = np.quantile(scores, [0.01, 0.1, 0.5, 0.9, 0.99]).astype("float32")
    expected = [(scores < value).mean() for value in values.astype("float64")]
    np.testing.assert_allclose(layer(values).numpy(), expected, atol=5e-3)
    tail = layer(np.quantile(scores, [0.995, 0.998, 0.9995]).astype("float32")).numpy()
    np.testing.assert_allclose(tail, [0.995, 0.998, 0.9995], atol=1e-3)  # where alarms are decided


def test_unusualness_of_equal_scores_counts_only_those_below():
    layer = Unusualness().adapt(np.repeat([0.0, 1.0, 7.0], [4000, 900, 100]))
    found = layer(np.array([-1, 0, 1, 7], "float32")).numpy()
    np.testing.assert_allclose(found, [0, 0, 0.8, 0.98], atol=5e-3)


def test_unusualness_of_one_single_score():
    layer = Unusualness().adapt(np.full(50, 3.0))
    assert layer(np.array([2.0, 3.0, 3.5, 5.0], "float32")).numpy().tolist() == [0, 0, 0.5, 1]


def test_decision_survives_saving_and_conversion(tmp_path):
    rng = np.random.default_rng(0)
    inputs = {name: keras.Input((), name=name) for name in ("logit", "amount", "error")}
    temperature, alarm = Temperature(), Alarm()
    probability = Chance()(temperature(inputs["logit"]))
    unusual = Unusualness(64).adapt(rng.lognormal(0, 1, 2000))(inputs["error"])
    model = keras.Model(inputs, {"p": probability, "u": unusual, "alarm": alarm(probability, inputs["amount"])})
    temperature.temperature.assign(1.7)
    alarm.set(1.0, 2.0, 30.0)
    table = {
        "logit": rng.normal(0, 6, 60).astype("float32"),
        "amount": rng.lognormal(4, 1, 60).astype("float32"),
        "error": rng.lognormal(0, 1, 60).astype("float32"),
    }
    expected = batch(model)(table)
    assert expected["alarm"].dtype == bool and 0 < expected["alarm"].sum() < 60
    np.testing.assert_array_equal(expected["alarm"], expected["p"] * (table["amount"] + 2) >= 30)
    model.save(tmp_path / "model.keras")
    again = batch(keras.saving.load_model(tmp_path / "model.keras", safe_mode=True))(table)
    one = Fast(model, None, {name: column[:8] for name, column in table.items()})
    assert one.form == "litert"
    for name in expected:
        np.testing.assert_array_equal(again[name], expected[name])
        rows = np.concatenate([one({k: c[i : i + 1] for k, c in table.items()})[name] for i in range(60)])
        np.testing.assert_allclose(rows, expected[name], rtol=1e-4, atol=1e-5)


def test_weighed_odds_add_what_is_at_stake_and_the_group():
    layer = Weighed(2)
    odds, value, group = np.array([0.5, -1.0], "float32"), np.array([np.e, 1.0], "float32"), np.eye(2, dtype="float32")
    np.testing.assert_allclose(layer(odds, value=value, group=group), odds)
    layer.by_value.assign(1.0)
    layer.offset.assign(0.25)
    layer.of_group.assign([0.0, 2.0])
    np.testing.assert_allclose(layer(odds, value=value, group=group), [1.75, 1.25], atol=1e-6)
    np.testing.assert_allclose(Sureness()(np.array([0.0, -2.0], "float32")), [0.5, 1 / (1 + np.exp(-2))], atol=1e-6)
