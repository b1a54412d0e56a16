"""What is special to FraudDetector: payments that can not be used, their past, costs, and tables of every shape."""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import apptemplates as at
from apptemplates.data import synthetic
from apptemplates.data.schema import DataError
from apptemplates.data.table import concat, take
from apptemplates.evaluation import counterfactual
from apptemplates.inference.fraud_detector import payments as payments_of

PAYMENTS = synthetic.payments(1500)
TRAIN, TEST = take(PAYMENTS, slice(1200)), take(PAYMENTS, slice(1200, None))
QUERIES = {name: column for name, column in TEST.items() if name != "fraud"}
ROLES = {"label": "fraud", "entities": ("card", "terminal"), "sensitive": ("region",)}
QUICK = {"epochs": 2, "batch_size": 128, "refit": False}


def detector(**choices):
    return at.FraudDetector(**{**ROLES, **QUICK, **choices})


@pytest.fixture(scope="module")
def app():
    return detector(epochs=4).fit(TRAIN, verbose=0)


@pytest.fixture(scope="module")
def usual(app):
    return app.predict(QUERIES)


@pytest.fixture(scope="module")
def plain():
    """Fitted on a table of which neither time nor entities are known."""
    table = {name: TRAIN[name] for name in ("amount", "channel", "foreign", "fraud")}
    return detector(time=None, entities=(), sensitive=()).fit(table, verbose=0)


def changed(name, row, value, table=TRAIN):
    """The table with one value replaced, as text files and databases would give it."""
    column = table[name].astype(object)
    column[row] = value
    return {**table, name: column}


def twin(app):
    """The same fitted template with a history of its own (the graph is shared: no policy may be set)."""
    other = copy.copy(app)
    other.state_ = app.open_state(app.close_state(app.state_, False))
    return other


def check_records(app, table):
    return app.record.check("test", table)[0]


def check_queries(app, table):
    return app.query.check("test", table)[0]


def same(one, other, tolerance=1e-6):
    np.testing.assert_allclose(one.probability, other.probability, atol=tolerance)
    assert (one.alarm == other.alarm).all()
    assert (one.problem == other.problem).all()


def weights(app):
    return np.concatenate([w.ravel() for w in app.network_.get_weights()])


# ---- bad input ---------------------------------------------------------------


def write(path, content):
    path.write_text(content)
    return path


FILES = {
    "missing file": (
        lambda place: place / "payments.csv",
        r"payments\.csv: there is no such file; check the path\.$",
    ),
    "empty file": (
        lambda place: write(place / "empty.csv", ""),
        r"empty\.csv: the file is empty; a table with at least one row is expected\.$",
    ),
    "wrong delimiter": (
        lambda place: write(place / "payments.csv", "time;amount;card\n2024-03-01;3;c1\n"),
        r"there is one column, named 'time;amount;card', separated by ';' it seems; .* must be separated by ','",
    ),
    "folder": (
        lambda place: write(place / "march.csv", "a,b\n1,2\n").parent,
        r"this is a folder; one file is expected, such as 'march\.csv' in it\.$",
    ),
    "duplicated column": (
        lambda place: write(place / "payments.csv", "time,amount,amount\n2024-03-01,1,2\n"),
        r"column 'amount' is there twice \(columns 1 and 2\); rename or leave out one of them\.$",
    ),
}


@pytest.mark.parametrize("verb", ["fit", "predict", "check", "evaluate", "observe"])
@pytest.mark.parametrize("case", FILES)
def test_files_that_are_no_table(app, usual, tmp_path, case, verb):
    make, text = FILES[case]
    arguments = {"verbose": 0} if verb == "fit" else {}
    with pytest.raises(DataError, match=text):
        getattr(app, verb)(make(tmp_path), **arguments)
    same(app.predict(QUERIES), usual)


