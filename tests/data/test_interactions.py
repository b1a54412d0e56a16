"""Lines of items, what is held out, and histories packed into rows."""

import gzip
from itertools import pairwise

import numpy as np
import pytest

from apptemplates.data import interactions
from apptemplates.data.readers import read
from apptemplates.data.schema import DataError


def test_lines_of_items_are_a_table(tmp_path):
    file = tmp_path / "taken.txt.gz"
    file.write_bytes(gzip.compress(b"7 3 1 2\n\n9\n8 1\n"))
    table = read(file)
    assert {name: column.tolist() for name, column in table.items()} == {
        "user": [7, 7, 7, 8],
        "item": [3, 1, 2, 1],
        "place": [0, 1, 2, 0],
    }


def test_names_in_lines_stay_names(tmp_path):
    file = tmp_path / "taken.txt"
    file.write_text("ann 007 tea\n")
    assert read(file)["item"].tolist() == ["007", "tea"]


def test_lines_without_items_are_refused(tmp_path):
    file = tmp_path / "taken.txt"
    file.write_text("ann\nbob\n")
    with pytest.raises(DataError, match="no line holds a user and an item; lines of"):
        read(file)
    file.write_bytes(b"1 2\n1 \xff\n")
    with pytest.raises(DataError, match="line 2 is not UTF-8 text"):
        read(file)


def table(users, items, times=None):
    made = {"user": np.array(list(users), object), "item": np.array(list(items), object)}
    return made if times is None else {**made, "time": np.array(times, "datetime64[s]")}


def test_first_ones_keep_the_earliest_of_equal_pairs():
    taken = table("aabaa", "xyxxz", [5, 2, 3, 1, 4])
    assert interactions.first_ones(taken, "user", "item", "time").tolist() == [1, 2, 3, 4]
    assert interactions.first_ones(taken, "user", "item", None).tolist() == [0, 1, 2, 4]


def test_the_last_of_each_user_is_held_out():
    taken = table("abab" + "c", "xyzwq", [4, 1, 2, 3, 5])
    learn, judged = interactions.hold_out(taken, "user", "time", "last", 0)
    assert judged["item"].tolist() == ["x", "w"]  # c has a single one, from which something can be learned
    assert learn["item"].tolist() == ["y", "z", "q"]


def test_nothing_is_learned_from_the_future():
    random = np.random.default_rng(0)
    taken = table("abcd" * 25, map(str, range(100)), random.permutation(100))
    learn, judged = interactions.hold_out(taken, "user", "time", "time", 0)
    assert len(judged["user"]) == 10 and learn["time"].max() < judged["time"].min()


def test_without_times_a_tenth_of_each_user_is_held_out():
    taken = table("a" * 40 + "b" * 3 + "c", map(str, range(44)))
    for how in ("time", "some"):
        learn, judged = interactions.hold_out(taken, "user", None, how, 3)
        assert sorted(judged["user"]) == ["a"] * 4 + ["b"] and len(learn["user"]) == 39


def test_one_each_can_not_be_held_out():
    with pytest.raises(DataError, match="every one of 3 users has a single interaction"):
        interactions.hold_out(table("abc", "xyz"), "user", None, "last", 0)


def test_packed_rows_hold_every_step_once():
    random = np.random.default_rng(1)
    histories = [random.integers(1, 50, length).astype("int32") for length in (1, 2, 5, 9, 30, 3, 4)]
    rows, following = interactions.packed(histories, 8)
    steps = sorted((int(a), int(b)) for items in histories for a, b in pairwise(items))
    there = following > 0
    assert sorted(zip(rows[there].tolist(), following[there].tolist(), strict=True)) == steps
    assert ((rows == 0) == ~there).all()
    for row, after in zip(rows, following, strict=True):  # within a piece, what follows is the next item
        for place in range(7):
            if row[place] and row[place + 1]:
                assert after[place] == row[place + 1]


def test_only_the_last_step_is_asked_for():
    rows, following = interactions.packed([np.array([1, 2, 3]), np.arange(1, 20)], 8, last_only=True)
    assert sorted(following[following > 0].tolist()) == [3, 19]
    assert rows[rows > 0].min() == 1 and (rows == 18).sum() == 1


def test_the_latest_items_stand_at_the_end():
    rows = interactions.padded([np.arange(1, 6), np.array([7]), np.array([], int)], 3)
    assert rows.tolist() == [[3, 4, 5], [0, 0, 7], [0, 0, 0]] and rows.dtype == "int32"


def test_a_user_who_took_far_more_than_others_is_named():
    users = np.repeat(np.arange(60), 10).astype(str).astype(object)
    assert interactions.odd_users({"user": users}, "user") == []
    with_bot = np.append(users, np.full(900, "bot", object))
    (finding,) = interactions.odd_users({"user": with_bot}, "user")
    assert finding.code == "odd-user" and "'bot' with 900 of 1,500 interactions" in finding.message
