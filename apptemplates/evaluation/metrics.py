"""How good answers are, as single numbers; pure, fast enough to be bootstrapped, NaN where a number is undefined.

Every function takes the truth first. They are plain NumPy because a bootstrap calls them hundreds of times and the
checks of scikit-learn cost ten times the arithmetic; the tests hold them equal to scikit-learn to 1e-12.
"""

import numpy as np

#: Names of metrics of which less is better; of every other metric more is better.
LOWER_IS_BETTER = frozenset(
    {
        "Brier score",
        "ECE",
        "bits a character",
        "cost per 1,000",
        "equal error rate",
        "error rate",
        "false accept rate",
        "false alarm rate",
        "false reject rate",
        "log loss",
        "mean absolute error",
        "miss rate",
        "nats a character",
        "perplexity",
        "root mean squared error",
    }
)

#: Names of numbers that may be 0 or 1 without being a share.
UNBOUNDED = frozenset(
    {
        "bits a character",
        "cost per 1,000",
        "log loss",
        "mean absolute error",
        "mean unusualness",
        "nats a character",
        "novelty",
        "perplexity",
        "root mean squared error",
    }
)

#: Names of numbers that tell how often, not how well.
NEITHER_BETTER = frozenset(
    {"alarm rate", "coverage", "mean probability", "mean unusualness", "novelty", "popularity bias"}
)


def is_better(name: str, one: float, other: float) -> bool:
    """Whether `one` is the better of two values of the metric `name`; never true of NaN."""
    return bool(one < other if name in LOWER_IS_BETTER else one > other)


def roc_auc(truth: np.ndarray, score: np.ndarray) -> float:
    """Chance that a random positive scores above a random negative, ties counted half.

    Args:
        truth: (n,) 0 or 1.
        score: (n,) numbers, higher means more surely positive.

    Returns:
        A number in 0..1; NaN where there is only one class.
    """
    positive, score = _binary("roc_auc", truth, score)
    of_positives = np.sort(score[positive])
    of_negatives = np.sort(score[~positive])
    if not len(of_positives) or not len(of_negatives):
        return float("nan")
    below = np.searchsorted(of_negatives, of_positives, "left").sum(dtype=np.float64)
    not_above = np.searchsorted(of_negatives, of_positives, "right").sum(dtype=np.float64)
    return float((below + not_above) / 2 / len(of_positives) / len(of_negatives))


def average_precision(truth: np.ndarray, score: np.ndarray) -> float:
    """Mean, over the positives, of the precision among all that score at least as high as that positive.

    Args:
        truth: (n,) 0 or 1.
        score: (n,) numbers, higher means more surely positive.

    Returns:
        A number in 0..1, the area under the precision-recall steps; NaN where there is no positive.
    """
    positive, score = _binary("average_precision", truth, score)
    of_positives = np.sort(score[positive])
    if not len(of_positives):
        return float("nan")
    hits = len(of_positives) - np.searchsorted(of_positives, of_positives, "left")
    alarms = len(score) - np.searchsorted(np.sort(score), of_positives, "left")
    return float(np.mean(hits / alarms))


def precision_at(truth: np.ndarray, score: np.ndarray, count: int) -> float:
    """Share of positives among the `count` highest scores; of scores tied at the edge, their mean share is taken.

    Args:
        truth: (n,) 0 or 1.
        score: (n,) numbers.
        count: how many can be looked at; with fewer rows, all are.

    Returns:
        A number in 0..1; NaN without rows.
    """
    positive, score = _binary("precision_at", truth, score)
    count = min(int(count), len(score))
    if count < 1:
        return float("nan")
    edge = np.partition(score, len(score) - count)[len(score) - count]
    above, tied = score > edge, score == edge
    hits = positive[above].sum() + (count - above.sum()) * positive[tied].mean()
    return float(hits / count)


def accuracy(truth: np.ndarray, decision: np.ndarray) -> float:
    """Share of rows whose decision equals the truth; labels of any type. NaN without rows."""
    right = np.asarray(truth) == np.asarray(decision)
    return float(np.mean(right)) if right.size else float("nan")


