"""Reports of a recommender: beside simple methods in one table, and because of what it recommends."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from apptemplates.data.preflight import Finding
from apptemplates.evaluation import deletion as deletion_curves
from apptemplates.evaluation.report import Report

Table = dict[str, np.ndarray]
LOOKED = 12  # latest items of a history that are taken away one by one


def compare(report: Report, numbers: Mapping[str, Mapping[str, float]]) -> None:
    """Puts the numbers of several ways to rank the same trials into a report's table, and says which is best."""
    names = list(next(iter(numbers.values())))
    report.table = pd.DataFrame(
        [{"ranked by": way} | {name: found[name] for name in names} for way, found in numbers.items()]
    )
    ours, *others = numbers
    headline = names[0]
    best = max(others, key=lambda way: numbers[way][headline])
    report.notes["best other"] = (
        f"{best}: {headline} {numbers[best][headline]:.4f}, {ours} {numbers[ours][headline]:.4f}"
    )


def leak(late: int, people: int, until: int) -> Finding:
    """What is to be said of people judged by interactions from before the latest one that was learned from.

    Args:
        late: How many of them.
        people: How many there are.
        until: The latest moment learned from, in microseconds since 1970.
    """
    moment = np.datetime64(until, "us").astype("datetime64[s]")
    return Finding(
        "learned-from-later",
        "warning",
        f"{late:,} of {people:,} users",
        f"{late:,} of {people:,} users are judged by interactions from before {moment}, the latest one learned from: "
        "the model knows what came after, so that the numbers flatter it",
        "judge by later interactions, or fit to earlier ones alone",
    )


def explain(title: str, inputs: Table, call: Callable[[Table], Table], catalogue: Any) -> Report:
    """What of a history moved the first recommendation: each of the latest items is taken away, and it is asked again.

    Args:
        title: Of the application.
        inputs: Prepared queries (n, ...).
        call: The graph.
        catalogue: Names of the rows.

    Returns:
        A Report: `table` has a row a query with its first item, score, and by how much each of up to three taken items
        lifts it; and whether taking away what is named first undoes the recommendation sooner than a random order.

    Reference: Petsiuk et al., 2018, RISE (deletion), arXiv:1806.07421.
    """
    inputs = {name: column for name, column in inputs.items() if name not in ("problem", "k", "asked")}
    answers = call(inputs)
    rows, curves, random_curves, effects = [], [], [], []
    random = np.random.default_rng(0)
    for row in range(len(answers["scores"])):
        one = {name: column[row : row + 1] for name, column in inputs.items()}
        item, score = str(answers["items"][row, 0]), float(answers["scores"][row, 0])
        places = np.flatnonzero(one["history"][0] > 0)[-LOOKED:]
        lifts = np.array([score - without(one, [place], item, call, catalogue) for place in places])
        order = places[np.argsort(-lifts, kind="stable")]
        named = catalogue.named(one["history"][0, order[:3]]) if len(order) else []
        strongest = np.sort(lifts)[::-1][:3]
        rows.append(
            {
                "item": item,
                "score": round(score, 3),
                "lifted by": ", ".join(f"{name} {lift:+.2f}" for name, lift in zip(named, strongest, strict=False)),
            }
        )
        effects += list(zip(range(len(places), 0, -1), lifts.tolist(), strict=True))
        if len(places) > 1:
            curves.append(deletion(one, order, item, score, call, catalogue))
            tried = [deletion(one, random.permutation(places), item, score, call, catalogue) for _ in range(2)]
            random_curves.append(np.mean(tried, axis=0))
    return explanation(title, pd.DataFrame(rows), effects, curves, random_curves)


def without(one: Table, places: Any, item: str, call: Callable[[Table], Table], catalogue: Any) -> float:
    """The score of an item when places of the history (1, l) are taken away; what was taken stays out of the list."""
    history = one["history"].copy()
    history[0, places] = -history[0, places]  # taken, but saying nothing
    alone = np.zeros_like(one["candidates"])
    alone[0, 0] = catalogue.rows([item])[0]
    return float(call({**one, "history": history, "candidates": alone})["scores"][0, 0])


def deletion(
    one: Table, order: np.ndarray, item: str, score: float, call: Callable[[Table], Table], catalogue: Any
) -> np.ndarray:
    """What is left of the score, 1 to 0 at 11 points, while the items of an order are taken away one after another."""
    scores = [score, *(without(one, order[: end + 1], item, call, catalogue) for end in range(len(order)))]
    span = scores[0] - scores[-1]
    left = (np.array(scores) - scores[-1]) / (span if abs(span) > 1e-6 else 1.0)
    return np.interp(np.linspace(0, 1, 11), np.linspace(0, 1, len(left)), left)


def explanation(title: str, table: pd.DataFrame, effects: list, curves: list, random_curves: list) -> Report:
    """The Report of what `explain` found."""
    trusted = deletion_curves.trust(
        curves, random_curves, "a recommendation", "taking away", "no history has two items"
    )
    pictures = list(trusted.figures)
    pictures.append(
        deletion_curves.by_age(
            "How long ago counts",
            "By how much the first recommendation falls, in standard deviations, when one item of the history is taken "
            "away: the latest, the one before it, and so on; the mean over the queries.",
            effects,
            "place in the history, 1 is the latest",
            "fall of the score",
        )
    )
    latest = np.mean([lift for age, lift in effects if age == 1]) if effects else float("nan")
    says = f"Taking away the latest item moves the first recommendation by {latest:.2f} standard deviations on average."
    if not effects:
        says = "No query has a history, so that what is popular was recommended."
    return Report(title=f"{title}: what decided", kind="explanation", verdict=[says, trusted.sentence],
                  table=table, figures=pictures, notes=trusted.notes)  # fmt: skip
