import warnings

import numpy as np
import pytest

from apptemplates.evaluation.intervals import Metric, bootstrap, difference, interval, measured, resamples


def mean(truth, answers):
    return {"mean": float(truth["value"].mean())}


def test_interval_covers_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(0)
    inside = 0
    for trial in range(200):
        result = bootstrap(mean, {"value": random.normal(size=80)}, {}, seed=trial)["mean"]
        inside += result.low <= 0 <= result.high
    assert 0.88 <= inside / 200 <= 0.99


def test_interval_of_a_mean_has_the_width_of_its_standard_error():
    values = np.random.default_rng(1).normal(size=2000)
    result = bootstrap(mean, {"value": values}, {}, repeats=1000)["mean"]
    assert result.value == values.mean()
    assert (result.high - result.low) == pytest.approx(2 * 1.96 * values.std() / np.sqrt(2000), rel=0.1)


def test_groups_are_drawn_whole_and_widen_the_interval():
    random = np.random.default_rng(2)
    group = np.repeat([f"person {number}" for number in range(40)], 50)
    values = np.repeat(random.normal(size=40), 50) + 0.01 * random.normal(size=2000)
    alone = bootstrap(mean, {"value": values}, {})["mean"]
    together = bootstrap(mean, {"value": values}, {}, groups=group)["mean"]
    assert (together.high - together.low) > 4 * (alone.high - alone.low)


def test_group_draws_hold_every_row_of_a_drawn_group():
    group = np.array(["a", "b", "a", "c", "b", "a"])
    size = {"a": 3, "b": 2, "c": 1}
    for rows in resamples(6, group, 50, 0):
        names, counts = np.unique(group[rows], return_counts=True)
        assert all(count % size[name] == 0 for name, count in zip(names, counts, strict=True))
        assert sum(counts[i] // size[name] for i, name in enumerate(names)) == 3


def test_same_seed_same_interval_and_answers_stay_beside_their_truth():
    def agree(truth, answers):
        return {"same": float((truth["value"] == answers["value"]).mean()), "mean": float(truth["value"].mean())}

    values = np.arange(30.0)
    one = bootstrap(agree, {"value": values}, {"value": values.copy()}, seed=3)
    assert one == bootstrap(agree, {"value": values}, {"value": values.copy()}, seed=3)
    assert one["same"] == Metric(1.0, 1.0, 1.0)
    assert one["mean"] != bootstrap(agree, {"value": values}, {"value": values.copy()}, seed=4)["mean"]


def test_a_paired_difference_is_surer_than_two_intervals():
    random = np.random.default_rng(4)
    truth = random.normal(size=500)
    ours, theirs = truth + 0.10 * random.normal(size=500), truth + 0.12 * random.normal(size=500)

    def score(truth, answers):
        return {"mean": float(answers["said"].mean()), "error": float(np.abs(answers["said"] - truth["value"]).mean())}

    one = bootstrap(score, {"value": truth}, {"said": ours})
    two = bootstrap(score, {"value": truth}, {"said": theirs})
    apart = difference(score, {"value": truth}, {"said": ours}, {"said": theirs})
    assert apart["error"].value == pytest.approx(one["error"].value - two["error"].value)
    assert apart["error"].high < 0
    assert apart["mean"].high - apart["mean"].low < 0.5 * (one["mean"].high - one["mean"].low)


def test_undefined_draws_are_left_out_silently():
    def sometimes(truth, answers):
        values = truth["value"]
        return {"ratio": 1.0 if values.any() else float("nan"), "never": float("nan")}

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = bootstrap(sometimes, {"value": np.array([1.0, 0.0, 0.0])}, {})
    assert result["ratio"] == Metric(1.0, 1.0, 1.0)
    assert all(np.isnan(part) for part in result["never"])


def test_too_little_to_draw_from_gives_no_interval():
    for groups, rows in ((None, 1), (np.zeros(9), 9)):
        result = bootstrap(mean, {"value": np.arange(float(rows))}, {}, groups=groups)["mean"]
        assert result.value == (rows - 1) / 2 and np.isnan(result.low) and np.isnan(result.high)
    assert np.isnan(bootstrap(mean, {"value": np.arange(9.0)}, {}, repeats=0)["mean"].low)


def test_interval_holds_its_value():
    assert interval(0.0, [0.1, 0.2]).low == 0.0
    assert interval(1.0, [0.1, 0.2]).high == 1.0


def test_unequal_columns_are_refused():
    with pytest.raises(ValueError, match="one length"):
        bootstrap(mean, {"value": np.zeros(3)}, {"answer": np.zeros(4)})
    with pytest.raises(ValueError, match="one id a row"):
        bootstrap(mean, {"value": np.zeros(3)}, {}, groups=[1, 2])


def test_a_share_that_is_all_or_nothing_has_the_interval_that_its_rows_leave_open():
    def score(truth, answers):
        event, said = truth["event"], answers["said"]
        found = float("nan") if not event.any() else float(said[event].mean())
        return {"recall": found, "miss rate": 1 - found, "log loss": 0.0, "accuracy": float((said == event).mean())}

    event = np.arange(1000) < 40
    exact = 0.025 ** (1 / 40)  # Clopper and Pearson: 40 of 40
    few = event[20:320]  # 20 events among 300 rows, of which 200 are looked at
    found = measured(score, {"event": event[:200]}, {"said": event[:200]})
    assert found["recall"] == Metric(1.0, pytest.approx(exact), 1.0)
    assert found["miss rate"] == Metric(0.0, 0.0, pytest.approx(1 - exact))
    assert found["accuracy"].low == pytest.approx(0.025 ** (1 / 200))
    assert found["log loss"] == Metric(0.0, 0.0, 0.0)  # no share
    assert measured(score, {"event": few}, {"said": few})["recall"].low == pytest.approx(0.025 ** (1 / 20), abs=0.05)
    group = np.arange(200) // 10  # people of ten rows; four of them have events
    assert measured(score, {"event": event[:200]}, {"said": event[:200]}, group)["recall"].low == pytest.approx(
        0.025 ** (1 / 4)
    )
