"""Closed forms against their definitions, and the choice between them on made-up histories."""

import numpy as np
import pytest

from apptemplates.evaluation import ranking, simple_rankings
from apptemplates.evaluation.simple_rankings import Judged


def rows(*items):
    return np.array(items, int)


def test_flags_count_once_and_less_the_longer_ago():
    found = simple_rankings.flags([rows(1, 3), rows(), rows(2, 2)], 3, decay=0.5).toarray()
    assert found.tolist() == [[0.5, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_judged_is_the_mean_ndcg_over_items_not_taken():
    judged = Judged([rows(1), rows(2)], [rows(2), rows(1, 4)], 2, 4)
    scores = np.array([[9.0, 1.0, 2.0, 0.0], [3.0, 9.0, 0.0, 2.0]])
    assert judged.ndcg(scores) == pytest.approx((1 / np.log2(3) + 1) / 2)


def test_ease_with_equal_people_is_ease_and_weights_scale_with_the_ridge():
    histories = [rows(1, 2), rows(2, 3), rows(1, 3)]
    plain = ranking.ease(simple_rankings.flags(histories, 3), 2.0)
    np.testing.assert_allclose(simple_rankings.ease(histories, 3, 2.0, 0.0), plain, rtol=1e-6)
    np.testing.assert_allclose(simple_rankings.ease(histories, 3, 2.0, 0.5), plain, rtol=1e-5)  # all have two items


def test_what_is_bought_after_another_follows_it():
    near, weights = simple_rankings.nearest([rows(1, 2, 3)] * 5 + [rows(4, 1)], 4, 0.0, ordered=True)
    assert near[1, 0] == 2 and near[2, 0] == 3
    follows, precedes = weights[1, 0], weights[2, near[2].tolist().index(1)]
    assert follows > precedes  # the earlier one follows the later with half the weight


def test_nearest_of_sets_is_shrunken_cosine():
    near, weights = simple_rankings.nearest([rows(1, 2), rows(1, 2), rows(3, 1)], 3, 1.0, ordered=False)
    assert near[2, 0] == 1 and weights[2, 0] == pytest.approx(2 / (np.sqrt(2 * 3) + 1))
    assert near[2, 1] == 0  # 2 and 3 have nobody in common


@pytest.mark.parametrize("kind", ["EASE", "item-kNN"])
def test_a_closed_form_scores_as_its_weights_say(kind):
    random = np.random.default_rng(0)
    histories = [random.permutation(8)[:4] + 1 for _ in range(30)]
    settings = {"strength": 5.0, "shrink": 5.0, "decay": 0.5}
    closed = simple_rankings.learn(histories, 8, kind, True, settings)
    said = closed.scores([rows(2, 5)], 8)[0]
    if kind == "EASE":
        expected = 0.5 * closed.weights[0][1] + closed.weights[0][4]
    else:
        expected = np.zeros(8)
        for item, age in ((2, 0.5), (5, 1.0)):
            near, weights = (part[item] for part in closed.weights)
            np.add.at(expected, near[near > 0] - 1, age * weights[near > 0])
    np.testing.assert_allclose(said, expected, rtol=1e-5)


def test_order_is_learned_where_there_is_one():
    """Everybody takes item i + 1 after i; item-kNN that knows the order finds it."""
    histories = [(np.arange(start, start + 4) % 12) + 1 for start in range(12)] * 3
    judged = Judged([one[:3] for one in histories], [one[3:] for one in histories], 1, 12)
    found, numbers = simple_rankings.choose([one[:3] for one in histories], judged, ordered=True)
    assert numbers[next(iter(found))] == max(numbers.values()) > 0.9
    assert set(numbers) == {"EASE", "weighted EASE", "item-kNN"}


def test_only_people_of_whom_something_is_known_are_judged():
    past = {"a": rows(1), "b": rows(), "c": rows(2)}
    judged = Judged.of(past, {"a": rows(2), "b": rows(3), "c": rows(), "d": rows(1)}, 1, 4, 0)
    assert [one.tolist() for one in judged.past] == [[1]] and [one.tolist() for one in judged.taken] == [[2]]


def test_plain_ease_takes_what_was_chosen_or_is_usual(monkeypatch):
    histories = [rows(1, 2), rows(2, 3)]
    assert simple_rankings.plain_ease(histories, 3, False, None).chosen == simple_rankings.USUAL
    chosen = {"strength": 50.0, "decay": 1.0}
    np.testing.assert_array_equal(
        simple_rankings.plain_ease(histories, 3, False, chosen).weights[0],
        simple_rankings.ease(histories, 3, 50.0, 0.0),
    )
    assert simple_rankings.plain_ease([], 3, False, None) is None
    monkeypatch.setattr(simple_rankings, "COMPARED", 2)
    assert simple_rankings.plain_ease(histories, 3, False, None) is None


def test_more_people_are_learned_from_the_larger_the_share():
    histories = [(np.arange(start, start + 4) % 12) + 1 for start in range(12)] * 3
    judged = Judged([one[:3] for one in histories], [one[3:] for one in histories], 1, 12)
    like = simple_rankings.Closed.of({"kind": "item-kNN", "shrink": 1.0, "decay": 1.0})
    assert like.settings() == {"kind": "item-kNN", "shrink": 1.0, "decay": 1.0}
    few, all_ = (
        simple_rankings.of_share(histories, judged, like, True, share, np.random.default_rng(0)) for share in (0.01, 1)
    )
    assert few[0] == 2 and all_[0] == 36 and 0 <= few[1] < all_[1]


def test_a_closed_form_ranks_what_was_not_taken():
    weights = np.zeros((4, 4), "float32")
    weights[0] = [0, 3, 2, 1]
    closed = simple_rankings.Closed("EASE", (weights,), {"decay": 1.0})
    popular = np.array([0.1, 0.2, 0.3, 0.4])
    # a history; one whose first item was not liked; nobody; and one of items that were never learned from
    histories = np.array([[0, 1], [-2, 1], [0, 0], [9, -3]])
    assert simple_rankings.ranked(closed, histories, popular, 2).tolist() == [[2, 3], [3, 4], [4, 3], [4, 2]]
    assert simple_rankings.ranked(closed, histories[:0], popular, 2).shape == (0, 2)


def test_few_nearest_are_the_first_of_all(monkeypatch):
    histories = [rows(1, 2, 3, 4), rows(1, 2, 3), rows(1, 2)]
    near, weights = simple_rankings.nearest(histories, 4, 5.0, False)
    monkeypatch.setattr(simple_rankings, "SAVED", 2 * 8 * 5)
    few = simple_rankings.few_nearest(histories, 4, False)
    np.testing.assert_array_equal(few["near"], near[:, :2])
    np.testing.assert_array_equal(few["weights"], weights[:, :2])


def test_what_was_learned_before_is_kept_where_its_histories_are_gone():
    old = simple_rankings.Closed("EASE", (np.full((2, 2), 1.0, "float32"),), {"decay": 1.0})
    new = simple_rankings.Closed("EASE", (np.full((3, 3), 5.0, "float32"),), {"decay": 1.0})
    (weights,) = simple_rankings.kept(old, new, 0.25, 3).weights
    assert weights[0, 0] == 2.0 and weights[2, 0] == 1.25
    first = np.array([[0, 0], [2, 0], [1, 0]]), np.array([[0, 0], [0.5, 0], [0.7, 0]])
    second = np.array([[0, 0], [3, 2], [3, 0], [1, 2]]), np.array([[0, 0], [0.9, 0.2], [0.1, 0], [0.4, 0.3]])
    rows, values = simple_rankings.nearest_of_both(first, second)
    assert rows.tolist() == [[0, 0], [3, 2], [1, 3], [1, 2]]
    np.testing.assert_allclose(values, [[0, 0], [0.9, 0.5], [0.7, 0.1], [0.4, 0.3]])
    kept = simple_rankings.kept(old, new._replace(kind="item-kNN", weights=second), 0.25, 3)
    assert kept.kind == "EASE" and kept.weights[0].shape == (3, 3) and kept.weights[0][2].sum() == 0
