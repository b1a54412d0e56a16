"""Which of the characters before moved the next one: each is blotted out in turn, and the model is asked again."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from apptemplates.evaluation import explanation_figures, faithfulness, figures
from apptemplates.evaluation.report import Report
from apptemplates.inference.tokens import UNKNOWN

LOOKED = 40  # latest tokens that are blotted out one by one
DRAWN = 6  # prompts that are drawn


def explain(
    title: str,
    prompts: Sequence[np.ndarray],
    fronts: Sequence[int],
    chances: Callable[[Sequence[np.ndarray]], np.ndarray],
    named: Callable[[int], str],
) -> Report:
    """What of each prompt speaks for the likeliest next token.

    Args:
        title: Of the application.
        prompts: Rows of tokens.
        fronts: How many tokens of each row only stand in front.
        chances: From such rows to the chances (n, v) of what follows each.
        named: The text of a token.

    Returns:
        A Report: `table` has a row a prompt with its likeliest next token, the chance of it, and the tokens before that
        lift it most, in nats; and whether blotting these out undoes it sooner than a random order does.

    Reference: Petsiuk et al., 2018, RISE (deletion), arXiv:1806.07421.
    """
    random = np.random.default_rng(0)
    before = chances(prompts)
    rows, drawn, ages, curves = [], [], [], []
    for line, front, chance in zip(prompts, fronts, before, strict=True):
        token = int(chance.argmax())
        places = np.arange(max(front, len(line) - LOOKED), len(line))
        left = partial(chances_left, chances, line, token)
        lifts = np.log(chance[token]) - np.log(left([[place] for place in places]))
        order = places[np.argsort(-lifts, kind="stable")]
        best = [(named(int(line[place])), lift, len(line) - place) for place, lift in zip(places, lifts, strict=True)]
        best = sorted(best, key=lambda one: -one[1])[:3]
        lifted = "; ".join(f"{text!r} {lift:+.2f} ({age} before)" for text, lift, age in best)
        rows.append({"next": named(token), "chance": round(float(chance[token]), 3), "lifted by (nats)": lifted})
        drawn.append(([named(int(line[place])) for place in places], lifts, named(token)))
        ages += list(zip((len(line) - places).tolist(), lifts.tolist(), strict=True))
        if len(places) > 2:
            curves.append([faithfulness.along(left, some) for some in (order, random.permutation(places))])
    return told(title, pd.DataFrame(rows), drawn, ages, curves)


def chances_left(chances: Any, line: np.ndarray, token: int, blotted: Sequence[Any]) -> np.ndarray:
    """The chance (m,) that a token follows a line of which each of m lists of places is made unknown."""
    lines = []
    for places in blotted:
        found = line.copy()
        found[np.asarray(places, int)] = UNKNOWN
        lines.append(found)
    return np.maximum(chances(lines)[:, token], 1e-9) if lines else np.zeros(0)


def told(title: str, table: pd.DataFrame, drawn: list, ages: list, curves: list) -> Report:
    """The Report of what was found."""
    pair: tuple[Any, Any] = (None, None)
    if curves:
        values = np.array(curves)  # (prompts, orders, 2, points)
        deletion, insertion = (faithfulness.Curves(values[:, 0, way], values[:, 1, way]) for way in range(2))
        pair = deletion, insertion
    trusted = faithfulness.trust(*pair, "the next token", "the prompts are too short")
    moved = explanation_figures.by_age(
        "How far back counts",
        "By how many nats the chance of the likeliest next token moves, up or down, when one token before is blotted "
        "out: the latest, the one before it, and so on; the mean over the prompts.",
        [(age, abs(lift)) for age, lift in ages],
        "tokens back, 1 is the latest",
        "nats",
    )
    pictures = [strips(drawn[:DRAWN]), moved, *trusted.figures]
    near = np.array([lift for age, lift in ages if age <= 5])
    far = np.array([lift for age, lift in ages if age > 5])
    closely = np.abs(near).mean() if len(near) else 0.0
    says = f"One of the last five tokens moves the next one by {closely:.2f} nats on average"
    says += f", one further back by {np.abs(far).mean():.2f}." if len(far) else "."
    return Report(title=f"{title}: what decided", kind="explanation", verdict=[says, trusted.sentence],
                  table=table, figures=pictures, notes=trusted.notes,
                  attributions={"tokens": [lifts for _, lifts, _ in drawn]})  # fmt: skip


def strips(drawn: list[tuple[list[str], np.ndarray, str]]) -> Any:
    """The last tokens of prompts, darker the more each speaks for what follows."""
    figure, axes = figures.blank(
        "What spoke for the next token",
        "The end of each prompt; blue tokens make the likeliest next one (framed, right) likelier, orange ones less "
        "likely; the stronger the colour, the more.",
        height=0.9 + 0.42 * max(1, len(drawn)),
    )
    axes.axis("off")
    axes.set(xlim=(0, LOOKED + 2), ylim=(-len(drawn), 0.4))
    for row, (texts, lifts, following) in enumerate(drawn):
        most = max(float(np.abs(lifts).max(initial=0)), 1e-6)
        for place, (text, lift) in enumerate(zip(texts, lifts, strict=True)):
            x = LOOKED - len(texts) + place
            colour = figures.BLUE if lift > 0 else figures.ORANGE
            axes.add_patch(rectangle(x, -row - 0.8, colour, min(1.0, abs(lift) / most) * 0.75))
            axes.text(x + 0.5, -row - 0.4, seen(text), ha="center", va="center", fontsize=7, family="monospace")
        axes.add_patch(rectangle(LOOKED + 0.6, -row - 0.8, figures.INK, 1.0, fill=False))
        axes.text(LOOKED + 1.1, -row - 0.4, seen(following), ha="center", va="center", fontsize=8, family="monospace")
    return figure


def seen(text: str) -> str:
    """A token as it can be printed in a cell."""
    shown = text.replace("\n", "↵").replace(" ", "·").replace("$", r"\$")
    return shown[:4] or "?"


def rectangle(x: float, y: float, colour: str, alpha: float, fill: bool = True) -> Any:
    """A cell of a strip."""
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), 1, 0.8, facecolor=colour if fill else "none", edgecolor="none" if fill else colour,
                     alpha=alpha)  # fmt: skip
