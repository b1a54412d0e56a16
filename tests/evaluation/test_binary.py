"""The simple method of yes-or-no decisions."""

import numpy as np

from apptemplates.evaluation import binary


def test_the_logistic_regression_is_the_best_one():
    random = np.random.default_rng(0)
    features = random.normal(size=(3000, 60)).astype("float32")
    features[:, 30:] = 0.9 * features[:, :30] + 0.1 * features[:, 30:]  # columns that say nearly the same
    truth = random.random(3000) < 1 / (1 + np.exp(3 - 2 * features[:, 0]))
    learned = binary.fit_logistic(features, truth, seed=0)
    rest = binary.answer_logistic(learned, features) - truth
    slope = 0.1 * rest @ features.astype("float64") + learned["weights"]  # of what is minimized; 0 at its best
    assert np.abs(slope).max() < 5e-3 and abs(0.1 * rest.sum()) < 5e-3


def test_many_columns_and_more_rows_than_are_used():
    random = np.random.default_rng(0)
    features = random.normal(size=(2000, 500)).astype("float32")
    learned = binary.fit_logistic(features, features[:, 3] > 0, seed=0, most=1000)
    assert ((binary.answer_logistic(learned, features) > 0.5) == (features[:, 3] > 0)).mean() > 0.8


def test_both_classes_have_a_chance():
    names, chances = binary.both(np.array([0.25, 1.0]))
    assert names == ("0", "1") and chances.tolist() == [[0.75, 0.25], [0.0, 1.0]]


def test_nothing_is_at_stake_where_no_column_says_so():
    table = {"amount": np.array([3.0, 4.0])}
    assert binary.at_stake(table, "amount").tolist() == [3.0, 4.0] and binary.at_stake(table, None) == 0.0
