"""Fingerprints: what changes them, and that what travels with a folder holds no record."""

import numpy as np
import pytest

from apptemplates.data import synthetic
from apptemplates.data.fingerprint import describe, fingerprint, imagined, row_marks, seen_before
from apptemplates.data.table import take


def table():
    words = np.array(["a", "", "ü\n"], object)
    times = np.array(["2024-01-01", "2024-01-02", "NaT"], "datetime64[us]")
    return {"amount": np.array([1.0, np.nan, 3.0]), "word": words, "time": times, "vector": np.zeros((3, 2), "float32")}


def test_the_same_data_and_choices_have_one_fingerprint():
    first = fingerprint({"seed": 1, "epochs": 2}, table())
    assert first == fingerprint({"epochs": 2, "seed": 1}, table())
    assert len(first) == 64 and int(first, 16) >= 0


@pytest.mark.parametrize(
    "name", ["amount", "word", "time", "vector", "order", "column", "rows", "choice", "split", "moved"]
)
def test_any_change_changes_it(name):
    other, choices, rest = table(), {"seed": 1}, {}
    if name == "amount":
        other["amount"][0] = 1.0000000001
    elif name == "word":
        other["word"][0] = "b"
    elif name == "time":
        other["time"][1] += 1
    elif name == "vector":
        other["vector"][2, 1] = 1
    elif name == "order":
        other = take(other, np.array([1, 0, 2]))
    elif name == "column":
        other["sum"] = other.pop("amount")
    elif name == "rows":
        other = take(other, np.array([0, 1]))
    elif name == "choice":
        choices = {"seed": 2}
    elif name == "split":
        other, rest = take(other, np.array([0, 1])), take(other, np.array([2]))
    else:
        other["word"][:] = ["", "a", "ü\n"]
    assert fingerprint(choices, other, rest) != fingerprint({"seed": 1}, table(), {})


def test_description_counts_rows_and_tells_the_sides_apart():
    whole = table()
    first, second = take(whole, np.array([0, 1])), take(whole, np.array([2]))
    said = describe(first, second)
    assert said["rows"] == 2 and said["validation rows"] == 1
    assert said["fingerprint"] != describe(second, first)["fingerprint"]


def inputs(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    word = rng.choice(np.array(["shop", "online"], object), n)
    word[:3] = ["Jane Doe", "Max Muster", "one of a kind"]
    amount = rng.lognormal(3, 1, n).astype("float32")
    past = rng.normal([0, 50], [1, 5], (n, 2)).astype("float32")
    past[:100, 0] = np.nan
    return {"amount": amount, "past": past, "word": word, "empty": np.full(n, np.nan, "float32")}


def test_imagined_inputs_look_like_real_ones_and_are_none():
    real = inputs()
    made = imagined(real, seed=0)
    assert list(made) == list(real)
    for name, column in real.items():
        assert made[name].dtype == column.dtype and made[name].shape == (12, *column.shape[1:])
    assert set(made["word"]) <= {"shop", "online"}  # no word of fewer than ten rows
    assert np.isfinite(made["amount"]).all() and np.isfinite(made["past"]).all() and not made["empty"].any()
    assert (made["amount"] >= real["amount"].min()).all() and (made["amount"] <= real["amount"].max()).all()
    inside = (made["amount"] > real["amount"].min()) & (made["amount"] < real["amount"].max())
    assert inside.sum() >= 4 and not np.isin(made["amount"][inside], real["amount"]).any()
    assert made["past"][:, 1].mean() == pytest.approx(50, abs=5)
    again, other = imagined(real, seed=0), imagined(real, seed=1)
    assert all(np.array_equal(again[name], made[name]) for name in made)
    assert not np.array_equal(other["amount"], made["amount"])


def test_marks_know_records_again_without_telling_them():
    payments = synthetic.payments(500)
    learned, other = take(payments, np.arange(300)), take(payments, np.arange(300, 500))
    marks = row_marks(learned, {})
    assert marks.dtype == np.uint64 and len(marks) == 300
    assert seen_before(learned, {}, marks).sum() == 300 and seen_before(other, {}, marks).sum() == 0
    assert seen_before(take(payments, np.arange(250, 400)), {}, marks).sum() == 50
    assert seen_before(other, {}, None) is None
    changed = {**learned, "amount": learned["amount"] + 0.01}
    assert seen_before(changed, {}, marks).sum() == 0


def test_many_records_are_marked_by_a_sample():
    table = {"amount": np.arange(5000.0)}
    marks = row_marks(table, {}, most=1000)
    assert len(marks) == 1000 and len(np.unique(marks)) == 1000
    assert seen_before(table, {}, marks).sum() == 1000
    drawn = np.isin(row_marks(table, {}, 5000), marks)
    assert drawn.sum() == 1000
    first = seen_before(take(table, np.arange(2500)), {}, marks).sum()
    assert 400 < first < 600  # from everywhere, not from the start


def test_equal_records_are_all_seen():
    twice = {"amount": np.array([1.0, 1.0, 2.0]), "word": np.array(["a", "a", "b"], object)}
    assert seen_before(twice, {}, row_marks(take(twice, np.array([0])), {})).sum() == 2


def test_pictures_are_known_by_themselves_whatever_they_are_called():
    drawn = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)
    files = np.array([f"scan {number}.png" for number in range(20)], object)
    marks = row_marks({"image": files}, {"image": drawn})
    assert seen_before({"image": files[::-1]}, {"image": drawn}, marks).sum() == 20
    other = drawn.copy()
    other[:5, 3, 3] += 1
    assert seen_before({"image": files}, {"image": other}, marks).sum() == 15
    pairs = {"first": other[:5], "second": drawn[5:10]}  # a pair is known where one of its pictures is
    assert seen_before({}, pairs, marks).sum() == 5 and seen_before({}, pairs | {"second": other[:5]}, marks).sum() == 0


def test_imagined_pictures_are_noise():
    real = {"image": np.full((30, 6, 6, 1), 7, np.uint8)}
    made = imagined(real, seed=0)["image"]
    assert made.dtype == np.uint8 and made.shape == (12, 6, 6, 1) and made.std() > 50