TIMES = TRAIN["time"].astype(str)
BAD = {
    "missing column": (
        lambda: {name: column for name, column in TRAIN.items() if name != "card"},
        r"column 'card' \(who .*\) is missing; .*; name another column, or say entities=None",
    ),
    "one class": (
        lambda: {**TRAIN, "fraud": np.zeros(1200)},
        r"label 'fraud' is 0 in all 1,200 rows; give records of every class\.$",
    ),
    "three classes": (
        lambda: {**TRAIN, "fraud": np.arange(1200) % 3},
        r"column 'fraud' has 400 values other than 0 and 1, first in row 2 \(2\); whether it was a fraud must be 0 or ",
    ),
    "NaN in the label": (
        lambda: changed("fraud", 17, float("nan")),
        r"column 'fraud' has 1 value missing, in row 17 \(nan\); whether it was a fraud must be given\.$",
    ),
    "text in the label": (
        lambda: changed("fraud", 17, "perhaps"),
        r"column 'fraud' has 1 value other than 0 and 1, in row 17 \('perhaps'\); .* must be 0 or 1\.$",
    ),
    "negative amount": (
        lambda: changed("amount", 17, -4.2),
        r"column 'amount' has 1 value below 0, in row 17 \(-4\.2\); amount paid must be >= 0\.$",
    ),
    "infinite amount": (
        lambda: changed("amount", 17, float("inf")),
        r"column 'amount' has 1 value infinite, in row 17 \(inf\); amount paid must be a finite number\.$",
    ),
    "infinite value in an unnamed column": (
        lambda: changed("foreign", 17, float("-inf")),
        r"column 'foreign' has 1 value infinite, in row 17 \(-inf\); foreign must be a finite number\.$",
    ),
    "unparsable time": (
        lambda: changed("time", 17, "yesterday"),
        r"column 'time' has 1 value unreadable as a time, in row 17 \('yesterday'\); .* such as 2018-07-25 12:30:00\.$",
    ),
    "missing time": (
        lambda: changed("time", 17, None),
        r"column 'time' has 1 value missing, in row 17 \('NaT'\); time of the payment must be given\.$",
    ),
    "times of several zones": (
        lambda: changed("time", 17, TIMES[17] + "+02:00", {**TRAIN, "time": TIMES}),
        r"column 'time' has 1 value in another time zone than row 0 \('2024-.*'\), in row 17 \('2024-.*\+02:00'\); .*"
        r"must be all in one time zone or all without one\.$",
    ),
    "one instant": (
        lambda: {**TRAIN, "time": np.full(1200, TRAIN["time"][0])},
        r"all rows of column 'time' are at one moment \(2024-.*\); give times with their hours and days, or say time=N",
    ),
    "long string": (
        lambda: changed("channel", 17, "x" * 10_000),
        r"column 'channel' has 1 value longer than 1,000 characters, in row 17 \('xx+ \.\.\.\); .* at most 1,000 chara",
    ),
    "no rows": (lambda: take(TRAIN, slice(0)), r"there are no rows; at least one is needed\.$"),
    "few rows": (lambda: take(TRAIN, slice(5)), r"there are 5 rows; .* hardly more than chance; give more records\.$"),
    "columns of unequal length": (
        lambda: {**TRAIN, "amount": TRAIN["amount"][:-1]},
        r"column 'amount' has 1,199 rows but 'time' has 1,200; every column must have one value a row\.$",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_fit_refuses_and_loses_nothing(app, usual, case):
    make, text = BAD[case]
    before, table = weights(app), make()
    with pytest.raises(DataError, match=text) as caught:
        app.fit(table, verbose=0)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert (weights(app) == before).all()
    same(app.predict(QUERIES), usual)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("amount", -4.2, "column 'amount' is -4.2, below 0; amount paid must be >= 0."),
        ("amount", "a lot", "column 'amount' is 'a lot', unreadable as a number; amount paid must be a number."),
        ("amount", None, "column 'amount' is missing ("),
        ("amount", float("inf"), "column 'amount' is inf, infinite; amount paid must be a finite number."),
        (
            "time",
            "yesterday",
            "column 'time' is 'yesterday', unreadable as a time; time of the payment must be a time ",
        ),
        ("time", None, "column 'time' is missing ("),
        ("card", "", "column 'card' is missing (''); who or what took part in the payment must be given."),
        ("card", "c" * 10_000, "longer than 1,000 characters; who or what took part in the payment must be at most "),
        ("channel", "c" * 10_000, "longer than 1,000 characters; channel must be at most 1,000 characters."),
    ],
)
def test_a_query_that_can_not_be_answered(app, usual, name, value, text):
    answers = app.predict(changed(name, 299, value, QUERIES))
    assert text in answers.problem[299]
    assert np.isnan(answers.probability[299])
    same(answers[:299], usual[:299])
    query = {column: values[299] for column, values in QUERIES.items()} | {name: value}
    with pytest.raises(DataError) as caught:
        app.predict_one(query)
    assert str(caught.value).startswith("FraudDetector: column ") and text in str(caught.value)


def test_all_queries_bad_and_none_at_all(app):
    answers = app.predict({**QUERIES, "amount": np.full(300, -1.0)})
    assert len(answers) == 300 and answers.problem.str.contains("below 0").all()
    for nothing in (take(QUERIES, slice(0)), [], pd.DataFrame(QUERIES)[:0]):
        with pytest.raises(DataError, match="there are no rows; at least one is needed"):
            app.predict(nothing)
    with pytest.raises(
        DataError, match=r"FraudDetector: columns 'time', 'amount', .* are missing; there are no columns at all"
    ):
        app.predict_one({})


@pytest.mark.parametrize(
    "query", [None, 3, "a.csv", [1.0], pd.DataFrame(QUERIES), [{"amount": 1.0}]], ids=lambda query: type(query).__name__
)
def test_predict_one_takes_one_query(app, query):
    with pytest.raises(
        DataError, match=r"^FraudDetector: predict_one takes one query as a dict of values by column na"
    ):
        app.predict_one(query)


def test_a_row_of_a_frame_is_a_query(app, usual):
    assert app.predict_one(pd.DataFrame(QUERIES).iloc[3])["probability"] == pytest.approx(
        usual.probability[3], abs=1e-4
    )


def test_an_error_is_one_line_whatever_stands_in_the_value(app):
    query = {name: column[0] for name, column in QUERIES.items()}
    with pytest.raises(DataError, match=r"column 'amount' is .*, unreadable as a number") as caught:
        app.predict_one({**query, "amount": pd.Series([1.0, 2.0])})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("role", ["label", "time", "amount"])
