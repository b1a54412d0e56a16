"""Whether an explanation can be trusted: what it names first must undo the answer when taken away, and make it."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from apptemplates.evaluation import explanation_figures, intervals

WAYS = ("deletion", "insertion")


class Curves(NamedTuple):
    """How much of each answer is there, (n, p + 1), along an order of its parts.

    `named` is the order of the explanation, `random` the mean of random ones. While parts are taken away, a row begins
    with the whole answer; while they are brought in, it ends with it.
    """

    named: np.ndarray
    random: np.ndarray


class Trust(NamedTuple):
    """How far an explanation can be trusted, for a report."""

    sentence: str
    notes: dict[str, Any]
    figures: list[Figure]


def trust(deletion: Curves | None, insertion: Curves | None, answer: str, none: str, seed: int = 0) -> Trust:
    """The comparison of an explanation's order with random ones.

    Args:
        deletion: While parts are taken away; None where nothing can be measured.
        insertion: While they are brought in.
        answer: What is explained, such as "a recommendation".
        none: Why there is nothing to measure, where there is not.
        seed: Of the bootstrap.

    Returns:
        A sentence; notes with the areas under the curves as shares of the whole answers (of deletion the smaller the
        better, of insertion the larger) and by how much each is better than random, with intervals; a figure.

    Reference: Petsiuk et al., 2018, RISE, arXiv:1806.07421.
    """
    curves = {} if deletion is None or insertion is None else {"deletion": deletion, "insertion": insertion}
    whole = curves["deletion"].named[:, 0].sum() if curves else 0.0
    if not whole > 0:
        return Trust(f"Whether the explanation can be trusted was not measured: {none}.", {}, [])
    columns = {
        (what, order): area(getattr(pair, order)) for what, pair in curves.items() for order in ("named", "random")
    }
    columns["whole", ""] = curves["deletion"].named[:, 0]

    def shares(truth: Any, drawn: dict[Any, np.ndarray]) -> dict[Any, float]:
        sums = {key: float(column.sum()) for key, column in drawn.items()}
        total = sums["whole", ""]
        if total <= 0:
            return dict.fromkeys(shares_of, float("nan"))
        found = {key: value / total for key, value in sums.items() if key[1]}
        gain = {"deletion": found["deletion", "random"] - found["deletion", "named"]}
        gain["insertion"] = found["insertion", "named"] - found["insertion", "random"]
        return found | {(what, "better"): value for what, value in gain.items()}

    shares_of = [(what, order) for what in WAYS for order in ("named", "random", "better")]
    measured: dict[Any, intervals.Metric] = intervals.bootstrap(shares, {}, columns, seed=seed)  # type: ignore[arg-type]
    notes: dict[str, Any] = {}
    for what in WAYS:
        notes[f"{what} score"] = measured[what, "named"].value
        notes[f"{what} score of random orders"] = measured[what, "random"].value
        notes[f"{what} better than random by"] = measured[what, "better"]
    better = [what for what in WAYS if beyond(measured[what, "better"])]
    drawn = {
        what: {"named first": pair.named.sum(axis=0) / whole, "random": pair.random.sum(axis=0) / whole}
        for what, pair in curves.items()
    }
    return Trust(said("The explanation", answer, better), notes, [explanation_figures.insertion_deletion(drawn)])


def beyond(gain: intervals.Metric) -> bool:
    """Whether a gain is above 0 beyond chance; one answer has no interval, there the number itself is taken."""
    return bool(gain.low > 0 if np.isfinite(gain.low) else gain.value > 0)


def said(what: str, answer: str, better: list[str]) -> str:
    """How far an explanation can be relied on, by the tests in which it is better than random orders."""
    if len(better) == len(WAYS):
        return (
            f"{what} says more than chance about what moves {answer}: what it names first undoes it, and makes it, "
            "sooner than a random order does."
        )
    if better:
        return f"{what} of {answer} can be relied on in part: by {better[0]} it beats random orders, by the other not."
    return f"Do not rely on {what[:1].lower()}{what[1:]} of {answer}: it names what matters no better than chance."


def area(curves: np.ndarray) -> np.ndarray:
    """Area (n,) under each curve (n, p + 1) over 0..1, by trapezoids."""
    return np.asarray((curves[:, 1:] + curves[:, :-1]) / 2).mean(axis=1)


def along(there: Any, order: np.ndarray, points: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Both curves (p + 1,) of one answer along one order of its parts.

    Args:
        there: From the parts (m,) that are taken away to how much of the answer is there.
        order: (parts,) the first to be taken away, or brought in, first.
        points: Steps of the curves.
    """
    steps = np.unique(np.round(np.linspace(0, len(order), points + 1)).astype(int))
    taken = [order[:end] for end in steps] + [order[end:] for end in steps]
    values = np.asarray(there(taken), "float64").reshape(2, len(steps))
    grid, at = np.linspace(0, 1, points + 1), steps / steps[-1]
    return np.interp(grid, at, values[0]), np.interp(grid, at, values[1])
