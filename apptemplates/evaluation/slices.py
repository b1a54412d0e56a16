"""Where answers are worst: parts of the rows that no one named beforehand, found by trying all of them."""

import itertools
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np

from apptemplates.data.table import take
from apptemplates.evaluation.intervals import resamples
from apptemplates.evaluation.metrics import LOWER_IS_BETTER
from apptemplates.evaluation.wording import number

Table = dict[str, np.ndarray]
FEWEST, MOST = 100, 0.5  # rows of a slice; larger parts are no slice
SHOWN, DRAWS = 3, 25  # slices that are told; bootstrap draws for each
SAMPLE = 20_000  # rows that are searched
WORDS = 20  # words of a column that are tried


def worst(
    score: Callable[[Table, Table], dict[str, float]], truth: Table, answers: Table, traits: Table, headline: str
) -> dict[str, str]:
    """The slices whose headline lies furthest below that of the other rows, beyond what chance and the search explain.

    Args:
        score: Pure function of truth and answers.
        truth, answers: (n, ...).
        traits: Columns (n,): each word, and each quarter of a number, is a slice.
        headline: The metric to judge by.

    Returns:
        "worst slice" and the like -> what it is, its headline, and that of the other rows. Differences are tested on
        bootstrap draws at 5 % divided by the number of slices that were looked at (Bonferroni).
    """
    count = max((len(column) for column in traits.values()), default=0)
    if count > SAMPLE:
        rows = np.sort(np.random.default_rng(0).permutation(count)[:SAMPLE])
        truth, answers, traits = (take(table, rows) for table in (truth, answers, traits))
    found: list[tuple[float, np.ndarray, str, float, float]] = []
    tried = 0
    sign = 1 if headline in LOWER_IS_BETTER else -1
    for name, column in traits.items():
        for what, member in parts(name, column):
            if not FEWEST <= member.sum() <= MOST * len(member):
                continue
            inside, outside = (of(score, truth, answers, rows, headline) for rows in (member, ~member))
            tried += 1
            if sign * (inside - outside) > 0:
                found.append((sign * (inside - outside), member, what, inside, outside))
    told: dict[str, str] = {}
    for _, member, what, inside, outside in sorted(found, key=lambda one: -one[0])[:SHOWN]:
        if len(told) < SHOWN and beyond_chance(score, truth, answers, member, headline, sign, 0.05 / max(tried, 1)):
            place = "worst slice" if not told else f"worst slice, number {len(told) + 1}"
            told[place] = (
                f"{what} ({int(member.sum()):,} rows): {headline} {number(inside)}, elsewhere {number(outside)}"
            )
    return told


def parts(name: str, column: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The slices of a column: its frequent words, or quarters of its numbers."""
    if column.dtype == object:
        words, counts = np.unique(column.astype(str), return_counts=True)
        frequent = words[np.argsort(-counts, kind="stable")[:WORDS]]
        return [(f"{name} = {word or 'missing'}", column.astype(str) == word) for word in frequent]
    known = np.isfinite(column)
    values = np.unique(column[known])
    if len(values) <= 4:
        return [(f"{name} = {number(value)}", column == value) for value in values.tolist()]
    edges = np.unique(np.quantile(column[known], [0, 0.25, 0.5, 0.75, 1]))
    found = []
    for low, high in itertools.pairwise(edges.tolist()):
        member = known & (column >= low) & ((column < high) | ((high == edges.max()) & (column == high)))
        found.append((f"{name} from {number(float(low))} to {number(float(high))}", member))
    return [*found, (f"{name} missing", ~known)] if (~known).any() else found


def of(score: Any, truth: Table, answers: Table, rows: np.ndarray, headline: str) -> float:
    """The headline of some rows."""
    return float(score(take(truth, rows), take(answers, rows)).get(headline, float("nan")))


def beyond_chance(
    score: Any, truth: Table, answers: Table, member: np.ndarray, headline: str, sign: int, level: float
) -> bool:
    """Whether the slice is worse than the rest by more than chance explains: a normal test on bootstrap draws."""
    places = np.flatnonzero(member), np.flatnonzero(~member)
    draws = []
    for first, second in zip(*(resamples(len(each), None, DRAWS, 0) for each in places), strict=True):
        inside = of(score, truth, answers, places[0][first], headline)
        draws.append(sign * (inside - of(score, truth, answers, places[1][second], headline)))
    known = np.array(draws)[np.isfinite(draws)]
    if len(known) < 10 or known.std() == 0:
        return False
    return bool(known.mean() / known.std() > NormalDist().inv_cdf(1 - level / 2))
