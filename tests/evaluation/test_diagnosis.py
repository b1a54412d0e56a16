"""What refits on frozen features tell: wrong labels come first, curves fall as they do, and nothing is made up."""

import numpy as np
import pytest

import apptemplates as at
from apptemplates.data import synthetic_loans
from apptemplates.data.schema import DataError
from apptemplates.evaluation import diagnosis


def blobs(n, seed, classes=3):
    rng = np.random.default_rng(seed)
    place = rng.integers(0, classes, n)
    return (rng.normal(size=(n, 8)) + 1.6 * np.eye(classes, 8)[place]).astype("float32"), place


def test_wrong_labels_are_named_first_and_counted():
    features, place = blobs(2_000, 0)
    rng = np.random.default_rng(1)
    features += 2 * np.eye(3, 8)[place]  # far apart, so that the labels can be told
    wrong = rng.choice(2_000, 100, replace=False)
    spoilt = place.copy()
    spoilt[wrong] = (place[wrong] + 1) % 3
    found = diagnosis.diagnose(features, spoilt, blobs(300, 2), seed=0)
    first = {row for row, _ in found["suspects"]}
    assert len(found["suspects"]) == 100 and len(first & set(wrong.tolist())) > 85
    assert 0.035 < found["wrong"] < 0.07


def test_more_rows_are_better_and_the_law_is_followed():
    found = diagnosis.diagnose(*blobs(1_600, 0), blobs(3_000, 1), seed=0)
    rows, scores = zip(*found["curve"], strict=True)
    assert rows == (100, 200, 400, 800, 1_600) and scores[-1] > scores[0]
    law = [[n, 1 - 2 * n**-0.5] for n in (100, 200, 400, 800)]
    more, score = diagnosis.foreseen(law)
    assert more == 1_600 and score == pytest.approx(1 - 2 * 1_600**-0.5)
    assert diagnosis.foreseen(law[:3]) is None  # too few points
    assert diagnosis.foreseen([[n, 0.9 - n / 1e4] for n in (100, 200, 400, 800)]) is None  # it gets no better


def test_of_one_class_nothing_is_told():
    features, _ = blobs(50, 0)
    found = diagnosis.diagnose(features, np.zeros(50, int), blobs(20, 1), seed=0)
    assert found == {"rows": 50, "curve": [], "suspects": [], "wrong": None} and diagnosis.notes(found) == {}


def test_fit_notes_it_and_every_report_reads_it():
    loans = synthetic_loans.loans(900)
    app = at.RiskScorer(label="not_paid_back", group="customer", sensitive=("sex", "age_group"), epochs=2, refit=False)
    app.fit(loans, diagnose=True, verbose=0)
    told = app.report_.notes
    assert (
        "rows, by a regression" in told["labels learned from that look wrong"] and "rows 0." in told["learning curve"]
    )
    assert list(app.report_.suspects)[:2] == ["row", "chance of its label"] and "income" in app.report_.suspects
    again = app.evaluate(synthetic_loans.loans(200, seed=3))
    assert again.notes["learning curve"] == told["learning curve"]


def test_without_classes_it_is_refused():
    app, shop = at.Recommender.demo()
    with pytest.raises(DataError, match=r"Recommender: diagnose is for records of one class each; call fit without it"):
        app.clone(epochs=1).fit(shop, diagnose=True, verbose=0)
