"""The life that every template has, lived by FraudDetector: fit, answer, judge, go on, keep."""

import copy
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import apptemplates as at
from apptemplates.data import synthetic
from apptemplates.data.schema import DataError
from apptemplates.data.table import concat, take
from apptemplates.evaluation import metrics
from apptemplates.evaluation.report import Report
from apptemplates.template import NotFittedError

PAYMENTS = synthetic.payments(1500)
TRAIN, TEST = take(PAYMENTS, slice(1200)), take(PAYMENTS, slice(1200, None))
QUERIES = {name: column for name, column in TEST.items() if name != "fraud"}
SEEN = "test records seen in training"


def template(**choices):
    roles = {"label": "fraud", "entities": ("card", "terminal"), "sensitive": ("region",)}
    return at.FraudDetector(**{**roles, "epochs": 2, "batch_size": 128, "refit": False, **choices})


@pytest.fixture(scope="module")
def app():
    return template(epochs=4).fit(TRAIN, verbose=0)


@pytest.fixture(scope="module")
def usual(app):
    return app.predict(QUERIES)


@pytest.fixture(scope="module")
def query():
    return {name: column[0] for name, column in QUERIES.items()}


def same(one, other, tolerance=1e-6):
    np.testing.assert_allclose(one.probability, other.probability, atol=tolerance)
    assert (one.alarm == other.alarm).all()


# ---- choices -----------------------------------------------------------------


def test_choices_are_read_changed_and_copied(app):
    fresh = app.clone(seed=3)
    assert fresh.get_params() == {**app.get_params(), "seed": 3} and not fresh.is_fitted
    assert template(**{**fresh.get_params(), "seed": 0}).get_params() == app.get_params()
    assert fresh.set_params(windows=("3D",), learning_rate=1) is fresh and fresh.windows == ("3D",)
    with pytest.raises(TypeError, match=r"there is no argument 'window'; did you mean 'windows'\?"):
        fresh.set_params(window="3D")
    assert fresh.windows == ("3D",)


def test_choices_that_were_learned_with_stay(app, usual):
    text = (
        r"^FraudDetector: entities can not be changed any more, since .*; use clone\(entities=\.\.\.\) and fit that\.$"
    )
    with pytest.raises(ValueError, match=text):
        app.set_params(entities=("card",), epochs=3)
    assert app.entities == ("card", "terminal") and app.epochs == 4
    assert app.set_params(epochs=3, entities=("card", "terminal")).epochs == 3
    app.set_params(epochs=4)
    same(app.predict(QUERIES), usual)


def test_a_policy_set_as_a_choice_decides_at_once(app, usual):
    policy = app.policy
    try:
        assert not app.set_params(policy={"alarm_rate": 0}).predict(QUERIES).alarm.any()
    finally:
        app.set_params(policy=policy)
    same(app.predict(QUERIES), usual)


@pytest.mark.parametrize("verb", ["predict", "predict_one", "evaluate", "explain", "finetune", "save", "export"])
def test_nothing_is_answered_before_fit(verb, tmp_path):
    given = tmp_path / "x" if verb in ("save", "export") else TEST
    with pytest.raises(NotFittedError, match=r"^FraudDetector has not learned yet: call fit\(records\), or "):
        getattr(template(), verb)(given)


# ---- fit ---------------------------------------------------------------------


def test_fit_leaves_a_report_and_losses(app):
    assert isinstance(app.report_, Report) and app.report_.data["records"] == app.learned_["data"]["validation rows"]
    assert "average precision" in app.report_.metrics and app.report_.baseline["metrics"]
    assert len(app.history_["loss"]) == len(app.history_["val_loss"]) <= 4
    assert np.isfinite(app.history_["loss"]).all()


def test_validation_and_callbacks_are_used():
    import keras

    class Count(keras.callbacks.Callback):
        epochs = 0

        def on_epoch_end(self, epoch, logs=None):
            Count.epochs += 1
            assert "val_loss" in logs

    app = template().fit(TRAIN, validation=TEST, callbacks=[Count()], verbose=0)
    assert app.learned_["data"]["rows"] == 1200 and app.learned_["data"]["validation rows"] == 300
    assert Count.epochs == 2
    with pytest.raises(DataError, match=r"FraudDetector: column 'fraud' .* is missing"):
        app.fit(TRAIN, validation=QUERIES, verbose=0)


def test_sample_weights(app):
    def mean_logit(fitted):
        records = fitted.record.check("test", TEST)[0]
        return fitted.network_.predict(fitted._features(fitted.prepare(records, fitted.state_)), verbose=0).mean()

    weight = np.where(TRAIN["fraud"] == 1, 0.0, 1.0)
    by_array = template(epochs=4).fit(TRAIN, sample_weight=weight, verbose=0)
    by_name = template(epochs=4).fit({**TRAIN, "importance": weight}, sample_weight="importance", verbose=0)
    assert "importance" not in by_name.query and list(by_name.columns_) == ["channel", "foreign"]
    same(by_array.predict(QUERIES), by_name.predict(QUERIES), 1e-5)
    assert mean_logit(by_array) < mean_logit(app) - 0.1, "frauds of no weight are not learned"


