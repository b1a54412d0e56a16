"""From scores to decisions: the threshold that fits a cost, a recall, a false-alarm rate or a team's capacity.

An alarm is `score >= threshold`. Every threshold is one of the scores given (or just above the highest: no alarm), so
ties fall on one side together and a limit is never exceeded on the rows it was chosen on.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from apptemplates.policy import Policy

# a share of a count may miss a whole number by rounding: 0.29 * 100 is 28.999999999999996
ROUNDING = 1e-9
LEAST = 1e-7  # a cost of 0 has no logarithm


class Rule(NamedTuple):
    """An alarm where probability x (by_value x value + fixed) >= threshold; the numbers of the layer `Alarm`.

    Args:
        by_value: 1 where a miss costs what is at stake in the row, else 0.
        fixed: What it costs beside that.
        threshold: From which product on.
    """

    by_value: float
    fixed: float
    threshold: float

    def reached(self, chance: np.ndarray, value: np.ndarray | float) -> np.ndarray:
        """Whether (n,) chances are an alarm, with `value` at stake (n,) or in every row."""
        return np.asarray(chance * (self.by_value * value + self.fixed) >= self.threshold)

    def place(self, value: np.ndarray | float) -> np.ndarray | float:
        """The chance from which a row is an alarm, with `value` at stake."""
        return self.threshold / (self.by_value * value + self.fixed)

    def margin(self, chance: np.ndarray, value: np.ndarray | float) -> np.ndarray:
        """How far (n,) what is at stake lies above the threshold, as a logarithm."""
        weighed = np.maximum(chance.astype("float64") * (self.by_value * value + self.fixed), LEAST)
        return np.asarray(np.log(weighed) - np.log(max(self.threshold, LEAST)))


def by_cost(
    truth: np.ndarray, score: np.ndarray, cost_of_miss: float | np.ndarray, cost_of_alarm: float | np.ndarray
) -> float:
    """The threshold whose decisions cost least; of equally cheap ones, the one with the fewest alarms.

    Args:
        truth: (n,) 0 or 1.
        score: (n,) numbers, higher means more surely positive.
        cost_of_miss: what a positive without an alarm costs; a number, or (n,) one for each row (say the amount).
        cost_of_alarm: what a needless alarm costs (a review, a disturbed customer); a number or (n,).

    Returns:
        The threshold, exact in the precision of `score`.

    Raises:
        ValueError: on no rows, NaN, negative costs, a truth that is not 0 or 1.
    """
    positive, score = _checked("by_cost", truth, score)
    miss = _costs("cost_of_miss", cost_of_miss, len(score)) * positive
    alarm = _costs("cost_of_alarm", cost_of_alarm, len(score)) * ~positive
    descending = np.argsort(-score, kind="stable")
    score = score[descending]
    # cost of alarming on the k highest, relative to no alarm at all, k = 1..n
    change = np.cumsum((alarm - miss)[descending])
    last_of_tie = np.append(score[1:] != score[:-1], True)
    change, candidates = change[last_of_tie], score[last_of_tie]
    best = int(np.argmin(change))
    # rounding of a long sum is no saving
    saves = change[best] < -ROUNDING * max(1.0, float(miss.sum()))
    return float(candidates[best]) if saves else _above(score)


def by_recall(truth: np.ndarray, score: np.ndarray, recall: float) -> float:
    """The highest threshold that still finds this share of the positives.

    Args:
        truth: (n,) 0 or 1.
        score: (n,) numbers.
        recall: the least share of positives with an alarm, 0..1.

    Returns:
        The threshold, exact in the precision of `score`.

    Raises:
        ValueError: without a positive, on NaN, or a recall outside 0..1.
    """
    positive, score = _checked("by_recall", truth, score)
    _share("by_recall", "recall", recall)
    of_positives = np.sort(score[positive])
    if not len(of_positives):
        raise ValueError("by_recall: the truth holds no positive, so no recall can be reached.")
    wanted = int(np.ceil(recall * len(of_positives) - ROUNDING))
    return float(of_positives[len(of_positives) - wanted]) if wanted else _above(score)


def by_false_alarms(truth: np.ndarray, score: np.ndarray, rate: float) -> float:
    """The lowest threshold at which at most this share of the negatives raises an alarm.

    Args:
        truth: (n,) 0 or 1.
        score: (n,) numbers.
        rate: the greatest share of negatives with an alarm, 0..1.

    Returns:
        The threshold, exact in the precision of `score`.

    Raises:
        ValueError: without a negative, on NaN, or a rate outside 0..1.
    """
    positive, score = _checked("by_false_alarms", truth, score)
    _share("by_false_alarms", "rate", rate)
    of_negatives = score[~positive]
    if not len(of_negatives):
        raise ValueError("by_false_alarms: the truth holds no negative, so there is no false-alarm rate to keep.")
    return _lowest_above(score, of_negatives, int(np.floor(rate * len(of_negatives) + ROUNDING)))


def by_reviews(score: np.ndarray, per_day: float, days: float) -> float:
    """The lowest threshold that raises no more alarms than can be looked at.

    Args:
        score: (n,) numbers, all rows of the period.
        per_day: how many alarms can be looked at in a day.
        days: how many days the scores cover.

    Returns:
        The threshold, exact in the precision of `score`.

    Raises:
        ValueError: on no rows, NaN, a negative capacity, or no days.
    """
    score = _scores("by_reviews", score)
    if not per_day >= 0 or not days > 0:
        raise ValueError(f"by_reviews: per_day must be >= 0 and days > 0, received {per_day!r} and {days!r}.")
    return _lowest_above(score, score, int(min(np.floor(per_day * days + ROUNDING), len(score))))


def by_policy(policy: Policy, held_out: Mapping[str, np.ndarray]) -> Rule:
    """The rule by which to alarm.

    Costs weigh a calibrated probability as it is; a capacity or a rate is met on held-out rows.

    Args:
        policy: `cost_of_miss` (a number, or the name of the value's column) and `cost_of_alarm`, or `reviews_per_day`,
            or `alarm_rate`.
        held_out: `probability` (n,) of held-out rows; where known, what a miss costs in each of them, `record amount`
            (n,), and how many `days` (1,) they cover.

    Raises:
        ValueError: `reviews_per_day` where there is no time.
    """
    by_value = isinstance(policy.cost_of_miss, str)
    probability, value, days = held_out["probability"], held_out.get("record amount"), held_out.get("days")
    allowed = None if policy.alarm_rate is None else policy.alarm_rate * len(probability)
    if policy.reviews_per_day is not None:
        if days is None:
            raise ValueError("policy reviews_per_day needs the time of each row; give alarm_rate instead.")
        allowed = policy.reviews_per_day * float(days[0])
    if allowed is None:
        cost = 1.0 if policy.cost_of_alarm is None else policy.cost_of_alarm
        miss = cost if policy.cost_of_miss is None else policy.cost_of_miss
        return Rule(1.0, cost, cost) if isinstance(miss, str) else Rule(0.0, 1.0, cost / max(cost + miss, 1e-9))
    if by_value and value is None:
        raise ValueError("policy cost_of_miss names a column, but this folder was shared without it; give a number.")
    if not 0 < allowed < len(probability):
        return Rule(0.0, 1.0, 0.0 if allowed > 0 else 2.0)  # all or none, of whatever will be asked
    scores = probability if value is None or not by_value else probability * value
    return Rule(float(by_value), float(not by_value), by_reviews(scores.astype("float32"), allowed, 1.0))


def by_odds(policy: Policy, odds: np.ndarray, case: np.ndarray) -> tuple[float, float]:
    """Where log odds count as a case, and how far on both sides of it they are too close to call.

    Costs set the chance from which an alarm pays; a least sensitivity or specificity is kept with one case to spare, so
    that it holds on average for new rows too. Of both, what lies between the two thresholds is too close to call.

    Args:
        policy: `cost_of_miss` and `cost_of_alarm` (numbers), or `min_sensitivity` and `min_specificity`.
        odds: (n,) log odds of held-out rows.
        case: (n,) bool, whether each was one.

    Reference: Angelopoulos et al., 2022, Conformal Risk Control, arXiv:2208.02814.
    """
    costs = fixed_costs(policy)
    if costs is not None:
        miss, alarm = costs
        return float(np.log(max(alarm, LEAST)) - np.log(max(miss, LEAST))), 0.0
    low = high = None
    if policy.min_sensitivity is not None:
        cases = int(case.sum())
        wanted = min(1.0, policy.min_sensitivity * (cases + 1) / max(cases, 1))  # one case to spare
        low = by_recall(case, odds, wanted) if cases else float(odds.min())
    if policy.min_specificity is not None:
        others = int((~case).sum())
        allowed = max(0.0, 1 - policy.min_specificity * (others + 1) / max(others, 1))
        high = by_false_alarms(case, odds, allowed) if others else float(odds.max())
    if low is None or high is None:
        return (low if high is None else high), 0.0  # type: ignore[return-value]
    return (low + high) / 2, max(0.0, (high - low) / 2)


def fixed_costs(policy: Policy) -> tuple[float, float] | None:
    """What a miss and a needless alarm cost, where both are numbers and at least one is named; else None."""
    if policy.cost_of_miss is None and policy.cost_of_alarm is None:
        return None
    alarm = 1.0 if policy.cost_of_alarm is None else policy.cost_of_alarm
    return alarm if policy.cost_of_miss is None else float(policy.cost_of_miss), alarm


def _lowest_above(score: np.ndarray, limited: np.ndarray, allowed: int) -> float:
    """The lowest score that leaves at most `allowed` of the limited ones at or above it."""
    if allowed >= len(limited):
        return float(score.min())
    place = len(limited) - 1 - allowed
    first_refused = np.partition(limited, place)[place]
    enough = score[score > first_refused]
    return float(enough.min()) if len(enough) else _above(score)


def _above(score: np.ndarray) -> float:
    """The next number above every score, in their own precision: no alarm, and still finite."""
    return float(np.nextafter(score.max(), score.dtype.type(np.inf)))


def _scores(owner: str, score: np.ndarray) -> np.ndarray:
    score = np.asarray(score)
    if score.dtype.kind != "f":
        score = score.astype(np.float64)
    if score.ndim != 1 or not len(score):
        raise ValueError(f"{owner}: score has shape {score.shape}; expected (n,) with at least one row.")
    if not np.isfinite(score).all():
        row = int(np.argmin(np.isfinite(score)))
        raise ValueError(f"{owner}: score {score[row]} in row {row} is not finite; expected numbers.")
    return score


def _checked(owner: str, truth: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth, score = np.asarray(truth), _scores(owner, score)
    if truth.shape != score.shape:
        raise ValueError(f"{owner}: truth has shape {truth.shape} and score {score.shape}; expected the same (n,).")
    if truth.dtype != bool and not np.all((truth == 0) | (truth == 1)):
        raise ValueError(f"{owner}: truth must be 0 or 1; the arguments are (truth, score).")
    return truth.astype(bool), score


def _costs(name: str, cost: float | np.ndarray, rows: int) -> np.ndarray:
    cost = np.asarray(cost, np.float64)
    if cost.shape not in ((), (rows,)):
        raise ValueError(f"by_cost: {name} has shape {cost.shape}; expected a number or ({rows},), one for each row.")
    if not np.all(cost >= 0) or not np.isfinite(cost).all():
        raise ValueError(f"by_cost: {name} must be finite and >= 0 in every row.")
    return np.broadcast_to(cost, (rows,))


def _share(owner: str, name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{owner}: {name} must lie in 0..1, received {value!r}.")
