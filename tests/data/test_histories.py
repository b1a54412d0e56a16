"""What people liked as rows of a catalogue, and what followed."""

import numpy as np
import pytest

from apptemplates.data import histories
from apptemplates.data.schema import DataError
from apptemplates.inference.recommender import Catalogue, Histories

CATALOGUE = Catalogue(["tea", "milk", "cake", "new"], 3)


def taken(users, items, times, liked=None):
    columns = np.array(list(users), object), np.array(items, object), np.array(times)
    return Histories().added(*columns, None if liked is None else np.array(liked, bool))


BEFORE = taken("aab", ["tea", "milk", "cake"], [1, 2, 3], [1, 0, 1])
AFTER = taken("acab", ["tea", "new", "cake", "other"], [6, 5, 4, 7])


def test_rows_are_those_of_learned_items_that_were_liked():
    assert histories.liked_names(BEFORE) == ["tea", "cake"] and histories.liked_names(Histories()) == []
    rows = histories.liked_rows(AFTER, CATALOGUE)
    assert {user: found.tolist() for user, found in rows.items()} == {"a": [3, 1], "c": [], "b": []}
    assert [found.tolist() for found in histories.everybody(AFTER, CATALOGUE)] == [[3, 1]]


def test_what_followed_was_not_taken_before():
    found = histories.followed(AFTER, BEFORE, CATALOGUE)
    assert {user: rows.tolist() for user, rows in found.items()} == {"a": [3], "c": [], "b": []}
    assert histories.judgeable(histories.liked_rows(BEFORE, CATALOGUE), found) == ["a"]


def test_trials_name_what_would_have_been_right():
    people, truth = histories.trials(AFTER, BEFORE)
    assert people.tolist() == ["a", "c", "b"]
    assert truth["taken"].tolist() == ["cake", "new", "other"] and truth["begins"].tolist() == [4, 5, 7]


def test_a_catalogue_grows_by_what_is_liked_and_what_is_known_by_nothing_else():
    known = Catalogue(["tea", "milk", "late", "described", "cake"], 2)
    grown = histories.grown(known, ["tea", "cake"], ["described", "cake"])
    assert grown.names == ["tea", "milk", "cake", "late", "described"] and grown.learned == 4
    same = histories.grown(CATALOGUE, ["tea"], ["new"])
    assert (same.names, same.learned) == (CATALOGUE.names, 3)


def test_rows_of_names_however_they_are_written():
    numbers = Catalogue(["7", "8"], 2)
    assert histories.rows_of("it", numbers, [8, "7", 7.0]).tolist() == [2, 1, 1]
    with pytest.raises(DataError, match="it: item '9' is not known; it was neither learned from nor described"):
        histories.rows_of("it", numbers, [9])
