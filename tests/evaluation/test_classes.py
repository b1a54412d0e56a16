"""Decisions among named classes: what they are, how chances become decisions, and how good those are."""

import json

import numpy as np
import pytest

from apptemplates.data.words import from_flags, to_flags
from apptemplates.evaluation import classes, metrics
from apptemplates.evaluation.classes import Classes
from apptemplates.policy import Policy

RNG = np.random.default_rng(0)
TWO = Classes(("normal", "pneumonia"), "normal", False, (0.25, 0.75))
THREE = Classes(("covid", "normal", "pneumonia"), "normal", False, (0.1, 0.5, 0.4))
SEVERAL = Classes(("mass", "nodule"), "normal", True, (0.1, 0.3))


def drawn(known, n=4000, spread=1.5, seed=0):
    """Truth (n, c) and chances (n, c) that are true to it."""
    rng, prior = np.random.default_rng(seed), np.array(known.prior)
    if known.several:
        chance = classes.chances(np.log(prior / (1 - prior)) + rng.normal(0, spread, (n, len(prior))), True)
        return rng.random(chance.shape) < chance, chance
    chance = classes.chances(np.log(prior) + rng.normal(0, spread, (n, len(prior))), False)
    place = (rng.random((n, 1)) > chance.cumsum(axis=1)).sum(axis=1).clip(max=len(prior) - 1)
    return np.eye(len(prior), dtype=bool)[place], chance


def decided(policy, known, truth, chance):
    offset, least = classes.decision(policy, known, chance, truth)
    said, sure = classes.choose(known, chance, offset)
    return said, sure, sure < least


# ---- what they are -----------------------------------------------------------


def test_two_classes_of_which_one_is_looked_for():
    known = Classes.of(np.array(["Normal", "pneumonia", "pneumonia", "pneumonia"], object))
    assert known.names == ("Normal", "pneumonia") and known.healthy == "Normal" and known.prior == (0.25, 0.75)
    assert known.binary and known.judges_ill and known.positive == 1 and not known.several
    known = Classes.of(np.array(["malignant", "benign"], object))
    assert known.names[known.positive] == "malignant" and known.healthy == "benign"
    assert Classes.of(np.array(["cat", "dog"], object)).positive == 1  # nobody knows; the last
    assert Classes.of(np.array(["a", "b"], object), healthy="b").positive == 0
    assert Classes.from_json(json.loads(json.dumps(known.to_json()))) == known


def test_several_at_once_have_no_class_for_nothing():
    known = Classes.of(np.array(["mass", "mass|nodule", "no finding", "no finding"], object))
    assert known.names == ("mass", "nodule") and known.healthy == "no finding" and known.several
    assert known.prior == (0.5, 0.25) and not known.binary and known.judges_ill


def test_more_are_added_at_the_end():
    grown = TWO.grown(np.array(["abscess", "normal", "covid"], object))
    assert grown.names == ("normal", "pneumonia", "abscess", "covid") and grown.healthy == "normal"
    assert not grown.binary and grown.judges_ill and grown.ill.tolist() == [1, 2, 3]
    assert grown.prior == (1 / 3, 0.75, 1 / 3, 1 / 3)
    again = SEVERAL.grown(np.array(["nodule", "normal", "effusion|mass"], object))
    assert again.names == ("mass", "nodule", "effusion") and again.several


# ---- decisions ---------------------------------------------------------------


@pytest.mark.parametrize("known", [TWO, THREE, SEVERAL])
def test_without_a_wish_every_class_counts_the_same(known):
    truth, chance = drawn(known)
    said, _, refer = decided(Policy(), known, truth, chance)
    plain, _ = classes.choose(known, chance, np.zeros(len(known.names)))

    def balanced(answer):
        return np.mean([metrics.recall(truth[:, k], answer[:, k]) for k in range(len(known.names))])

    assert balanced(said) > balanced(plain) and not refer.any()


@pytest.mark.parametrize("known", [TWO, THREE, SEVERAL])
def test_least_sensitivity_and_specificity_hold_for_new_records(known):
    truth, chance = drawn(known)
    new, new_chance = drawn(known, seed=1)
    for policy in (Policy(min_sensitivity=0.95), Policy(min_specificity=0.95)):
        offset, _ = classes.decision(policy, known, chance, truth)
        said, _ = classes.choose(known, new_chance, offset)
        if known.several:
            ill, alarm = new.T, said.T
        else:
            ill, alarm = known.is_ill(new)[None], known.is_ill(said)[None]
        for one, other in zip(ill, alarm, strict=True):
            kept = metrics.recall(one, other) if policy.min_sensitivity else 1 - metrics.false_alarm_rate(one, other)
            assert 0.92 < kept < 0.99


