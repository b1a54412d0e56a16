"""How good yes-or-no decisions are: the numbers, the pictures and the simple method of every such application."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from apptemplates.evaluation import figures, metrics
from apptemplates.policy import Policy

Costs = tuple[float | np.ndarray, float]  # of a miss (one number or one a row) and of a needless alarm


def score(
    truth: np.ndarray, probability: np.ndarray, alarm: np.ndarray, costs: Costs | None = None
) -> dict[str, float]:
    """The numbers, by name.

    Args:
        truth: (n,) 0 or 1.
        probability: (n,) of 1.
        alarm: (n,) bool.
        costs: Of a miss and of a needless alarm, or None.
    """
    found = {
        "average precision": metrics.average_precision(truth, probability),
        "ROC AUC": metrics.roc_auc(truth, probability),
        "recall": metrics.recall(truth, alarm),
        "precision": metrics.precision(truth, alarm),
        "alarm rate": metrics.alarm_rate(alarm),
        "false alarm rate": metrics.false_alarm_rate(truth, alarm),
        "mean probability": float(np.mean(probability)) if len(probability) else float("nan"),
        "Brier score": metrics.brier(truth, probability),
        "ECE": metrics.ece(truth, probability),
    }
    return found if costs is None else found | {"cost per 1,000": metrics.cost_per_thousand(truth, alarm, *costs)}


def costs_of(policy: Policy, truth: Mapping[str, np.ndarray]) -> Costs | None:
    """The costs that a policy names, a column of the truth looked up; None where it names none."""
    miss = policy.cost_of_miss
    if miss is None:
        return None
    return truth[miss] if isinstance(miss, str) else miss, policy.cost_of_alarm or 0.0


def both(chance: np.ndarray) -> tuple[tuple[str, str], np.ndarray]:
    """The two classes, and the chance (n, 2) of each, from that of 1 (n,)."""
    return ("0", "1"), np.stack([1 - chance, chance], axis=1)


def at_stake(table: Mapping[str, np.ndarray], column: str | None) -> np.ndarray | float:
    """What is at stake (n,) in each row, by its column; 0 where no column says so."""
    return 0.0 if column is None else table[column]


def pictures(truth: np.ndarray, probability: np.ndarray, costs: Costs | None, names: tuple[str, str]) -> list[Any]:
    """Precision and recall, scores of both kinds (`names`), and cost where there are costs."""
    drawn = [
        figures.precision_recall(truth, probability),
        figures.score_histogram(truth, probability, names=names, label="probability"),
    ]
    return drawn if costs is None else [*drawn, figures.cost_curve(truth, probability, *costs)]


def fit_logistic(features: np.ndarray, truth: np.ndarray, seed: int, most: int = 50_000) -> dict[str, np.ndarray]:
    """Logistic regression as two arrays, learned from at most so many rows (n, d)."""
    from sklearn.linear_model import LogisticRegression

    drawn = np.random.default_rng(seed).permutation(len(features))[:most]
    # few columns: a handful of Newton steps come closer than a hundred gradients, in a tenth of the time
    solver = "newton-cholesky" if features.shape[1] <= 400 else "lbfgs"
    learner = LogisticRegression(C=0.1, max_iter=300, solver=solver).fit(features[drawn], truth[drawn] > 0)
    return {"weights": learner.coef_[0], "bias": learner.intercept_}


def answer_logistic(learned: dict[str, np.ndarray], features: np.ndarray) -> np.ndarray:
    """Probabilities (n,) of what `fit_logistic` learned."""
    return 1 / (1 + np.exp(-np.clip(features @ learned["weights"] + learned["bias"], -60, 60)))
