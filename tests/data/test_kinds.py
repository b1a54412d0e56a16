import numpy as np
import pytest

from apptemplates.data import kinds
from apptemplates.data.schema import DataError, Schema

N = 200
RNG = np.random.default_rng(0)


def objects(values):
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


@pytest.mark.parametrize(
    ("name", "column", "kind"),
    [
        ("amount", RNG.normal(size=N), "number"),
        ("rooms", RNG.integers(1, 5, N), "number"),
        ("grade", np.where(np.arange(N) % 3, 2.0, np.nan), "number"),
        ("foreign", RNG.integers(0, 2, N), "flag"),
        ("foreign", np.array([0.0, 1.0, np.nan] * 50), "flag"),
        ("foreign", RNG.random(N) < 0.5, "flag"),
        ("foreign", objects(["Yes", "no", None, "yes"]), "flag"),
        ("sex", objects(["Male", "Female"] * 50), "category"),
        ("row", np.arange(N), "id"),
        ("row", RNG.permutation(N) + 5000, "id"),
        ("encounter_id", RNG.permutation(10**6)[:N], "id"),
        ("salary", RNG.permutation(10**6)[:N], "number"),
        ("TRANSACTION_ID", np.arange(N) * 7, "id"),
        ("admission_type_id", RNG.integers(1, 9, N), "category"),
        ("CustomerID", np.where(np.arange(N) % 3, RNG.integers(1, 50, N), np.nan), "category"),
        ("paid", RNG.integers(0, 50, N), "number"),
        ("when", np.arange(N).astype("datetime64[D]"), "time"),
        ("when", objects(["2018-07-25 12:00:00", None, "2018-07-26"] * 20), "time"),
        ("when", objects(["25.07.2018", "26.07.2018"] * 20), "time"),
        ("size", objects(["1-2-3", "2-3-4"] * 20), "category"),
        ("band", objects(["25 - 45", "Greater than 45"] * 20), "category"),
        ("diagnosis", objects(["250.83", "276", "V27"] * 20), "category"),
        ("zip", objects(["00742", "10115"] * 20), "category"),
        ("price", objects(["1.5", "2", None, "7e3"] * 20), "number"),
        ("customer", objects([f"{number:04d}-ABC" for number in range(N)]), "id"),
        ("note", objects([f"the customer number {number} called about an invoice" for number in range(N)]), "text"),
        ("reason", objects(["a charge that was made twice", "a charge never made by me"] * 50), "category"),
        ("nothing", np.full(N, np.nan), "number"),
        ("nothing", objects([None] * N), "category"),
        ("embedding", np.ones((N, 3)), "vector"),
    ],
)
def test_kinds_of_columns(name, column, kind):
    field = kinds.infer({name: column})[name]
    assert field.kind == kind
    assert field.required
    assert field.missing
    Schema.of({name: field}).check("x", {name: column})  # what is inferred must read the column it came from


def test_skipped_and_overridden_columns():
    table = {"a": np.arange(N), "b": np.arange(N), "c": np.arange(N)}
    fields = kinds.infer(table, skip=["a"], override={"b": "category"})
    assert {name: field.kind for name, field in fields.items()} == {"b": "category", "c": "id"}


def test_what_no_kind_fits():
    with pytest.raises(DataError, match=r"column 'a' holds a dict .*leave it out"):
        kinds.infer({"a": objects([{"x": 1}, {"x": 2}])})
    with pytest.raises(DataError, match="there is no column 'z'; there are 'a'"):
        kinds.infer({"a": np.arange(3)}, override={"z": "number"})
    with pytest.raises(DataError, match="column 'a' can not be a 'money'"):
        kinds.infer({"a": np.arange(3)}, override={"a": "money"})
