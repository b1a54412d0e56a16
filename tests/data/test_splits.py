import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apptemplates.data import splits
from apptemplates.data.schema import DataError


def by_days(days):
    return {"time": np.array(days, "datetime64[D]").astype("datetime64[us]"), "row": np.arange(len(days))}


def test_the_latest_rows_are_held_out_in_their_order():
    table = by_days([5, 1, 4, 2, 3])
    earlier, later = splits.by_time(table, "time", 0.4)
    assert earlier["row"].tolist() == [1, 3, 4]
    assert later["row"].tolist() == [0, 2]


def test_a_gap_is_in_neither_part():
    earlier, later = splits.by_time(by_days(range(10)), "time", 0.2, gap="3D")
    assert earlier["row"].tolist() == [0, 1, 2, 3, 4]
    assert later["row"].tolist() == [8, 9]
    with pytest.raises(DataError, match="too short for a gap of 30D"):
        splits.by_time(by_days(range(10)), "time", 0.2, gap="30D")


@settings(max_examples=100, deadline=None)
@given(days=st.lists(st.integers(0, 6), min_size=2, max_size=30), share=st.floats(0.05, 0.95))
def test_rows_of_one_moment_are_never_parted(days, share):
    if len(set(days)) == 1:
        with pytest.raises(DataError, match="at one moment"):
            splits.by_time(by_days(days), "time", share)
        return
    earlier, later = splits.by_time(by_days(days), "time", share)
    assert len(earlier["row"]) + len(later["row"]) == len(days)
    assert earlier["time"].max() < later["time"].min()


def test_missing_times_are_refused():
    with pytest.raises(DataError, match="column 'time' has missing times"):
        splits.by_time({"time": np.array(["2020-01-01", "NaT"], "datetime64[us]")}, "time")


def test_groups_stay_whole():
    group = np.array([f"g{number % 17}" for number in range(500)], dtype=object)
    table = {"group": group, "row": np.arange(500)}
    first, second = splits.by_group(table, "group", 0.2, seed=1)
    assert not set(first["group"]) & set(second["group"])
    assert 60 <= len(second["row"]) <= 140
    again = splits.by_group(table, "group", 0.2, seed=1)[1]
    assert again["row"].tolist() == second["row"].tolist()
    with pytest.raises(DataError, match="column 'group' has 1 group;"):
        splits.by_group(splits.take(table, group == "g1"), "group")


def test_every_label_is_in_both_parts():
    label = np.array([1] * 3 + [0] * 97)
    first, second = splits.stratified({"label": label, "row": np.arange(100)}, "label", 0.2, seed=0)
    assert second["label"].sum() == 1
    assert first["label"].sum() == 2
    assert len(second["row"]) == 20
    assert (np.diff(second["row"]) > 0).all()
    with pytest.raises(DataError, match="no value of column 'label' stands in two rows"):
        splits.stratified({"label": np.array([1, 2, 3])}, "label")


@pytest.mark.parametrize(
    ("text", "seconds"), [("7D", 604800), ("1 h", 3600), ("30min", 1800), ("2W", 1209600), ("5s", 5)]
)
def test_stretches_of_time(text, seconds):
    assert splits.span(text) == np.timedelta64(seconds, "s")


def test_stretches_that_can_not_be_read():
    for wrong in ("7", "D", "7 moons", "-1D"):
        with pytest.raises(ValueError, match="such as '7D'"):
            splits.span(wrong)
    with pytest.raises(ValueError, match="between 0 and 1"):
        splits.by_time(by_days([1, 2]), "time", 1.0)
