"""Many rows through a graph of one: in order, whatever they are shared between."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from apptemplates.deploy import rows


def doubled(inputs):
    assert len(inputs["x"]) == 1
    return {"y": 2 * inputs["x"]}


@pytest.mark.parametrize("cores", [1, 2, 3, 100])
@pytest.mark.parametrize("count", [1, 7, 8, 9, 200])
def test_rows_come_back_in_order(monkeypatch, cores, count):
    monkeypatch.setattr(rows, "cores", lambda: cores)
    made = []
    each = rows.Rows(doubled, lambda: made.append(1) or doubled)
    for _ in range(2):  # copies are made once
        np.testing.assert_array_equal(each({"x": np.arange(count)})["y"], 2 * np.arange(count))
    assert len(made) == (min(cores, rows.MOST) - 1 if count >= rows.FEWEST else 0)


def test_many_threads_at_once(monkeypatch):
    monkeypatch.setattr(rows, "cores", lambda: 2)
    each = rows.Rows(doubled, lambda: doubled)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda start: each({"x": start + np.arange(50)})["y"], range(40)))
    for start, answer in enumerate(found):
        np.testing.assert_array_equal(answer, 2 * (start + np.arange(50)))


def test_what_goes_wrong_in_a_share_is_raised(monkeypatch):
    monkeypatch.setattr(rows, "cores", lambda: 2)

    def fails(inputs):
        raise ValueError("no such row")

    with pytest.raises(ValueError, match="no such row"):
        rows.Rows(doubled, lambda: fails)({"x": np.arange(20)})