def test_a_default_column_that_is_not_there_names_none(role):
    names = {"label": "fraud", "time": "time", "amount": "amount"}
    app = at.FraudDetector(**{other: name for other, name in names.items() if other != role})
    table = {name: column for name, column in TRAIN.items() if name != names[role]}
    text = (
        rf"^FraudDetector: column '{role}' \(.*\) is missing; .*; name another column, or say {role}=None where there"
    )
    with pytest.raises(DataError, match=text):
        app.fit(table, verbose=0)


def test_a_near_name_is_offered():
    table = {("frauds" if name == "fraud" else name): column for name, column in TRAIN.items()}
    with pytest.raises(
        DataError, match=r"did you mean 'frauds'; name another column, or say label=None where there is"
    ):
        detector().fit(table, verbose=0)


# ---- choices -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("choices", "text"),
    [
        ({"epochs": 0}, r"FraudDetector: epochs must be an integer >= 1\. Received: 0\."),
        ({"batch_size": 2.5}, r"FraudDetector: batch_size must be an integer >= 1\. Received: 2\.5\."),
        ({"learning_rate": 0}, r"FraudDetector: learning_rate must be a number above 0\. Received: 0\."),
        ({"seed": -1}, r"FraudDetector: seed must be an integer >= 0 and below 2\*\*32\. Received: -1\."),
        ({"refit": "no"}, r"FraudDetector: refit must be True or False\. Received: 'no'\."),
        ({"label": 3}, r"FraudDetector: label must be text or None\. Received: 3\."),
        ({"entities": (3,)}, r"FraudDetector: entities must be names such as \('a', 'b'\)\. Received: \(3,\)\."),
        ({"windows": ("7X",)}, r"FraudDetector: windows: a stretch of time must be .* such as '7D'\. Received: '7X'\."),
        ({"windows": ("7D", "1W")}, r"FraudDetector: windows must be of different lengths above 0\."),
        ({"windows": ("0D",)}, r"FraudDetector: windows must be of different lengths above 0\."),
        ({"windows": ()}, r"FraudDetector: windows must name at least one length such as '7D'\. Received: \(\)\."),
        ({"label_delay": "soon"}, r"FraudDetector: label_delay: a stretch of time must be .* Received: 'soon'\."),
        ({"entities": ("card", "card")}, r"column 'card' is named in entities= and again in entities=; each column"),
        ({"entities": ("card", "amount")}, r"column 'amount' is named in amount= and again in entities=; each column"),
        ({"sensitive": ("card",)}, r"column 'card' is named in entities= and again in sensitive=; each column has one"),
        ({"ignore": ("fraud",)}, r"column 'fraud' is named in label= and again in ignore=; each column has one role\."),
        (
            {"kinds": {"amount": "category"}},
            r"column 'amount' is named in amount= and again in kinds=; each column has",
        ),
        (
            {"time": None},
            r"FraudDetector: entities need the time of each payment; name it with time=, or say entities=",
        ),
        ({"policy": 3}, r"FraudDetector: policy must be a Policy such as at\.Policy\(cost_of_miss=100\) or None\."),
        (
            {"policy": {"alarm_rate": 2}},
            r"FraudDetector: policy 'alarm_rate' is a share between 0 and 1\. Received: 2\.",
        ),
        (
            {"policy": {"min_sensitivity": 0.9}},
            r"policy 'min_sensitivity' is not one it takes; it takes cost_of_miss, ",
        ),
        (
            {"policy": {"cost_of_miss": "amonut"}},
            r"names no number column; there are 'amount'; did you mean 'amount'\?",
        ),
        ({"policy": {"cost_of_miss": -1}}, r"policy 'cost_of_miss' must be a number >= 0\. Received: -1\."),
        ({"policy": {"reviews_per_day": 5, "alarm_rate": 0.1}}, r"takes reviews_per_day or alarm_rate, not both\."),
        (
            {"label": None, "policy": {"cost_of_miss": 9}},
            r"costs need chances of fraud, which are not known with label=None; give a policy with alarm_rate or rev",
        ),
        (
            {"time": None, "entities": (), "policy": {"reviews_per_day": 5}},
            r"policy reviews_per_day needs the time of each payment; name it with time=, or give alarm_rate instead\.",
        ),
    ],
)
def test_choices_that_can_not_be_meant(choices, text):
    with pytest.raises(ValueError, match=text):
        detector(**choices)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: at.FraudDetector(lable="fraud"),
            r"^FraudDetector: there is no argument 'lable'; did you mean 'label'\?",
        ),
        (lambda: at.FraudDetector(entites=()), r"there is no argument 'entites'; did you mean 'entities'\?; it takes "),
        (
            lambda: at.FraudDetector("fraud"),
            r"^FraudDetector: choices are given by name, such as label=, and data go to",
        ),
        (
            lambda: at.Policy(cost_of_mis=1),
            r"^Policy: there is no argument 'cost_of_mis'; did you mean 'cost_of_miss'\?",
        ),
        (lambda: detector().set_policy(cost_of_mis=1), r"^Policy: there is no argument 'cost_of_mis'; did you mean "),
        (lambda: detector(policy={"costs": 1}), r"^Policy: there is no argument 'costs'; it takes cost_of_miss, "),
    ],
)
def test_misspelt_arguments_name_the_nearest(call, text):
    with pytest.raises(TypeError, match=text):
        call()


