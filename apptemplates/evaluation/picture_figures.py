"""Figures for decisions about pictures: what is referred, what is mixed up, and where on the picture it was seen."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from apptemplates.evaluation import metrics, selective
from apptemplates.evaluation.figures import (
    BLUE,
    CHANCE,
    GREEN,
    INK,
    ORANGE,
    OURS,
    blank,
    counts,
    height_of,
    percent_axes,
    short,
    thin,
)
from apptemplates.evaluation.wording import number

STYLES = (
    (BLUE, "-"),
    (ORANGE, (0, (5, 2))),
    (GREEN, (0, (1, 1.2))),
    ("#cc79a7", (0, (3, 1, 1, 1))),
    ("#56b4e9", "-"),
    ("#e69f00", (0, (5, 2))),
    (INK, (0, (1, 1.2))),
    ("#8a8f98", "-"),
)
MOST_CELLS = 15  # classes whose counts are written into a confusion table


def risk_coverage(wrong: np.ndarray, sure: np.ndarray, referred: float = 0.1) -> Figure:
    """The error among the answers that are kept, for every share that is referred.

    Args:
        wrong: (n,) bool.
        sure: (n,).
        referred: a share that is marked.

    Returns:
        The figure.
    """
    figure, axes = blank(
        "Errors among the answers that are kept",
        "Error rate among the surest answers, against the share of answers that is kept; the others are referred to a "
        "person. The lower the line lies on its way to the left, the better the model knows when it does not know. "
        f"The diamond is what is left when the least sure {referred:.0%} are referred, the dotted line the error "
        "without referring any.",
    )
    coverage, risk = selective.risk_coverage(wrong, sure)
    axes.plot(*thin(coverage, risk), **OURS)
    if len(wrong):
        left = selective.error_of_surest(wrong, sure, 1 - referred)
        axes.axhline(wrong.mean(), **CHANCE)
        axes.plot(
            1 - referred,
            left,
            "D",
            color=INK,
            markersize=7,
            label=f"{referred:.0%} referred: {100 * left:.1f} % errors",
        )
        axes.legend(frameon=False, fontsize=9)
    top = max(0.02, 1.15 * float(np.max(risk[coverage > 0.1], initial=0.0)))
    percent_axes(axes, "share of answers kept", "error rate among them")
    axes.set_ylim(0, min(1, top))
    return figure


def confusion(names: Sequence[str], truth: np.ndarray, said: np.ndarray) -> Figure:
    """How often each class was taken for each other.

    Args:
        names: of the classes.
        truth: (n, c) bool, one class a row.
        said: (n, c) bool likewise.

    Returns:
        The figure.
    """
    table = truth.astype(float).T @ said.astype(float)  # (c, c) rows are the truth
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    figure, axes = blank(
        "What is taken for what",
        "Rows are what was true, columns what was said; each cell holds the count and the share of its row. All of it "
        "on the diagonal would be perfect.",
        height=max(3.7, height_of(len(names)) + 1.0),
    )
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    if len(names) <= MOST_CELLS:
        for row in range(len(names)):
            for column in range(len(names)):
                axes.text(
                    column,
                    row,
                    f"{int(table[row, column]):,}\n{share[row, column]:.0%}",
                    ha="center",
                    va="center",
                    fontsize=9,
                    color="white" if share[row, column] > 0.55 else INK,
                )
    axes.set_xticks(range(len(names)), [short(name, 14) for name in names], rotation=30 if len(names) > 3 else 0)
    axes.set_yticks(range(len(names)), [short(name, 22) for name in names])
    axes.grid(visible=False)
    axes.set(xlabel="said", ylabel="true")
    return figure


def roc_of_classes(names: Sequence[str], truth: np.ndarray, chances: np.ndarray, most: int = 8) -> Figure:
    """Share of each class's cases found at every false-alarm rate.

    Args:
        names: of the classes.
        truth: (n, c) bool.
        chances: (n, c).
        most: classes shown, those that are told apart worst first.

    Returns:
        The figure.
    """
    areas = np.array([metrics.roc_auc(truth[:, k], chances[:, k]) for k in range(len(names))])
    defined = np.flatnonzero(~np.isnan(areas))
    order = defined[np.argsort(areas[defined], kind="stable")][:most]
    figure, axes = blank(
        "Cases found against false alarms, by class",
        "For each class the share of its cases that are found, against the share of the others taken for it. Further "
        "up and left is better; the dotted line is guessing."
        + (f" The {most} worst of {len(names)} classes are shown." if len(defined) > most else ""),
        height=4.2,
    )
    for (colour, dashes), k in zip(STYLES, order, strict=False):
        hits, alarms, positives = counts(truth[:, k], chances[:, k])
        found = np.append(0, hits / max(positives, 1))
        false = np.append(0, (alarms - hits) / max(len(truth) - positives, 1))
        label = f"{short(names[k], 24)}, area {number(float(areas[k]))}"
        axes.plot(*thin(false, found), color=colour, linestyle=dashes, linewidth=1.8, label=label)
    axes.plot([0, 1], [0, 1], **CHANCE)
    percent_axes(axes, "false alarm rate", "cases found")
    if len(order):
        axes.legend(frameon=False, fontsize=8.5, loc="lower right")
    return figure


def heat_maps(images: np.ndarray, maps: dict[str, np.ndarray], titles: Sequence[str]) -> Figure:
    """Pictures, and over each of them where the answer was seen.

    Args:
        images: (n, h, w, c) uint8.
        maps: method -> (n, h, w) in 0..1.
        titles: n lines that stand above the pictures.

    Returns:
        The figure, a row a picture.
    """
    rows, columns = len(images), 1 + len(maps)
    figure = Figure(figsize=(2.0 * columns + 0.3, 2.05 * rows + 0.6), layout="constrained")
    figure.set_label(
        "Where it was seen. Each row is a picture and, laid over it, how much each place speaks for the answer: "
        f"{' and '.join(maps)}. The yellower, the more. A map that marks the border, a label or a device instead of "
        "what was asked about is a warning."
    )
    for row in range(rows):
        picture = images[row] if images.shape[-1] == 3 else np.repeat(images[row], 3, axis=-1)
        for column, (name, values) in enumerate({"picture": None, **maps}.items()):
            axes = figure.add_subplot(rows, columns, row * columns + column + 1)
            axes.imshow(picture)
            if values is not None:
                axes.imshow(values[row], cmap="viridis", alpha=0.5, vmin=0, vmax=1)
            title = titles[row] if column == 0 else name if row == 0 else ""
            axes.set_title(short(title, 30), fontsize=8.5, color=INK, loc="left")
            axes.set_axis_off()
    return figure
