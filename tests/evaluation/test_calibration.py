import numpy as np
import pytest

from apptemplates.evaluation import metrics
from apptemplates.evaluation.calibration import chance_ece, fit_temperature, reliability, wilson


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def test_chance_alone_makes_an_error_of_few_answers():
    rng = np.random.default_rng(0)
    true, held = 0.05, 0
    for _ in range(200):
        said = rng.random(300)
        truth = rng.random(300) < np.clip(np.where(said < 0.5, said + true, said - true), 0, 1)
        held += metrics.ece(truth.astype(int), said) - chance_ece(said) <= true
    assert held >= 190
    assert chance_ece(rng.random(300)) > 3 * chance_ece(rng.random(6000)) > 0
    kept = np.eye(3)[rng.integers(0, 3, 50)]
    assert chance_ece(kept) == 0  # what is certain can not miss by chance


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_temperature_of_two_classes_is_found_again(temperature):
    random = np.random.default_rng(0)
    logits = random.normal(size=40_000) * 2 - 1
    truth = random.random(40_000) < sigmoid(logits)
    assert fit_temperature(truth, logits * temperature) == pytest.approx(temperature, rel=0.03)


def test_temperature_of_many_classes_is_found_again_and_agrees_with_two():
    random = np.random.default_rng(1)
    logits = random.normal(size=(30_000, 5)) * 2
    share = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = (random.random(30_000)[:, None] > share.cumsum(1)).sum(1).clip(max=4)
    assert fit_temperature(truth, logits * 2.5) == pytest.approx(2.5, rel=0.03)
    binary = random.normal(size=500)
    label = (random.random(500) < sigmoid(binary)).astype(int)
    two_columns = np.stack([np.zeros(500), binary], axis=1)
    assert fit_temperature(label, two_columns) == pytest.approx(fit_temperature(label, binary), rel=1e-6)


def test_temperature_is_the_best_one():
    random = np.random.default_rng(2)
    logits = random.normal(size=3000) * 6
    truth = random.random(3000) < sigmoid(logits / 4)
    best = fit_temperature(truth, logits)
    loss = metrics.log_loss(truth, sigmoid(logits / best))
    assert loss < metrics.log_loss(truth, sigmoid(logits / best * 1.05))
    assert loss < metrics.log_loss(truth, sigmoid(logits / best / 1.05))
    assert metrics.ece(truth, sigmoid(logits / best)) < metrics.ece(truth, sigmoid(logits))


def test_perfectly_separated_rows_do_not_make_it_certain():
    temperature = fit_temperature([0, 0, 1, 1], [-1.0, -1.0, 1.0, 1.0])
    assert 0.05 < sigmoid(-1.0 / temperature) < 0.2


def test_extreme_logits_and_one_class_stay_finite():
    assert 0.01 <= fit_temperature([0, 1, 1], [-1e6, 1e6, -1e6]) <= 100.01
    assert 0.01 <= fit_temperature([0, 0, 0], [-1.0, -2.0, 3.0]) <= 100.01
    with pytest.raises(ValueError, match="finite"):
        fit_temperature([0, 1], [0.0, np.nan])
    with pytest.raises(ValueError, match="finite"):
        fit_temperature([], [])


def test_reliability_counts_every_row_once_and_agrees_with_ece():
    random = np.random.default_rng(3)
    probability = random.random(1000) ** 3
    truth = (random.random(1000) < probability).astype(int)
    table = reliability(truth, probability)
    assert table["rows"].sum() == 1000
    gap = np.abs(table["probability"] - table["share"])
    assert (table["rows"] / 1000 * gap).sum() == pytest.approx(metrics.ece(truth, probability), abs=1e-12)
    assert np.all((table["low"] <= table["share"]) & (table["share"] <= table["high"]))


def test_reliability_by_rows_spreads_rare_events_and_keeps_ties_together():
    random = np.random.default_rng(4)
    probability = random.random(3000) * 0.02
    truth = (random.random(3000) < probability).astype(int)
    assert len(reliability(truth, probability)["rows"]) == 1
    assert np.all(np.abs(reliability(truth, probability, equal="rows")["rows"] - 200) <= 1)
    assert len(reliability([0, 1, 0], [0.5, 0.5, 0.5], equal="rows")["rows"]) == 1
    assert len(reliability([], [], equal="rows")["rows"]) == 0
    with pytest.raises(ValueError, match="width"):
        reliability(truth, probability, equal="mass")


def test_wilson_against_the_published_example():
    low, high = wilson(0.0, 10)  # 0 of 10
    assert low == pytest.approx(0, abs=1e-12) and high == pytest.approx(0.2775, abs=1e-4)
    low, high = wilson(0.9, 10)
    assert low == pytest.approx(0.5958, abs=1e-4) and high == pytest.approx(0.9821, abs=1e-4)
