"""A graph that takes few rows at a time, for many. NumPy only."""

from collections.abc import Callable

import numpy as np

Table = dict[str, np.ndarray]
Call = Callable[[Table], Table]


def asked(call: Call, queries: Table, step: int = 1) -> Table:
    """The answers to queries, asked so many at a time, one after the other."""
    answers = [call(part) for part in parts(queries, step)]
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def parts(queries: Table, step: int = 1) -> list[Table]:
    """So many queries at a time as tables of their own."""
    count = len(next(iter(queries.values())))
    return [{name: column[row : row + step] for name, column in queries.items()} for row in range(0, count, step)]
