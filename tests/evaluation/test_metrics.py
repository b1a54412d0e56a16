import time
import warnings

import numpy as np
import pytest
from sklearn import metrics as reference

from apptemplates.evaluation import intervals, metrics


def planted(rows, rate, seed, ties=False):
    random = np.random.default_rng(seed)
    truth = (random.random(rows) < rate).astype(float)
    truth[:2] = 0, 1
    probability = 1 / (1 + np.exp(-(random.normal(size=rows) + 2 * truth - 2)))
    return truth, np.round(probability, 2) if ties else probability


CASES = [(2, 0.5, False), (50, 0.5, True), (1000, 0.01, False), (3000, 0.3, True), (5000, 0.9, False)]


@pytest.mark.parametrize("rows, rate, ties", CASES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_binary_metrics_equal_scikit_learn(rows, rate, ties, dtype):
    truth, probability = planted(rows, rate, rows, ties)
    probability = probability.astype(dtype)
    alarm = probability >= 0.3
    same = pytest.approx
    assert metrics.roc_auc(truth, probability) == same(reference.roc_auc_score(truth, probability), abs=1e-12)
    assert metrics.average_precision(truth, probability) == same(
        reference.average_precision_score(truth, probability), abs=1e-12
    )
    wide = probability.astype(np.float64)
    assert metrics.brier(truth, probability) == same(reference.brier_score_loss(truth, wide), abs=1e-12)
    assert metrics.log_loss(truth, probability) == same(reference.log_loss(truth, wide), abs=1e-12)
    if alarm.any():
        assert metrics.precision(truth, alarm) == same(reference.precision_score(truth, alarm), abs=1e-12)
    assert metrics.recall(truth, alarm) == same(reference.recall_score(truth, alarm), abs=1e-12)
    assert metrics.false_alarm_rate(truth, alarm) == same(
        1 - reference.recall_score(1 - truth, ~alarm, zero_division=0), abs=1e-12
    )
    assert metrics.f1(truth, alarm) == same(reference.f1_score(truth, alarm), abs=1e-12)
    assert metrics.accuracy(truth, alarm) == same(reference.accuracy_score(truth, alarm), abs=1e-12)


def test_multiclass_losses_equal_scikit_learn():
    random = np.random.default_rng(0)
    probability = random.dirichlet(np.ones(4), 500)
    truth = random.integers(0, 4, 500)
    assert metrics.log_loss(truth, probability) == pytest.approx(reference.log_loss(truth, probability), abs=1e-12)
    assert metrics.brier(truth, probability) == pytest.approx(
        ((probability - np.eye(4)[truth]) ** 2).sum(1).mean(), abs=1e-12
    )


def test_log_loss_of_certain_mistakes_is_finite_and_equal_to_scikit_learn():
    truth, probability = np.array([0, 1, 1]), np.array([1.0, 0.0, 1.0])
    assert metrics.log_loss(truth, probability) == pytest.approx(reference.log_loss(truth, probability), abs=1e-9)


def test_ece_by_hand():
    # bins of 1/15: 0.02, 0.05 -> bin 0; 0.10 -> bin 1; 0.95, 1.0 -> bin 14
    probability = np.array([0.02, 0.05, 0.10, 0.95, 1.0])
    truth = np.array([0, 1, 0, 1, 0])
    by_hand = (2 / 5) * abs(0.035 - 0.5) + (1 / 5) * 0.10 + (2 / 5) * abs(0.975 - 0.5)
    assert metrics.ece(truth, probability) == pytest.approx(by_hand, abs=1e-12)


def test_ece_of_two_columns_looks_at_the_top_label():
    probability = np.array([[0.9, 0.1], [0.8, 0.2], [0.45, 0.55]])
    truth = np.array([0, 1, 1])
    by_hand = (abs(0.9 - 1) + abs(0.8 - 0) + abs(0.55 - 1)) / 3
    assert metrics.ece(truth, probability) == pytest.approx(by_hand, abs=1e-12)


def test_ece_vanishes_where_probabilities_are_true():
    random = np.random.default_rng(0)
    probability = random.random(200_000)
    truth = random.random(200_000) < probability
    assert metrics.ece(truth, probability) < 0.006


def test_undefined_is_nan_and_silent():
    none, score = np.zeros(5), np.linspace(0, 1, 5)
    empty = np.array([])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for value in (
            metrics.roc_auc(none, score),
            metrics.roc_auc(none + 1, score),
            metrics.average_precision(none, score),
            metrics.recall(none, none),
            metrics.precision(none, none),
            metrics.f1(none, none),
            metrics.false_alarm_rate(none + 1, none),
            metrics.alarm_rate(empty),
            metrics.accuracy(empty, empty),
            metrics.brier(empty, empty),
            metrics.log_loss(empty, empty),
            metrics.ece(empty, empty),
            metrics.precision_at(empty, empty, 10),
            metrics.cost_per_thousand(empty, empty, 1),
        ):
            assert np.isnan(value)


def test_precision_at_shares_ties():
    truth = np.array([1, 0, 1, 0, 0])
    score = np.array([0.9, 0.5, 0.5, 0.5, 0.1])
    assert metrics.precision_at(truth, score, 1) == 1
    assert metrics.precision_at(truth, score, 2) == pytest.approx((1 + 1 / 3) / 2)
    assert metrics.precision_at(truth, score, 99) == pytest.approx(2 / 5)


def test_cost_counts_misses_and_needless_alarms():
    truth, alarm = np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0])
    assert metrics.cost_per_thousand(truth, alarm, 100, 5) == pytest.approx((100 + 5) / 4 * 1000)
    amounts = np.array([10.0, 20.0, 30.0, 40.0])
    assert metrics.cost_per_thousand(truth, alarm, amounts, 0) == pytest.approx(20 / 4 * 1000)


