"""Figures for decisions about pictures: what is drawn is what was measured, and nothing breaks at the edges."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from apptemplates.evaluation import picture_figures, selective

RNG = np.random.default_rng(0)
TRUTH = RNG.integers(0, 3, 200)
FLAGS = np.eye(3, dtype=bool)[TRUTH]
CHANCES = RNG.dirichlet((1, 1, 1), 200) * 0.5 + 0.5 * FLAGS
SAID = np.eye(3, dtype=bool)[CHANCES.argmax(axis=1)]


def drawn(figure):
    assert isinstance(figure, Figure) and len(figure.get_label()) > 40
    figure.canvas.draw()
    return figure


def test_risk_and_coverage_mark_what_is_left():
    sure = RNG.random(200)
    wrong = RNG.random(200) < 0.4 * (1 - sure)
    figure = drawn(picture_figures.risk_coverage(wrong, sure))
    (axes,) = figure.axes
    marks = [line for line in axes.lines if line.get_marker() == "D"]
    assert marks[0].get_ydata()[0] == pytest.approx(selective.error_of_surest(wrong, sure, 0.9))
    assert "10% are referred" in figure.get_label()


def test_confusion_counts_every_answer():
    figure = drawn(picture_figures.confusion(("effusion", "mass", "normal"), FLAGS, SAID))
    numbers = [int(text.get_text().split()[0].replace(",", "")) for text in figure.axes[0].texts]
    assert sum(numbers) == 200
    assert sorted(numbers)[-3:] == sorted((FLAGS & SAID).sum(axis=0))


def test_many_classes_are_drawn_too():
    names = tuple(f"finding {k}" for k in range(30))
    truth = np.eye(30, dtype=bool)[RNG.integers(0, 30, 300)]
    (axes,) = drawn(picture_figures.confusion(names, truth, truth)).axes
    assert len(axes.get_yticks()) == 30 and not axes.texts  # no room for numbers
    np.testing.assert_array_equal(axes.images[0].get_array(), np.eye(30))
    figure = drawn(picture_figures.roc_of_classes(names, truth, RNG.random((300, 30))))
    assert "The 8 worst of 30 classes are shown" in figure.get_label()
    assert len(figure.axes[0].get_legend().get_texts()) == 8


def test_roc_of_classes_names_their_areas():
    figure = drawn(picture_figures.roc_of_classes(("a", "b", "c"), FLAGS, FLAGS.astype(float)))
    assert any("1" in text.get_text() for text in figure.axes[0].get_legend().get_texts())


@pytest.mark.filterwarnings("error")
def test_without_rows():
    nothing = np.zeros((0, 3))
    drawn(picture_figures.risk_coverage(np.zeros(0, bool), np.zeros(0)))
    (axes,) = drawn(picture_figures.confusion(("a", "b", "c"), nothing > 0, nothing > 0)).axes
    assert {text.get_text() for text in axes.texts} == {"0\n0%"}
    (axes,) = drawn(picture_figures.roc_of_classes(("a", "b", "c"), nothing > 0, nothing)).axes
    assert len(axes.lines) == 1 and axes.get_legend() is None  # that of guessing


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 6])
def test_heat_maps_lie_over_their_pictures(count, channels):
    images = RNG.integers(0, 256, (count, 28, 28, channels), dtype=np.uint8)
    maps = {name: RNG.random((count, 28, 28)) for name in ("Grad-CAM", "occlusion")}
    figure = drawn(picture_figures.heat_maps(images, maps, [f"answer {k}" for k in range(count)]))
    assert len([axes for axes in figure.axes if axes.images]) == 3 * count
