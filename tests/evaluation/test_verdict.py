from types import SimpleNamespace

import pandas as pd
import pytest

from apptemplates.evaluation.audit import Groups
from apptemplates.evaluation.intervals import Metric
from apptemplates.evaluation.report import Report
from apptemplates.evaluation.verdict import SEEN, advantage, verdict

NAME = "average precision"


def report(ours, theirs=None, **parts):
    baseline = {} if theirs is None else {"name": "always the amount", "metrics": {NAME: theirs}}
    return Report(
        "Fraud", metrics={NAME: ours, **parts.pop("metrics", {})}, baseline=baseline | parts.pop("extra", {}), **parts
    )


def groups(low, high, gap, name=NAME):
    table = pd.DataFrame({"group": ["north", "south"], "rows": [900, 800], "small": [False, False], name: [high, low]})
    return Groups(table.assign(**{f"{name} low": 0.0, f"{name} high": 1.0}), {name: gap}, {name: ("south", "north")})


def test_without_the_truth_nothing_is_claimed():
    rate = {"alarm rate": Metric(0.01, 0.005, 0.02)}
    blind = Report("Fraud", metrics=rate, baseline={"name": "distance", "metrics": rate})
    first, _, last = verdict(blind, "alarm rate")
    assert first.endswith("how good the answers are can not be told without the truth of some records.")
    assert "distance" not in first and "the truth of some records" in last


def test_better_only_where_the_intervals_lie_apart():
    far, near, below = Metric(0.4, 0.35, 0.45), Metric(0.68, 0.6, 0.71), Metric(0.9, 0.85, 0.95)
    ours = Metric(0.7, 0.65, 0.75)
    assert "better by 0.300, beyond what chance explains" in verdict(report(ours, far), NAME)[0]
    assert "too close to call" in verdict(report(ours, near), NAME)[0]
    assert "should be used instead" in verdict(report(ours, below), NAME)[0]
    assert "no baseline was measured" in verdict(report(ours), NAME)[0]
    assert "better" not in verdict(report(Metric(0.7), Metric(0.1)), NAME)[0]  # without intervals nothing is sure


def test_a_paired_difference_decides_where_there_is_one():
    ours, near = Metric(0.7, 0.65, 0.75), Metric(0.68, 0.6, 0.71)
    sure = {"difference": {NAME: Metric(0.02, 0.01, 0.03)}}
    unsure = {"difference": {NAME: Metric(0.3, -0.01, 0.5)}}
    assert advantage(report(ours, near, extra=sure), NAME) == "better"
    assert advantage(report(ours, Metric(0.4, 0.3, 0.5), extra=unsure), NAME) == "unclear"


def test_less_is_better_for_losses():
    one = Report("x", metrics={"ECE": Metric(0.01, 0.0, 0.02)}, baseline={"metrics": {"ECE": Metric(0.1, 0.08, 0.12)}})
    assert advantage(one, "ECE") == "better"
    one.groups["region"] = groups(0.01, 0.2, Metric(0.19, 0.1, 0.25), "ECE")
    assert "region = north" in verdict(one, "ECE")[1]


def test_the_worst_group_is_named_only_beyond_chance():
    ours, far = Metric(0.7, 0.65, 0.75), Metric(0.4, 0.35, 0.45)
    real = report(ours, far, groups={"region": groups(0.5, 0.8, Metric(0.3, 0.1, 0.4))})
    assert verdict(real, NAME)[1].startswith(
        "It is worst for region = south with average precision 0.500, 0.300 (0.100"
    )
    assert "region = south" in verdict(real, NAME)[2]
    chance = report(ours, far, groups={"region": groups(0.7, 0.8, Metric(0.1, -0.1, 0.2))})
    assert "south" not in verdict(chance, NAME)[1] and "chance" in verdict(chance, NAME)[1]


def test_without_groups_the_kinds_of_mistakes_are_told():
    rates = {"recall": Metric(0.65, 0.6, 0.7), "precision": Metric(0.4, 0.3, 0.5)}
    second = verdict(report(Metric(0.7, 0.65, 0.75), metrics=rates), NAME)[1]
    assert "misses 35 % of the cases" in second and "60 % of its alarms are needless" in second


def test_the_next_step_comes_from_what_is_most_wrong():
    ours, far = Metric(0.7, 0.65, 0.75), Metric(0.4, 0.35, 0.45)
    finding = SimpleNamespace(
        code="leaking-column", severity="warning", place="column 'paid_back'", message="...", fix="leave it out."
    )
    assert "already learned from" in verdict(report(ours, far, data={SEEN: 12}, findings=[finding]), NAME)[2]
    assert verdict(report(ours, far, findings=[finding]), NAME)[2] == (
        "What would help most: leave it out (column 'paid_back')."
    )
    assert "more labelled records" in verdict(report(Metric(0.7, 0.5, 0.9), far), NAME)[2]
    assert "20 % off" in verdict(report(ours, far, metrics={"ECE": Metric(0.2, 0.1, 0.3)}), NAME)[2]
    assert "No single weakness" in verdict(report(ours, far), NAME)[2]


def test_three_sentences_always():
    nan = float("nan")
    for one in (report(Metric(nan, nan, nan)), report(Metric(0.5)), report(Metric(0.5), Metric(nan))):
        sentences = verdict(one, NAME)
        assert len(sentences) == 3 and all(sentence.endswith(".") for sentence in sentences)
    with pytest.raises(ValueError, match="no metric 'AUC'; the report has average precision"):
        verdict(report(Metric(0.5)), "AUC")
