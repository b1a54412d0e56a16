"""Whether an explanation can be trusted: what is left of an answer while what it names first is taken away."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from apptemplates.evaluation import figures, intervals


class Trust(NamedTuple):
    """How far an explanation can be trusted, for a report."""

    sentence: str
    notes: dict[str, Any]
    figures: list[Figure]


def trust(curves: list[np.ndarray], random_curves: list[np.ndarray], answer: str, doing: str, none: str) -> Trust:
    """The comparison of an explanation's order with random ones.

    Args:
        curves: Of each explained answer what is left of it, 1 to 0, while the parts that the explanation names are
            taken away one after the other.
        random_curves: The same in a random order.
        answer: What is explained, such as "a recommendation".
        doing: How parts are taken away, such as "taking away".
        none: Why there is nothing to measure, where there are no curves.

    Reference: Petsiuk et al., 2018, RISE (deletion), arXiv:1806.07421.
    """
    if not curves:
        return Trust(f"Whether the explanation can be trusted was not measured: {none}.", {}, [])
    ours, theirs = np.array(curves), np.array(random_curves)
    gaps = (ours - theirs).mean(axis=1)
    draws = [float(gaps[rows].mean()) for rows in intervals.resamples(len(gaps), None, 200, 0)]
    gap = intervals.interval(float(gaps.mean()), draws)
    better = bool(gap.high < 0 if np.isfinite(gap.high) else gap.value < 0)
    named = f"{doing} what it names first undoes it"
    says = (
        f"The explanation says more than chance about what moves {answer}: {named} sooner than a random order does."
        if better
        else f"Do not rely on the explanation of {answer}: {named} no sooner than a random order does."
    )
    notes = {
        "deletion score": float(ours.mean()),
        "deletion score of random orders": float(theirs.mean()),
        "difference": gap,
        "better than random": better,
    }
    return Trust(says, notes, [figures.deletion(ours.mean(axis=0), theirs.mean(axis=0))])


def by_age(title: str, caption: str, effects: list[tuple[int, float]], x: str, y: str) -> Figure:
    """How much a part counts by how far back it stands.

    Args:
        title, caption: Of the figure.
        effects: How far back a part stands, and what it counts for.
        x, y: Names of the axes.
    """
    figure, axes = figures.blank(title, caption)
    ages = sorted({age for age, _ in effects})
    means = [np.mean([effect for other, effect in effects if other == age]) for age in ages]
    axes.bar(ages, means, color=figures.BLUE, width=0.7)
    axes.set(xlabel=x, ylabel=y)
    return figure
