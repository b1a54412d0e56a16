"""What is special to RiskScorer: costs and doubt, sensitive groups, words for the event, and changes that flip."""

import numpy as np
import pytest

import apptemplates as at
from apptemplates.data import synthetic_loans
from apptemplates.data.schema import DataError
from apptemplates.data.table import take
from apptemplates.deploy.model_card import model_card
from apptemplates.evaluation import risk

LOANS, NEW = synthetic_loans.loans(1500), synthetic_loans.loans(1500, seed=7)
QUICK = {"label": "not_paid_back", "epochs": 3, "batch_size": 128, "refit": False}
ROLES = {"group": "customer", "amount": "amount", "sensitive": ("sex", "age_group"), "immutable": ("age",)}


def scorer(**choices):
    return at.RiskScorer(**QUICK | ROLES | choices)


@pytest.fixture(scope="module")
def app():
    return scorer().fit(LOANS, verbose=0)


@pytest.fixture(scope="module")
def by_thresholds():
    return scorer(mitigate="thresholds", parity=1.0).fit(LOANS, verbose=0)


@pytest.fixture(scope="module")
def report(app):
    return app.evaluate(NEW, by=("sex", ("sex", "age_group")))


@pytest.fixture(autouse=True)
def policy_as_before(app):
    yield
    app.set_policy(cost_of_miss=1.0, cost_of_alarm=1.0)


# ---- decisions -----------------------------------------------------------------


@pytest.mark.parametrize(("miss", "alarm"), [(1, 1), (5, 1), (1, 4)])
def test_a_cost_sets_the_chance_from_which_it_is_too_high(app, miss, alarm):
    answers = app.set_policy(cost_of_miss=miss, cost_of_alarm=alarm).predict(NEW)
    chance = answers["probability"].to_numpy()
    clear = np.abs(chance - alarm / (alarm + miss)) > 1e-4
    assert (answers["decision"][clear] == np.where(chance >= alarm / (alarm + miss), risk.HIGH, risk.LOW)[clear]).all()


def test_what_is_at_stake_decides_where_a_miss_costs_it(app):
    answers = app.set_policy(cost_of_miss="amount", cost_of_alarm=1000).predict(NEW)
    chance = answers["probability"].to_numpy()
    pays = chance * NEW["amount"] >= (1 - chance) * 1000
    assert (answers["decision"] == np.where(pays, risk.HIGH, risk.LOW)).mean() > 0.995
    cheap = app.predict_one({**{n: c[0] for n, c in NEW.items()}, "amount": 1.0})
    assert cheap["decision"] == risk.LOW


def test_a_least_sensitivity_holds_on_new_rows(app):
    answers = app.set_policy(min_sensitivity=0.9).predict(NEW)
    assert (answers["decision"][NEW["not_paid_back"] > 0] == risk.HIGH).mean() > 0.85


def test_what_is_not_sure_is_asked_of_a_human(app):
    some = app.set_policy(cost_of_miss=1, cost_of_alarm=1, refer_rate=0.2).predict(NEW)
    asked = (some["decision"] == risk.ASK).to_numpy()
    assert 0.1 < asked.mean() < 0.3
    assert np.abs(some["probability"][asked] - 0.5).max() <= np.abs(some["probability"][~asked] - 0.5).min() + 1e-6
    assert (app.set_policy(max_error=0.001).predict(NEW)["decision"] == risk.ASK).mean() > 0.9  # can not be promised


def test_an_alarm_rate_is_kept(app):
    share = (app.set_policy(alarm_rate=0.1).predict(NEW)["decision"] == risk.HIGH).mean()
    assert 0.05 < share < 0.16


def test_costs_are_in_the_report_with_an_interval(report):
    cost = report.metrics["cost per 1,000"]
    assert cost.low < cost.value < cost.high
    assert cost.value == pytest.approx(1000 * (1 - report.metrics["accuracy"].value))


# ---- groups ----------------------------------------------------------------------


