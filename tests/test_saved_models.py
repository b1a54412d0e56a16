"""The folders in saved_models open, hold no record, and answer as they did when they were made."""

from pathlib import Path

import numpy as np
import pytest

import apptemplates as at
from apptemplates.data import synthetic

FOLDER = Path(__file__).parents[1] / "saved_models"


def test_every_saved_model_has_its_recipe():
    made = {folder.name for folder in FOLDER.iterdir() if (folder / "manifest.json").exists()}
    assert made and made == {recipe.stem for recipe in (FOLDER / "recipes").glob("*.py")}


@pytest.fixture(scope="module")
def app():
    return at.load(FOLDER / "fraud_detector")  # replays the golden answers


def test_a_saved_model_opens_by_its_name(app, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert at.load("fraud_detector").get_params() == app.get_params()
    (tmp_path / "fraud_detector").mkdir()  # a folder of one's own comes first
    with pytest.raises(at.ArchiveError, match="it is not a saved template"):
        at.load("fraud_detector")
    with pytest.raises(at.ArchiveError, match="there is no such folder"):
        at.load("froud_detector")


def test_fraud_detector_holds_no_payment(app):
    state = app.pack_state(share=False)
    assert len(app.state_) == 0 and app.seen_ is None
    assert not [name for name in state if name.startswith("valid/record")]


def test_fraud_detector_answers_other_payments(app):
    made_up = synthetic.payments(2000)
    roles = {"time": "TX_DATETIME", "amount": "TX_AMOUNT", "card": "CUSTOMER_ID", "terminal": "TERMINAL_ID"}
    payments = {ours: made_up[theirs] for theirs, ours in roles.items()} | {"TX_FRAUD": made_up["fraud"]}
    answers = app.predict(payments)
    assert app.fast_.form == "litert" and (answers["problem"] == "").all()
    # it never saw this simulator, but what it learned of histories carries over
    report = app.evaluate(payments)
    assert report.metrics["ROC AUC"].low > 0.55
    one = app.predict_one({name: column[0] for name, column in payments.items()})
    assert np.isclose(one["probability"], answers["probability"][0], atol=1e-5)
    assert len(app.state_) == 0


def test_recommender_holds_nobody_and_answers_a_history():
    app = at.load(FOLDER / "recommender")
    assert len(app.state_) == 0 and app.seen_ is None and app.state_.described_names() == []
    answer = app.predict_one({"history": ["item-0010", "item-0011"]})
    assert app.fast_.form == "litert" and answer["source"] == "history"
    assert "item-0012" in answer["items"][:3] and len(answer["items"]) == 10  # the next of the series
    assert app.predict_one({"history": []})["source"].startswith("popularity")
