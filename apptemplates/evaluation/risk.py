"""From the odds of a risk to a decision or "ask a human", and how good such decisions are for everyone."""

from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from apptemplates.evaluation import binary, calibration, figures, metrics, selective, thresholds
from apptemplates.evaluation.certainty import Stated
from apptemplates.policy import Policy

HIGH, LOW, ASK = "high risk", "low risk", "ask a human"
WISHES = ("cost_of_miss", "cost_of_alarm", "min_sensitivity", "min_specificity")
FEWEST = 50  # held-out rows of a group from which its threshold is set


def blend(truth: np.ndarray, deep: np.ndarray, linear: np.ndarray) -> tuple[float, np.ndarray]:
    """The share of the network in a blend with a linear model, by the log loss of held-out rows, and its logits.

    Args:
        truth: (n,) 0 or 1.
        deep: (n,) logits of the network.
        linear: (n,) logits of the linear model.
    """
    best = (float("inf"), 1.0, deep)
    for share in np.linspace(1.0, 0.0, 11):
        logits = share * deep + (1 - share) * linear
        chance = 1 / (1 + np.exp(-np.clip(logits / calibration.fit_temperature(truth, logits), -60, 60)))
        best = min(best, (metrics.log_loss(truth, chance), float(share), logits), key=lambda one: one[0])
    return best[1], best[2]


class Decision(NamedTuple):
    """The numbers of a decision; see the layer `Weighed`.

    Args:
        by_value: 1 where a miss costs what is at stake in the row, else 0.
        offset: Added to the log odds of everyone.
        of_group: Added to those of each group, by name.
        least: How sure an answer must be, in 0.5..1, so that nobody needs to be asked.
    """

    by_value: float
    offset: float
    of_group: dict[str, float]
    least: float


def decide(
    policy: Policy,
    odds: np.ndarray,
    truth: np.ndarray,
    value: np.ndarray | None = None,
    group: np.ndarray | None = None,
    parity: float = 0.0,
) -> Decision:
    """The decision that a policy asks for, from held-out rows.

    Args:
        policy: Costs, or a least sensitivity or specificity, or an alarm rate; and what is to be referred.
        odds: (n,) log odds, calibrated.
        truth: (n,) 0 or 1.
        value: (n,) what is at stake, or None.
        group: (n,) names, or None.
        parity: Share of the gap between the groups' rates of alarms that their thresholds close, 0..1.

    Raises:
        ValueError: The policy weighs a value that is not known here.
    """
    by_value = float(isinstance(policy.cost_of_miss, str))
    margin = odds.astype("float64")
    if by_value:
        if value is None:
            raise ValueError(
                "policy cost_of_miss names a column, but this folder was shared without it; give a number."
            )
        margin = margin + np.log(np.maximum(value, 1e-6))
        place, apart = float(np.log(max(policy.cost_of_alarm or 1.0, thresholds.LEAST))), 0.0
    elif policy.alarm_rate is not None:
        allowed = int(policy.alarm_rate * len(margin))
        place, apart = thresholds.by_reviews(margin, allowed, 1.0), 0.0
    elif any(getattr(policy, name) is not None for name in WISHES):
        place, apart = thresholds.by_odds(policy, margin, truth > 0)
    else:
        place, apart = 0.0, 0.0  # both errors count the same
    margin = margin - place
    of_group = {} if group is None or not parity else group_offsets(margin, group, parity)
    if of_group:
        margin = margin + np.array([of_group.get(name, 0.0) for name in group])  # type: ignore[union-attr]
    sure = sureness(margin)
    least = 0.0 if apart == 0 else float(1 / (1 + np.exp(-apart)))
    if policy.refer_rate is not None:
        least = max(least, selective.least_by_rate(sure, policy.refer_rate))
    if policy.max_error is not None:
        kept = selective.least_by_error((margin >= 0) != (truth > 0), sure, policy.max_error)
        least = 2.0 if kept is None else max(least, kept)
    return Decision(by_value, -place, of_group, least)


def log_odds(chance: np.ndarray | float) -> np.ndarray:
    """Log odds of chances, kept finite."""
    chance = np.clip(np.asarray(chance, "float64"), 1e-9, 1 - 1e-9)
    return np.asarray(np.log(chance) - np.log1p(-chance))


def sureness(margin: np.ndarray) -> np.ndarray:
    """How sure (n,) a decision is, 0.5..1, from its margin in log odds."""
    return np.asarray(1 / (1 + np.exp(-np.abs(np.clip(margin, -60, 60)))), "float32")


def stated(
    decided: np.ndarray, margin: np.ndarray, truth: np.ndarray, chance: np.ndarray, temperature: float
) -> Stated:
    """What was decided, and how sure that was.

    Args:
        decided: (n,) bool, as if nobody was asked.
        margin: (n,) in log odds, >= 0 where it is true.
        truth: (n,) 0 or 1.
        chance: (n,) of 1, calibrated by `temperature`.
    """
    return Stated(
        wrong=decided != (truth > 0), sure=sureness(margin), truth=truth, chances=chance, temperature=temperature
    )


