"""The smallest change that flips a decision is found, and only what can change is changed."""

import numpy as np

from apptemplates.evaluation import counterfactual

VALUES = {"x": np.linspace(0, 10, 11), "w": np.array(["low", "top"], object)}
NAMES = {"x": "income", "w": "class"}


def margin(table):
    return table["x"] - 6.0 + 3.0 * (table["w"] == "top") + table["fixed"]


def rows(x, w, fixed=0.0):
    return {"x": np.array([x], "float32"), "w": np.array([w], object), "fixed": np.array([fixed], "float32")}


def test_the_smallest_of_single_changes_is_named():
    assert counterfactual.smallest(margin, rows(5.0, "low"), VALUES, NAMES) == ["income 5.000 → 6.000"]
    assert counterfactual.smallest(margin, rows(0.0, "top", 2.9), VALUES, NAMES) == ["income 0 → 1.000"]


def test_two_changes_where_one_is_not_enough():
    (found,) = counterfactual.smallest(margin, rows(1.0, "low", -5.0), VALUES, NAMES)
    assert "income" in found and "class 'low' → 'top'" in found and " and " in found


def test_nothing_where_nothing_helps():
    assert counterfactual.smallest(margin, rows(1.0, "low", -50.0), VALUES, NAMES) == [""]


def test_a_missing_number_is_not_changed():
    assert counterfactual.smallest(
        lambda table: np.where(table["w"] == "top", 1.0, -1.0), rows(np.nan, "low"), VALUES, NAMES
    ) == ["class 'low' → 'top'"]
