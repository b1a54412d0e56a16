"""What `check` foresees of a fit: near what the fit takes, wide enough for what it comes to, silent where it must."""

import time

import numpy as np
import pytest

import apptemplates as at
from apptemplates import probe
from apptemplates.data import splits, synthetic_loans
from apptemplates.evaluation.intervals import Metric
from apptemplates.evaluation.report import Report

CHOICES = {"label": "not_paid_back", "group": "customer", "sensitive": ("sex", "age_group")}


def test_the_estimate_is_near_the_fit():
    loans = synthetic_loans.loans(9_000, seed=1)
    app = at.RiskScorer(**CHOICES, epochs=8)
    records, _ = app.record.check("test", loans)
    app.columns_ = app._own_columns(loans)
    records, _ = app.record.check("test", loans)
    found = probe.estimate(app, records, 0.0)
    assert found.share == pytest.approx(4_000 / 9_000) and found.headline == "ROC AUC"
    start = time.time()
    app.fit(loans, verbose=0)
    assert 0.2 < (time.time() - start) / found.seconds < 3
    assert found.low <= app.report_.metrics["ROC AUC"].value <= found.high


def test_check_tells_it_and_can_leave_it():
    loans = synthetic_loans.loans(600)
    app = at.RiskScorer(**CHOICES, epochs=2)
    report = app.check(loans)
    assert report.notes["fit would take"].startswith("at most about ")
    assert "(from a short fit of 100% of the records)" in report.notes["fit would take"]
    assert (
        report.verdict[-1].startswith("It would take at most about ")
        and "is likely to lie between" in report.verdict[-1]
    )
    assert " MB beside" in report.notes["memory it would take"] and " to " in report.notes["likely ROC AUC"]
    assert not app.is_fitted and not app.check(loans, probe=False).notes


def test_data_that_fit_refuses_are_not_tried():
    loans = synthetic_loans.loans(600)
    report = at.RiskScorer(**CHOICES).check({**loans, "not_paid_back": np.zeros(600)})
    assert report.findings[0].severity == "error" and not report.notes


def test_what_a_part_can_not_tell_is_said():
    loans = synthetic_loans.loans(600)
    words = np.where(loans["not_paid_back"] > 0, "late", "paid").astype(object)
    report = at.RiskScorer(**CHOICES, event="gone").check({**loans, "not_paid_back": words})
    assert (
        "can not be told, since a short fit of a part of the records failed: RiskScorer: column"
        in (report.notes["fit would take"])
    )


def report(ours, theirs, headline="accuracy"):
    return Report(title="t", metrics={headline: ours}, baseline={"metrics": {headline: theirs}}, data={"records": 100})


def test_what_is_likely():
    ours, theirs = Metric(0.7, 0.6, 0.8), Metric(0.6, 0.5, 0.7)
    assert probe.likely(report(ours, theirs), 1.0) == pytest.approx((0.6, 0.8))
    low, high = probe.likely(report(ours, theirs), 10.0)
    assert low == 0.6 and high == pytest.approx(1 - 0.2 * 10**-0.35)
    assert probe.likely(report(theirs, ours), 10.0) == (low, high)  # the simple method is better so far
    ours, theirs = Metric(0.2, 0.1, 0.3), Metric(0.3, 0.2, 0.4)
    assert probe.likely(report(ours, theirs, "equal error rate"), 10.0) == pytest.approx((0.1 * 10**-0.35, 0.3))
    assert probe.likely(report(ours, Metric(float("nan"))), 1.0) == pytest.approx((0.1, 0.3))
    far = probe.likely(report(ours, ours), 1.0, longer=100.0)  # hardly begun: much may still come
    assert far == pytest.approx((0.1, 1 - 0.7 * 0.1))
    right, none = Metric(1.0, 1.0, 1.0), Metric(0.0, 0.0, 0.0)
    assert probe.likely(report(right, theirs), 5.0) == pytest.approx((0.97, 1.0))
    assert probe.likely(report(none, ours, "equal error rate"), 5.0) == pytest.approx((0.0, 0.03))


def test_durations_are_said_roughly():
    said = [probe.duration(seconds) for seconds in (1, 12, 89, 100, 560, 900, 7_300)]
    assert said == ["5 seconds", "15 seconds", "90 seconds", "1.7 minutes", "9.3 minutes", "15 minutes", "130 minutes"]


def test_a_portion_is_drawn_whole_by_owner():
    table = {"row": np.arange(1_000), "who": np.repeat(np.arange(100), 10).astype(str).astype(object)}
    some, share = splits.portion(table, 205, 0, "who")
    assert len(some["row"]) == 200 and share == 0.2
    assert (np.unique(some["who"], return_counts=True)[1] == 10).all() and (np.diff(some["row"]) > 0).all()
    some, share = splits.portion(table, 300)
    assert len(some["row"]) == 300 and share == 0.3
    assert splits.portion(table, 1_000)[1] == 1.0
    assert len(splits.portion(table, 3, 0, "who")[0]["row"]) == 10  # somebody must be there


def test_applications_try_what_is_like_their_records():
    shop = at.Recommender.demo()[1]
    app = at.Recommender(user="user", item="item", time="time")
    records, _ = app.record.check("test", shop)
    assert app.portion(records)[1] == 1.0
    text = {"text": np.array(["word " * 40_000, "other " * 40_000], object)}
    some, share = at.TextGenerator().portion(text)
    assert share == pytest.approx(300_000 / 440_000) and 290_000 < sum(map(len, some["text"])) < 310_000


def test_times_keep_the_latest_records_together():
    app, payments = at.FraudDetector.demo()
    records, _ = app.record.check("test", {**payments, "time": payments["time"]})
    many = {name: np.concatenate([column] * 12) for name, column in records.items()}
    some, share = app.portion(many)
    assert len(some["time"]) == min(20_000, len(many["time"])) and share == len(some["time"]) / len(many["time"])
    assert some["time"].min() >= np.sort(many["time"])[-20_000:].min()