def group_offsets(margin: np.ndarray, group: np.ndarray, parity: float) -> dict[str, float]:
    """What to add to each group's margin so that their rates of margins >= 0 come together.

    Groups of fewer than 50 rows keep what they have: nothing can be said of them.

    Args:
        margin: (n,) of held-out rows.
        group: (n,) names.
        parity: Share of the way to the rate of all, 0..1.

    Reference: Hardt et al., 2016, Equality of Opportunity in Supervised Learning, arXiv:1610.02413 (a threshold for
    each group).
    """
    names, counts = np.unique(group.astype(str), return_counts=True)
    overall, found = float((margin >= 0).mean()), {}
    for name in names[(counts >= FEWEST) & (names != "")]:
        own = np.sort(margin[group == name])
        rate = float((own >= 0).mean())
        wanted = rate + parity * (overall - rate)
        number = round(wanted * len(own))
        if number == round(rate * len(own)):
            found[str(name)] = 0.0
            continue
        if number == 0:
            found[str(name)] = -float(own[-1]) - 1e-6
        elif number == len(own):
            found[str(name)] = -float(own[0]) + 1e-6
        else:  # in the middle of the gap, so that new rows fall on either side as these do
            found[str(name)] = -float(own[len(own) - number] + own[len(own) - number - 1]) / 2
    return found


def score(
    truth: np.ndarray, probability: np.ndarray, decision: np.ndarray, costs: binary.Costs | None
) -> dict[str, float]:
    """The numbers, by name; those of decisions among the answers that ask nobody.

    Args:
        truth: (n,) 0 or 1.
        probability: (n,) of 1.
        decision: (n,) words.
        costs: Of a miss and of a needless alarm, or None.
    """
    kept, alarm = decision != ASK, decision == HIGH
    found = {
        "ROC AUC": metrics.roc_auc(truth, probability),
        "average precision": metrics.average_precision(truth, probability),
        "accuracy": metrics.accuracy(truth[kept], alarm[kept]),
        "recall": metrics.recall(truth[kept], alarm[kept]),
        "false alarm rate": metrics.false_alarm_rate(truth[kept], alarm[kept]),
        "precision": metrics.precision(truth[kept], alarm[kept]),
        "alarm rate": metrics.alarm_rate(alarm[kept]),
        "mean probability": float(np.mean(probability)) if len(probability) else float("nan"),
        "log loss": metrics.log_loss(truth, probability),
        "Brier score": metrics.brier(truth, probability),
        "ECE": metrics.ece(truth, probability),
        "referred": float(1 - kept.mean()) if len(kept) else float("nan"),
    }
    if costs is not None:
        miss = costs[0] if np.ndim(costs[0]) == 0 else np.asarray(costs[0])[kept]
        found["cost per 1,000"] = metrics.cost_per_thousand(truth[kept], alarm[kept], miss, costs[1])
    return found


def frontier(truth: np.ndarray, margin: np.ndarray, group: np.ndarray) -> list[tuple[float, float, float]]:
    """What closing the gap between groups costs: share closed, gap in the rate of alarms, accuracy; for 11 shares."""
    found = []
    for share in np.linspace(0, 1, 11):
        offsets = group_offsets(margin, group, float(share))
        alarm = margin + np.array([offsets.get(str(name), 0.0) for name in group]) >= 0
        found.append((float(share), gap(alarm, group), metrics.accuracy(truth, alarm)))
    return found


def gap(alarm: np.ndarray, group: np.ndarray) -> float:
    """How far the rates of alarms of the groups lie apart, groups of fewer than 50 rows left out."""
    names, counts = np.unique(group.astype(str), return_counts=True)
    rates = [float(alarm[group == name].mean()) for name in names[(counts >= FEWEST) & (names != "")]]
    return max(rates) - min(rates) if len(rates) > 1 else float("nan")


def frontier_figures(
    truth: np.ndarray, margin: np.ndarray, decided: np.ndarray, group: np.ndarray, column: str, alarm: str
) -> list[Figure]:
    """Accuracy against the gap between groups, with the decision in use as a point; none where there is one group.

    Args:
        truth: (n,) 0 or 1.
        margin: (n,) before any group's offset.
        decided: (n,) bool, the decision in use.
        group: (n,) names.
        column: What the groups are of.
        alarm: What the decision is called.
    """
    points = np.array([(gap_, accuracy) for _, gap_, accuracy in frontier(truth, margin, group)])
    if not np.isfinite(points).all():
        return []
    drawn, axes = figures.blank(
        "What equal treatment costs",
        f"Accuracy and the gap between the groups of {column} in the rate of {alarm}, for thresholds by group that "
        "close nothing (right) to all of the gap (left). The diamond is the decision in use.",
    )
    axes.plot(points[:, 0], points[:, 1], marker="o", color="#1f5a8c")
    figures.mark_point(axes, gap(decided, group), metrics.accuracy(truth, decided), "decision in use")
    axes.set_xlabel(f"gap in the rate of {alarm}")
    axes.set_ylabel("accuracy")
    axes.legend(frameon=False)
    return [drawn]
