"""How sure a number is: bootstrap intervals of any score."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from apptemplates.evaluation.metrics import UNBOUNDED

TRIED = 200  # rows or groups that are looked at by themselves

Table = Mapping[str, np.ndarray]
Score = Callable[[dict[str, np.ndarray], dict[str, np.ndarray]], Mapping[str, float]]


class Metric(NamedTuple):
    """A number with the interval it would vary in had other rows of the same kind been drawn."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


def bootstrap(
    score: Score,
    truth: Table,
    answers: Table,
    groups: np.ndarray | None = None,
    repeats: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Metric]:
    """Every number of a score with its percentile bootstrap interval.

    Args:
        score: pure function of (truth, answers) that gives named numbers; NaN where one is undefined.
        truth: arrays with n rows each.
        answers: arrays with n rows each.
        groups: (n,) ids. Rows of one id (a person, a patient) are drawn together, since they are not independent;
            without it each row is its own group.
        repeats: how many times the rows are drawn anew; 0 gives the values without intervals.
        level: share of the draws inside the interval.
        seed: the same seed gives the same interval.

    Returns:
        Name -> `Metric`. The interval is widened to hold the value where resampling biases a number (ECE on few
        rows); its ends are NaN where no draw had a value or there are fewer than two rows or groups to draw from.

    Example:
        >>> y, said = np.arange(1000) % 2, np.where(np.arange(1000) < 930, np.arange(1000) % 2, 0)
        >>> found = bootstrap(lambda truth, answers: {"accuracy": np.mean(truth["y"] == answers["said"])},
        ...                   {"y": y}, {"said": said})["accuracy"]
        >>> found.value, found.low < 0.965 < found.high
        (0.965, True)

    Reference:
        Efron, Tibshirani (1993), An Introduction to the Bootstrap.
    """
    truth, answers = dict(truth), dict(answers)
    values = score(truth, answers)
    draws: dict[str, list[float]] = {name: [] for name in values}
    for rows in resamples(_rows(truth, answers), groups, repeats, seed):
        drawn = score(
            {name: column[rows] for name, column in truth.items()},
            {name: column[rows] for name, column in answers.items()},
        )
        for name, value in drawn.items():
            draws[name].append(value)
    return {name: interval(value, draws[name], level) for name, value in values.items()}


def measured(
    score: Score, truth: Table, answers: Table, groups: np.ndarray | None = None, repeats: int = 200
) -> dict[str, Metric]:
    """`bootstrap` of metrics, where also a share that is 0 or 1 on all rows has an interval; see `open_ended`."""
    found = bootstrap(score, truth, answers, groups, repeats)
    return open_ended(found, score, dict(truth), dict(answers), groups) if repeats else found


def open_ended(
    found: dict[str, Metric],
    score: Score,
    truth: dict[str, np.ndarray],
    answers: dict[str, np.ndarray],
    groups: np.ndarray | None = None,
    level: float = 0.95,
) -> dict[str, Metric]:
    """The metrics, those of them that are shares of 0 or 1 which no draw varies with what so few rows leave open.

    A recall of 1 on 20 rows of an event may as well be one of .84. Of how many rows, or groups of rows, a metric is a
    share is told by how many have a value of it by themselves.

    Args:
        found: As `bootstrap` gave them.
        score, truth, answers, groups, level: As `bootstrap` was given.

    Reference: Clopper and Pearson, 1934, The Use of Confidence or Fiducial Limits Illustrated in the Case of the
    Binomial.
    """
    same = [name for name, one in found.items() if one.low == one.high == one.value and one.value in (0.0, 1.0)]
    same = [name for name in same if name not in UNBOUNDED]
    if not same:
        return found
    group = np.arange(_rows(truth, answers)) if groups is None else np.unique(groups, return_inverse=True)[1].ravel()
    number = int(group.max()) + 1
    some = np.random.default_rng(0).permutation(number)[:TRIED]
    defined = dict.fromkeys(same, 0)
    for one in some:
        rows = np.flatnonzero(group == one)
        alone = score(
            {name: column[rows] for name, column in truth.items()},
            {name: column[rows] for name, column in answers.items()},
        )
        for name in same:
            defined[name] += not np.isnan(alone.get(name, np.nan))
    wider = {}
    for name in same:
        count = max(1.0, number * defined[name] / len(some)) if defined[name] else number
        off, value = 1 - (0.5 - level / 2) ** (1 / count), found[name].value
        wider[name] = Metric(value, 1 - off, 1.0) if value else Metric(value, 0.0, off)
    return found | wider


