"""How much of a network and of a closed form, and what is kept of a blend whose histories are gone."""

import numpy as np
import pytest

from apptemplates.evaluation import blended_rankings
from apptemplates.evaluation.blended_rankings import Before, Blend
from apptemplates.evaluation.simple_rankings import Closed, Judged


def rows(*items):
    return np.array(items, int)


SERIES = [(np.arange(start, start + 4) % 12) + 1 for start in range(12)] * 3  # everybody takes item i + 1 after i
PAST = [one[:3] for one in SERIES]
JUDGED = Judged(PAST, [one[3:] for one in SERIES], 1, 12)


def right(histories):
    return np.eye(12)[[taken[-1] % 12 for taken in histories]]


def test_the_share_goes_to_what_is_right():
    judged = Judged([rows(1)] * 4, [rows(2)] * 4, 1, 4)
    good, bad = np.tile([0.0, 5, 1, 1], (4, 1)), np.tile([0.0, 1, 5, 2], (4, 1))
    assert blended_rankings.share_of(judged, good, bad)[0] > 0.5
    assert blended_rankings.share_of(judged, bad, good)[0] < 0.5


def test_an_item_that_was_learned_later_is_near_none():
    closed = Closed("EASE", (np.zeros((3, 3)),), {"decay": 1.0})
    near, weights = np.array([[0], [2], [1]]), np.array([[0.0], [1.0], [1.0]])  # of two items
    simple = blended_rankings.alone(Blend(closed, np.ones(3), 0.5), (near, weights))["item-kNN alone"]
    np.testing.assert_array_equal(simple.closed.scores([rows(1), rows(3)], 3), [[0, 1, 0], [0, 0, 0]])


def test_the_best_closed_form_stands_beside_a_network():
    found = blended_rankings.choose(PAST, JUDGED, True, right)
    assert found.numbers["network"] == 1.0 == found.numbers["blend"]
    kinds = {name: value for name, value in found.numbers.items() if name not in ("network", "blend")}
    assert found.best.closed.kind == max(kinds, key=kinds.get) and found.ease["strength"] > 0
    np.testing.assert_allclose(found.best.popular, 0.25)  # each stands in three of twelve


def test_of_strangers_nothing_is_told():
    found = blended_rankings.choose(PAST, Judged([], [], 1, 12), True, right)
    assert found.best.share == 0.5 and found.numbers == {}


def test_what_was_known_before_keeps_its_part():
    weights = np.full((10, 10), 2.0, "float32")
    old = Blend(Closed("EASE", (weights,), {"decay": 1.0}), np.full(10, 0.5, "float32"), 0.3)
    found = blended_rankings.choose(PAST, JUDGED, False, right, Before(old, 3 * 108))
    assert found.best.share == 0.3 and found.ease is None
    # 108 interactions are a quarter of all; nothing was known of the last two items
    np.testing.assert_allclose(found.best.popular[[0, 11]], [0.25 * 0.25 + 0.75 * 0.5, 0.25 * 0.25])


@pytest.mark.parametrize("kind", ["EASE", "item-kNN"])
def test_the_parts_of_a_blend_stand_alone(kind):
    blend = Blend(Closed(kind, (np.ones((2, 2)),), {"decay": 0.5}), np.ones(2), 0.4)
    nearest = np.zeros((3, 1), int), np.zeros((3, 1))
    alone = blended_rankings.alone(blend, nearest)
    assert alone["the network alone"].share == 1.0 and alone[f"{kind} alone"].share == 0.0
    expected = nearest if kind == "EASE" else blend.closed.weights
    assert all(map(np.array_equal, alone["item-kNN alone"].closed.weights, expected))
    assert len(alone) == (3 if kind == "EASE" else 2)
