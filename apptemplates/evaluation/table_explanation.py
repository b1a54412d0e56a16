"""What decided the answers about rows of a table, as one Report."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from apptemplates.evaluation import explain as parts
from apptemplates.evaluation import explanation_figures, faithfulness, metrics
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

    import tensorflow as tf

    # compiled once, since the curves ask some hundred times; traced here, since it would warn when called as it is
    signature = tf.TensorSpec((None, features.shape[1]), tf.float32)
    graph = tf.function(lambda rows: model(rows, training=False)).get_concrete_function(signature)

    def answer(rows: Any) -> Any:
        return graph(tf.convert_to_tensor(rows))

    def values(rows: np.ndarray) -> np.ndarray:
        parts = [rows[start : start + 8192].astype("float32") for start in range(0, len(rows), 8192)]
        return np.concatenate([np.asarray(answer(part)) for part in parts])

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

    checked = parts.curves(answer, features[some[:CHECKED]], attributions[some[:CHECKED]], typical, seed=seed)
    said = "this answer" if len(some) == 1 else "the answers"
    trusted = faithfulness.trust(*checked, said, "no answer differs from the usual one", seed)
    lost = "average precision lost when the column is shuffled" if judged else "mean change when the column is shuffled"
    size = pd.Series({column: np.abs(part).mean() for column, part in columns.items()}).sort_values(ascending=False)
    named, importance, pictures = size.index[:3], None, []
    if len(some) >= FEWEST:
        importance = parts.permutation_importance(score_of, list(columns), repeats=3, seed=seed)
        named = importance["column"].head(3)
        spread = importance["low"].to_numpy(), importance["high"].to_numpy()
        pictures = [
            explanation_figures.importance_bars(
                importance["column"], importance["importance"].to_numpy(), *spread, label=lost
            )
        ]
    elif len(some) == 1:
        single = np.array([column[0] for column in columns.values()])
        pictures = [explanation_figures.contribution_bars(list(columns), single)]
    return Report(
        title=f"{title}: what decided",
        kind="explanation",
        verdict=[
            f"What matters most to {said} is {', '.join(named)}.",
            trusted.sentence,
            f"The parts add up to the answer within {np.max(error):.2%} at worst.",
        ],
        table=table,
        importance=importance,
        figures=pictures + trusted.figures,
        notes={"completeness error, largest": float(np.max(error)), **trusted.notes},
        attributions={"columns": list(np.stack(list(columns.values()), axis=1))},
    )
