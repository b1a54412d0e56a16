"""Decisions from odds: thresholds by group, doubt, and what evenness costs."""

import numpy as np
import pytest

from apptemplates.evaluation import risk
from apptemplates.policy import Policy

RANDOM = np.random.default_rng(0)
GROUP = np.array(["a", "b", ""], object)[RANDOM.choice(3, 3000, p=[0.5, 0.48, 0.02])]
ODDS = RANDOM.normal(size=3000) + np.where(GROUP == "a", 0.8, -0.2)
TRUTH = (RANDOM.random(3000) < 1 / (1 + np.exp(-ODDS))).astype(int)


@pytest.mark.parametrize("parity", [0.0, 0.5, 1.0])
def test_thresholds_by_group_close_the_share_that_is_asked_for(parity):
    decided = risk.decide(Policy(cost_of_miss=1, cost_of_alarm=1), ODDS, TRUTH, None, GROUP, parity)
    offsets = np.array([decided.of_group.get(name, 0.0) for name in GROUP])
    before, after = risk.gap(ODDS >= 0, GROUP), risk.gap(ODDS + decided.offset + offsets >= 0, GROUP)
    assert after == pytest.approx((1 - parity) * before, abs=0.005)
    assert "" not in decided.of_group


def test_a_small_group_keeps_what_it_has():
    few = np.where(np.arange(3000) < 20, "few", GROUP).astype(object)
    assert "few" not in risk.group_offsets(ODDS, few, 1.0)


@pytest.mark.parametrize("shift", [-50.0, 50.0])
def test_groups_that_are_all_on_one_side_come_to_the_rate_of_all(shift):
    odds = ODDS + np.where(GROUP == "a", shift, 0.0)
    offsets = risk.group_offsets(odds, GROUP, 1.0)
    rate = float((odds >= 0).mean())
    assert np.mean(odds[GROUP == "a"] + offsets["a"] >= 0) == pytest.approx(rate, abs=0.002)


def test_evenness_costs_accuracy():
    points = risk.frontier(TRUTH, ODDS, GROUP)
    assert points[0][1] > 0.2 and points[-1][1] < 0.01 and points[0][2] >= points[-1][2]


def test_of_what_a_row_costs_nothing_is_known_in_a_shared_folder():
    with pytest.raises(ValueError, match="this folder was shared without it"):
        risk.decide(Policy(cost_of_miss="amount", cost_of_alarm=1), ODDS, TRUTH)


def test_the_better_of_two_models_gets_the_share():
    assert risk.blend(TRUTH, ODDS, RANDOM.normal(size=3000))[0] >= 0.9
    assert risk.blend(TRUTH, RANDOM.normal(size=3000), ODDS)[0] <= 0.1


def test_numbers_are_those_of_the_answers_that_ask_nobody():
    decision = np.array([risk.HIGH, risk.LOW, risk.ASK, risk.HIGH], object)
    found = risk.score(np.array([1, 0, 1, 0]), np.array([0.9, 0.1, 0.5, 0.6]), decision, (2.0, 1.0))
    assert found["accuracy"] == pytest.approx(2 / 3) and found["referred"] == 0.25
    assert found["cost per 1,000"] == pytest.approx(1000 / 3)


def test_a_decision_is_as_sure_as_its_margin_is_far():
    told = risk.stated(np.array([True, False, True]), np.array([3.0, -0.1, 0.2]), np.array([1, 1, 0]), np.ones(3), 1.2)
    assert told.wrong.tolist() == [False, True, True] and np.argsort(told.sure).tolist() == [1, 2, 0]
    assert told.temperature == 1.2 and told.sure.min() >= 0.5
