"""What decided the answers about rows of a table, as one Report."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from apptemplates.evaluation import explain as parts
from apptemplates.evaluation import figures, metrics
from apptemplates.evaluation.report import Report

MOST_ROWS = 2_000  # rows that importance is measured on; attributions are given for every row
FEWEST = 20  # rows below which shuffling among them says nothing
CHECKED = 200  # rows that the explanation's faithfulness is measured on


def explain(
    title: str,
    model: Any,
    features: np.ndarray,
    typical: np.ndarray,
    owners: Sequence[str],
    truth: np.ndarray | None,
    seed: int,
) -> Report:
    """Attributions of every answer to columns, the importance of columns to the model, and how far to trust both.

    Args:
        title: Of the application.
        model: `keras.Model` from features (n, d) to one number (n,), such as a logit.
        features: (n, d) float32 rows to explain.
        typical: (d,) a row that says nothing, such as the median one.
        owners: d names, the column each feature comes from.
        truth: (n,) 0 or 1, or None; with both classes there, importance is the average precision lost, else the mean
            change of the answer.
        seed: Of the shuffles.

    Returns:
        A Report: `table` has a row for each explained row, the answer and what each column added to it.
    """

    def answer(rows: Any) -> Any:
        return model(rows, training=False)

    def values(rows: np.ndarray) -> np.ndarray:
        return np.concatenate([np.asarray(answer(rows[i : i + 8192])) for i in range(0, len(rows), 8192)])

    typical = typical.astype("float32")
    attributions, error = parts.integrated_gradients(answer, features, typical)
    columns = parts.by_column(attributions, list(owners))
    table = pd.DataFrame({"answer": values(features), **columns})
    random = np.random.default_rng(seed)
    some = np.sort(random.permutation(len(features))[:MOST_ROWS])
    judged = truth is not None and 0 < truth[some].sum() < len(some)
    before = values(features[some])

    def score_of(column: str | None, order: np.random.Generator) -> float:
        rows = features[some]
        if column is not None:
            own = [i for i, owner in enumerate(owners) if owner == column]
            rows = rows.copy()
            rows[:, own] = rows[order.permutation(len(rows))][:, own]
        after = values(rows)
        if judged and truth is not None:
            return metrics.average_precision(truth[some], after)
        return -float(np.abs(after - before).mean())

    trust = parts.faithfulness(answer, features[some[:CHECKED]], attributions[some[:CHECKED]], typical, seed=seed)
    lost = "average precision lost when the column is shuffled" if judged else "mean change when the column is shuffled"
    size = pd.Series({column: np.abs(part).mean() for column, part in columns.items()}).sort_values(ascending=False)
    named, importance, pictures = size.index[:3], None, []
    if len(some) >= FEWEST:
        importance = parts.permutation_importance(score_of, list(columns), repeats=3, seed=seed)
        named = importance["column"].head(3)
        spread = importance["low"].to_numpy(), importance["high"].to_numpy()
        pictures = [
            figures.importance_bars(importance["column"], importance["importance"].to_numpy(), *spread, label=lost)
        ]
    elif len(some) == 1:
        single = np.array([column[0] for column in columns.values()])
        pictures = [figures.contribution_bars(list(columns), single)]
    pictures.append(figures.deletion(trust["curve"], trust["random_curve"]))
    # one answer has no interval: there the two numbers themselves are compared
    better = trust["better"] if np.isfinite(trust["difference"].low) else trust["deletion"] < trust["random"]
    trusted = (
        "The explanation says more than chance about what moves an answer: taking away what it names first undoes the "
        "answer sooner than a random order does."
        if better
        else "Do not rely on the explanation of single answers: taking away what it names first undoes the answer no "
        "sooner than a random order does."
    )
    return Report(
        title=f"{title}: what decided",
        kind="explanation",
        verdict=[
            f"What matters most to {'this answer' if len(some) == 1 else 'the answers'} is {', '.join(named)}.",
            trusted,
            f"The parts add up to the answer within {np.max(error):.2%} at worst.",
        ],
        table=table,
        importance=importance,
        figures=pictures,
        notes={
            "completeness error, largest": float(np.max(error)),
            "deletion score": trust["deletion"],
            "deletion score of random orders": trust["random"],
            "difference": trust["difference"],
            "better than random": bool(better),
        },
    )
