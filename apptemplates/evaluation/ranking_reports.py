"""Reports of a recommender: beside simple methods in one table, and because of what it recommends."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from apptemplates.data.preflight import Finding
from apptemplates.evaluation import explanation_figures, faithfulness, simple_rankings
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


def leaks(begins: np.ndarray, until: int) -> list[Finding]:
    """What is to be said where people are judged by interactions from before the latest one that was learned from.

    Args:
        begins: The first moment (n,) that each of n people is judged by, in microseconds since 1970.
        until: The latest moment learned from.
    """
    late, people = int((begins < until).sum()), len(begins)
    if not late:
        return []
    moment = np.datetime64(until, "us").astype("datetime64[s]")
    return [
        Finding(
            "learned-from-later",
            "warning",
            f"{late:,} of {people:,} users",
            f"{late:,} of {people:,} users are judged by interactions from before {moment}, the latest one learned "
            "from: the model knows what came after, so that the numbers flatter it",
            "judge by later interactions, or fit to earlier ones alone",
        )
    ]


def tell_held_out(report: Report, headline: str, found: Mapping[str, float], tried: Mapping[str, float]) -> None:
    """Notes how well each way ranked what was held out while learning.

    Args:
        report: To be added to.
        headline: Name of the metric.
        found: Its value by way, named with it.
        tried: Its value by the kind of network, where there was a choice.
    """
    report.notes |= {f"held out while learning, {way}": value for way, value in found.items()}
    for kind, value in tried.items():
        report.notes[f"held out while learning, {headline} of {kind}"] = round(value, 4)


def tell_ease(report: Report, ways: Iterable[str], chosen: bool) -> None:
    """Notes why EASE does not stand in the table, or that its ridge was not chosen.

    Args:
        report: To be added to.
        ways: The names of what stands there.
        chosen: Whether EASE was tried while learning.
    """
    if not any(way.startswith("EASE") for way in ways):
        most = f"{simple_rankings.COMPARED:,} items, and of people whose histories are kept"
        report.notes["EASE alone"] = f"left out: it is for up to {most}"
    elif not chosen:
        report.notes["EASE alone"] = f"with its usual ridge of {simple_rankings.USUAL['strength']:.0f}, not chosen"


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
    rows, kept, curves, effects = [], [], [], []
    random = np.random.default_rng(0)
    for row in range(len(answers["scores"])):
        one = {name: column[row : row + 1] for name, column in inputs.items()}
        item, score = str(answers["items"][row, 0]), float(answers["scores"][row, 0])
        places = np.flatnonzero(one["history"][0] > 0)[-LOOKED:]
        left = Left(one, item, call, catalogue)
        lifts = score - left([[place] for place in places]) if len(places) else np.zeros(0)
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
        kept.append(lifts)
        effects += list(zip(range(len(places), 0, -1), lifts.tolist(), strict=True))
        if len(places) > 1:
            curves.append([faithfulness.along(left, some) for some in (order, *random.permuted([places] * 2, axis=1))])
    return explanation(title, pd.DataFrame(rows), effects, curves, kept)


class Left:
    """The score of an item when places of the history (1, l) are taken away; what was taken stays out of the list."""

    def __init__(self, one: Table, item: str, call: Callable[[Table], Table], catalogue: Any) -> None:
        self.one, self.call = one, call
        self.alone = np.zeros_like(one["candidates"])
        self.alone[0, 0] = catalogue.rows([item])[0]

    def __call__(self, taken: Sequence[Any]) -> np.ndarray:
        """The scores (m,) without each of m lists of places."""
        many = {name: np.repeat(column, len(taken), axis=0) for name, column in self.one.items()}
        many["candidates"] = np.repeat(self.alone, len(taken), axis=0)
        for row, places in enumerate(taken):
            at = np.asarray(places, int)
            many["history"][row, at] = -many["history"][row, at]  # taken, but saying nothing
        return np.asarray(self.call(many)["scores"][:, 0], "float64")


def explanation(title: str, table: pd.DataFrame, effects: list, curves: list, lifts: list[np.ndarray]) -> Report:
    """The Report of what `explain` found."""
    pair: tuple[Any, Any] = (None, None)
    if curves:
        values = np.array(curves)  # (queries, orders, 2, points)
        nothing = values[:, :1, :1, -1:]
        ours, theirs = (values - nothing)[:, 0], (values - nothing)[:, 1:].mean(axis=1)
        pair = faithfulness.Curves(ours[:, 0], theirs[:, 0]), faithfulness.Curves(ours[:, 1], theirs[:, 1])
    trusted = faithfulness.trust(*pair, "a recommendation", "no history moves what is recommended")
    pictures = list(trusted.figures)
    pictures.append(
        explanation_figures.by_age(
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
                  table=table, figures=pictures, notes=trusted.notes, attributions={"items": lifts})  # fmt: skip
