"""FraudDetector and groups: alarms brought together by thresholds or a penalty, and intervals by customer."""

import numpy as np
import pytest

import apptemplates as at
from apptemplates.data import synthetic
from apptemplates.data.schema import DataError
from apptemplates.data.table import take
from apptemplates.deploy import runtime
from apptemplates.evaluation import counterfactual, risk

PAYMENTS = synthetic.payments(4000)
PAYMENTS["place"] = np.where(PAYMENTS["channel"] == "online", "online", "elsewhere").astype(object)  # twice the frauds
TRAIN, TEST = take(PAYMENTS, slice(3000)), take(PAYMENTS, slice(3000, None))
QUERIES = {name: column for name, column in TEST.items() if name != "fraud"}


def detector(**choices):
    given = {"label": "fraud", "entities": ("card", "terminal"), "sensitive": ("place",), "ignore": ("region",)}
    given |= {"epochs": 6, "batch_size": 128, "refit": False, "policy": at.Policy(alarm_rate=0.1), "seed": 1}
    return at.FraudDetector(**given, **choices)


@pytest.fixture(scope="module")
def app():
    return detector().fit(TRAIN, verbose=0)


@pytest.fixture(scope="module")
def by_thresholds():
    return detector(mitigate="thresholds", parity=1.0).fit(TRAIN, verbose=0)


def gap(app):
    return risk.gap(app.predict(QUERIES)["alarm"].to_numpy(), TEST["place"])


def test_thresholds_by_group_close_the_gap_and_leave_the_chances(app, by_thresholds):
    assert gap(app) > 0.05 and gap(by_thresholds) < gap(app) / 2
    first, second = ({**take(QUERIES, slice(1)), "place": [group]} for group in ("online", "elsewhere"))
    chances = [by_thresholds.predict(query)["probability"][0] for query in (first, second)]
    assert chances[0] == chances[1]


def test_thresholds_by_group_ask_for_the_group(by_thresholds):
    query = {name: column[0] for name, column in QUERIES.items() if name != "place"}
    with pytest.raises(DataError, match=r"column 'place' .*is missing"):
        by_thresholds.predict_one(query)
    assert by_thresholds.predict_one({**query, "place": "unknown to it"})["alarm"] in (True, False)


def test_what_is_sure_knows_of_the_groups_thresholds(by_thresholds):
    report = by_thresholds.evaluate(TEST, by="place")
    assert "place: demographic parity difference" in report.notes
    inputs = by_thresholds.prepare(QUERIES, by_thresholds.state_)
    answers = by_thresholds.respond(inputs, by_thresholds.call_, by_thresholds.state_)
    truth = {name: TEST[name] for name in ("fraud", "amount", "place")}
    unsure = by_thresholds.stated(truth, inputs, answers).sure < 0.55
    for group in ("online", "elsewhere"):  # next to its own threshold, on either side
        own = unsure & (TEST["place"] == group)
        assert set(answers["alarm"][own]) == {True, False} or own.sum() < 5
    assert any("gap in the rate of alarms" in figure.axes[0].get_xlabel() for figure in report.figures)


def test_a_saved_folder_decides_by_group_without_the_template_too(by_thresholds, tmp_path):
    folder = by_thresholds.save(tmp_path / "model", share=True)
    light, query = runtime.load(folder), {name: column[0] for name, column in QUERIES.items()}
    again = at.load(folder)
    for group in ("online", "elsewhere", ""):
        one = {**query, "place": group}
        assert light.predict_one(one)["alarm"] == again.predict_one(one)["alarm"]
    with pytest.raises(ValueError, match="shared without the groups of its records"):
        again.set_policy(alarm_rate=0.2)


def test_a_penalty_learns_chances_that_differ_less(app):
    even = detector(mitigate="penalty", parity=1.0).fit(TRAIN, verbose=0)
    gaps = []
    for one in (app, even):
        chance = one.predict(QUERIES)["probability"].to_numpy()
        gaps.append(chance[TEST["place"] == "online"].mean() - chance[TEST["place"] == "elsewhere"].mean())
    assert gaps[0] > 0 and gaps[1] < 0.8 * gaps[0]
    assert "place" not in even.query


def test_what_would_make_an_alarm_none_does(by_thresholds):
    near = np.abs(by_thresholds._over(by_thresholds.prepare(QUERIES, by_thresholds.state_)))
    asked = {name: column[np.sort(np.argsort(near)[:10])] for name, column in TEST.items()}
    table = by_thresholds.explain(asked).table
    assert set(table["alarm"]) == {True, False}
    changed = 0
    for row in range(10):
        words = table[counterfactual.COLUMN][row]
        if " and " in words or not words:
            continue
        name, value = words.split(" ")[0], words.split(" → ")[1].strip("'")
        other = {key: column[row] for key, column in asked.items() if key != "fraud"}
        other[name] = value if isinstance(asked[name][0], str) else float(value.replace(",", ""))
        inputs = by_thresholds.prepare(
            {key: np.array([v], asked[key].dtype) for key, v in other.items()}, by_thresholds.state_
        )
        assert bool(by_thresholds.respond(inputs, by_thresholds.call_, None)["alarm"][0]) != table["alarm"][row]
        changed += 1
    assert changed
    app = by_thresholds.__copy__()
    app.immutable = (*app.columns_, "amount", "time")
    assert set(app.explain(asked).table[counterfactual.COLUMN]) == {""}


def test_payments_of_one_customer_go_together_in_intervals(app):
    record = app.record.check("test", TEST)[0]
    assert len(set(app.clusters(record))) == len(set(TEST["card"]))
    assert at.FraudDetector(label="fraud", time=None).clusters(record) is None


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"mitigate": "magic"}, "mitigate must be 'thresholds', 'penalty' or None"),
        ({"mitigate": "penalty", "sensitive": ()}, "needs to know whose groups; name sensitive="),
        ({"mitigate": "penalty", "label": None, "sensitive": ("place",)}, "needs chances, which are not known"),
    ],
)
def test_choices_that_can_not_be_meant(choices, words):
    with pytest.raises(ValueError, match="FraudDetector: ") as caught:
        at.FraudDetector(**choices)
    assert words in str(caught.value)