def precision(truth: np.ndarray, alarm: np.ndarray) -> float:
    """Share of the alarms that are right; NaN where there is no alarm."""
    positive, alarm = _decisions("precision", truth, alarm)
    return _share(positive & alarm, alarm)


def recall(truth: np.ndarray, alarm: np.ndarray) -> float:
    """Share of the positives that raise an alarm (true positive rate, sensitivity); NaN where there is no positive."""
    positive, alarm = _decisions("recall", truth, alarm)
    return _share(positive & alarm, positive)


def false_alarm_rate(truth: np.ndarray, alarm: np.ndarray) -> float:
    """Share of the negatives that raise an alarm (false positive rate); NaN where there is no negative."""
    positive, alarm = _decisions("false_alarm_rate", truth, alarm)
    return _share(~positive & alarm, ~positive)


def alarm_rate(alarm: np.ndarray) -> float:
    """Share of all rows that raise an alarm (selection rate); NaN without rows."""
    alarm = np.asarray(alarm).astype(bool)
    return float(alarm.mean()) if alarm.size else float("nan")


def f1(truth: np.ndarray, alarm: np.ndarray) -> float:
    """Harmonic mean of precision and recall; NaN where there is neither a positive nor an alarm."""
    positive, alarm = _decisions("f1", truth, alarm)
    total = positive.sum() + alarm.sum()
    return float(2 * (positive & alarm).sum() / total) if total else float("nan")


def cost_per_thousand(
    truth: np.ndarray, alarm: np.ndarray, cost_of_miss: float | np.ndarray, cost_of_alarm: float | np.ndarray = 0.0
) -> float:
    """Cost of the mistakes per 1,000 rows: every missed positive and every needless alarm.

    Args:
        truth: (n,) 0 or 1.
        alarm: (n,) 0 or 1.
        cost_of_miss: a number, or (n,) one for each row (say the amount), in any currency.
        cost_of_alarm: a number or (n,), in the same currency.

    Returns:
        The cost; NaN without rows.
    """
    positive, alarm = _decisions("cost_per_thousand", truth, alarm)
    if not positive.size:
        return float("nan")
    missed = np.broadcast_to(np.asarray(cost_of_miss, np.float64), positive.shape)[positive & ~alarm].sum()
    needless = np.broadcast_to(np.asarray(cost_of_alarm, np.float64), positive.shape)[~positive & alarm].sum()
    return float((missed + needless) / len(positive) * 1000)


def brier(truth: np.ndarray, probability: np.ndarray) -> float:
    """Mean squared distance between probability and truth.

    Args:
        truth: (n,) 0 or 1, or class numbers when `probability` has a column a class.
        probability: (n,) of the positive class, or (n, c): then the squares are summed over the classes.

    Returns:
        0 (perfect) .. 1, or .. 2 with (n, c); NaN without rows.
    """
    truth, probability = classes("brier", truth, probability)
    if not truth.size:
        return float("nan")
    if probability.ndim == 1:
        return float(np.mean((probability - truth) ** 2))
    of_truth = np.take_along_axis(probability, truth[:, None], axis=1)[:, 0]
    return float(np.mean((probability**2).sum(axis=1) - 2 * of_truth + 1))


def log_loss(truth: np.ndarray, probability: np.ndarray) -> float:
    """Mean negative natural logarithm of the probability given to what was true (nats).

    Args:
        truth: (n,) 0 or 1, or class numbers when `probability` has a column a class.
        probability: (n,) of the positive class, or (n, c).

    Returns:
        A number >= 0; probabilities are kept 2.2e-16 away from 0 and 1, as in scikit-learn. NaN without rows.
    """
    truth, probability = classes("log_loss", truth, probability)
    if not truth.size:
        return float("nan")
    tiny = np.finfo(np.float64).eps
    if probability.ndim == 1:
        probability = np.clip(probability, tiny, 1 - tiny)
        return float(-np.mean(np.log(np.where(truth == 1, probability, 1 - probability))))
    of_truth = np.take_along_axis(np.clip(probability, tiny, 1 - tiny), truth[:, None], axis=1)
    return float(-np.mean(np.log(of_truth)))


