import numpy as np
import pytest

from apptemplates.evaluation import metrics
from apptemplates.evaluation.audit import MOST_GROUPS, Groups, by_group


def score(truth, answers):
    return {
        "accuracy": metrics.accuracy(truth["label"], answers["alarm"]),
        "recall": metrics.recall(truth["label"], answers["alarm"]),
        "alarm rate": metrics.alarm_rate(answers["alarm"]),
    }


def planted(rows=3000, seed=0):
    """Answers that are wrong in 5 % of the rows, but in 30 % of those of group "b"."""
    random = np.random.default_rng(seed)
    group = random.choice(np.array(["a", "b", "c"], dtype=object), rows)
    label = random.integers(0, 2, rows)
    wrong = random.random(rows) < np.where(group == "b", 0.3, 0.05)
    return {"label": label}, {"alarm": np.where(wrong, 1 - label, label)}, group


def test_metrics_of_a_group_are_those_of_its_rows():
    truth, answers, group = planted()
    result = by_group(score, truth, answers, group)
    assert result.names == ["accuracy", "recall", "alarm rate"]
    assert result.table["rows"].sum() == 3000 and result.table["rows"].is_monotonic_decreasing
    for row in result.table.to_dict("records"):
        member = group == row["group"]
        expected = score({"label": truth["label"][member]}, {"alarm": answers["alarm"][member]})
        for name, value in expected.items():
            assert row[name] == value
            assert row[f"{name} low"] < value < row[f"{name} high"]


def test_a_planted_gap_is_found_and_an_absent_one_is_not():
    truth, answers, group = planted()
    result = by_group(score, truth, answers, group)
    gap = result.gaps["accuracy"]
    assert result.extremes["accuracy"][0] == "b" and gap.low > 0.15 and gap.high < 0.35
    assert gap.low <= gap.value <= gap.high
    assert result.gaps["alarm rate"].low <= 0  # the alarm rate is the same everywhere
    assert np.isclose(result.table["accuracy"].max() - result.table["accuracy"].min(), gap.value)


def test_small_groups_are_marked_and_left_out_of_the_gaps():
    truth, answers, group = planted()
    group[:49] = "tiny"
    answers["alarm"][:49] = 1 - truth["label"][:49]
    result = by_group(score, truth, answers, group)
    small = result.table.set_index("group")["small"]
    assert small["tiny"] and not small[["a", "b", "c"]].any()
    assert "tiny" not in result.extremes["accuracy"]
    assert not by_group(score, truth, answers, group, smallest=10).table["small"].any()


def test_missing_values_are_a_group():
    truth, answers, group = planted(600)
    group[:60], group[60:120] = "", None
    result = by_group(score, truth, answers, group, repeats=20)
    assert result.table.set_index("group").loc["missing", "rows"] == 120
    numbers = np.where(np.arange(600) < 70, np.nan, np.arange(600) % 2)
    assert set(by_group(score, truth, answers, numbers, repeats=20).table["group"]) == {"missing", "0", "1"}


def test_numbers_are_cut_into_quarters_and_many_names_put_together():
    truth, answers, _ = planted(4000)
    age = np.random.default_rng(1).integers(18, 90, 4000).astype(float)
    quarters = by_group(score, truth, answers, age, repeats=10).table
    assert len(quarters) == 4 and quarters["rows"].min() > 800
    assert quarters["group"].iloc[0].startswith("18 to ") and quarters["group"].iloc[3].endswith(" to 89")
    age[:100] = np.nan
    assert list(by_group(score, truth, answers, age, repeats=10).table["group"])[4:] == ["missing"]
    names = np.array([f"city {number % 400 if number % 2 else number % 10}" for number in range(4000)], dtype=object)
    many = by_group(score, truth, answers, names, repeats=10, smallest=1)
    assert len(many.table) == MOST_GROUPS and many.table["group"].iloc[-1].endswith(" others")
    assert not any("others" in name for pair in many.extremes.values() for name in pair)


def test_one_group_or_undefined_metrics_have_no_gap():
    truth, answers, _ = planted(300)
    assert by_group(score, truth, answers, np.full(300, "all", dtype=object)).gaps == {}
    truth["label"][:] = 0
    halves = np.where(np.arange(300) < 150, "one", "two").astype(object)
    assert "recall" not in by_group(score, truth, answers, halves).gaps


def test_people_are_drawn_whole():
    random = np.random.default_rng(3)
    person = np.repeat(np.arange(60), 40)
    right = np.repeat(random.integers(0, 2, 60), 40)
    truth, answers = {"label": np.ones(2400)}, {"alarm": right}
    half = np.where(person < 30, "old", "new").astype(object)
    alone = by_group(score, truth, answers, half).gaps["accuracy"]
    together = by_group(score, truth, answers, half, groups=person).gaps["accuracy"]
    assert together.high - together.low > 4 * (alone.high - alone.low)


def test_round_trip_and_wrong_lengths():
    truth, answers, group = planted(300)
    result = by_group(score, truth, answers, group, repeats=20)
    again = Groups.from_dict(result.to_dict())
    assert again.table.equals(result.table) and again.gaps == result.gaps and again.extremes == result.extremes
    with pytest.raises(ValueError, match="values has 299 rows"):
        by_group(score, truth, answers, group[:-1])
