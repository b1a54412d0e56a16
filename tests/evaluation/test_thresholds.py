import numpy as np
import pytest

from apptemplates.evaluation import metrics
from apptemplates.evaluation.thresholds import Rule, by_cost, by_false_alarms, by_recall, by_reviews


def planted(rows, seed, decimals):
    random = np.random.default_rng(seed)
    truth = (random.random(rows) < 0.2).astype(int)
    score = np.round(random.normal(size=rows) + truth, decimals).astype(np.float32)
    amount = random.exponential(50, rows)
    return truth, score, amount


CASES = [(40, 0, 0), (300, 1, 1), (500, 2, 6)]


@pytest.mark.parametrize("rows, seed, decimals", CASES)
def test_no_threshold_costs_less(rows, seed, decimals):
    truth, score, amount = planted(rows, seed, decimals)
    for miss, alarm in ((10.0, 1.0), (amount, 3.0), (1.0, 10.0), (amount, amount / 20), (5.0, 0.0)):
        cheapest = min(
            metrics.cost_per_thousand(truth, score >= candidate, miss, alarm) for candidate in [*score, np.inf]
        )
        threshold = by_cost(truth, score, miss, alarm)
        cost = metrics.cost_per_thousand(truth, score >= threshold, miss, alarm)
        assert cost == pytest.approx(cheapest, rel=1e-9, abs=1e-9)


def test_calibrated_probabilities_put_the_threshold_where_both_mistakes_cost_the_same():
    random = np.random.default_rng(5)
    probability = random.random(200_000)
    truth = random.random(200_000) < probability
    assert by_cost(truth, probability, 9.0, 1.0) == pytest.approx(1 / (1 + 9), abs=0.02)


def test_no_alarm_where_alarms_never_pay():
    truth, score, _ = planted(100, 0, 1)
    truth[score == score.max()] = 0
    threshold = by_cost(truth, score, 1.0, 1e6)
    assert np.isfinite(threshold) and not (score >= threshold).any()
    assert not (score >= np.float32(threshold)).any()


@pytest.mark.parametrize("rows, seed, decimals", CASES)
@pytest.mark.parametrize("recall", [0.0, 0.29, 0.5, 0.8, 1.0])
def test_recall_is_reached_and_the_next_threshold_would_miss_it(rows, seed, decimals, recall):
    truth, score, _ = planted(rows, seed, decimals)
    threshold = by_recall(truth, score, recall)
    assert metrics.recall(truth, score >= threshold) >= recall - 1e-12
    higher = score[score > threshold]
    if len(higher):
        assert metrics.recall(truth, score >= higher.min()) < recall
    assert threshold in score or recall == 0


@pytest.mark.parametrize("rows, seed, decimals", CASES)
@pytest.mark.parametrize("rate", [0.0, 0.01, 0.1, 0.29, 1.0])
def test_false_alarms_never_exceed_the_rate_and_no_lower_threshold_would_do(rows, seed, decimals, rate):
    truth, score, _ = planted(rows, seed, decimals)
    threshold = by_false_alarms(truth, score, rate)
    assert metrics.false_alarm_rate(truth, score >= threshold) <= rate
    lower = score[score < threshold]
    if len(lower):
        assert metrics.false_alarm_rate(truth, score >= lower.max()) > rate


@pytest.mark.parametrize("rows, seed, decimals", CASES)
@pytest.mark.parametrize("per_day", [0, 0.5, 3, 10, 1e9])
def test_reviews_never_exceed_the_capacity_and_no_lower_threshold_would_do(rows, seed, decimals, per_day):
    _, score, _ = planted(rows, seed, decimals)
    threshold = by_reviews(score, per_day, 7)
    assert (score >= threshold).sum() <= per_day * 7
    lower = score[score < threshold]
    if len(lower):
        assert (score >= lower.max()).sum() > per_day * 7


def test_all_scores_tied_is_all_or_nothing():
    truth, score = np.array([0, 1, 0, 1]), np.full(4, 0.5)
    assert not (score >= by_false_alarms(truth, score, 0.5)).any()
    assert not (score >= by_reviews(score, 3, 1)).any()
    assert (score >= by_reviews(score, 4, 1)).all()
    assert (score >= by_recall(truth, score, 0.1)).all()


def test_whole_counts_survive_rounding():
    truth, score = np.zeros(100), np.arange(100.0)
    truth[0] = 1
    assert (score >= by_reviews(score, 0.29, 100)).sum() == 29
    assert (score[truth == 0] >= by_false_alarms(truth, score, 29 / 99)).sum() == 29


def test_bad_requests_are_one_sentence():
    with pytest.raises(ValueError, match="no positive"):
        by_recall([0, 0], [0.1, 0.2], 0.5)
    with pytest.raises(ValueError, match="no negative"):
        by_false_alarms([1, 1], [0.1, 0.2], 0.5)
    with pytest.raises(ValueError, match="row 1 is not finite"):
        by_reviews([0.1, np.nan], 1, 1)
    with pytest.raises(ValueError, match="recall must lie"):
        by_recall([0, 1], [0.1, 0.2], 80)
    with pytest.raises(ValueError, match="cost_of_miss must be finite and >= 0"):
        by_cost([0, 1], [0.1, 0.2], -1, 1)
    with pytest.raises(ValueError, match="one for each row"):
        by_cost([0, 1], [0.1, 0.2], [1, 2, 3], 1)
    with pytest.raises(ValueError, match="at least one row"):
        by_reviews([], 1, 1)
    with pytest.raises(ValueError, match="truth, score"):
        by_cost([0.1, 0.2], [0, 1], 1, 1)


@pytest.mark.parametrize("rule", [Rule(0.0, 1.0, 0.2), Rule(1.0, 5.0, 5.0)])
def test_a_rule_says_one_thing_in_three_ways(rule):
    random = np.random.default_rng(0)
    chance, amount = random.random(500), random.exponential(50, 500)
    reached = rule.reached(chance, amount)
    assert 0 < reached.mean() < 1
    assert (reached == (chance >= rule.place(amount))).all() and (reached == (rule.margin(chance, amount) >= 0)).all()
    assert np.isfinite(Rule(0.0, 1.0, 0.0).margin(np.zeros(3), 0.0)).all()
