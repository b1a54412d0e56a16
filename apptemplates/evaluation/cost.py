"""What an answer costs: milliseconds, items a second, parameters, megabytes."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

FEWEST = 10  # answers that are timed, however long they take
STATM = Path("/proc/self/statm")  # where Linux says how much memory a process holds


def latency(
    answer_one: Callable[[Any], Any], queries: Sequence[Any], repeats: int = 500, seconds: float = float("inf")
) -> dict[str, float]:
    """Milliseconds that one answer takes, asked one after the other.

    Args:
        answer_one: gives the answer to one query.
        queries: at least one, asked in turn; several different ones keep caches honest.
        repeats: how many answers are timed, after a few that are not.
        seconds: in which that is to be done; at least `FEWEST` answers are timed.

    Returns:
        `p50_ms` (half of the answers are faster) and `p99_ms` (all but one in a hundred are).

    Raises:
        ValueError: without queries or repeats.
    """
    if not len(queries) or repeats < 1:
        raise ValueError("latency: expected at least one query and one repeat.")
    until = time.perf_counter() + seconds
    for query in list(queries)[:10]:
        answer_one(query)
        if time.perf_counter() > until:
            break
    taken: list[int] = []
    while len(taken) < repeats and (len(taken) < FEWEST or time.perf_counter() < until):
        query = queries[len(taken) % len(queries)]
        start = time.perf_counter_ns()
        answer_one(query)
        taken.append(time.perf_counter_ns() - start)
    p50, p99 = np.percentile(np.array(taken) / 1e6, [50, 99])
    return {"p50_ms": float(p50), "p99_ms": float(p99)}


def throughput(answer_many: Callable[[], Any], items: int, repeats: int = 3, warm: bool = False) -> float:
    """Items answered a second in a batch, the best of a few runs.

    Args:
        answer_many: answers all the items, without arguments.
        items: how many that is.
        repeats: how many runs are timed.
        warm: whether as much was answered just before; else a first run is not timed.

    Returns:
        Items a second; the best run, since what slows a run down is other work on the machine.
    """
    if not warm:
        answer_many()
    fastest = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        answer_many()
        fastest = min(fastest, time.perf_counter() - start)
    return items / fastest


def size(model: Any) -> dict[str, float]:
    """How large a Keras model is in memory.

    Args:
        model: a built `keras.Model`.

    Returns:
        `parameters` (all weights, trained or not) and `megabytes` (of 1,000,000 bytes).
    """
    total = sum(
        int(np.prod(weight.shape)) * np.dtype(str(weight.dtype).replace("bfloat16", "float16")).itemsize
        for weight in model.weights
    )
    return {"parameters": int(model.count_params()), "megabytes": total / 1e6}


def resident() -> float:
    """Megabytes of memory that this process holds; NaN where the system does not say."""
    if not STATM.exists():
        return float("nan")
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
