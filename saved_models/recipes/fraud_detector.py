"""Makes saved_models/fraud_detector/ from the real payments.

    APPTEMPLATES_DATA=... python saved_models/recipes/fraud_detector.py [folder]

Learns from every day until 2018-07-31, observes the week whose labels were not known yet, and is judged on the test
week 2018-08-08..14 without the cards known to be fraudulent. No payment is in the folder: the history is left out
(`share=True`), so observe your own payments first.
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
DAY = np.timedelta64(1, "D")


def main(folder: Path) -> None:
    """Fits, evaluates and saves."""
    payments = pd.read_parquet(Path(os.environ["APPTEMPLATES_DATA"]) / FILE)
    payments = payments[["TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_FRAUD"]]
    days = payments.TX_DATETIME.to_numpy("datetime64[D]")
    test = np.datetime64("2018-08-08")
    known, gap = days < test - 7 * DAY, (days >= test - 7 * DAY) & (days < test)

    app = at.FraudDetector(
        label="TX_FRAUD",
        time="TX_DATETIME",
        amount="TX_AMOUNT",
        entities=("CUSTOMER_ID", "TERMINAL_ID"),
    )
    app.fit(payments[known])
    app.observe(payments[gap])
    cards = set(payments.CUSTOMER_ID[known & (days >= test - 14 * DAY) & (payments.TX_FRAUD == 1)])
    app.report_ = app.evaluate(payments[(days >= test) & ~payments.CUSTOMER_ID.isin(cards)])
    print(app.report_)
    app.save(folder, share=True, licence=LICENCE)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "fraud_detector")
