"""Answers that are kept and answers that go to a person: how errors fall as the least sure ones are referred."""

import math

import numpy as np

#: Shares of the answers that a bound is tried for, and how sure it is to hold.
STEPS, SURE = 20, 0.9


def risk_coverage(wrong: np.ndarray, sure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The error among the surest answers, for every share of them.

    Args:
        wrong: (n,) whether each answer is wrong.
        sure: (n,) how sure it was; equal ones are kept or referred together.

    Returns:
        Coverage (m,), rising to 1, and the error rate (m,) among that share.

    Reference:
        El-Yaniv and Wiener, 2010, On the Foundations of Noise-free Selective Classification.
    """
    order = np.argsort(-sure, kind="stable")
    last = np.append(np.diff(sure[order]) != 0, True)[: len(sure)]
    count = np.arange(1, len(sure) + 1)
    return count[last] / max(len(sure), 1), (np.cumsum(wrong[order]) / count)[last]


def error_of_surest(wrong: np.ndarray, sure: np.ndarray, coverage: float) -> float:
    """The error rate among this share of the answers, the surest; of ties at its edge their mean. NaN without rows."""
    count = round(coverage * len(sure))
    if count < 1:
        return float("nan")
    edge = np.partition(sure, len(sure) - count)[len(sure) - count]
    above, tied = sure > edge, sure == edge
    return float((wrong[above].sum() + (count - above.sum()) * wrong[tied].mean()) / count)


def area(wrong: np.ndarray, sure: np.ndarray) -> float:
    """Mean error rate over all shares of the surest answers, 0 at best; NaN without rows."""
    coverage, risk = risk_coverage(wrong, sure)
    return float(np.sum(risk * np.diff(coverage, prepend=0.0))) if len(risk) else float("nan")


def least_by_rate(sure: np.ndarray, rate: float) -> float:
    """How sure an answer must be so that this share of the held-out answers (n,) is referred."""
    referred = math.floor(rate * len(sure) + 1e-9)
    return 0.0 if referred < 1 else float(np.nextafter(np.sort(sure)[referred - 1], np.inf, dtype=sure.dtype))


def least_by_error(wrong: np.ndarray, sure: np.ndarray, most: float) -> float | None:
    """How sure an answer must be so that at most this share of the kept ones is wrong, also among new queries.

    The largest share of the held-out answers is kept whose error is below `most` with 90 % certainty: a binomial test
    for each of 20 shares, corrected for their number. It holds for queries of the same kind as the held-out ones.

    Args:
        wrong: (n,) bool, held-out answers.
        sure: (n,) how sure each was.
        most: the allowed error rate.

    Returns:
        The least sureness of a kept answer, or None where nothing could be promised: then every answer is referred.

    Reference:
        Geifman and El-Yaniv, 2017, Selective Classification for Deep Neural Networks, arXiv:1705.08500; Angelopoulos et
        al., 2021, Learn then Test, arXiv:2110.01052.
    """
    order = np.argsort(-sure, kind="stable")
    errors = np.cumsum(wrong[order])
    for step in range(STEPS, 0, -1):
        count = math.floor(len(sure) * step / STEPS + 1e-9)
        if count and binomial_tail(int(errors[count - 1]), count, most) <= (1 - SURE) / STEPS:
            return 0.0 if count == len(sure) else float(sure[order][count - 1])
    return None


def binomial_tail(hits: int, count: int, chance: float) -> float:
    """The chance of at most so many hits in so many tries."""
    if chance <= 0 or chance >= 1:
        return 1.0 if chance <= 0 or hits >= count else 0.0
    places = np.arange(hits + 1)
    log_ways = np.array([math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1) for k in places])
    return float(np.exp(log_ways + places * math.log(chance) + (count - places) * math.log1p(-chance)).sum())
