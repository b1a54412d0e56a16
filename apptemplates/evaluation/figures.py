"""Pictures of truth and answers, in one house style: readable in grey, with a caption that says what to look for.

Every function returns a `matplotlib.figure.Figure` made without pyplot; its label (`figure.get_label()`) is the
caption and the text for those who can not see it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator, PercentFormatter

from apptemplates.evaluation import calibration, metrics
from apptemplates.evaluation.audit import Groups
from apptemplates.evaluation.wording import number

# Okabe and Ito's colours: told apart by every kind of colour vision, and here by dashes and shapes as well
BLUE, ORANGE, GREEN, GREY, INK = "#0072b2", "#d55e00", "#009e73", "#8a8f98", "#22262d"
OURS: dict[str, Any] = {"color": BLUE, "linewidth": 2.2, "solid_capstyle": "round"}
THEIRS: dict[str, Any] = {"color": ORANGE, "linewidth": 1.8, "linestyle": (0, (5, 2))}
RECORDS = "shows records"  # the gid of figures that a folder to share leaves out
CHANCE: dict[str, Any] = {"color": GREY, "linewidth": 1.2, "linestyle": (0, (1, 2))}


def precision_recall(
    truth: np.ndarray,
    score: np.ndarray,
    baseline: np.ndarray | None = None,
    threshold: float | None = None,
    names: tuple[str, str] = ("network", "baseline"),
) -> Figure:
    """Precision at every recall, with the baseline's and the threshold in use.

    Args:
        truth: (n,) 0 or 1.
        score: (n,) numbers.
        baseline: (n,) scores of the simple method, or None.
        threshold: in use, marked; or None.
        names: what the two curves are called.

    Returns:
        The figure.
    """
    figure, axes = blank(
        "Precision and recall",
        "Precision (share of alarms that are right) against recall (share of cases found). Further up and right is "
        "better; the dotted line is guessing." + _threshold_words(threshold),
    )
    for values, name, style in _curves(score, baseline, names):
        hits, alarms, positives = counts(truth, values)
        recall, precision = hits / max(positives, 1), hits / alarms
        area = metrics.average_precision(truth, values)
        axes.plot(
            *thin(recall, precision), drawstyle="steps-pre", label=f"{name}, average precision {number(area)}", **style
        )
    axes.axhline(np.mean(truth) if len(truth) else 0, **CHANCE)
    if threshold is not None:
        alarm = score >= threshold
        mark_point(axes, metrics.recall(truth, alarm), metrics.precision(truth, alarm))
    percent_axes(axes, "recall", "precision")
    axes.legend(frameon=False, loc="best", fontsize=9)
    return figure


def roc(
    truth: np.ndarray,
    score: np.ndarray,
    baseline: np.ndarray | None = None,
    threshold: float | None = None,
    names: tuple[str, str] = ("network", "baseline"),
) -> Figure:
    """Share of cases found at every false-alarm rate, with the baseline's and the threshold in use.

    Args:
        truth: (n,) 0 or 1.
        score: (n,) numbers.
        baseline: (n,) scores of the simple method, or None.
        threshold: in use, marked; or None.
        names: what the two curves are called.

    Returns:
        The figure.
    """
    figure, axes = blank(
        "Cases found against false alarms",
        "Recall (share of cases found) against the false alarm rate (share of the others that raise an alarm). Further "
        "up and left is better; the dotted line is guessing." + _threshold_words(threshold),
    )
    for values, name, style in _curves(score, baseline, names):
        hits, alarms, positives = counts(truth, values)
        found = np.append(0, hits / max(positives, 1))
        false = np.append(0, (alarms - hits) / max(len(values) - positives, 1))
        area = metrics.roc_auc(truth, values)
        axes.plot(*thin(false, found), label=f"{name}, area {number(area)}", **style)
    axes.plot([0, 1], [0, 1], **CHANCE)
    if threshold is not None:
        alarm = score >= threshold
        mark_point(axes, metrics.false_alarm_rate(truth, alarm), metrics.recall(truth, alarm))
    percent_axes(axes, "false alarm rate", "recall")
    axes.legend(frameon=False, loc="lower right", fontsize=9)
    return figure


def reliability(truth: np.ndarray, probability: np.ndarray, bins: int = 15, before: np.ndarray | None = None) -> Figure:
    """What was said against what happened, with how sure each point is.

    Args:
        truth: (n,) 0 or 1, or class numbers with (n, c).
        probability: (n,) or (n, c).
        bins: of equal width; of as many rows each, on logarithmic axes, where probabilities are mostly small.
        before: what was stated before calibration, drawn for comparison; or None.

    Returns:
        The figure.
    """
    rare = probability.ndim == 1 and len(probability) > 0 and np.quantile(probability, 0.9) < 0.1
    kind = "rows" if rare else "width"
    table = calibration.reliability(truth, probability, bins, equal=kind)
    figure, axes = blank(
        "Stated probability and what happened",
        "Each point is a group of answers: the probability they stated and the share that came true, with its 95 % "
        "interval. Points on the dotted line keep their word; below it the answers were too sure."
        + (" Crosses are the same answers before calibration." if before is not None else ""),
    )
    said, share = table["probability"], table["share"]
    if rare:
        least = max(min(said.min(), share[share > 0].min() if (share > 0).any() else 1), 1e-5) / 2
        said, share = np.maximum(said, least), np.maximum(share, least)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set(xlim=(least, 1), ylim=(least, 1), xlabel="stated probability", ylabel="share that came true")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
            axis.set_minor_locator(NullLocator())
    else:
        least = 0.0
        percent_axes(axes, "stated probability", "share that came true")
    axes.plot([least, 1], [least, 1], **CHANCE)
    spread = np.abs(np.stack([np.maximum(table["low"], least), table["high"]]) - share)
    if before is not None:
        first = calibration.reliability(truth, before, bins, equal=kind)
        was = np.maximum(first["probability"], least), np.maximum(first["share"], least)
        axes.plot(*was, "x", color=ORANGE, markersize=6, label=f"before, ECE {number(metrics.ece(truth, before))}")
    label = f"now, ECE {number(metrics.ece(truth, probability))}" if before is not None else None
    style: dict[str, Any] = {
        "fmt": "o",
        "color": BLUE,
        "ecolor": GREY,
        "elinewidth": 1.2,
        "markersize": 5,
        "capsize": 2,
    }
    axes.errorbar(said, share, yerr=spread, label=label, **style)
    if before is not None:
        axes.legend(frameon=False, fontsize=9)
    return figure


def score_histogram(
    truth: np.ndarray,
    score: np.ndarray,
    threshold: float | None = None,
    names: tuple[str, str] = ("others", "cases"),
    label: str = "score",
) -> Figure:
    """How scores of cases and of the others are spread, on a logarithmic count.

    Args:
        truth: (n,) 0 or 1.
        score: (n,) numbers.
        threshold: in use, marked; or None.
        names: of truth 0 and truth 1.
        label: of the scores.

    Returns:
        The figure.
    """
    figure, axes = blank(
        "How the scores are spread",
        f"Number of {names[1]} and of {names[0]} at each score, on a logarithmic scale. The less the two overlap, the "
        "better they can be told apart." + _threshold_words(threshold, "black line"),
    )
    truth = np.asarray(truth).astype(bool)
    edges = np.histogram_bin_edges(score, 40) if len(score) else np.linspace(0, 1, 41)
    axes.stairs(np.histogram(score[~truth], edges)[0], edges, fill=True, color="#c9ced6", label=names[0])
    axes.stairs(np.histogram(score[truth], edges)[0], edges, color=BLUE, linewidth=2, label=names[1])
    axes.set_yscale("symlog", linthresh=1)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set(xlabel=label, ylabel="rows")
    axes.set_ylim(bottom=0)
    if threshold is not None:
        axes.axvline(threshold, color=INK, linewidth=1.2)
        axes.annotate(
            "threshold",
            (threshold, 1),
            xycoords=("data", "axes fraction"),
            xytext=(4, -11),
            textcoords="offset points",
            fontsize=9,
        )
    axes.legend(frameon=False, fontsize=9)
    return figure


def cost_curve(
    truth: np.ndarray,
    score: np.ndarray,
    cost_of_miss: float | np.ndarray,
    cost_of_alarm: float | np.ndarray,
    threshold: float | None = None,
    currency: str = "",
) -> Figure:
    """Cost of the mistakes at every number of alarms.

    Args:
        truth: (n,) 0 or 1.
        score: (n,) numbers.
        cost_of_miss: a number or (n,).
        cost_of_alarm: of a needless alarm; a number or (n,).
        threshold: in use, marked; or None.
        currency: of the costs.

    Returns:
        The figure.
    """
    figure, axes = blank(
        "What the mistakes cost",
        "Cost per 1,000 rows of misses and needless alarms together, against how many alarms are raised. The lowest "
        "point is the cheapest threshold." + _threshold_words(threshold),
    )
    positive = np.asarray(truth).astype(bool)
    miss = np.broadcast_to(np.asarray(cost_of_miss, np.float64), positive.shape) * positive
    alarm = np.broadcast_to(np.asarray(cost_of_alarm, np.float64), positive.shape) * ~positive
    order = np.argsort(-score, kind="stable")
    last = np.append(np.diff(score[order]) != 0, True)
    per_thousand = 1000 / max(len(score), 1)
    cost = (miss.sum() + np.cumsum((alarm - miss)[order]))[last] * per_thousand
    alarms = (np.arange(len(score)) + 1)[last] * per_thousand
    alarms, cost = np.append(0, alarms), np.append(miss.sum() * per_thousand, cost)
    axes.plot(*thin(alarms, cost), **OURS)
    best = int(np.argmin(cost))
    axes.plot(alarms[best], cost[best], "v", color=GREEN, markersize=9, label=f"cheapest: {number(cost[best])}")
    if threshold is not None:
        raised = score >= threshold
        mark_point(
            axes, raised.sum() * per_thousand, metrics.cost_per_thousand(truth, raised, cost_of_miss, cost_of_alarm)
        )
    axes.set_xscale("symlog", linthresh=1)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set(xlabel="alarms per 1,000 rows", ylabel=f"cost per 1,000 rows{f' ({currency})' if currency else ''}")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=9)
    return figure


def group_bars(groups: Groups, name: str, column: str = "group") -> Figure:
    """One metric for each group with its interval; small groups hollow.

    Args:
        groups: of `audit.by_group`.
        name: of the metric.
        column: what the groups are groups of.

    Returns:
        The figure.
    """
    table = groups.table.iloc[::-1]
    figure, axes = blank(
        f"{name} by {column}",
        f"{name[:1].upper()}{name[1:]} of each {column} with its 95 % interval; hollow points are groups with few "
        "rows. Where intervals overlap widely, the difference may be chance.",
        height=height_of(len(table)),
    )
    place = np.arange(len(table))
    value, low, high = (table[part].to_numpy(float) for part in (name, f"{name} low", f"{name} high"))
    axes.set_ylim(-0.6, len(table) - 0.4)
    axes.hlines(place, low, high, color=GREY, linewidth=2)
    small = table["small"].to_numpy(bool)
    axes.plot(value[~small], place[~small], "o", color=BLUE, markersize=7)
    axes.plot(value[small], place[small], "o", color=BLUE, markerfacecolor="white", markersize=7)
    axes.set_yticks(
        place, [f"{short(group)}  ({rows:,})" for group, rows in zip(table["group"], table["rows"], strict=True)]
    )
    axes.set_xlabel(name)
    axes.grid(axis="y", visible=False)
    return figure


def learning_curves(history: Mapping[str, Sequence[float]], best: int | None = None) -> Figure:
    """Loss over the epochs, on the rows learned from and on those held out.

    Args:
        history: name -> one number an epoch; `loss` and `val_loss` are shown.
        best: epoch (from 0) whose weights were kept, or None.

    Returns:
        The figure.
    """
    figure, axes = blank(
        "How it learned",
        "Loss over the epochs: on the rows learned from (solid) and on rows held out (dashed). Where the dashed line "
        "turns up, it began to learn by heart." + ("" if best is None else " The mark is the epoch that was kept."),
    )
    for name, label, style in (("loss", "learned from", OURS), ("val_loss", "held out", THEIRS)):
        if name in history:
            axes.plot(np.arange(1, len(history[name]) + 1), history[name], label=label, **style)
    if best is not None and "val_loss" in history:
        mark_point(axes, best + 1, history["val_loss"][best], "kept")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel="loss")
    axes.legend(frameon=False, fontsize=9)
    return figure


def blank(title: str, caption: str, height: float = 3.7) -> tuple[Figure, Axes]:
    """A figure of the house style with one pair of axes."""
    figure = Figure(figsize=(5.4, height), layout="constrained")
    figure.set_label(f"{title}. {caption}")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11.5, fontweight="bold", color=INK, pad=10)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#b4bac3")
    axes.grid(color="#e6e9ee", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9, length=0)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(size=9.5, color=INK)
    return figure, axes


def _curves(score: np.ndarray, baseline: np.ndarray | None, names: tuple[str, str]) -> list:
    curves = [] if baseline is None else [(np.asarray(baseline), names[1], THEIRS)]
    return [*curves, (np.asarray(score), names[0], OURS)]


def counts(truth: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Hits and alarms at each distinct score as threshold, highest first, and the number of positives."""
    order = np.argsort(-score, kind="stable")
    positive = np.asarray(truth).astype(bool)[order]
    last = np.append(np.diff(score[order]) != 0, True)[: len(score)]
    return np.cumsum(positive)[last], (np.arange(len(score)) + 1)[last], int(positive.sum())


