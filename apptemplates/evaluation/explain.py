"""Which columns decided, and whether that explanation can be trusted."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from apptemplates.evaluation.faithfulness import Curves

#: Most points given to the function at once, and most numbers in them: bounds the memory.
MOST_POINTS, MOST_NUMBERS = 16_384, 4_000_000
MOST_STEPS_AT_ONCE = 2048
#: A difference smaller than this many logits is measured against this instead: 1 % of next to nothing is no fault.
LEAST_DIFFERENCE = 0.1


def integrated_gradients(
    function: Callable[[Any], Any],
    features: np.ndarray,
    baseline: np.ndarray,
    steps: int = 64,
    tolerance: float = 0.01,
    most_steps: int = 32_768,
) -> tuple[np.ndarray, np.ndarray]:
    """How much each feature moved the answer away from that of a baseline; the parts add up to the whole.

    Args:
        function: TensorFlow-callable from (m, d) float32 to (m,) or (m, 1) logits, the model in inference mode.
        features: (n, d) float32, the queries.
        baseline: (d,) float32, a query that says nothing (say the median one).
        steps: points on the way from the baseline to a query; doubled for the queries that are not complete yet.
        tolerance: greatest wanted completeness error.
        most_steps: where doubling stops.

    Returns:
        (n, d) float64 attributions in logits, and (n,) float64 completeness errors:
        |sum of attributions - difference| / |difference|, where the difference is that of the function between query
        and baseline (at least 0.1 logits).

    Reference:
        Sundararajan et al. (2017), Axiomatic Attribution for Deep Networks, https://arxiv.org/abs/1703.01365
    """
    import tensorflow as tf

    features = np.asarray(features, np.float32)
    baseline = np.asarray(baseline, np.float32)
    _check_shapes("integrated_gradients", features, baseline)
    count, width = features.shape

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, width), tf.float32),
            tf.TensorSpec((width,), tf.float32),
            tf.TensorSpec((None,), tf.float32),
        ]
    )
    def mean_slope(rows, start, places):
        points = start + places[:, None, None] * (rows - start)  # (s, r, d)
        points = tf.reshape(points, (-1, width))  # (s * r, d)
        with tf.GradientTape() as tape:
            tape.watch(points)
            total = tf.reduce_sum(function(points))
        slope = tf.convert_to_tensor(tape.gradient(total, points, unconnected_gradients="zero"))
        return tf.reduce_mean(tf.reshape(slope, (tf.size(places), -1, width)), axis=0)  # (r, d)

    # traced once here: called as it is, it would warn that its code was traced for other models before
    mean_slope = mean_slope.get_concrete_function()
    ends = _answers(function, np.concatenate([features, baseline[None]]))
    difference = ends[:-1] - ends[-1]
    scale = np.maximum(np.abs(difference), LEAST_DIFFERENCE)
    attributions = np.zeros((count, width))
    error = np.full(count, np.inf)
    open_rows = np.arange(count)
    while len(open_rows):
        places = ((np.arange(steps) + 0.5) / steps).astype(np.float32)  # midpoints
        at_once = max(1, min(MOST_POINTS, MOST_NUMBERS // max(width, 1)) // steps)
        for start in range(0, len(open_rows), at_once):
            rows = open_rows[start : start + at_once]
            away = features[rows].astype(np.float64) - baseline
            parts = np.array_split(places, -(-steps // MOST_STEPS_AT_ONCE))
            given = tf.constant(features[rows]), tf.constant(baseline)
            slopes = sum(len(part) * mean_slope(*given, tf.constant(part)).numpy() for part in parts) / steps
            attributions[rows] = away * slopes
            error[rows] = np.abs(attributions[rows].sum(axis=1) - difference[rows]) / scale[rows]
        steps *= 2
        if steps > most_steps:
            break
        open_rows = np.flatnonzero(error >= tolerance)
    return attributions, error


def by_column(attributions: np.ndarray, owners: Sequence[str]) -> dict[str, np.ndarray]:
    """Attributions of features added up to those of the columns they were made from.

    Args:
        attributions: (n, d).
        owners: d names, the column each feature comes from.

    Returns:
        Column -> (n,), in the order of first appearance.
    """
    if len(owners) != attributions.shape[1]:
        raise ValueError(f"by_column: {len(owners)} owners for {attributions.shape[1]} features; expected one each.")
    places: dict[str, list[int]] = {}
    for place, owner in enumerate(owners):
        places.setdefault(owner, []).append(place)
    return {owner: attributions[:, part].sum(axis=1) for owner, part in places.items()}


def permutation_importance(
    score_of: Callable[[str | None, np.random.Generator], float],
    columns: Iterable[str],
    repeats: int = 5,
    seed: int = 0,
    lower_is_better: bool = False,
) -> pd.DataFrame:
    """How much worse the answers get when a column's values are shuffled among the rows.

    Args:
        score_of: the score with the named column shuffled by the generator; with None, of the untouched rows.
        columns: names to try.
        repeats: shuffles of each column.
        seed: of the shuffles.
        lower_is_better: whether the score is a loss.

    Returns:
        One row a column, most important first: `column`, `importance` (mean loss of score), and `low` and `high` of
        the repeats. Columns that say the same thing share their importance, so a low one may still matter.

    Reference:
        Breiman (2001), Random Forests; Fisher et al. (2019), https://arxiv.org/abs/1801.01489
    """
    untouched = score_of(None, np.random.default_rng(seed))
    sign = -1 if lower_is_better else 1
    rows = []
    for place, column in enumerate(columns):
        losses = [
            sign * (untouched - score_of(column, np.random.default_rng((seed, place, repeat))))
            for repeat in range(repeats)
        ]
        rows.append((column, float(np.mean(losses)), float(np.min(losses)), float(np.max(losses))))
    table = pd.DataFrame(rows, columns=["column", "importance", "low", "high"])
    return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def replacement_curve(
    function: Callable[[Any], Any], first: np.ndarray, last: np.ndarray, order: np.ndarray, points: int = 32
) -> np.ndarray:
    """The answer while features of one row are replaced by those of another, one after the other.

    Args:
        function: from (m, d) float32 to (m,) or (m, 1) logits.
        first: (n, d) float32, or (d,) for every row the same.
        last: likewise.
        order: (n, d) integers: for each row its features, the first to be replaced first.
        points: most steps; with more features, several are replaced at each.

    Returns:
        (n, p + 1) float64 logits with p = min(d, points): untouched first, all replaced last.
    """
    width = order.shape[1]
    replaced = np.round(np.linspace(0, width, min(width, points) + 1)).astype(int)
    rank = np.argsort(order, axis=1)  # (n, d) place of each feature in the order
    return np.stack(
        [_answers(function, np.where(rank < number, last, first).astype(np.float32)) for number in replaced], axis=1
    )


def curves(
    function: Callable[[Any], Any],
    features: np.ndarray,
    attributions: np.ndarray,
    baseline: np.ndarray,
    repeats: int = 10,
    seed: int = 0,
) -> tuple[Curves, Curves]:
    """How much of the answers is there while features are replaced by the baseline's, or brought into it.

    Args:
        function: from (m, d) float32 to (m,) or (m, 1) logits.
        features: (n, d) float32; a hundred or two are enough.
        attributions: (n, d) of these features.
        baseline: (d,) float32.
        repeats: random orders to compare with.
        seed: of the random orders.

    Returns:
        Of deletion and of insertion, in logits: each row's own distance from the baseline's answer, whole > 0. A row
        whose answer is the baseline's is 0 throughout.
    """
    features, baseline = np.asarray(features, np.float32), np.asarray(baseline, np.float32)
    _check_shapes("curves", features, baseline)
    if attributions.shape != features.shape:
        raise ValueError(
            f"curves: attributions have shape {attributions.shape} and features {features.shape}; "
            "expected the same (n, d)."
        )
    random = np.random.default_rng(seed)
    ends = _answers(function, np.concatenate([features, baseline[None]]))
    nothing, side = ends[-1], np.sign(ends[:-1] - ends[-1])[:, None]
    # what speaks for the answer first: of an answer below the baseline's, the features that pulled it down
    named = np.argsort(-attributions * side, axis=1, kind="stable")
    orders = [np.argsort(random.random(features.shape), axis=1) for _ in range(repeats)]

    def there(first: np.ndarray, last: np.ndarray, order: np.ndarray) -> np.ndarray:
        return (replacement_curve(function, first, last, order) - nothing) * side

    taken, brought = (features, baseline), (baseline, features)
    deletion, insertion = (
        Curves(there(*way, named), np.mean([there(*way, one) for one in orders], axis=0)) for way in (taken, brought)
    )
    return deletion, insertion


def _answers(function: Callable[[Any], Any], features: np.ndarray) -> np.ndarray:
    """(n,) float64 logits, asked in parts of bounded size."""
    at_once = max(1, min(MOST_POINTS, MOST_NUMBERS // max(features.shape[1], 1)))
    parts = [np.asarray(function(features[start : start + at_once])) for start in range(0, len(features), at_once)]
    return np.concatenate([part.reshape(-1) for part in parts]).astype(np.float64)


def _check_shapes(owner: str, features: np.ndarray, baseline: np.ndarray) -> None:
    if features.ndim != 2 or baseline.shape != features.shape[1:]:
        raise ValueError(
            f"{owner}: features have shape {features.shape} and baseline {baseline.shape}; expected (n, d) and (d,)."
        )
    if not np.isfinite(features).all() or not np.isfinite(baseline).all():
        raise ValueError(f"{owner}: features and baseline must be finite; fill missing values first.")
