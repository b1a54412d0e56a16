"""What stands on both sides of a split is found, whoever made the split."""

import numpy as np
import pytest
from PIL import Image

import apptemplates as at
from apptemplates.data import near_texts
from apptemplates.data.table import concat, take

LOANS = at.RiskScorer.demo()[1]
LOANS = take(LOANS, slice(900))
ROLES = {"label": "not_paid_back", "sensitive": ("sex", "age_group"), "epochs": 1, "refit": False, "mitigate": None}


def codes(report):
    return {finding.code: finding for finding in report.findings}


def rows_of(first, last):
    return take(LOANS, slice(first, last))


def test_copies_in_what_is_given_to_judge_by_are_found():
    held_out = concat([rows_of(600, 900), rows_of(0, 30)])
    report = at.RiskScorer(**ROLES, ignore=("customer",)).check(rows_of(0, 600), validation=held_out, probe=False)
    found = codes(report)["copies-across-the-split"]
    assert found.severity == "warning" and "first the one in row 300" in found.message
    assert found.message.startswith("30 of 330 held-out records are exact copies")
    clean = at.RiskScorer(**ROLES, ignore=("customer",)).check(
        rows_of(0, 600), validation=rows_of(600, 900), probe=False
    )
    assert not any(code.endswith("across-the-split") for code in codes(clean))


def test_customers_on_both_sides_are_named_where_the_user_made_the_split():
    app = at.RiskScorer(**ROLES, group="customer")
    both = set(rows_of(0, 600)["customer"]) & set(rows_of(600, 900)["customer"])
    report = app.check(rows_of(0, 600), validation=rows_of(600, 900), probe=False)
    if not both:
        pytest.fail("the loans must have customers on both sides for this test to tell anything")
    found = codes(report)["groups-across-the-split"]
    assert found.place == "customer" and f"{len(both)} of " in found.message
    assert not any(name in found.message for name in both)  # reports are saved, and people are not


def test_a_fit_tells_of_it_in_its_report_and_splits_whole_groups_itself():
    app = at.RiskScorer(**ROLES, group="customer")
    given = app.fit(rows_of(0, 600), validation=rows_of(600, 900), verbose=0).report_
    assert "groups-across-the-split" in codes(given)
    assert "groups-across-the-split" not in codes(app.fit(LOANS, verbose=0).report_)


def test_copies_that_its_own_split_parts_are_told_too():
    twice = concat([rows_of(0, 400), rows_of(0, 400)])
    report = at.RiskScorer(**ROLES, ignore=("customer",)).fit(twice, verbose=0).report_
    assert "copies-across-the-split" in codes(report)


def test_held_out_payments_from_before_the_end_are_told():
    app, payments = at.FraudDetector.demo()
    early, late = take(payments, slice(300)), take(payments, slice(300, 1000))
    found = codes(app.check(late, validation=early, probe=False))["times-across-the-split"]
    assert found.place == "time" and "300 of 300 held-out records are from before" in found.message
    assert "times-across-the-split" not in codes(app.check(early, validation=late, probe=False))


def test_held_out_files_that_can_not_be_read_are_told(tmp_path):
    scans, labels = np.random.default_rng(0).integers(0, 256, (30, 28, 28), dtype=np.uint8), np.array(["a", "b"] * 15)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for row in range(6):
        Image.fromarray(scans[row]).save(tmp_path / labels[row] / f"{row}.png")
    (tmp_path / "a" / "broken.png").write_bytes(b"no picture")
    app = at.MedicalScanClassifier(patient=None)
    found = codes(app.check(scans, labels, validation=tmp_path, probe=False))
    assert "broken.png" in found["unreadable-records"].message
    assert found["copies-across-the-split"].message.startswith("6 of 6 held-out records")


def test_nearly_the_same_pictures_are_found():
    scans = np.random.default_rng(0).integers(0, 256, (40, 14, 14)).repeat(2, axis=1).repeat(2, axis=2).astype("uint8")
    brighter = np.clip(scans[:3].astype(int) + 6, 0, 255).astype("uint8")
    labels = np.array(["a", "b"] * 20, object)
    app = at.MedicalScanClassifier(patient=None)
    report = app.check(
        scans[:30], labels[:30], validation=(np.concatenate([scans[30:], brighter]), labels[:13]), probe=False
    )
    found = codes(report)["near-copies-across-the-split"]
    assert "3 pictures that are held out are nearly the same" in found.message
    assert "such as row 10 and row 0 of those" in found.message
    assert "copies-across-the-split" not in codes(report)


def test_nearly_the_same_passages_are_found():
    random = np.random.default_rng(0)
    texts = [
        " ".join(random.choice(["red", "blue", "old", "new", "cat", "dog", "runs", "sits"], 60)) for _ in range(20)
    ]
    pairs = near_texts.pairs_across(texts[:10], [*texts[10:], texts[4] + " and more", texts[5]])
    assert pairs.tolist() == [[4, 10]]
