"""The part of the rows with the worst answers is found by itself, and nothing where none is worse."""

import numpy as np

from apptemplates.evaluation import metrics, slices, suspects

RANDOM = np.random.default_rng(0)
TRAITS = {
    "place": np.array(["north", "south", "west"], object)[RANDOM.integers(0, 3, 3000)],
    "age": RANDOM.uniform(20, 80, 3000),
}


def score(truth, answers):
    return {"accuracy": metrics.accuracy(truth["y"], answers["said"])}


def answered(wrong):
    truth = RANDOM.integers(0, 2, 3000)
    return {"y": truth}, {"said": np.where(RANDOM.random(3000) < wrong, 1 - truth, truth) > 0}


def test_the_worst_word_and_the_worst_quarter_are_named():
    truth, answers = answered(np.where(TRAITS["place"] == "west", 0.4, 0.1))
    found = slices.worst(score, truth, answers, TRAITS, "accuracy")
    assert found["worst slice"].startswith("place = west (") and "elsewhere 0.8" in found["worst slice"]
    truth, answers = answered(np.where(TRAITS["age"] < 35, 0.35, 0.1))
    assert slices.worst(score, truth, answers, TRAITS, "accuracy")["worst slice"].startswith("age from 20")


def test_nothing_is_named_where_all_are_alike():
    assert sum(bool(slices.worst(score, *answered(0.2), TRAITS, "accuracy")) for _ in range(10)) <= 1


def test_planted_labels_are_the_most_suspect():
    truth = RANDOM.integers(0, 2, 2000)
    chance = np.where(truth > 0, 0.9, 0.1)
    wrong = np.zeros(2000, bool)
    wrong[RANDOM.permutation(2000)[:60]] = True
    label = np.where(wrong, 1 - truth, truth)
    own = np.where(label > 0, chance, 1 - chance)
    assert wrong[suspects.ranked(own)[:60]].all()
    table = suspects.table(own, {"x": np.arange(2000.0)}, np.where(chance > 0.5, "yes", "no").astype(object))
    assert wrong[table["row"]].all() and list(table)[:3] == ["row", "chance of its label", "model says"]
