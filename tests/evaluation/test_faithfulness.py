"""An explanation is trusted where what it names first moves answers sooner than chance."""

import numpy as np
import pytest

from apptemplates.evaluation import explanation_figures, faithfulness
from apptemplates.evaluation.faithfulness import Curves, along, trust

SOON, EVEN = np.linspace(1, 0, 11) ** 4, np.linspace(1, 0, 11)


def curves(named, random, times=5):
    return Curves(np.array([named] * times), np.array([random] * times))


def test_what_is_better_than_chance_is_trusted_and_what_is_not_is_not():
    good = trust(curves(SOON, EVEN), curves(1 - SOON, 1 - EVEN), "an answer", "no")
    assert good.sentence.startswith("The explanation says more than chance about what moves an answer")
    assert all(good.notes[f"{what} better than random by"].low > 0 for what in faithfulness.WAYS)
    assert good.notes["deletion score"] < good.notes["deletion score of random orders"] == pytest.approx(0.5)
    assert len(good.figures) == 1
    bad = trust(curves(EVEN, SOON), curves(1 - EVEN, 1 - SOON), "an answer", "no")
    assert bad.sentence.startswith("Do not rely on the explanation of an answer")
    half = trust(curves(SOON, EVEN), curves(1 - EVEN, 1 - SOON), "an answer", "no")
    assert "in part: by deletion" in half.sentence


def test_one_answer_has_no_interval_and_none_is_not_measured():
    one = trust(curves(SOON, EVEN, 1), curves(1 - SOON, 1 - EVEN, 1), "an answer", "no")
    assert one.sentence.startswith("The explanation says more")
    assert np.isnan(one.notes["deletion better than random by"].low)
    for nothing in (None, curves(EVEN * 0, EVEN * 0)):
        none = trust(nothing, nothing, "an answer", "there are none")
        assert none.sentence.endswith("was not measured: there are none.") and not none.notes and not none.figures


def test_parts_are_taken_away_and_brought_in_one_by_one():
    worth = np.array([5.0, 3.0, 2.0])

    def there(taken):
        return [worth.sum() - worth[list(parts)].sum() for parts in taken]

    away, brought = along(there, np.array([0, 1, 2]), points=3)
    assert away.tolist() == [10, 5, 2, 0] and brought.tolist() == [0, 5, 8, 10]
    assert faithfulness.area(np.array([[10.0, 5, 2, 0]]))[0] == pytest.approx((7.5 + 3.5 + 1) / 3)


def test_what_stands_equally_far_back_is_averaged():
    axes = explanation_figures.by_age("Title", "Caption.", [(1, 2.0), (1, 4.0), (3, 1.0)], "back", "nats").axes[0]
    assert [bar.get_height() for bar in axes.patches] == [3.0, 1.0] and axes.get_xlabel() == "back"