def test_sensitive_columns_are_no_features(app):
    other = {**NEW, "sex": NEW["sex"][::-1].copy()}
    assert (app.predict(other)["probability"] == app.predict(NEW)["probability"]).all()
    assert not set(app.query) & {"sex", "age_group", "customer", "not_paid_back"}


def test_thresholds_by_group_close_the_gap_and_leave_the_chances(app, by_thresholds):
    gaps = []
    for one in (app, by_thresholds):
        answers = one.predict(NEW)
        gaps.append(risk.gap((answers["decision"] == risk.HIGH).to_numpy(), NEW["sex"]))
    assert gaps[0] > 0.05 and gaps[1] < gaps[0] / 2
    first, second = ({name: column[:1] for name, column in NEW.items()} | {"sex": [sex]} for sex in ("male", "female"))
    both = by_thresholds.predict(first)["probability"][0], by_thresholds.predict(second)["probability"][0]
    assert both[0] == both[1]


def test_thresholds_by_group_ask_for_the_group(by_thresholds):
    query = {name: column[0] for name, column in NEW.items() if name != "sex"}
    with pytest.raises(DataError, match=r"column 'sex' .*is missing"):
        by_thresholds.predict_one(query)
    assert by_thresholds.predict_one({**query, "sex": "unknown to it"})["decision"] in (risk.HIGH, risk.LOW)


def test_a_penalty_learns_chances_that_differ_less(app):
    even = scorer(mitigate="penalty", parity=1.0).fit(LOANS, verbose=0)
    gaps = []
    for one in (app, even):
        chance = one.predict(NEW)["probability"].to_numpy()
        gaps.append(chance[NEW["sex"] == "female"].mean() - chance[NEW["sex"] == "male"].mean())
    assert gaps[1] < 0.7 * gaps[0]
    assert "sex" not in even.query


def test_a_shared_folder_keeps_its_thresholds(by_thresholds, report, tmp_path):
    by_thresholds.report_ = report
    assert len(report.suspects) == 25
    by_thresholds.save(tmp_path / "model", share=True)
    again = at.load(tmp_path / "model")
    assert again.report_.suspects is None  # the rows to look at are records
    assert (again.predict(NEW)["decision"] == by_thresholds.predict(NEW)["decision"]).all()
    assert not any(name.startswith("record ") for name in again.valid_)
    with pytest.raises(ValueError, match="shared without the groups of its records"):
        again.set_policy(alarm_rate=0.2)


def test_nobody_stands_on_both_sides_of_a_split():
    twice = {name: np.concatenate([column[:200]] * 2) for name, column in LOANS.items()}
    first, second = scorer().split(scorer().record.check("test", twice)[0])
    assert not set(first["customer"]) & set(second["customer"])
    assert len(set(scorer().clusters(first))) == len(set(first["customer"]))


def test_the_audit_names_gaps_and_the_four_fifths_rule(report):
    assert {"sex", "sex x age_group"} <= set(report.groups)
    assert 0 < report.notes["sex: demographic parity ratio"] < 1
    rates = report.groups["sex"].table.set_index("group")["alarm rate"]
    assert report.notes["sex: demographic parity difference"] == pytest.approx(rates.max() - rates.min(), abs=1e-12)
    told = [finding.place for finding in report.findings if finding.code == "four-fifths-rule"]
    assert ("sex" in told) == (rates.min() < 0.8 * rates.max() and report.groups["sex"].gaps["alarm rate"].low > 0)
    assert any("thresholds by group" in figure.get_label() for figure in report.figures)


def test_the_model_card_has_the_groups_and_the_limits(app, report):
    app.report_ = report
    card = model_card(app, {"apptemplates": "1"})
    assert "## By sex" in card and "| female | " in card and "## Limits" in card
    told = [finding.message for finding in report.findings if finding.severity != "note"]
    assert all(message in card for message in told) and "records like those it was measured on" in card


