"""Errors as the least sure answers are referred, and bounds that hold for new ones."""

import numpy as np
import pytest

from apptemplates.evaluation import selective

WRONG = np.array([True, False, False, True, False, False, False, False, False, False])
SURE = np.array([0.1, 0.9, 0.8, 0.3, 0.7, 0.6, 0.95, 0.5, 0.4, 0.85])


def test_risk_falls_as_the_unsure_are_referred():
    coverage, risk = selective.risk_coverage(WRONG, SURE)
    np.testing.assert_allclose(coverage, np.arange(1, 11) / 10)
    np.testing.assert_allclose(risk, [0] * 8 + [1 / 9, 0.2])
    assert selective.error_of_surest(WRONG, SURE, 0.9) == pytest.approx(1 / 9)
    assert selective.error_of_surest(WRONG, SURE, 1.0) == pytest.approx(0.2)
    assert selective.area(WRONG, SURE) == pytest.approx((1 / 9 + 0.2) / 10)


def test_equal_ones_are_kept_or_referred_together():
    coverage, risk = selective.risk_coverage(WRONG, np.full(10, 0.5))
    assert coverage.tolist() == [1] and risk.tolist() == [0.2]
    assert selective.error_of_surest(WRONG, np.full(10, 0.5), 0.5) == pytest.approx(0.2)


def test_without_rows():
    nothing = np.zeros(0)
    assert np.isnan(selective.area(nothing, nothing)) and np.isnan(selective.error_of_surest(nothing, nothing, 0.9))
    assert selective.least_by_rate(nothing, 0.5) == 0


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_the_rate_asked_for_is_referred(kind):
    sure = SURE.astype(kind)
    for rate, referred in ((0, 0), (0.1, 1), (0.3, 3), (0.35, 3)):
        assert (sure < selective.least_by_rate(sure, rate)).sum() == referred


def test_the_error_bound_holds_for_new_answers():
    rng, broken, kept = np.random.default_rng(0), 0, []
    for _ in range(60):
        sure = rng.random(4000)
        wrong = rng.random(4000) < 0.3 * (1 - sure) ** 2
        least = selective.least_by_error(wrong[:1000], sure[:1000], 0.05)
        if least is None:
            continue
        left = sure[1000:] >= least
        kept.append(left.mean())
        broken += wrong[1000:][left].mean() > 0.05
    assert broken <= 12 and len(kept) > 50 and np.mean(kept) > 0.3  # promised with 90 % certainty, and of use


def test_what_can_not_be_promised():
    assert selective.least_by_error(np.ones(50, bool), np.linspace(0, 1, 50), 0.1) is None
    assert selective.least_by_error(np.zeros(5, bool), np.linspace(0, 1, 5), 0.01) is None  # too few to know
    assert selective.least_by_error(np.zeros(1000, bool), np.linspace(0, 1, 1000), 0.05) == 0
    assert selective.binomial_tail(0, 2, 0.5) == pytest.approx(0.25)
    assert selective.binomial_tail(1, 2, 0.5) == pytest.approx(0.75)
    assert selective.binomial_tail(2, 2, 0.5) == pytest.approx(1)
    assert selective.binomial_tail(0, 9, 0) == 1 and selective.binomial_tail(1, 9, 1) == 0