def thin(x: np.ndarray, y: np.ndarray, fineness: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Few points that draw the same curve: one where it has moved by a part of the picture."""
    if len(x) <= fineness:
        return x, y
    grid = np.stack([np.round(fineness * values / (np.ptp(values) or 1)) for values in (x, y)])
    moved = np.append(True, (np.diff(grid) != 0).any(axis=0))
    moved[-1] = True
    return x[moved], y[moved]


def mark_point(axes: Axes, x: float, y: float, name: str = "threshold in use") -> None:
    """A diamond with a name in the legend."""
    if np.isfinite(x) and np.isfinite(y):
        axes.plot(x, y, "D", color=INK, markersize=7, markeredgecolor="white", zorder=5, label=name)


def percent_axes(axes: Axes, x: str, y: str) -> None:
    """Both axes 0..1 in percent."""
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.03), xlabel=x, ylabel=y)
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))


def bars(axes: Axes, names: Sequence[str], values: np.ndarray) -> None:
    """Horizontal bars, the last on top; those below 0 are hatched."""
    place = np.arange(len(values))
    up = values >= 0
    axes.barh(place[up], values[up], color=BLUE, height=0.62)
    axes.barh(place[~up], values[~up], color="white", edgecolor=ORANGE, hatch="////", height=0.62)
    axes.set_yticks(place, [short(name) for name in names])
    axes.grid(axis="y", visible=False)


def short(name: object, longest: int = 38) -> str:
    """A name that fits beside a bar."""
    # a dollar sign would start a formula
    text = str(name).replace("$", r"\$")
    return text if len(text) <= longest else text[: longest - 1] + "…"


def height_of(rows: int) -> float:
    """Inches for so many bars."""
    return 1.5 + 0.3 * max(rows, 2)


def _threshold_words(threshold: float | None, mark: str = "diamond") -> str:
    return "" if threshold is None else f" The {mark} marks the threshold in use."
