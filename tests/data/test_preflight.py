import time

import numpy as np
import pytest

from apptemplates.data import kinds, synthetic
from apptemplates.data.preflight import inspect
from apptemplates.data.schema import Field

ROLES = {
    "time": Field("time", "time"), "amount": Field("amount", low=0), "fraud": Field("fraud", "flag"),
    "region": Field("region", "category", sensitive=True),
}  # fmt: skip


def findings(change=None, n=2000, **options):
    table = synthetic.payments(n)
    table.update(change(table) if change else {})
    fields = {**ROLES, **kinds.infer(table, skip=ROLES)}
    return inspect(table, fields, label="fraud", time="time", **options)


def one(found, code):
    matching = [finding for finding in found if finding.code == code]
    assert len(matching) == 1, [finding.code for finding in found]
    assert matching[0].message.endswith(".")
    assert matching[0].fix.endswith(".")
    return matching[0]


def test_sound_records_give_no_finding():
    assert findings() == []


@pytest.mark.parametrize(
    ("change", "code", "severity", "place", "part"),
    [
        (lambda t: {"one": np.full(2000, 7)}, "constant-column", "warning", "one", "same value in all 2,000 rows"),
        (lambda t: {"none": np.full(2000, np.nan)}, "empty-column", "warning", "none", "no value in any row"),
        (lambda t: {"key": np.arange(2000)}, "id-like-column", "warning", "key", "2,000 different values"),
        (
            lambda t: {"code": np.array([f"c{n}" for n in range(1500)] + ["c1"] * 500, dtype=object)},
            "many-categories", "warning", "code", "1,500 different categories",
        ),
        (
            lambda t: {"half": np.where(np.arange(2000) % 4 > 0, np.nan, 1.5 * np.arange(2000))},
            "missing-values", "warning", "half", "1,500 missing values (75.0% of the rows)",
        ),
        (lambda t: {"scenario": t["fraud"] * 3}, "leaking-column", "warning", "scenario", "AUC 1.000"),
        (
            lambda t: {"refunded": np.where(t["fraud"] == 1, "refund", "none").astype(object)},
            "leaking-column", "warning", "refunded", "predicts 'fraud' almost perfectly",
        ),
        (
            lambda t: {"closed": np.where(t["fraud"] == 1, t["amount"], np.nan)},
            "leaking-column", "warning", "closed", "predicts 'fraud'",
        ),
        (lambda t: {"time": t["time"][::-1]}, "unsorted-times", "note", "time", "goes back in time 1,999 times"),
        (lambda t: {"time": np.repeat(t["time"][:1], 2000)}, "one-instant", "error", "time", "at one moment"),
        (lambda t: {"time": np.arange(2000)}, "times-near-1970", "warning", "time", "seconds since 1970"),
        (lambda t: {"fraud": np.zeros(2000)}, "one-class", "error", "fraud", "is 0 in all 2,000 rows"),
        (
            lambda t: {"fraud": (np.arange(2000) < 5).astype(int)},
            "rare-class", "warning", "fraud", "fewer than 20 rows: 1 (5)",
        ),
        (lambda t: {"fraud": np.arange(2000) % 3}, "bad-values", "error", "fraud", "666 values other than 0 and 1"),
        (
            lambda t: {"fraud": np.where(np.arange(2000) < 9, np.nan, t["fraud"])},
            "missing-values", "error", "fraud", "9 missing values",
        ),
        (lambda t: {"amount": -t["amount"]}, "bad-values", "error", "amount", "has 2,000 values below 0"),
        (
            lambda t: {"amount": np.where(np.arange(2000) == 4, np.inf, t["amount"])},
            "infinite-values", "error", "amount", "1 value infinite, in row 4",
        ),
        (
            lambda t: {"note": np.array(["a" * 10_000, "b"] * 1000, dtype=object)},
            "long-strings", "error", "note", "longer than 1,000 characters",
        ),
    ],
)  # fmt: skip
def test_each_fault_has_its_finding(change, code, severity, place, part):
    finding = one(findings(change), code)
    assert (finding.severity, finding.place) == (severity, place)
    assert part in finding.message


def test_copies_and_few_rows():
    table = {name: np.concatenate([column[:50], column[:50]]) for name, column in synthetic.payments(100).items()}
    found = inspect(table, {**ROLES, **kinds.infer(table, skip=ROLES)}, label="fraud")
    assert one(found, "duplicate-rows").message == "50 of 100 rows are exact copies of an earlier row."
    assert one(found, "few-rows").severity == "warning"
    few = inspect({"a": np.arange(3.0)}, {"a": Field("a")})
    assert one(few, "few-rows").severity == "error"


def test_errors_come_first():
    found = findings(lambda t: {"time": t["time"][::-1], "fraud": np.zeros(2000), "one": np.full(2000, 7)})
    order = [("error", "warning", "note").index(finding.severity) for finding in found]
    assert order == sorted(order)


def test_a_hundred_thousand_categories_and_rows_in_seconds():
    rng = np.random.default_rng(0)
    table = {f"n{place}": rng.normal(size=100_000) for place in range(10)}
    table |= {f"c{place}": rng.integers(0, 100_000, 100_000).astype(str).astype(object) for place in range(9)}
    table["label"] = rng.integers(0, 2, 100_000)
    fields = {name: Field(name, {"n": "number", "c": "category", "l": "flag"}[name[0]], missing=True) for name in table}
    start = time.perf_counter()
    found = inspect(table, fields, label="label")
    assert time.perf_counter() - start < 10  # 5 s on an idle machine
    assert {finding.code for finding in found} == {"many-categories"}