@pytest.mark.parametrize(
    ("weight", "text"),
    [
        (
            np.ones(7),
            r"^FraudDetector: sample_weight must be a finite number >= 0 for each of 1,200 rows, not all 0\.$",
        ),
        (np.full(1200, -1.0), r"must be a finite number >= 0 for each of 1,200 rows"),
        (np.zeros(1200), r"not all 0\.$"),
        (
            "amonut",
            r"^FraudDetector: sample_weight names column 'amonut', which is not there; did you mean 'amount'\?$",
        ),
        (["heavy"] * 1200, r"^FraudDetector: sample_weight must hold numbers\. Received: "),
    ],
)
def test_sample_weights_that_can_not_be_used(app, usual, weight, text):
    with pytest.raises(DataError, match=text):
        app.fit(TRAIN, sample_weight=weight, verbose=0)
    same(app.predict(QUERIES), usual)


def test_minutes_are_kept():
    app = template(epochs=100_000, refit=True, learning_rate=1e-6)  # so slow that it gets better for ever
    began = time.monotonic()
    app.fit(TRAIN, minutes=0.2, verbose=0)
    assert time.monotonic() - began < 12 + 10
    assert app.learned_["training"]["stopped"] == "the minutes were used up"
    assert app.predict(QUERIES).probability.between(0, 1).all()
    with pytest.raises(ValueError, match=r"minutes must be a number above 0, or None for no limit\. Received: 0\."):
        app.fit(TRAIN, minutes=0)


def test_a_fit_that_breaks_off_leaves_everything(app, usual, query):
    import keras

    class Breaks(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise RuntimeError("the power is gone")

    one, state, report = app.predict_one(query), app.state_, app.report_
    for verb in (app.fit, app.finetune):
        with pytest.raises(RuntimeError, match="the power is gone"):
            verb(TRAIN, callbacks=[Breaks()], verbose=0)
    assert app.state_ is state and app.report_ is report
    same(app.predict(QUERIES), usual)
    assert app.predict_one(query) == one


def test_a_second_fit_forgets_the_first(query):
    app = template(entities=(), epochs=1).fit(TRAIN, verbose=0)
    assert "channel" in app._query
    less = {name: column for name, column in TRAIN.items() if name != "channel"} | {"fee": TRAIN["amount"] / 9}
    app.fit(less, verbose=0)
    small = {"time": query["time"], "amount": 3.0, "foreign": 0, "fee": 1.0, "card": "a", "terminal": "b"}
    assert app.predict_one(small)["probability"] == pytest.approx(app.predict([small]).probability[0], abs=1e-4)
    with pytest.raises(DataError, match=r"column 'fee' is missing"):
        app.predict_one(query)


# ---- finetune ----------------------------------------------------------------


def test_finetune_learns_the_new_and_keeps_the_old():
    def shifted(n, seed):
        table = synthetic.payments(n, seed=seed)
        table["amount"] = table["amount"] * 1.5
        table["fraud"] = ((table["channel"] == "cash machine") | (table["fraud"] == 1)).astype(int)
        return table

    def auc(app, table):
        return metrics.roc_auc(table["fraud"], app.predict(table).probability.to_numpy())

    old = at.FraudDetector(label="fraud", sensitive=("region",), batch_size=128, refit=False, epochs=6)
    old.fit(synthetic.payments(2500, seed=4), verbose=0)
    new, new_test, old_test = shifted(1000, 5), shifted(1500, 6), synthetic.payments(3000, seed=7)
    before, weights = auc(old, new_test), [w.copy() for w in old.network_.get_weights()]
    tuned = copy.copy(old).finetune(new, epochs=6, learning_rate=2e-3, verbose=0)
    assert all((a == b).all() for a, b in zip(weights, old.network_.get_weights(), strict=True))
    assert auc(tuned, new_test) > before + 0.03
    assert auc(tuned, old_test) > auc(old.clone().fit(new, verbose=0), old_test)
    assert tuned.learned_["finetuned"]["data"]["rows"] == 800
    assert tuned.seen_.size > old.seen_.size


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"fraud": np.zeros(1200)},
            r"^FraudDetector: label 'fraud' is 0 in all 1,200 rows; give records of every class",
        ),
        ({"amount": np.full(1200, -1.0)}, r"^FraudDetector: column 'amount' has 1,200 values below 0, first in row 0"),
        ({"channel": None}, r"^FraudDetector: column 'channel' is missing; there are "),
    ],
)
def test_finetune_refuses_and_loses_nothing(app, usual, change, text):
    table = {name: column for name, column in {**TRAIN, **change}.items() if column is not None}
    with pytest.raises(DataError, match=text):
        app.finetune(table, verbose=0)
    same(app.predict(QUERIES), usual)


# ---- answering ---------------------------------------------------------------


