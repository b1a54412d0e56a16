import io
import subprocess
import sys
import warnings

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from apptemplates.evaluation import audit, explanation_figures, figures, metrics

random = np.random.default_rng(0)
TRUTH = (random.random(3000) < 0.05).astype(float)
SCORE = 1 / (1 + np.exp(-(random.normal(size=3000) + 2 * TRUTH - 3)))
GROUPS = audit.by_group(
    lambda truth, answers: {"recall": metrics.recall(truth["label"], answers["alarm"])},
    {"label": TRUTH},
    {"alarm": SCORE > 0.2},
    np.array(["north", "$south$", ""], dtype=object)[random.choice(3, 3000, p=[0.59, 0.4, 0.01])],
    repeats=10,
)
MADE = {
    "precision_recall": lambda: figures.precision_recall(TRUTH, SCORE, SCORE**2 + 0.1, 0.3),
    "precision_recall, one class": lambda: figures.precision_recall(TRUTH * 0, SCORE),
    "roc": lambda: figures.roc(TRUTH, SCORE, random.random(3000), 0.3),
    "roc, one class": lambda: figures.roc(TRUTH * 0, SCORE),
    "roc, no alarm": lambda: figures.roc(TRUTH, SCORE, threshold=2.0),
    "reliability": lambda: figures.reliability((random.random(500) < 0.5).astype(int), random.random(500)),
    "reliability, rare": lambda: figures.reliability(TRUTH, SCORE / 20),
    "reliability, never": lambda: figures.reliability(TRUTH * 0, SCORE * 0),
    "reliability, classes": lambda: figures.reliability(np.array([0, 1, 2]), np.eye(3) * 0.7 + 0.1),
    "score_histogram": lambda: figures.score_histogram(TRUTH, SCORE, 0.3),
    "score_histogram, one value": lambda: figures.score_histogram(TRUTH, SCORE * 0),
    "cost_curve": lambda: figures.cost_curve(TRUTH, SCORE, 100 * SCORE, 5, 0.3, "EUR"),
    "importance_bars": lambda: explanation_figures.importance_bars(
        ["$x$ " * 20, "terminal: mean before over the usual, 7D"],
        [0.1, 0.3],
        [0.05, 0.2],
        [0.2, 0.3],
        "average precision lost when the column is shuffled",
    ),
    "contribution_bars": lambda: explanation_figures.contribution_bars(["a", "b"], np.array([1.0, -2.0])),
    "group_bars": lambda: figures.group_bars(GROUPS, "recall", "region"),
    "insertion_deletion": lambda: explanation_figures.insertion_deletion(
        {
            what: {name: np.linspace(0, 1, 17) for name in ("Grad-CAM", "middle first", "random")}
            for what in ("deletion", "insertion")
        },
        "places",
    ),
    "by_age": lambda: explanation_figures.by_age(
        "Title", "What counts by how far back it stands: a caption of some length.", [(1, 2.0), (3, 1.0)], "back", "y"
    ),
    "learning_curves": lambda: figures.learning_curves({"loss": [3, 2, 1], "val_loss": [3, 2, 2.5]}, 1),
}


@pytest.mark.parametrize("name", MADE)
def test_a_figure_is_drawn_silently_with_a_caption(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = MADE[name]()
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg")
    assert isinstance(figure, Figure) and len(drawn.getvalue()) < 150_000
    assert len(str(figure.get_label())) > 60 and figure.axes[0].get_xlabel()


@pytest.mark.parametrize("name", MADE)
def test_no_word_leaves_the_picture(name):
    figure = MADE[name]()
    FigureCanvasAgg(figure).draw()
    for axes in figure.axes:
        for text in (axes.xaxis.label, axes.yaxis.label, axes.title):
            box = text.get_window_extent()
            inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
            assert inside or not text.get_text(), text


def test_pyplot_is_never_loaded():
    code = "import sys, apptemplates.evaluation.figures; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_curves_pass_through_the_numbers():
    axes = figures.roc(TRUTH, SCORE).axes[0]
    x, y = axes.lines[0].get_data()
    assert ((y[1:] + y[:-1]) / 2 * np.diff(x)).sum() == pytest.approx(metrics.roc_auc(TRUTH, SCORE), abs=0.005)
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    lowest = figures.cost_curve(TRUTH, SCORE, 10, 1).axes[0].lines[1].get_ydata()[0]
    score, thresholds = SCORE, np.append(np.unique(SCORE), 2.0)
    every = [metrics.cost_per_thousand(TRUTH, score >= threshold, 10, 1) for threshold in thresholds]
    assert lowest == pytest.approx(min(every))


def test_small_groups_are_hollow():
    hollow = [
        line for line in figures.group_bars(GROUPS, "recall").axes[0].lines if line.get_markerfacecolor() == "white"
    ]
    assert len(hollow[0].get_xdata()) == GROUPS.table["small"].sum() == 1
