"""Canonical columns as the inputs of a graph."""

import datetime

import numpy as np
import pytest

from apptemplates.data import synthetic
from apptemplates.data.schema import Field, Schema
from apptemplates.inference.columns import MISSING, WORDS, Column, clock, encode, entry_of, plan, words

KINDS = ("number", "flag", "category", "time", "text")


def texts(*values):
    column = np.empty(len(values), object)
    column[:] = values
    return column


def test_plan_names_every_input_plainly_and_once():
    names = ["Amount (EUR)", "amount eur", "AMOUNT-EUR", "größe", "字", "🙂", "a/b", "_x_", "history", "amount_eur_2"]
    columns = plan(dict.fromkeys(names, "number"), taken=["history"])
    entries = [column.entry for column in columns]
    assert [column.name for column in columns] == names
    assert len(set(entries)) == len(entries) and "history" not in entries
    assert all(entry.isascii() and entry.replace("_", "a").isalnum() and entry == entry.lower() for entry in entries)
    assert entries[0] == "amount_eur" and entries[4] == "column"
    assert plan(dict.fromkeys(names, "number"), taken=["history"]) == columns


def test_plan_leaves_out_what_has_no_input():
    kinds = {kind: kind for kind in (*KINDS, "id", "vector", "image", "sound")}
    assert [column.kind for column in plan(kinds)] == list(KINDS)


def test_encode_gives_what_a_graph_takes():
    table = {
        "n": np.array([1.5, np.nan, -3]),
        "f": np.array([0.0, 1.0, np.nan]),
        "c": texts("a", "", "new\nline"),
        "t": np.array(["2024-01-01T06:30", "NaT", "1969-12-31T23:00"], "datetime64[us]"),
        "x": texts("Hello hello world", "", "ÜBER"),
    }
    columns = plan(dict(zip("nfctx", KINDS, strict=True)))
    inputs = encode(columns, {**table, "unused": np.zeros(3)})
    assert list(inputs) == list("nfctx")
    np.testing.assert_array_equal(inputs["n"], np.array([1.5, np.nan, -3], "float32"))
    assert inputs["c"].tolist() == ["a", MISSING, "new\nline"] and inputs["c"].dtype == object
    for name in "nftx":
        assert inputs[name].dtype == np.float32
        assert inputs[name].shape[1:] == {"t": (2,), "x": (WORDS,)}.get(name, ())
    for column in columns:
        assert len(column.features()) == int(np.prod(inputs[column.entry].shape[1:], initial=1))
    assert table["c"].tolist() == ["a", "", "new\nline"]  # the user's own table is left as it is


def test_one_row_is_encoded_as_among_many():
    table = synthetic.payments(200)
    kinds = {"amount": "number", "channel": "category", "foreign": "flag", "time": "time", "card": "text"}
    table, _ = Schema.of({name: Field(name, kind) for name, kind in kinds.items()}).check("test", table)
    columns = plan(kinds)
    whole = encode(columns, table)
    for row in range(0, 200, 17):
        one = encode(columns, {name: column[row : row + 1] for name, column in table.items()})
        for name, column in one.items():
            np.testing.assert_array_equal(column, whole[name][row : row + 1])


@pytest.mark.parametrize(
    "text", ["2024-02-29T23:59:59", "2018-08-14T00:00:00", "1969-12-28T05:15:00", "1900-01-01T12:00"]
)
def test_clock_is_the_calendars(text):
    moment = datetime.datetime.fromisoformat(text)
    hour = moment.hour + moment.minute / 60 + moment.second / 3600
    found = clock(np.array([text], "datetime64[us]"))[0]
    assert found[0] == pytest.approx(hour, abs=1e-5) and found[1] == moment.weekday()
    assert np.isnan(clock(np.array(["NaT"], "datetime64[us]"))).all()


def test_words_are_counted_whatever_their_order_or_case():
    found = words(texts("Fraud at the ATM, the atm!", "the atm at THE fraud ATM", "", "other words"))
    assert found.shape == (4, WORDS) and found.dtype == np.float32
    np.testing.assert_array_equal(found[0], found[1])
    assert not found[2].any() and (found[3] != found[0]).any()
    assert np.expm1(found[0]).sum() == pytest.approx(6, abs=1e-4)
    # the place of a word is for ever: saved models depend on it
    assert words(texts("fraud"))[0].argmax() == 2 and words(texts("über"))[0].argmax() == 8


def test_features_say_which_column_they_come_from():
    assert Column("when", "time", "when").features() == ["hour of when", "weekday of when"]
    assert Column("n", "number", "n").features() == ["n"]
    assert Column("x", "text", "x").features() == ["x"] * WORDS


def test_the_input_that_a_column_became():
    columns = plan({"Sum (€)": "number", "temperature": "number"})
    assert entry_of(columns, "Sum (€)") == "sum" and entry_of(columns, "temperature") == "temperature_column"
