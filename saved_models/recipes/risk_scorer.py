"""Makes saved_models/risk_scorer/ from the real census table Adult (does somebody earn more than 50,000 dollars?).

    APPTEMPLATES_DATA=... python saved_models/recipes/risk_scorer.py [folder]

Learns from the official training part and is judged by the official test part (16,281 people), also by sex and race,
which are no features. No row of the table is in the folder.
"""

import os
import sys
from pathlib import Path

import pandas as pd

import apptemplates as at

LICENCE = (
    "Adult (Becker and Kohavi, 1996), UCI Machine Learning Repository, CC BY 4.0; only weights learned from it are here"
)
COLUMNS = [
    *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship"),
    *("race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income"),
]


def people(part: str) -> pd.DataFrame:
    """The official training or test part; `?` is missing."""
    path = Path(os.environ["APPTEMPLATES_DATA"]) / "tabular" / "adult" / f"adult-{part}.csv.gz"
    frame = pd.read_csv(path, names=COLUMNS, skipinitialspace=True, na_values="?")
    return frame.assign(income=frame.income.str.rstrip("."))


def main(folder: Path) -> None:
    """Fits, evaluates and saves."""
    app = at.RiskScorer(label="income", event=">50K", sensitive=("sex", "race"), immutable=("age", "native-country"))
    app.fit(people("train"))
    app.report_ = app.evaluate(people("test"), by=("sex", "race"))
    print(app.report_)
    app.save(folder, share=True, licence=LICENCE)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "risk_scorer")