def test_one_name_is_as_good_as_a_tuple_of_one():
    app = detector(entities="card", sensitive="region", ignore="terminal", windows="7D")
    assert (app.entities, app.sensitive, app.ignore, app.windows) == (("card",), ("region",), ("terminal",), ("7D",))
    assert detector(entities=["card"], sensitive=None).sensitive == ()


# ---- odd but usable ----------------------------------------------------------


def test_unsorted_times_keep_the_order_of_the_queries(app, usual):
    order = np.random.default_rng(0).permutation(300)
    answers = app.predict(take(QUERIES, order))
    same(answers, usual.iloc[order].reset_index(drop=True))
    found = app.check(take(PAYMENTS, np.random.default_rng(0).permutation(1500)), probe=False).findings
    assert [f.code for f in found] == ["unsorted-times"]
    assert "learned in the order of time and answered in the order given" in found[0].fix


def test_an_entity_seen_for_the_first_time_is_normal(app):
    strangers = {**QUERIES, "card": np.array([f"new-{n}" for n in range(300)], object)}
    answers = app.predict(strangers)
    assert (answers.problem == "").all() and np.isfinite(answers.probability).all()
    query = {name: column[0] for name, column in strangers.items()}
    assert app.predict_one(query)["probability"] == pytest.approx(answers.probability[0], abs=1e-4)


def test_a_constant_column_is_a_finding_and_handled(app, broad):
    found = {f.place: f for f in app.check({**TRAIN, **unnamed(1200)}, probe=False).findings}
    assert found["currency"].code == found["fee"].code == "constant-column"
    assert "has the same value in all 1,200 rows" in found["fee"].message
    queries = {**QUERIES, **unnamed(300)}
    assert np.isfinite(broad.predict(queries).probability).all()
    other = {**queries, "fee": np.full(300, 0.3000001), "currency": np.full(300, "USD", object)}
    assert np.isfinite(broad.predict(other).probability).all()


def test_100_000_categories_are_a_finding_and_learned():
    n, rng = 110_000, np.random.default_rng(0)
    shop = rng.permutation(np.append(np.arange(100_000), np.zeros(n - 100_000, int)))
    table = {
        "amount": rng.lognormal(3, 1, n),
        "shop": np.char.add("shop ", shop.astype(str)).astype(object),
        "fraud": ((shop == 0) & (rng.random(n) < 0.5)).astype(int),
    }
    app = at.FraudDetector(label="fraud", time=None, refit=False, epochs=1, batch_size=2048)
    found = [f for f in app.check(table, probe=False).findings if f.code == "many-categories"]
    assert "Column 'shop' has 100,000 different categories." in found[0].message
    app.fit(table, verbose=0)
    often, once = app.predict({"amount": [20.0, 20.0], "shop": ["shop 0", "shop 77"]}).probability
    assert often > once


@pytest.mark.parametrize("rubbish", ["x" * 10_000, 7, float("inf"), None, "maybe"])
def test_a_label_at_predict_may_hold_anything(app, usual, rubbish):
    same(app.predict({**QUERIES, "fraud": np.array([rubbish] * 300, object)}), usual)
    query = {name: column[0] for name, column in QUERIES.items()}
    assert app.predict_one({**query, "fraud": rubbish}) == app.predict_one(query)


def test_a_label_at_predict_serves_only_payments_after_the_delay(app, usual):
    for fraud in (0, 1):
        answers = app.predict({**QUERIES, "fraud": np.full(300, fraud)})
        near = QUERIES["time"] < QUERIES["time"][0] + np.timedelta64(7, "D")
        assert 0 < near.sum() < 300
        same(answers[near], usual[near])
        assert (answers.probability[~near] != usual.probability[~near]).any()


# ---- the past ----------------------------------------------------------------


def test_observed_before_fit_is_never_trained_on():
    past, new = take(TRAIN, slice(700)), take(TRAIN, slice(700, None))
    app = detector().observe(past).fit(new, verbose=0)
    rows = app.learned_["data"]
    assert rows["rows"] + rows["validation rows"] == 500
    useful = (TRAIN["time"] > TRAIN["time"][-1] - np.timedelta64(37, "D")).sum()  # the longest window and the delay
    assert len(app.state_) == useful > 700 and len(app.before_) == 700
    known = app.prepare(check_records(app, take(new, slice(100))), app.before_)["history"]
    nothing = app.prepare(check_records(app, take(new, slice(100))), app.open_state({}))["history"]
    assert (known != nothing).any(axis=1).mean() > 0.9
    assert app.clone().state_ is None and app.clone().before_ is None


