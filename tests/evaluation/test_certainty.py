"""Chances before and after calibration, and what stands of them in a report."""

import numpy as np
import pytest

from apptemplates.evaluation import calibration, certainty, metrics
from apptemplates.evaluation.certainty import Stated
from apptemplates.evaluation.report import Report

RNG = np.random.default_rng(0)


def softmax(logits):
    weight = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weight / weight.sum(axis=1, keepdims=True)


def test_the_temperature_is_undone_exactly():
    logits = RNG.normal(0, 3, 500)
    now = 1 / (1 + np.exp(-logits / 2.5))
    np.testing.assert_allclose(certainty.uncalibrated(now, 2.5), 1 / (1 + np.exp(-logits)), rtol=1e-6)
    logits = RNG.normal(0, 3, (500, 4))
    np.testing.assert_allclose(certainty.uncalibrated(softmax(logits / 0.4), 0.4), softmax(logits), atol=1e-6)


def test_chances_at_the_edge_stay_chances():
    before = certainty.uncalibrated(np.array([0.0, 1.0, 0.5]), 3.0)
    assert ((before >= 0) & (before <= 1)).all() and before[2] == pytest.approx(0.5)


def overconfident(rows=3000):
    """Truth, chances that keep their word, and the temperature by which they were mended."""
    logits = RNG.normal(0, 1.5, rows)
    truth = (RNG.random(rows) < 1 / (1 + np.exp(-logits))).astype(int)
    return truth, 1 / (1 + np.exp(-logits)), 3.0


def test_a_report_shows_the_error_before_and_now():
    truth, chances, temperature = overconfident()
    assert calibration.fit_temperature(truth, 3 * np.log(chances / (1 - chances))) == pytest.approx(3, rel=0.1)
    report = Report(title="t")
    said = chances >= 0.5
    stated = Stated(
        wrong=said != truth, sure=np.abs(chances - 0.5), truth=truth, chances=chances, temperature=temperature
    )
    certainty.add(report, stated)
    assert report.calibration[certainty.BEFORE] > 0.1 > 3 * metrics.ece(truth, chances)
    first, second = report.figures
    assert "before" in first.get_label() and len(first.axes[0].get_legend().get_texts()) == 2
    assert "kept" in first.get_label() + second.get_label()


def test_what_was_not_calibrated_has_no_before():
    truth, chances, _ = overconfident()
    report = Report(title="t")
    certainty.add(report, Stated(wrong=truth > 0, sure=chances, truth=truth, chances=chances))
    assert not report.calibration and len(report.figures) == 2
    assert report.figures[0].axes[0].get_legend() is None


def test_decisions_without_chances_have_a_curve_of_what_is_kept():
    report = Report(title="t")
    stated = Stated(wrong=RNG.random(200) < 0.2, sure=RNG.random(200))
    certainty.add(report, stated)
    assert len(report.figures) == 1 and stated.of_label() is None


def test_nothing_judged_draws_nothing():
    report = Report(title="t")
    none = np.zeros(0)
    certainty.add(report, Stated(wrong=none > 0, sure=none, truth=none, chances=none))
    assert not report.figures and not report.calibration


def test_the_chance_of_the_own_label():
    nothing = {"wrong": np.zeros(3, bool), "sure": np.zeros(3)}
    two = Stated(**nothing, truth=np.array([1, 0, 1]), chances=np.array([0.9, 0.2, 0.3]))
    np.testing.assert_allclose(two.of_label(), [0.9, 0.8, 0.3])
    table = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3]])
    one = Stated(**nothing, truth=np.array([1, 2, -1]), chances=table)
    np.testing.assert_allclose(one.of_label(), [0.2, 0.8, 1.0])  # what was never learned is no suspect
    assert len(one.judged()[0]) == 2
    flags = np.array([[True, False, False], [False, True, True], [False, False, False]])
    several = Stated(**nothing, truth=flags, chances=table)
    np.testing.assert_allclose(several.of_label(), [0.7, 0.1, 0.6])
    assert len(several.judged()[0]) == 9
