"""The public tables that later templates learn from, read as they come."""

import time

from apptemplates.data import kinds
from apptemplates.data.readers import read
from apptemplates.data.schema import Field, Schema

ADULT = [
    "age", "workclass", "weight", "education", "years", "marital", "occupation", "relationship", "race", "sex",
    "gain", "loss", "hours", "country", "income",
]  # fmt: skip


def kinds_of(table):
    return {name: field.kind for name, field in kinds.infer(table).items()}


def test_adult_marks_missing_values_with_a_question_mark(real_data):
    table = read(real_data / "tabular" / "adult" / "adult-train.csv.gz", names=ADULT)
    assert len(table["age"]) == 32_561
    assert sum(value is None for value in table["workclass"]) == 1_836
    assert [name for name, kind in kinds_of(table).items() if kind == "number"] == [
        "age", "weight", "years", "gain", "loss", "hours"
    ]  # fmt: skip


def test_telco_has_blanks_in_a_column_of_numbers(real_data):
    table = read(real_data / "tabular" / "telco_churn" / "Telco-Customer-Churn.csv.gz")
    found = kinds_of(table)
    assert table["TotalCharges"].dtype.kind == "f"
    assert found["TotalCharges"] == "number"
    assert found["customerID"] == "id"
    assert found["Churn"] == found["SeniorCitizen"] == "flag"
    assert found["Contract"] == "category"


def test_german_credit_has_codes(real_data):
    table = read(real_data / "tabular" / "german_credit" / "german.csv", names=[f"a{place}" for place in range(21)])
    found = kinds_of(table)
    assert set(found.values()) == {"category", "number"}
    assert found["a0"] == "category"
    assert found["a4"] == "number"


def test_half_a_million_payments_are_read_and_checked_in_two_seconds(real_data):
    schema = Schema(
        TX_DATETIME=Field("time of payment", "time"), TX_AMOUNT=Field("amount", low=0), CUSTOMER_ID=Field("card", "id"),
        TERMINAL_ID=Field("terminal", "id"), TX_FRAUD=Field("fraud", "flag"), TRANSACTION_ID=Field("number", "id"),
    )  # fmt: skip
    path = real_data / "tabular" / "fraud_transactions" / "transactions_2018-06-18_2018-08-14.parquet"

    def seconds():
        start = time.perf_counter()
        columns, _ = schema.check("FraudDetector", read(path))
        assert len(columns["TX_FRAUD"]) == 555_712
        assert columns["TX_FRAUD"].sum() == 4_960
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 2