def test_observed_after_fit_changes_answers_without_learning(app, usual):
    other, before = twin(app), weights(app)
    seen = take(TEST, slice(150))
    other.observe(seen)
    assert (weights(other) == before).all()
    np.testing.assert_allclose(
        other.predict(take(QUERIES, slice(150, None))).probability,
        app.predict({**QUERIES, "fraud": np.where(np.arange(300) < 150, TEST["fraud"], -1)}).probability[150:],
        atol=1e-6,
    )
    same(app.predict(QUERIES), usual)


def test_observe_takes_a_dict_a_list_and_a_frame(app):
    rows = [{name: column[row] for name, column in TEST.items()} for row in range(60)]
    results, size = [], len(twin(app).state_)
    for records in (rows, pd.DataFrame(rows), take(TEST, slice(60)), None):
        other = twin(app)
        if records is None:
            for row in rows:
                assert other.observe(row) is other
        else:
            other.observe(records)
        assert len(other.state_) == size + 60
        results.append(other.predict(take(QUERIES, slice(60, None))).probability)
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], atol=1e-6)


@pytest.mark.parametrize(
    ("record", "text"),
    [
        ({"time": "2024-05-01"}, r"FraudDetector: column.* 'amount'.* missing"),
        (
            {"time": "soon", "amount": 1, "card": "a", "terminal": "b"},
            r"FraudDetector: column 'time' has 1 value unread",
        ),
        (
            {"time": "2024-05-01", "amount": -1, "card": "a", "terminal": "b"},
            r"FraudDetector: column 'amount' has 1 va",
        ),
        (
            {"time": "2024-05-01", "amount": 1, "card": "a", "terminal": "b", "fraud": "perhaps"},
            r"FraudDetector: column 'fraud' has 1 value other than 0 and 1, in row 0 \('perhaps'\); ",
        ),
    ],
)
def test_observe_refuses_and_keeps_the_past(app, record, text):
    other = twin(app)
    size = len(other.state_)
    with pytest.raises(DataError, match=text):
        other.observe(record)
    assert len(other.state_) == size


def test_many_threads_may_observe(app):
    other, size = twin(app), len(twin(app).state_)
    blocks = [take(synthetic.payments(1000, seed=seed), slice(0, 1000)) for seed in range(6)]

    def see(block):
        other.observe(block)
        for row in range(0, 60):
            other.observe({name: column[row] for name, column in block.items() if name != "fraud"})
            other.predict_one({name: column[0] for name, column in QUERIES.items()})

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(see, blocks))
    assert len(other.state_) == size + 6 * 1060


def test_late_labels_change_later_answers(app):
    other = twin(app)
    moment = TRAIN["time"][-1] + np.timedelta64(1, "D")
    first = {"time": moment, "amount": 20.0, "card": "card-0001", "terminal": "terminal-0001"}
    asked = {**first, "time": moment + np.timedelta64(9, "D"), "channel": "shop", "foreign": 0}
    other.observe(first)
    size, before = len(other.state_), other.predict_one(asked)["probability"]
    other.observe({**first, "fraud": 1})
    assert len(other.state_) == size, "a late label finds its payment"
    assert other.predict_one(asked)["probability"] != before
    early = {**asked, "time": moment + np.timedelta64(6, "D")}
    assert other.predict_one(early) == twin_with(app, first).predict_one(early), "known only after the delay"


def twin_with(app, record):
    return twin(app).observe(record)


def test_one_by_one_equals_the_batch(app):
    table = take(synthetic.payments(3500, seed=1), slice(1500, None))
    start = TRAIN["time"][-1] - table["time"][0] + np.timedelta64(1, "h")
    table = {**table, "time": table["time"] + start}
    other = twin(app)
    whole = app.predict(table)
    features = app.prepare(check_queries(app, table), app.state_)["history"]
    for row in range(2000):
        query = {name: column[row] for name, column in table.items() if name not in ("fraud", "region")}
        one = other.predict_one(query)
        own = other.prepare(check_queries(other, {name: [value] for name, value in query.items()}), other.state_)
        np.testing.assert_allclose(own["history"][0], features[row], rtol=1e-6, atol=1e-6)
        assert one["probability"] == pytest.approx(whole.probability[row], abs=1e-4)
        assert one["alarm"] == whole.alarm[row] or abs(one["probability"] - 1 / 21) < 1e-4
        other.observe({**query, "fraud": table["fraud"][row]})


def test_one_by_one_equals_the_batch_on_real_payments(real_data):
    file = real_data / "tabular/fraud_transactions/transactions_2018-06-18_2018-08-14.parquet"
    if not file.exists():
        pytest.skip(f"there is no {file.name}")
    names = {"label": "TX_FRAUD", "time": "TX_DATETIME", "amount": "TX_AMOUNT"}
    frame = pd.read_parquet(file, columns=[*names.values(), "CUSTOMER_ID", "TERMINAL_ID"])
    app = at.FraudDetector(**names, entities=("CUSTOMER_ID", "TERMINAL_ID"))
    records = check_records(app, {name: frame[name].to_numpy() for name in frame})
    records = take(records, np.argsort(records["TX_DATETIME"], kind="stable"))
    old = records["TX_DATETIME"] < np.datetime64("2018-07-25")
    state = app.remember(take(records, old), app.open_state({}))
    asked = np.sort(np.random.default_rng(0).choice(np.flatnonzero(~old), 3_000, replace=False))
    asked = take(records, asked)
    app.state_, whole = state, app.prepare(asked, state)["history"]
    for row in range(3_000):
        one = take(asked, slice(row, row + 1))
        np.testing.assert_allclose(app.prepare(one, app.state_)["history"][0], whole[row], rtol=1e-6, atol=1e-6)
        app.observe(one)


