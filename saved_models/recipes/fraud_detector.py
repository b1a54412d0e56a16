"""Makes saved_models/fraud_detector/ from the real payments.

    APPTEMPLATES_DATA=... python saved_models/recipes/fraud_detector.py [folder]

Learns from every day until 2018-07-31, observes the week whose labels were not known yet, and is judged on the test
week 2018-08-08..14 without the cards known to be fraudulent by then (58,264 rows). No payment is in the folder: the
history is left out (`share=True`), so observe your own payments first.
"""

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import apptemplates as at

FILE = "tabular/fraud_transactions/transactions_2018-06-18_2018-08-14.parquet"
LICENCE = (
    "simulated card payments of the Fraud Detection Handbook (Le Borgne et al., 2022), published without a licence for "
    "the data; only weights learned from them are here, under Apache-2.0, and no payment"
)
WEEK = np.timedelta64(7, "D")
TEST = np.datetime64("2018-08-08", "us")  # first day of the test week


def payments() -> pd.DataFrame:
    """All payments; what would give the answer away (TX_FRAUD_SCENARIO) or says nothing is left out."""
    table = pd.read_parquet(Path(os.environ["APPTEMPLATES_DATA"]) / FILE)
    return table[["TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_FRAUD"]]


def between(table: pd.DataFrame, start: str | np.datetime64, days: int) -> np.ndarray:
    """Which rows are of the days from `start` on."""
    times, start = table.TX_DATETIME.to_numpy(), np.datetime64(start, "us")
    return (times >= start) & (times < start + np.timedelta64(days, "D"))


def judged_rows(table: pd.DataFrame, start: np.datetime64) -> np.ndarray:
    """Rows of the week from `start`, without cards known to be fraudulent by then."""
    learned = between(table, start - 2 * WEEK, 7)
    frauds = table.TX_FRAUD.to_numpy() == 1
    cards = table.CUSTOMER_ID.to_numpy()
    known = set(cards[learned & frauds])
    keep = np.zeros(len(table), bool)
    for day in range(7):
        known |= set(cards[between(table, start + np.timedelta64(day - 8, "D"), 1) & frauds])
        today = between(table, start + np.timedelta64(day, "D"), 1)
        keep[today] = ~np.isin(cards[today], list(known))
    return keep


def main(folder: Path) -> None:
    """Fits, evaluates and saves."""
    table = payments()
    app = at.FraudDetector(
        label="TX_FRAUD",
        time="TX_DATETIME",
        amount="TX_AMOUNT",
        entities=("CUSTOMER_ID", "TERMINAL_ID"),
    )
    app.fit(table[table.TX_DATETIME.to_numpy() < TEST - WEEK])
    app.observe(table[between(table, TEST - WEEK, 7)])
    app.report_ = app.evaluate(table[judged_rows(table, TEST)])
    print(app.report_)
    app.save(folder, share=True, licence=LICENCE)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "fraud_detector")