def test_both_refer_what_lies_between():
    truth, chance = drawn(TWO, spread=0.8)
    policy = Policy(min_sensitivity=0.95, min_specificity=0.95)
    said, _, refer = decided(policy, TWO, truth, chance)
    ill, alarm = TWO.is_ill(truth), TWO.is_ill(said)
    assert 0.1 < refer.mean() < 0.95
    # of all the ill, those cleared without anyone looking, and the other way round
    missed, needless = (ill & ~alarm & ~refer).sum() / ill.sum(), (~ill & alarm & ~refer).sum() / (~ill).sum()
    assert missed < 0.051 and needless < 0.051


def test_costs_set_the_chance_from_which_an_alarm_pays():
    truth, chance = drawn(TWO)
    said, _, _ = decided(Policy(cost_of_miss=9, cost_of_alarm=1), TWO, truth, chance)
    assert (said[:, 1] == (chance[:, 1] >= 0.1)).all()
    said, _, _ = decided(Policy(cost_of_miss=3), TWO, truth, chance)
    assert (said[:, 1] == (chance[:, 1] >= 0.25)).all()  # an alarm costs 1 where nobody says


def test_referring_by_rate_and_by_error():
    truth, chance = drawn(THREE)
    said, _, refer = decided(Policy(refer_rate=0.2), THREE, truth, chance)
    assert refer.mean() == pytest.approx(0.2, abs=0.005)
    wrong = (said != truth).any(axis=1)
    assert wrong[~refer].mean() < wrong.mean() < wrong[refer].mean()
    truth, chance = drawn(TWO, spread=4)
    said, _, refer = decided(Policy(max_error=0.05), TWO, truth, chance)
    assert (said != truth).any(axis=1)[~refer].mean() < 0.05 < (said != truth).any(axis=1).mean() and not refer.all()
    # nothing can be promised of few: everyone is referred
    assert decided(Policy(max_error=0.01), TWO, truth[:20], chance[:20])[2].all()


def test_another_prevalence_moves_chances_and_keeps_the_balance():
    shift = classes.shift_for(TWO, 0.5)
    truth, chance = drawn(TWO)
    moved = classes.chances(np.log(chance) + shift, False)
    expected = chance[:, 1] / 3 / (chance[:, 1] / 3 + chance[:, 0])  # odds of 3 become odds of 1
    np.testing.assert_allclose(moved[:, 1], expected, rtol=1e-6)
    before, _, _ = decided(Policy(), TWO, truth, chance)
    after, _, _ = decided(Policy(prevalence=0.5), TWO, truth, moved)
    assert (before == after).mean() > 0.999
    assert not classes.shift_for(THREE, None).any()


def test_rows_of_one_kind_alone_still_give_a_threshold():
    _, chance = drawn(TWO, 50)
    for ill in (0, 1):
        rows = np.tile(np.eye(2, dtype=bool)[ill], (50, 1))
        for policy in (Policy(min_sensitivity=0.9), Policy(min_specificity=0.9)):
            offset, least = classes.decision(policy, TWO, chance, rows)
            assert np.isfinite(offset).all() and np.isfinite(least)


# ---- numbers -----------------------------------------------------------------


def measured(known, truth, chance, prevalence=None):
    said, sure, _ = decided(Policy(), known, truth, chance)
    return said, classes.score(known, truth, chance, said, sure, sure < 0.6, prevalence)


def test_numbers_are_what_their_names_say():
    truth, chance = drawn(TWO, 2000)
    said, found = measured(TWO, truth, chance)
    ill, alarm = truth[:, 1], said[:, 1]
    assert found["ROC AUC"] == pytest.approx(metrics.roc_auc(ill, chance[:, 1]))
    assert found["accuracy"] == pytest.approx((ill == alarm).mean()) == 1 - found["error rate"]
    assert found["sensitivity"] == pytest.approx(alarm[ill].mean())
    assert found["specificity"] == pytest.approx((~alarm[~ill]).mean())
    assert found["PPV"] == pytest.approx(ill[alarm].mean()) and found["NPV"] == pytest.approx((~ill[~alarm]).mean())
    assert found["balanced accuracy"] == pytest.approx((found["sensitivity"] + found["specificity"]) / 2)
    assert found["ECE"] < 0.04  # these chances are true
    assert found["error rate of the surest 90 %"] < found["error rate"]


