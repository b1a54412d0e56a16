"""Figures of explanations: what matters most, and whether it can be trusted."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from apptemplates.evaluation.figures import (
    BLUE,
    CHANCE,
    GREEN,
    INK,
    OURS,
    THEIRS,
    bars,
    blank,
    height_of,
    percent_axes,
)
from apptemplates.evaluation.wording import number


def insertion_deletion(curves: Mapping[str, Mapping[str, np.ndarray]], parts: str = "parts") -> Figure:
    """How much of the answers is there while what an explanation names first is taken away, and while it is brought in.

    Args:
        curves: "deletion" and "insertion" -> name of the order -> (p + 1,), the mean of the answers.
        parts: What is taken away, such as "places".

    Returns:
        The figure.
    """
    figure = Figure(figsize=(7.2, 3.7), layout="constrained")
    figure.set_label(
        f"Can the explanation be trusted? Left: what is left of the answer while {parts} are taken away, those named "
        "first (lower is better). Right: while they are brought in (higher is better). Dashed: in random order"
        + ("; dotted: from the middle outwards." if any("middle first" in lines for lines in curves.values()) else ".")
    )
    for place, (what, lines) in enumerate(curves.items()):
        axes = figure.add_subplot(1, 2, place + 1)
        named = iter([OURS, {**OURS, "color": GREEN}])
        for name, curve in lines.items():
            style = THEIRS if name == "random" else CHANCE if name == "middle first" else next(named)
            axes.plot(
                np.linspace(0, 1, len(curve)), curve, label=f"{name}, area {number(float(np.mean(curve)))}", **style
            )
        percent_axes(axes, f"{parts} {'taken away' if what == 'deletion' else 'brought in'}", "of the answer")
        axes.set_title(what, loc="left", fontsize=11.5, fontweight="bold", color=INK)
        axes.grid(color="#e6e9ee", linewidth=0.8)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    return figure


def by_age(title: str, caption: str, effects: Sequence[tuple[int, float]], x: str, y: str) -> Figure:
    """How much a part counts by how far back it stands.

    Args:
        title, caption: Of the figure.
        effects: How far back a part stands, and what it counts for.
        x, y: Names of the axes.

    Returns:
        The figure.
    """
    figure, axes = blank(title, caption)
    ages = sorted({age for age, _ in effects})
    means = [np.mean([effect for other, effect in effects if other == age]) for age in ages]
    axes.bar(ages, means, color=BLUE, width=0.7)
    axes.set(xlabel=x, ylabel=y)
    return figure


def importance_bars(
    names: Sequence[str],
    values: np.ndarray,
    low: np.ndarray | None = None,
    high: np.ndarray | None = None,
    label: str = "score lost when the column is shuffled",
    most: int = 15,
) -> Figure:
    """How much each column matters, the most important on top.

    Args:
        names: of the columns.
        values: (c,) importances.
        low: (c,) or None.
        high: (c,) or None.
        label: what the bars measure.
        most: how many are shown.

    Returns:
        The figure.
    """
    values = np.asarray(values, np.float64)
    order = np.argsort(-values, kind="stable")[:most][::-1]
    figure, axes = blank(
        "What matters most",
        f"Columns by importance: {label}, with the spread over repeats. Columns that say the same share their bar.",
        height=height_of(len(order)),
    )
    bars(axes, [names[place] for place in order], values[order])
    if low is not None and high is not None:
        spread = np.abs(np.stack([np.asarray(low)[order], np.asarray(high)[order]]) - values[order])
        axes.errorbar(
            values[order], np.arange(len(order)), xerr=spread, fmt="none", ecolor=INK, elinewidth=1.2, capsize=2
        )
    axes.set_xlabel(textwrap.fill(label, 32))  # the axes are narrow where names are long
    return figure


def contribution_bars(
    names: Sequence[str], values: np.ndarray, label: str = "pushes the answer down or up (logits)", most: int = 12
) -> Figure:
    """What pushed one answer up or down, the strongest on top.

    Args:
        names: of the columns, perhaps with their values.
        values: (c,) signed attributions.
        label: of the axis.
        most: how many are shown.

    Returns:
        The figure.
    """
    values = np.asarray(values, np.float64)
    order = np.argsort(-np.abs(values), kind="stable")[:most][::-1]
    figure, axes = blank(
        "Why this answer",
        "Columns by how far they moved the answer from that of an ordinary query: to the right up, to the left "
        "(hatched) down.",
        height=height_of(len(order)),
    )
    bars(axes, [names[place] for place in order], values[order])
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_xlabel(label)
    return figure