def test_predict_evaluate_and_explain_keep_nothing(app):
    before = {name: column.copy() for name, column in app.close_state(app.state_, False).items()}
    app.predict(TEST)
    app.predict_one({name: column[0] for name, column in QUERIES.items()})
    report = app.evaluate(TEST)
    assert "cost per 1,000" in report.metrics
    app.explain(take(TEST, slice(5)))
    after = app.close_state(app.state_, False)
    assert list(before) == list(after)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_shared_without_the_past_it_answers(app, tmp_path):
    app.save(tmp_path / "shared", share=True)
    shared = at.load(tmp_path / "shared")
    assert len(shared.state_) == 0
    same(shared.observe(TRAIN).predict(QUERIES), app.predict(QUERIES), 1e-6)


# ---- tables of every shape ---------------------------------------------------


def test_neither_time_nor_entities(plain):
    queries = {name: QUERIES[name] for name in ("amount", "channel", "foreign")}
    answers = plain.predict(queries)
    assert (answers.problem == "").all() and answers.probability.between(0, 1).all()
    one = plain.predict_one({name: column[3] for name, column in queries.items()})
    assert one["probability"] == pytest.approx(answers.probability[3], abs=1e-4)
    assert plain.evaluate({**queries, "fraud": TEST["fraud"]}).metrics["ROC AUC"].value > 0
    assert plain.observe({"amount": 3, "channel": "shop"}) is plain
    assert len(plain.explain(queries).table) == 300


def test_without_labels(tmp_path):
    table = {name: column for name, column in PAYMENTS.items() if name != "fraud"}
    app = detector(label=None, epochs=10, policy=at.Policy(alarm_rate=0.05))
    app.fit(take(table, slice(1200)), verbose=0)
    usual = app.predict(QUERIES)
    assert 0.01 <= usual.alarm.mean() <= 0.12
    odd = {**QUERIES, "amount": QUERIES["amount"] * 60, "channel": np.full(300, "cash machine", object)}
    assert app.predict(odd).probability.mean() > usual.probability.mean() + 0.2
    report = app.evaluate(QUERIES, by=("channel",))
    assert report.baseline["name"] == "distance from a typical payment"
    assert report.metrics["alarm rate"].value == pytest.approx(usual.alarm.mean())
    assert "channel" in report.groups and len(report.verdict) == 3
    assert len(app.explain(take(QUERIES, slice(10))).table) == 10
    app.save(tmp_path / "saved")
    again = at.load(tmp_path / "saved")
    same(again.predict(QUERIES), usual)
    query = {name: column[0] for name, column in odd.items()}
    assert again.predict_one(query)["probability"] == pytest.approx(app.predict(odd).probability[0], abs=1e-4)
    alarms = app.predict(odd).alarm.mean()
    assert app.set_policy(alarm_rate=0.3).predict(odd).alarm.mean() >= alarms
    with pytest.raises(ValueError, match="costs need chances of fraud"):
        app.set_policy(cost_of_miss=3)


def unnamed(n, seed=0):
    rng = np.random.default_rng(seed)
    words = np.array(["lorem", "ipsum", "dolor", "sit", "amet", "magna", "aliqua", "enim"], object)
    return {
        "speed": np.where(rng.random(n) < 0.2, np.nan, rng.normal(50, 20, n)),
        "trade": rng.choice(np.array(["food", "fuel", "games"], object), n),
        "vip": rng.choice(np.array(["yes", "no"], object), n),
        "opened": np.datetime64("2020-01-01", "us") + rng.integers(0, 10**14, n).astype("timedelta64[us]"),
        "note": np.array([" ".join(rng.choice(words, 7)) + f" {i}" for i in range(n)], object),
        "payment_id": np.arange(n) + 5_000,
        "currency": np.full(n, "EUR", object),
        "fee": np.full(n, 0.3),
        "empty": np.full(n, np.nan),
        "void": np.full(n, None, object),
    }


@pytest.fixture(scope="module")
def broad():
    return detector().fit({**TRAIN, **unnamed(1200)}, verbose=0)


def test_unnamed_columns_have_kinds(broad):
    kinds = {name: entry.kind for name, entry in broad.columns_.items()}
    expected = {"speed": "number", "trade": "category", "vip": "flag", "opened": "time", "note": "text"}
    assert kinds == {
        "channel": "category",
        "foreign": "flag",
        **expected,
        "payment_id": "id",
        "currency": "category",
        "empty": "number",
        "void": "category",
        "fee": "number",
    }


