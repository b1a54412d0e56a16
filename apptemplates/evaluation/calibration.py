"""Whether a stated 20 % happens 20 % of the time, and the one number that mends it."""

import numpy as np

from apptemplates.evaluation.metrics import classes, ece


def fit_temperature(truth: np.ndarray, logits: np.ndarray) -> float:
    """The number to divide logits by so that the probabilities fit the truth best; the order of answers stays.

    Args:
        truth: (n,) 0 or 1, or class numbers when `logits` has a column a class. Validation rows, never test rows.
        logits: (n,) before the sigmoid, or (n, c) before the softmax.

    Returns:
        The temperature, in 0.01..100; above 1 the network was too sure of itself. The truth is mixed with one
        undecided row, so that few or perfectly separated rows do not drive it to the edge.

    Raises:
        ValueError: on no rows, unequal lengths, or logits that are not finite.

    Reference:
        Guo et al. (2017), On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599
    """
    logits = np.asarray(logits, np.float64)
    if not logits.size or not np.isfinite(logits).all():
        raise ValueError("fit_temperature: logits must be at least one row of finite numbers.")
    truth, _ = classes("fit_temperature", truth, np.zeros_like(logits))
    undecided = 1 / (len(truth) + 1)
    if logits.ndim == 1:
        wanted = truth * (1 - undecided) + undecided / 2
        per_unit = (wanted * logits).mean()
    else:
        of_truth = np.take_along_axis(logits, truth[:, None], axis=1)[:, 0]
        per_unit = ((1 - undecided) * of_truth + undecided * logits.mean(axis=1)).mean()

    # The loss is convex in sharpness = 1 / temperature: its slope grows, and bisection finds where it is zero.
    low, high = np.log(0.01), np.log(100.0)
    for _ in range(50):
        middle = (low + high) / 2
        slope = _mean_expected_logit(logits, np.exp(middle)) - per_unit
        low, high = (middle, high) if slope < 0 else (low, middle)
    return float(np.exp(-(low + high) / 2))


def reliability(truth: np.ndarray, probability: np.ndarray, bins: int = 15, equal: str = "width") -> dict:
    """What was said against what happened, bin by bin, as a table to plot.

    Args:
        truth: (n,) 0 or 1, or class numbers when `probability` has a column a class.
        probability: (n,) of the positive class, or (n, c): then the highest of each row, against whether it is right.
        bins: how many bins; those without rows are left out.
        equal: "width" for bins of one width; "rows" for bins of as many rows each, which shows rare events better.

    Returns:
        Columns `rows` (count), `probability` (mean said), `share` (what happened), `low` and `high` (95 % Wilson
        interval of the share); one row a bin, probability rising.

    Reference:
        Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    if equal not in ("width", "rows"):
        raise ValueError(f"reliability: equal must be 'width' or 'rows', received {equal!r}.")
    truth, probability = classes("reliability", truth, probability)
    if probability.ndim == 2:
        truth = (probability.argmax(axis=1) == truth).astype(np.int64)
        probability = probability.max(axis=1)
    if equal == "width":
        place = np.minimum((probability * bins).astype(np.int64), bins - 1)
    else:
        # by value, so that equal probabilities share a bin
        edges = np.sort(probability)[np.arange(1, bins) * len(probability) // bins] if len(probability) else probability
        place = np.searchsorted(np.unique(edges), probability, "right")
    rows = np.bincount(place, minlength=bins)
    filled = rows > 0
    rows = rows[filled]
    share = np.bincount(place, weights=truth, minlength=bins)[filled] / rows
    low, high = wilson(share, rows)
    return {
        "rows": rows,
        "probability": np.bincount(place, weights=probability, minlength=bins)[filled] / rows,
        "share": share,
        "low": low,
        "high": high,
    }


def chance_ece(probability: np.ndarray, draws: int = 200, seed: int = 0) -> float:
    """The ECE that chance alone brings to answers that keep their word, exceeded in one of twenty such sets of answers.

    The ECE of rows is never more than this above the true one, at that sureness: it is the distance between what was
    said and what happened, and what happened lies no farther from its mean than in such a set.

    Args:
        probability: (n,) of the positive class, or (n, c).
        draws: Sets that are drawn.
        seed: Of the draws.
    """
    said = probability.max(axis=1) if probability.ndim == 2 else probability
    random = np.random.default_rng(seed)
    found = [ece((random.random(len(said)) < said).astype(int), said) for _ in range(draws)]
    return float(np.quantile(found, 0.95, method="weibull"))


def wilson(share: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval of a share seen in so many rows, sensible for few rows and for shares of 0 and 1."""
    share, rows = np.asarray(share, np.float64), np.asarray(rows, np.float64)
    square = 1.959963984540054**2
    middle = (share + square / (2 * rows)) / (1 + square / rows)
    half = np.sqrt(square * (share * (1 - share) / rows + square / (4 * rows**2))) / (1 + square / rows)
    return np.maximum(middle - half, 0), np.minimum(middle + half, 1)


def _mean_expected_logit(logits: np.ndarray, sharpness: float) -> float:
    """Mean over rows of the logit that the model itself expects at this sharpness."""
    if logits.ndim == 1:
        return float((logits / (1 + np.exp(-np.clip(sharpness * logits, -700, 700)))).mean())
    scaled = sharpness * (logits - logits.max(axis=1, keepdims=True))
    weight = np.exp(scaled)  # (n, c)
    return float(((weight * logits).sum(axis=1) / weight.sum(axis=1)).mean())