def test_many_threads_get_the_same_answers(app):
    queries = [{name: column[row] for name, column in QUERIES.items()} for row in range(10)]
    expected = [app.predict_one(query) for query in queries]
    wrong = []

    def ask(start):
        for number in range(100):
            row = (start + number) % 10
            if app.predict_one(queries[row]) != expected[row]:
                wrong.append(row)

    app.fast_ = None  # the fast form is made by whoever asks first
    threads = [threading.Thread(target=ask, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_5_000_answers_keep_memory(app, query):
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system does not tell how much memory a process has")

    def megabytes():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    for _ in range(200):
        app.predict_one(query)
    before = megabytes()
    for _ in range(5_000):
        app.predict_one(query)
    assert megabytes() - before < 20


def test_unknown_columns_are_ignored(app, usual, query):
    same(app.predict({**QUERIES, "new": np.full(300, "x", object)}), usual)
    assert app.predict_one({**query, "new": object()}) == app.predict_one(query)


# ---- judging -----------------------------------------------------------------


def test_evaluate_by_columns_and_pairs(app):
    records = {**TEST, "branch": np.where(np.arange(300) % 3 == 0, "A", "B").astype(object)}
    report = app.evaluate(records, by=("branch", "region", ("branch", "channel")))
    assert list(report.groups) == ["branch", "region", "branch x channel"]
    found = report.groups["branch"].table
    assert sorted(found["group"]) == ["A", "B"] and sorted(found["rows"]) == [100, 200]
    assert set(report.groups["branch x channel"].table["group"]) >= {"A, shop", "B, online"}
    with pytest.raises(
        DataError, match=r"^FraudDetector: by= names column 'brunch', which is not there; there are 'time'"
    ):
        app.evaluate(records, by=("brunch",))
    assert list(app.evaluate(records, by="branch").groups) == ["branch"]


def test_evaluate_takes_labels_apart_and_says_what_it_left_out(app):
    whole, apart = app.evaluate(TEST), app.evaluate(QUERIES, TEST["fraud"])
    assert 200 < whole.size["process_megabytes"] < 30_000 and whole.size["parameters"] > 0
    assert apart.metrics == whole.metrics
    amount = TEST["amount"].copy()
    amount[:3] = -1
    report = app.evaluate({**TEST, "amount": amount})
    assert report.data["records"] == 297 and report.data["left out"] == 3
    assert "column 'amount' is -1.0, below 0" in report.data["first left out"]
    with pytest.raises(DataError, match=r"FraudDetector: no record can be judged; column 'amount' is -1, below 0"):
        app.evaluate({**TEST, "amount": np.full(300, -1)})
    with pytest.raises(DataError, match=r"FraudDetector: column 'fraud' .* is missing"):
        app.evaluate(QUERIES)


def test_records_seen_in_training_are_counted(app):
    learned = app.learned_["data"]["rows"]
    assert app.evaluate(TEST).data[SEEN] == 0
    both = concat([take(TRAIN, slice(50)), TEST])
    assert app.evaluate(both).data[SEEN] == 50
    report = app.evaluate(PAYMENTS)
    assert report.data[SEEN] == learned
    assert any("already learned from" in sentence for sentence in report.verdict)


def test_a_leaking_column_is_found():
    leak = TRAIN["fraud"] * 10.0 + np.random.default_rng(0).random(1200)
    found = template().check({**TRAIN, "charged_back": leak}, probe=False).findings
    assert [(f.code, f.place) for f in found] == [("leaking-column", "charged_back")]
    assert found[0].message == "Column 'charged_back' alone predicts 'fraud' almost perfectly (AUC 1.000)."
    assert "ignore=" in found[0].fix


def test_check_says_what_fit_would_say():
    report = template().check({**TRAIN, "fraud": np.zeros(1200)}, probe=False)
    assert report.kind == "check" and report.verdict == [
        "fit would refuse these data: Label 'fraud' is 0 in all 1,200 rows."
    ]
    amount = TRAIN["amount"].copy()
    amount[17] = -4
    report = template().check({**TRAIN, "amount": amount}, probe=False)
    assert report.findings[0].severity == "error" and "column 'amount' is -4.0, below 0" in report.findings[0].message
    assert template().check(TRAIN, probe=False).verdict == ["fit would accept these data; nothing odd was found."]


def test_explain_gives_a_row_a_query(app):
    report = app.explain(take(QUERIES, slice(20)))
    assert report.kind == "explanation" and len(report.table) == 20
    with pytest.raises(DataError, match=r"FraudDetector: no row can be explained; column 'amount' is -1"):
        app.explain({**QUERIES, "amount": np.full(300, -1)})


# ---- keeping -----------------------------------------------------------------


def test_saved_and_loaded_it_goes_on(app, usual, query, tmp_path):
    again = at.FraudDetector.load(app.save(tmp_path / "saved"))
    same(again.predict(PAYMENTS), app.predict(PAYMENTS))
    assert again.predict_one(query)["probability"] == pytest.approx(app.predict_one(query)["probability"], abs=1e-6)
    assert again.get_params() == app.get_params() and again.report_.metrics.keys() == app.report_.metrics.keys()
    assert again.evaluate(TEST).metrics == app.evaluate(TEST).metrics
    again.finetune(TEST, epochs=1, verbose=0)
    assert (again.predict(QUERIES).probability != usual.probability).any()