def difference(
    score: Score,
    truth: Table,
    answers: Table,
    others: Table,
    groups: np.ndarray | None = None,
    repeats: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Metric]:
    """How much the answers score above other answers to the same queries, with paired intervals.

    Both are scored on the same draws, so what makes a draw easy or hard cancels and the interval is narrower than two
    separate ones suggest. An interval without 0 is a difference beyond chance.

    Args:
        score: pure function of (truth, answers) that gives named numbers.
        truth: arrays with n rows each.
        answers: arrays with n rows each, say of the network.
        others: arrays with n rows each, say of the baseline.
        groups: (n,) ids drawn together, or None.
        repeats: how many draws.
        level: share of the draws inside the interval.
        seed: of the draws.

    Returns:
        Name -> `Metric` of the score of `answers` minus that of `others`, for the names both have.
    """

    def both(truth: dict[str, np.ndarray], pair: dict[str, np.ndarray]) -> dict[str, float]:
        one = score(truth, {name[1]: column for name, column in pair.items() if name[0] == "one"})
        two = score(truth, {name[1]: column for name, column in pair.items() if name[0] == "two"})
        return {name: one[name] - two[name] for name in one if name in two}

    pair = {("one", name): column for name, column in answers.items()}
    pair |= {("two", name): column for name, column in others.items()}
    return bootstrap(both, truth, pair, groups, repeats, level, seed)  # type: ignore[arg-type]


def resamples(rows: int, groups: np.ndarray | None, repeats: int, seed: int | tuple[int, ...]) -> Iterator[np.ndarray]:
    """Row numbers of each bootstrap draw: whole groups, or single rows, drawn with replacement.

    Args:
        rows: how many rows there are.
        groups: (rows,) ids or None.
        repeats: how many draws.
        seed: of the draws.

    Yields:
        (m,) int64 row numbers; m differs between draws where groups differ in size. Nothing is yielded where there
        are fewer than two rows or groups, since nothing can vary then.
    """
    random = np.random.default_rng(seed)
    if groups is None:
        for _ in range(repeats if rows > 1 else 0):
            yield random.integers(0, rows, rows)
        return
    group = np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
    if len(group) != rows:
        raise ValueError(f"resamples: groups has {len(group):,} rows and the answers {rows:,}; expected one id a row.")
    by_group = np.argsort(group, kind="stable")
    size = np.bincount(group)
    first = np.concatenate([[0], np.cumsum(size)[:-1]])
    for _ in range(repeats if len(size) > 1 else 0):
        drawn = random.integers(0, len(size), len(size))
        length = size[drawn]
        # position of each wanted row in by_group: the start of its group and a count within the group
        within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
        yield by_group[np.repeat(first[drawn], length) + within]


def interval(value: float, draws: Sequence[float] | np.ndarray, level: float = 0.95) -> Metric:
    """A value with the percentile interval of its draws, draws that are NaN left out."""
    drawn = np.asarray(draws, np.float64)
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn) or np.isnan(value):
        return Metric(float(value))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # infinite draws make inf - inf in the interpolation
        # so that each end is passed as often as it should be however few the draws: the usual way is too narrow
        low, high = np.quantile(drawn, [0.5 - level / 2, 0.5 + level / 2], method="weibull")
    return Metric(float(value), float(min(low, value)), float(max(high, value)))


def _rows(truth: Table, answers: Table) -> int:
    lengths = {name: len(column) for table in (truth, answers) for name, column in table.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"bootstrap: truth and answers must have columns of one length, received {lengths}.")
    return next(iter(lengths.values()))