def test_a_label_that_is_not_there_is_not_said_to_be_left_out():
    with pytest.raises(DataError) as told:
        at.RiskScorer(label="gone").fit({"x": np.arange(30.0), "gone by": np.arange(30.0)})
    assert "column 'gone' (whether it happened) is missing" in str(told.value) and "None" not in str(told.value)


# ---- explanations --------------------------------------------------------------------


def test_what_would_flip_a_decision_does_flip_it(app):
    some = take(NEW, slice(0, 6))
    table = app.explain(some).table
    flips = table["would be decided otherwise with"]
    assert (flips != "").mean() > 0.7 and not flips.str.contains("age ").any()
    for row in np.flatnonzero(flips.str.contains(" → ") & ~flips.str.contains(" and ") & ~flips.str.contains("'")):
        name, _, to = flips[row].replace(" → ", " ").rsplit(" ", 2)
        changed = {column: values[row] for column, values in some.items()} | {name: float(to.replace(",", ""))}
        before, after = (app.predict_one(query)["decision"] for query in ({**changed, name: some[name][row]}, changed))
        assert before == table["decision"][row] and after != before, flips[row]


# ---- words, blends and refusals -----------------------------------------------------------


def test_an_event_in_words():
    words = np.where(LOANS["not_paid_back"] > 0, "lost", "fine").astype(object)
    table = {name: LOANS[name] for name in ("income", "amount", "months", "failures")} | {"outcome": words}
    told = at.RiskScorer(**QUICK | {"label": "outcome"}, event="lost").fit(table, verbose=0)
    chance = told.predict(NEW)["probability"]
    assert chance[NEW["not_paid_back"] > 0].mean() > chance[NEW["not_paid_back"] == 0].mean() + 0.1
    with pytest.raises(DataError, match=r"'outcome' is never 'gone'; it holds 'fine', 'lost'; name one of several"):
        at.RiskScorer(**QUICK | {"label": "outcome"}, event="gone").fit(table, verbose=0)


def test_a_linear_truth_is_left_to_the_linear_part():
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 6))
    y = random.random(400) < 1 / (1 + np.exp(-(x[:, 0] * 2 - x[:, 1])))
    table = {f"x{i}": x[:, i] for i in range(6)} | {"label": y.astype(int)}
    fitted = at.RiskScorer(epochs=6, batch_size=64, refit=False).fit(table, verbose=0)
    assert fitted.learned_["share of the network"] < 0.7


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"mitigate": "magic"}, "mitigate must be 'thresholds', 'penalty' or None. Received: 'magic'"),
        ({"mitigate": "penalty", "sensitive": ()}, "needs to know whose groups; name sensitive="),
        ({"parity": 1.5}, "parity must lie between 0 and 1. Received: 1.5"),
        ({"group": "amount"}, "column 'amount' is named in group= and again in amount="),
        ({"policy": at.Policy(reviews_per_day=3)}, "policy 'reviews_per_day' is not one it takes"),
        ({"policy": at.Policy(cost_of_miss="income")}, "names no number column; there are 'amount'"),
    ],
)
def test_choices_that_can_not_be_meant(choices, words):
    with pytest.raises(ValueError, match="RiskScorer: ") as caught:
        scorer(**choices)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"not_paid_back": np.full(1500, 2)}, "column 'not_paid_back'"),
        ({"not_paid_back": np.zeros(1500)}, "label 'not_paid_back' is 0 in all 1,500 rows"),
        ({"amount": np.full(1500, -5.0)}, "column 'amount' has 1,500 values below 0"),
    ],
)
def test_data_that_can_not_be_learned_from(change, words):
    with pytest.raises(DataError, match="RiskScorer: ") as caught:
        scorer().fit({**LOANS, **change}, verbose=0)
    assert words in str(caught.value)


def test_a_time_holds_the_latest_out():
    dated = {**LOANS, "time": np.datetime64("2024-01-01") + np.arange(1500)}
    fresh = scorer(time="time", group=None)
    first, second = fresh.split(fresh.record.check("test", dated)[0])
    assert first["time"].max() < second["time"].min() and "time" not in fresh.query