@pytest.mark.parametrize(
    ("name", "value", "used"),
    [
        ("speed", 200.0, True),
        ("speed", None, True),
        ("trade", "fuel", True),
        ("trade", "never seen", True),
        ("trade", None, True),
        ("vip", "no", True),
        ("vip", None, None),
        ("opened", "2021-05-04 23:00", True),
        ("opened", None, True),
        ("note", "quite other words than before 77", True),
        ("note", None, True),
        ("payment_id", 3, False),
        ("payment_id", None, False),
    ],
)
def test_unnamed_columns_are_used(broad, name, value, used):
    start = {
        "speed": 40.0,
        "trade": "food",
        "vip": "yes",
        "opened": "2020-03-02 04:00",
        "note": "lorem ipsum sit amet magna 3",
    }
    query = {column: values[0] for column, values in QUERIES.items()} | start
    query |= {"payment_id": 9, "currency": "EUR", "fee": 0.3, "empty": None, "void": None}
    before = broad.predict_one(query)["probability"]
    after = broad.predict_one({**query, name: value})
    assert after["problem"] == "" and np.isfinite(after["probability"])
    assert used is None or (after["probability"] != before) == used
    batch = broad.predict([query, {**query, name: value}])
    # earlier rows of one table serve later ones: ask alone
    assert batch.problem.tolist() == ["", ""]
    assert broad.predict([{**query, name: value}]).probability[0] == pytest.approx(after["probability"], abs=1e-4)


def test_ignored_columns_and_kinds_said_otherwise():
    table = {**TRAIN, **unnamed(1200)}
    app = detector(ignore=("note", "speed"), kinds={"foreign": "category", "opened": "id"})
    kinds = app.check(table, probe=False).table.set_index("column")["kind"]
    assert "note" not in kinds and "speed" not in kinds
    assert kinds["foreign"] == "category" and kinds["opened"] == "id"
    with pytest.raises(DataError, match=r"kinds: there is no column 'colour'; there are "):
        detector(kinds={"colour": "category"}).fit(TRAIN, verbose=0)
    with pytest.raises(
        DataError, match=r"kinds: column 'channel' can not be a 'colour'; it must be one of number, flag"
    ):
        detector(kinds={"channel": "colour"}).fit(TRAIN, verbose=0)


def test_a_table_with_nothing_to_learn_from():
    app = at.FraudDetector(label="fraud", time=None, amount=None)
    table = {"fraud": TRAIN["fraud"], "payment_id": np.arange(1200)}
    with pytest.raises(DataError, match=r"^FraudDetector: no column is left to learn from; give the table more than "):
        app.fit(table, verbose=0)


def test_columns_may_have_any_name(app, tmp_path):
    rng = np.random.default_rng(0)
    odd = ["A", "a", "a/b", "größe", "金額", "history", "self", "%s {x}", "1", " ", "x" * 200, "sample weight"]
    odd += ["channel_words"]
    # and what layers and operations of the graph are called
    graph = {operation.name for operation in (*app.model_.operations, *app.preprocessor_.operations)}
    odd += sorted(name for name in graph if not name[-1].isdigit())
    table = {**TRAIN, **{name: rng.normal(size=1200) for name in odd}}
    table |= {name + "!": rng.choice(np.array(["p", "q", "r"], object), 1200) for name in odd[:6]}
    table |= TRAIN  # but for the roles
    app = detector().fit(table, verbose=0)
    queries = take(table, slice(1100, None))
    answers = app.predict(queries)
    assert (answers.problem == "").all() and list(answers) == ["probability", "alarm", "problem"]
    one = {name: column[0] for name, column in queries.items()}
    alone = app.predict_one(one)["probability"]
    assert alone == pytest.approx(answers.probability[0], abs=1e-4)
    for name in ("A", "a", "history", "a!"):
        assert app.predict_one({**one, name: "p" if name.endswith("!") else 9.0}) != alone
    app.save(tmp_path / "saved")
    same(at.load(tmp_path / "saved").predict(queries), answers)


def test_roles_may_have_any_name():
    names = {"time": "when / où", "amount": "Self", "card": "history", "terminal": "problem", "fraud": "self"}
    table = {names.get(name, name): column for name, column in TRAIN.items()}
    roles = {"label": "self", "time": "when / où", "amount": "Self", "entities": ("history", "problem")}
    app = detector(**roles).fit(table, verbose=0)
    answers = app.predict(table)
    assert (answers.problem == "").all()
    assert app.observe(take(table, slice(1))) is app


# ---- policy ------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged(app, tmp_path_factory):
    """A copy that knows only what it was trained on, and the held-out records it was judged by."""
    train, valid = app.split(check_records(app, TRAIN))
    other = at.load(app.save(tmp_path_factory.mktemp("judged") / "saved"))
    other.state_ = other.remember(train, other.open_state({}))
    return other, valid


def test_held_out_probabilities_are_those_it_answers(judged):
    app, valid = judged
    np.testing.assert_allclose(app.predict(valid).probability, app.valid_["probability"], atol=1e-6)


@pytest.mark.parametrize("reviews", [0, 0.3, 1, 2.5, 7, 1e6])
def test_reviews_per_day_are_never_exceeded(judged, reviews):
    app, valid = judged
    answers = app.set_policy(reviews_per_day=reviews).predict(valid)
    days = (valid["time"].max() - valid["time"].min()) / np.timedelta64(1, "D")
    allowed = reviews * days
    assert answers.alarm.sum() <= allowed
    assert answers.alarm.sum() >= min(len(answers), np.floor(allowed)) - 3
    by_loss = app.set_policy(reviews_per_day=reviews, cost_of_miss="amount").predict(valid)
    assert by_loss.alarm.sum() <= allowed


