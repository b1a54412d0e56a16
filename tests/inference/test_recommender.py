"""Who took what, and from a query to the rows of the graph and back."""

import numpy as np

from apptemplates.inference import recommender
from apptemplates.inference.recommender import Catalogue, Histories, Limits

CATALOGUE = Catalogue(["a", "b", "c", "new"], 3)
LIMITS = Limits(places=4, most=4, k=2)


def names(*values):
    return np.array(values, object)


def known():
    return Histories().added(names("ann", "ann", "bob"), names("b", "a", "c"), np.array([2, 1, 3]), None)


def prepared(state=None, **columns):
    whole = {name: names("") for name in ("user", "history", "exclude", "candidates")} | {"k": np.array([np.nan])}
    return recommender.prepare(whole | columns, "user", state or known(), CATALOGUE, LIMITS)


def test_histories_are_in_the_order_of_time_and_keep_the_first_of_equals():
    state = known().added(names("ann", "bob"), names("b", "a"), np.array([9, 1]), np.array([True, False]))
    assert state.names[state.code[state.span("ann")]].tolist() == ["a", "b"]
    assert state.rows(CATALOGUE)[state.span("bob")].tolist() == [-1, 3]  # not liked, before what was
    assert state.longest() == 2 and len(state) == 2 and "cid" not in state


def test_histories_come_back_from_their_arrays():
    state = known().describing(names("a", "new"), {"kind": names("tea", "x|y"), "price": np.array([1.0, np.nan])})
    again = Histories.of(state.arrays())
    assert again.people == state.people and again.code.tolist() == state.code.tolist()
    assert again.description(["new", "b"])["kind"].tolist() == ["x|y", ""]
    assert Histories.of(Histories().arrays()).longest() == 0


def test_the_last_description_counts():
    state = (
        known()
        .describing(names("a", "b"), {"kind": names("old", "tea")})
        .describing(names("a"), {"kind": names("new")})
    )
    assert state.description(["a", "b", "c"])["kind"].tolist() == ["new", "tea", ""]
    assert state.described_names() == ["a", "b"]


def test_a_user_becomes_rows_at_the_end():
    inputs = prepared(user=names("ann"))
    assert inputs["history"].tolist() == [[0, 0, 1, 2]] and inputs["asked"].tolist() == ["user"]
    assert inputs["again"].tolist() == [0] and inputs["k"].tolist() == [2]


def test_what_finds_no_place_is_still_left_out():
    inputs = prepared(history=names("a|b|c|a|b"))
    assert inputs["history"].tolist() == [[2, 3, 1, 2]] and inputs["exclude"][0, :2].tolist() == [1, 0]


def test_sources_tell_whom_the_answer_is_for():
    said = {"a|?": "history", "new": "features", "?": "popularity (no item of the history is known)"}
    for history, source in {**said, "|": "popularity (the history is empty)"}.items():
        assert prepared(history=names(history))["asked"].tolist() == [source]
    assert prepared(user=names("cid"))["asked"].tolist() == ["popularity (user is not known)"]


def test_queries_without_answer_say_why():
    assert "neither" in prepared()["problem"][0]
    assert prepared(history=names("a"), k=np.array([9.0]))["problem"][0].startswith("'k' is 9; give a whole number")
    problem = prepared(history=names("a"), candidates=names("a|?"))["problem"][0]
    assert problem.startswith("none of the 2 candidates can be recommended")


def test_answers_are_as_long_as_asked_for():
    def call(inputs):
        n = len(inputs["k"])
        return {
            "items": np.tile(names("c", "b", ""), (n, 1)),
            "scores": np.tile([2.0, 1.0, 0.0], (n, 1)),
            "because": np.tile(names("a", ""), (n, 2, 1)),
        }

    inputs = {"k": np.array([1, 3]), "asked": names("user", "history")}
    found = recommender.respond(inputs, call, 3)
    assert found["items"].tolist() == [["c"], ["c", "b"]] and found["because"][1] == [["a"], ["a"]]
    assert found["scores"].tolist() == [[2.0], [2.0, 1.0]]