def ece(truth: np.ndarray, probability: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error: how far stated probabilities are from what happens, averaged over the rows.

    Args:
        truth: (n,) 0 or 1, or class numbers when `probability` has a column a class.
        probability: (n,) of the positive class, which is then binned as it is; or (n, c): then the highest of each
            row is binned and compared with how often that class is the right one.
        bins: how many bins of equal width.

    Returns:
        Sum over bins of (share of rows) x |mean probability - share true|, in 0..1; NaN without rows.

    Reference:
        Guo et al. (2017), On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599
    """
    truth, probability = classes("ece", truth, probability)
    if not truth.size:
        return float("nan")
    if probability.ndim == 2:
        truth = (probability.argmax(axis=1) == truth).astype(np.int64)
        probability = probability.max(axis=1)
    place = np.minimum((probability * bins).astype(np.int64), bins - 1)
    excess = np.bincount(place, weights=probability - truth, minlength=bins)  # rows x (mean probability - share true)
    return float(np.abs(excess).sum() / len(truth))


def classes(owner: str, truth: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Truth as class numbers beside float64 probabilities, refused where they can not belong together.

    Args:
        owner: who asks, for the message.
        truth: (n,) class numbers; 0 or 1 with (n,) probabilities.
        probability: (n,) or (n, c) in 0..1.

    Returns:
        (n,) int64, and (n,) or (n, c) float64.

    Raises:
        ValueError: on unequal lengths, a truth that is no class number, a probability outside 0..1 or NaN.
    """
    truth, probability = np.asarray(truth), np.asarray(probability, np.float64)
    if probability.ndim not in (1, 2) or truth.shape != probability.shape[:1]:
        raise ValueError(
            f"{owner}: truth has shape {truth.shape} and probability {probability.shape}; expected (n,) and (n,) or "
            "(n, c)."
        )
    if not truth.size:
        return truth.astype(np.int64), probability
    highest = 1 if probability.ndim == 1 else probability.shape[1] - 1
    whole = truth.astype(np.float64)
    if not np.all((whole >= 0) & (whole <= highest) & (whole == np.floor(whole))):
        raise ValueError(
            f"{owner}: truth must hold class numbers 0..{highest}; the arguments are (truth, probability)."
        )
    if not (probability.min() >= 0 and probability.max() <= 1):
        raise ValueError(
            f"{owner}: probabilities must lie in 0..1, received {probability.min():g}..{probability.max():g}."
        )
    return truth.astype(np.int64), probability


def _binary(owner: str, truth: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Truth as (n,) bool beside (n,) scores."""
    positive, score = _decisions(owner, truth, truth)[0], np.asarray(score)
    if score.shape != positive.shape:
        raise ValueError(f"{owner}: truth has shape {positive.shape} and score {score.shape}; expected the same (n,).")
    if score.dtype.kind == "f" and np.isnan(score).any():
        row = int(np.isnan(score).argmax())
        raise ValueError(f"{owner}: {np.isnan(score).sum():,} scores are NaN, first in row {row}; expected numbers.")
    return positive, score


def _decisions(owner: str, truth: np.ndarray, alarm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Truth and alarms as (n,) bool."""
    truth, alarm = np.asarray(truth), np.asarray(alarm)
    if truth.ndim != 1 or truth.shape != alarm.shape:
        raise ValueError(f"{owner}: truth has shape {truth.shape} and alarm {alarm.shape}; expected the same (n,).")
    for name, values in (("truth", truth), ("alarm", alarm)):
        if values.dtype != bool and not np.all((values == 0) | (values == 1)):
            raise ValueError(f"{owner}: {name} must be 0 or 1; the truth comes first.")
    return truth.astype(bool), alarm.astype(bool)


def _share(part: np.ndarray, whole: np.ndarray) -> float:
    """Size of `part` in `whole`, NaN where the whole is empty."""
    return float(part.sum() / whole.sum()) if whole.any() else float("nan")
