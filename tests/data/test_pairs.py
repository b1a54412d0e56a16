"""Pairs of records: none twice, as many as asked, people whole on one side, batches that hold several of each."""

import numpy as np
import pytest

from apptemplates.data import pairs

LABELS = np.repeat(np.array(list("abcdef"), object), [1, 2, 3, 10, 4, 1])


def test_pairs_are_right_and_none_stands_twice():
    first, second, same = pairs.drawn(LABELS, each=5, strangers=60, seed=0)
    assert ((LABELS[first] == LABELS[second]) == (same > 0)).all()
    assert len({tuple(sorted(pair)) for pair in zip(first, second, strict=True)}) == len(first)
    assert (first != second).all() and (same == 0).sum() == 60
    own = LABELS[first[same > 0]]
    assert {label: int((own == label).sum()) for label in "bcde"} == {"b": 1, "c": 3, "d": 5, "e": 5}


def test_the_same_seed_draws_the_same_and_another_others():
    one, again, other = (pairs.drawn(LABELS, 5, 60, seed) for seed in (0, 0, 1))
    assert all((a == b).all() for a, b in zip(one, again, strict=True))
    assert (one[0] != other[0]).any()


def test_all_pairs_of_one_label_where_there_are_few():
    rows = np.array([4, 7, 9, 11])
    found = pairs.one_label(rows, 100, np.random.default_rng(0))
    assert {tuple(sorted(pair)) for pair in found.tolist()} == {(4, 7), (4, 9), (7, 9), (4, 11), (7, 11), (9, 11)}
    many = pairs.one_label(np.arange(3000), 500, np.random.default_rng(0))
    assert len(np.unique(many, axis=0)) == 500 and (many[:, 0] < many[:, 1]).all() and many.max() > 2500


@pytest.mark.parametrize("people", [3, 900])
def test_strangers_are_strangers_in_small_sets_and_large_ones(people):
    place = np.repeat(np.arange(people), 3)
    found = pairs.two_labels(place, 500, np.random.default_rng(0))
    assert len(found) == min(500, 27) if people == 3 else len(found) == 500
    assert (place[found[:, 0]] != place[found[:, 1]]).all() and len(np.unique(found, axis=0)) == len(found)


def test_without_strangers_or_records_there_are_none():
    assert pairs.two_labels(np.zeros(5, int), 10, np.random.default_rng(0)).shape == (0, 2)
    first, _, same = pairs.drawn(np.array([], object), 5, 10, 0)
    assert len(first) == len(same) == 0


def test_people_are_held_out_whole_with_two_to_judge_on_either_side():
    person = np.repeat(np.arange(12).astype(str), [5] * 6 + [1] * 6)
    later = pairs.held_out_people(person, 0.2, seed=3)
    sides = {name: set(later[person == name].tolist()) for name in np.unique(person)}
    assert all(len(side) == 1 for side in sides.values())
    several = [name for name in map(str, range(6)) if sides[name] == {True}]
    assert len(several) == 2 and 0 < sum(sides[str(name)] == {True} for name in range(6, 12)) <= 2
    few = pairs.held_out_people(np.repeat(np.arange(4).astype(str), 2), 0.01, seed=0)
    assert few.sum() == 4  # two people of two records


def test_a_batch_holds_several_of_each_person_side_by_side():
    person = np.repeat(np.arange(5), [1, 2, 40, 3, 9])
    batches = list(pairs.Batches(person, people=3, each=4, steps=50, seed=0)())
    assert len(batches) == 50
    for rows in batches:
        who = person[rows].reshape(3, 4)
        assert (who == who[:, :1]).all() and len(np.unique(who[:, 0])) == 3
    for rows in batches:  # of who has enough none comes twice
        for some in rows.reshape(3, 4):
            assert len(set(some)) == min(4, (person == person[some[0]]).sum())
    often = np.bincount(person[np.concatenate(batches)], minlength=5)
    assert often[2] > often[4] > often[0] > 0  # the more records the more often, yet not in proportion
    assert often[2] < 20 * often[0]


def test_equal_pictures_are_found_across_both_sides():
    pictures = np.arange(4 * 6, dtype=np.uint8).reshape(4, 2, 3)
    firsts, which = pairs.distinct(pictures[[0, 1, 0, 2]], pictures[[1, 1, 3, 0]])
    assert firsts == [(0, 0), (0, 1), (0, 3), (1, 2)]
    np.testing.assert_array_equal(which, [[0, 1, 0, 2], [1, 1, 3, 0]])
    firsts, which = pairs.distinct(pictures[:0], pictures[:0])
    assert firsts == [] and which.shape == (2, 0)
