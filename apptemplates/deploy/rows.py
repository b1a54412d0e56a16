"""A graph that takes one row, for many rows on all cores. NumPy only."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

Table = dict[str, np.ndarray]
Call = Callable[[Table], Table]
FEWEST = 8  # rows that are worth being shared
MOST = 8  # copies of the graph


class Rows:
    """The answers of a graph that takes one row, to many; may be called from several threads.

    Rows are shared between the cores, each with a copy of the graph, since LiteRT lets other threads run while it
    reckons. The copies are made when there are enough rows for the first time.

    Args:
        call: The graph.
        copy: Makes another one.
    """

    def __init__(self, call: Call, copy: Callable[[], Call]) -> None:
        self._calls, self._copy, self._lock = [call], copy, threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def __call__(self, inputs: Table) -> Table:
        count = len(next(iter(inputs.values())))
        calls = self._calls[:1] if count < FEWEST else self._all()
        ends = [count * place // len(calls) for place in range(len(calls) + 1)]
        shares = [{name: column[start:stop] for name, column in inputs.items()} for start, stop in pairwise(ends)]
        if self._pool is None or len(calls) == 1:
            return asked(calls[0], shares[0])
        later = [self._pool.submit(asked, *given) for given in zip(calls[1:], shares[1:], strict=True)]
        return joined([asked(calls[0], shares[0]), *(share.result() for share in later)])

    def _all(self) -> list[Call]:
        with self._lock:
            more = min(MOST, cores()) - len(self._calls)
            if more > 0:
                self._pool = ThreadPoolExecutor(more, thread_name_prefix="rows")
                self._calls += [self._copy() for _ in range(more)]
        return self._calls


def asked(call: Call, queries: Table, step: int = 1) -> Table:
    """The answers to queries, asked so many at a time, one after the other."""
    return joined([call(part) for part in parts(queries, step)])


def parts(queries: Table, step: int = 1) -> list[Table]:
    """So many queries at a time as tables of their own."""
    count = len(next(iter(queries.values())))
    return [{name: column[row : row + step] for name, column in queries.items()} for row in range(0, count, step)]


def joined(answers: list[Table]) -> Table:
    """Answers one after the other."""
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