@pytest.mark.parametrize("known", [TWO, THREE, SEVERAL])
def test_costs_count_misses_and_needless_alarms_that_nobody_is_asked_about(known):
    truth, chance = drawn(known, 800)
    said, sure, _ = decided(Policy(), known, truth, chance)
    refer = sure < 0.6
    found = classes.score(known, truth, chance, said, sure, refer, costs=(7.0, 2.0))
    true, alarm = (flags[~refer] if known.several else known.is_ill(flags[~refer]) for flags in (truth, said))
    cost = 7 * (true & ~alarm).sum() + 2 * (~true & alarm).sum()
    assert found["cost per 1,000"] == pytest.approx(1000 * cost / (~refer).sum())
    assert "cost per 1,000" not in measured(known, truth, chance)[1]


def test_predictive_values_at_a_stated_prevalence():
    truth, chance = drawn(TWO, 2000)
    _, found = measured(TWO, truth, chance, prevalence=0.01)
    s, p = found["sensitivity"], found["specificity"]
    assert found["PPV"] == pytest.approx(s * 0.01 / (s * 0.01 + (1 - p) * 0.99))
    assert found["PPV"] < 0.1 and found["NPV"] > 0.99
    assert np.isnan(classes.predictive_values(0.0, 1.0, 0.5)["PPV"])


@pytest.mark.parametrize("known", [THREE, SEVERAL])
def test_numbers_of_more_classes(known):
    truth, chance = drawn(known, 2000)
    said, found = measured(known, truth, chance)
    areas = [metrics.roc_auc(truth[:, k], chance[:, k]) for k in range(len(known.names))]
    assert found["ROC AUC"] == pytest.approx(np.mean(areas))
    assert found["sensitivity"] == pytest.approx(known.is_ill(said)[known.is_ill(truth)].mean())
    assert found["accuracy"] == pytest.approx((said == truth).all(axis=1).mean()) and found["ECE"] < 0.05


def test_a_class_that_was_never_learned_counts_as_wrong_and_little_else():
    truth, chance = drawn(THREE, 300)
    truth[:100] = False
    said, found = measured(THREE, truth, chance)
    assert found["error rate"] >= 1 / 3 and np.isfinite([found["ROC AUC"], found["ECE"]]).all()
    nothing = classes.score(
        THREE, truth[:0], chance[:0], said[:0], np.zeros(0), np.zeros(0, bool)
    )  # no rows: not defined, no crash
    assert np.isnan(nothing["accuracy"]) and np.isnan(nothing["ROC AUC"])


def test_by_owner_counts_a_patient_once_and_one_drawn_twice_twice():
    truth = np.array([[True, False], [True, False], [False, True], [False, True], [False, True]])
    chance = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4], [0.1, 0.9]])
    owner, number = np.array([0, 0, 1, 2, 2]), np.array([2, 2, 1, 2, 2])
    # means 0.45, 0.7, 0.65: the one who is well lies below both
    assert classes.by_owner(TWO, truth, chance, owner, number)["ROC AUC per patient"] == 1
    assert metrics.roc_auc(truth[:, 1], chance[:, 1]) < 1
    rows = np.array([0, 1, 0, 1, 2, 3, 4])
    again = classes.by_owner(TWO, truth[rows], chance[rows], owner[rows], number[rows])
    assert again["ROC AUC per patient"] == 1


# ---- pictures and the simple method ------------------------------------------


@pytest.mark.parametrize("known", [TWO, THREE, SEVERAL])
def test_figures_and_the_simple_method(known):
    truth, chance = drawn(known, 400)
    said, _, _ = decided(Policy(), known, truth, chance)
    drawings = classes.pictures(known, truth, chance, said)
    assert len(drawings) >= 1 + (not known.several) and all(figure.get_label() for figure in drawings)
    features = np.concatenate([truth + RNG.normal(0, 0.5, truth.shape), RNG.normal(0, 1, (400, 3))], axis=1)
    learned = classes.fit_baseline(features[:200], truth[:200], 0)
    answers = classes.answer_baseline(learned, features[200:], known)
    assert answers.shape == (200, len(known.names))
    assert np.mean([metrics.roc_auc(truth[200:, k], answers[:, k]) for k in range(len(known.names))]) > 0.85
    grown = classes.answer_baseline(learned, features, known.grown(np.array(["abscess", "normal"], object)))
    assert grown.shape == (400, len(known.names) + 1) and (grown[:, -1] < 1e-6).all()


def test_the_simple_method_without_cases():
    truth = np.zeros((30, 2), bool)
    truth[:, 0] = True
    learned = classes.fit_baseline(RNG.normal(0, 1, (30, 4)), truth, 0)
    answers = classes.answer_baseline(learned, RNG.normal(0, 1, (5, 4)), TWO)
    assert (answers[:, 0] > 0.99).all()
    assert from_flags(answers > 0.5, TWO.names, "none").tolist() == ["normal"] * 5
    assert to_flags(np.array(["normal"]), TWO.names).tolist() == [[True, False]]