def test_swapped_arguments_are_refused():
    truth, probability = planted(100, 0.3, 0)
    for metric in (metrics.roc_auc, metrics.average_precision, metrics.ece, metrics.brier, metrics.log_loss):
        with pytest.raises(ValueError, match="truth"):
            metric(probability, truth)


def test_bad_probabilities_are_named():
    with pytest.raises(ValueError, match=r"0\.\.1, received 0\.5\.\.1\.5"):
        metrics.ece([0, 1], [0.5, 1.5])
    with pytest.raises(ValueError, match="NaN, first in row 1"):
        metrics.roc_auc([0, 1], [0.5, np.nan])
    with pytest.raises(ValueError, match="shape"):
        metrics.roc_auc([0, 1], [0.5])


def test_direction():
    assert metrics.is_better("ECE", 0.1, 0.2) and metrics.is_better("AUC", 0.2, 0.1)
    assert not metrics.is_better("AUC", float("nan"), 0.1) and not metrics.is_better("ECE", float("nan"), 0.1)


def test_bootstrap_of_sixty_thousand_rows_is_quick():
    truth, probability = planted(60_000, 0.01, 0)

    def score(truth, answers):
        label, said, alarm = truth["label"], answers["probability"], answers["alarm"]
        return {
            "average precision": metrics.average_precision(label, said),
            "AUC": metrics.roc_auc(label, said),
            "Brier score": metrics.brier(label, said),
            "ECE": metrics.ece(label, said),
            "precision": metrics.precision(label, alarm),
            "recall": metrics.recall(label, alarm),
            "false alarm rate": metrics.false_alarm_rate(label, alarm),
        }

    start = time.process_time()
    answers = {"probability": probability, "alarm": probability > 0.5}
    result = intervals.bootstrap(score, {"label": truth}, answers)
    assert time.process_time() - start < 25
    assert all(metric.low < metric.value < metric.high for name, metric in result.items() if name != "ECE")
