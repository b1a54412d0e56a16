"""A graph that takes few rows at a time, for many. NumPy only."""

from collections.abc import Callable

import numpy as np

Table = dict[str, np.ndarray]
Call = Callable[[Table], Table]

MANY = 64  # rows that a graph which takes any number of them is asked at a time
FEW = 8  # rows up to which it is asked one by one, which is faster than to fill up


def asked(call: Call, queries: Table, step: int = 1) -> Table:
    """The answers to queries, asked so many at a time, one after the other."""
    answers = [call(part) for part in parts(queries, step)]
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def filled(call: Call, count: int, queries: Table) -> Table:
    """The answers to at most so many queries of what takes exactly so many."""
    answers = call(resized(queries, count))
    return {name: answer[: len(next(iter(queries.values())))] for name, answer in answers.items()}


def resized(queries: Table, count: int) -> Table:
    """So many queries: the first ones, over again where there are fewer."""
    return {
        name: column if len(column) == count else np.resize(column, (count, *column.shape[1:]))
        for name, column in queries.items()
    }


def parts(queries: Table, step: int = 1) -> list[Table]:
    """So many queries at a time as tables of their own."""
    count = len(next(iter(queries.values())))
    return [{name: column[row : row + step] for name, column in queries.items()} for row in range(0, count, step)]
