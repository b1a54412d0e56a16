import numpy as np
import pytest

from apptemplates.data import table
from apptemplates.data.schema import DataError

SMALL = {"a": np.array([1, 2, 3]), "b": np.array(["x", None, "z"], dtype=object)}


def test_rows_are_counted_and_must_be_equal():
    assert table.rows(SMALL) == 3
    assert table.rows({}) == 0
    with pytest.raises(DataError, match="column 'b' has 1 rows but 'a' has 2"):
        table.rows({"a": np.zeros(2), "b": np.zeros(1)})


@pytest.mark.parametrize("index", [[2, 0], slice(1, None), np.array([True, False, True])])
def test_taken_rows_stay_together(index):
    part = table.take(SMALL, index)
    assert part["a"].tolist() == SMALL["a"][index].tolist()
    assert part["b"].tolist() == SMALL["b"][index].tolist()


def test_tables_are_joined_end_to_end_without_turning_numbers_into_strings():
    joined = table.concat([SMALL, {"a": np.array([0.5]), "b": np.array([7])}])
    assert joined["a"].tolist() == [1, 2, 3, 0.5]
    assert joined["b"].tolist() == ["x", None, "z", 7]
    assert table.concat([]) == {}


def test_tables_with_other_columns_are_not_joined():
    with pytest.raises(DataError, match="'b' stands in only one of them"):
        table.concat([SMALL, {"a": SMALL["a"]}])


def test_a_frame_holds_vectors_too():
    frame = table.to_frame({**SMALL, "v": np.ones((3, 2))})
    assert frame.shape == (3, 3)
    assert frame["v"][0].tolist() == [1, 1]
