"""An explanation that stays the same with shuffled weights is not of what was learned."""

import numpy as np
import pytest

import apptemplates as at
from apptemplates.evaluation import randomised


def test_agreement_is_that_of_the_ranks():
    ours = {"columns": [np.array([1.0, 2, 3, 4]), np.array([4.0, 1, 2, 3])]}
    same = randomised.agreement(ours, {"columns": [10 * one**3 for one in ours["columns"]]})
    assert same.value == pytest.approx(1) and same.low == pytest.approx(1)
    assert randomised.agreement(ours, {"columns": [-one for one in ours["columns"]]}).value == pytest.approx(-1)
    assert randomised.agreement(ours, {"columns": [one * 0 for one in ours["columns"]]}).value == 0


def test_too_few_parts_are_not_compared():
    assert (
        randomised.agreement({"columns": [np.ones(5), np.arange(2)]}, {"columns": [np.ones(5), np.arange(2)]}) is None
    )


@pytest.fixture(scope="module")
def app():
    fresh, loans = at.RiskScorer.demo()
    return fresh.clone(epochs=2).fit(loans, verbose=0), loans


def test_a_shuffled_twin_answers_otherwise_and_leaves_the_first_alone(app):
    app, loans = app
    before = app.predict(loans)["probability"].to_numpy()
    twin = randomised.shuffled(app)
    weights, other = (np.concatenate([w.ravel() for w in one.network_.get_weights()]) for one in (app, twin))
    np.testing.assert_allclose(np.sort(weights), np.sort(other))
    assert not np.allclose(twin.predict(loans)["probability"], before, atol=0.01)
    np.testing.assert_array_equal(app.predict(loans)["probability"], before)


def test_an_explanation_that_does_not_hang_on_the_weights_is_called_out(app, monkeypatch):
    app, loans = app
    assert "is of what was learned" in app.explain({n: column[:50] for n, column in loans.items()}).verdict[-1]
    monkeypatch.setattr(randomised, "shuffled", lambda app: app)
    said = app.explain({n: column[:50] for n, column in loans.items()}).verdict[-1]
    assert said.startswith("Do not rely on the explanation: with shuffled weights it stays much the same")