@pytest.mark.parametrize("rate", [0, 0.01, 0.25, 1])
def test_alarm_rate_is_met_on_held_out_rows(judged, rate):
    app, valid = judged
    share = app.set_policy(alarm_rate=rate).predict(valid).alarm.mean()
    assert rate - 0.02 <= share <= rate


def test_costs_decide(judged):
    app, valid = judged
    for miss, alarm in ((100, 5), (20.0, 1), (1, 1), (5, 0)):
        answers = app.set_policy(cost_of_miss=miss, cost_of_alarm=alarm).predict(valid)
        assert (answers.alarm == (answers.probability >= alarm / (alarm + miss))).all()
    answers = app.set_policy(cost_of_miss="amount", cost_of_alarm=4).predict(valid)
    loss = answers.probability * valid["amount"]
    clear = np.abs(loss - 4 * (1 - answers.probability)) > 1e-3
    assert (answers.alarm == (loss >= 4 * (1 - answers.probability)))[clear].all()
    assert 0 < answers.alarm.sum() < len(answers)


def test_a_policy_changes_alarms_and_nothing_else(app, tmp_path):
    other = at.load(app.save(tmp_path / "first"))
    usual, before = other.predict(QUERIES), weights(other)
    report = other.report_
    loud = other.set_policy(alarm_rate=1.0).predict(QUERIES)
    assert loud.alarm.all() and usual.alarm.mean() < 0.5
    np.testing.assert_array_equal(loud.probability, usual.probability)
    assert (weights(other) == before).all() and other.report_ is report
    query = {name: column[0] for name, column in QUERIES.items()}
    assert other.predict_one(query)["alarm"] is True
    assert other.predict_one(query)["probability"] == pytest.approx(usual.probability[0], abs=1e-4)
    again = at.load(other.save(tmp_path / "second"))
    assert again.policy == at.Policy(alarm_rate=1.0)
    assert (again.predict(QUERIES).alarm == loud.alarm).all() and again.predict_one(query)["alarm"] is True
    again.set_policy(alarm_rate=0)
    assert not again.predict(QUERIES).alarm.any() and again.predict_one(query)["alarm"] is False
    with pytest.raises(
        ValueError, match=r"FraudDetector: policy 'refer_rate' is not one it takes; it takes cost_of_miss"
    ):
        again.set_policy(refer_rate=0.1)
    assert again.policy == at.Policy(alarm_rate=0) and not again.predict(QUERIES).alarm.any()


# ---- what it learns ----------------------------------------------------------


def test_sensitive_columns_are_never_features(app, usual):
    rng = np.random.default_rng(0)
    same(app.predict({**QUERIES, "region": rng.permutation(QUERIES["region"])}), usual)
    same(app.predict({name: column for name, column in QUERIES.items() if name != "region"}), usual)
    assert "region" not in app.query and "region" in app.record


def test_the_same_rows_twice_serve_as_two_payments(app):
    first = take(QUERIES, slice(0, 1))
    both = app.predict(concat([first, first]))
    assert both.probability[0] == pytest.approx(app.predict(first).probability[0], abs=1e-6)


def test_observing_for_long_lets_old_payments_go(monkeypatch):
    monkeypatch.setattr("apptemplates.inference.history.TRIM", 100)
    table = synthetic.payments(1500)
    app = at.FraudDetector(label="fraud", entities=("card",), windows=("1D",), label_delay="1D", epochs=1)
    app.fit(take(table, slice(0, 1000)), verbose=0)
    for row in range(1000, 1300):
        app.observe({name: column[row] for name, column in table.items()})
    newest = table["time"][1299]
    needed = int((table["time"][:1300] > newest - np.timedelta64(2, "D")).sum())
    assert needed <= len(app.state_) < needed + 110
    kept = app.predict(take(table, slice(1300, 1350)))
    records, _ = app.record.check("test", take(table, slice(0, 1300)))
    app.state_ = app.open_state({}).add(*payments_of(records, app.roles))
    assert len(app.state_) == 1300
    pd.testing.assert_frame_equal(app.predict(take(table, slice(1300, 1350))), kept)


def test_one_answer_is_explained_by_what_moved_it(app):
    one = app.explain(take(QUERIES, slice(0, 1)))
    assert one.importance is None and len(one.table) == 1 and one.verdict[0].startswith("What matters most to this")
    parts = (
        one.table.drop(columns=["answer", "alarm", counterfactual.COLUMN]).iloc[0].abs().sort_values(ascending=False)
    )
    assert parts.index[0] in one.verdict[0]
    assert one.notes["completeness error, largest"] < 0.01


def test_the_label_is_no_trait(app):
    assert "fraud" not in app.learned_["profile"] and {"amount", "channel"} <= set(app.learned_["profile"])
    assert "fraud" not in app.traits(TEST, {})
