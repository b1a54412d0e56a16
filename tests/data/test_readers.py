import numpy as np
import pandas as pd
import pytest

from apptemplates.data.readers import read
from apptemplates.data.schema import DataError

FRAME = pd.DataFrame({"amount": [1.5, 2.5], "shop": ["a", None]})


def error_of(*arguments, **more):
    with pytest.raises(DataError) as caught:
        read(*arguments, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        FRAME,
        {"amount": [1.5, 2.5], "shop": ["a", None]},
        {"amount": np.array([1.5, 2.5]), "shop": pd.Series(["a", np.nan])},
        [{"amount": 1.5, "shop": "a"}, {"amount": 2.5}],
        FRAME.set_index("amount"),
    ],
)
def test_one_table_from_every_form_in_memory(source):
    table = read(source)
    assert table["amount"].dtype == np.float64
    assert table["amount"].tolist() == [1.5, 2.5]
    assert table["shop"].tolist() == ["a", None]


def test_typed_columns_of_a_frame():
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, None], dtype="Int64"),
            "all": pd.array([1, 2], dtype="Int32"),
            "codes": pd.Categorical(["u", "v"]),
            "zone": pd.to_datetime(["2020-01-01", "2020-06-02"]).tz_localize("Europe/Berlin"),
            "flag": [True, False],
            "stretch": pd.to_timedelta(["1D", "2D"]),
            "mixed": [1, "x"],
        }
    )
    table = read(frame)
    assert [column.dtype.kind for column in table.values()] == ["f", "i", "O", "M", "b", "f", "O"]
    assert str(table["zone"][0]).startswith("2019-12-31T23:00")
    assert table["stretch"].tolist() == [86400, 172800]
    assert table["mixed"].tolist() == [1, "x"]


def test_arrays_with_and_without_labels():
    values = np.arange(4.0).reshape(2, 2)
    for table in (
        read((values, [0, 1]), label="fraud"),
        read(values, [0, 1], "fraud"),
        read(values, labels=[0, 1], label="fraud"),
    ):
        assert list(table) == ["x0", "x1", "fraud"]
        assert table["x1"].tolist() == [1, 3]
    assert list(read((FRAME, pd.Series([0, 1])), label="y")) == ["amount", "shop", "y"]


def test_a_dict_of_single_values_is_one_row():
    assert read({"amount": 3, "shop": "bakery"})["shop"].tolist() == ["bakery"]


def test_large_whole_numbers_are_not_rounded():
    number = 2**60 + 1
    assert read([{"id": number}, {}])["id"].tolist() == [number, None]
    assert read([{"id": number}])["id"].dtype == np.int64
    assert read({"id": [2**70, 1]})["id"].tolist() == [2**70, 1]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((pd.DataFrame([[1, 2]], columns=["a", "a"]),), "column 'a' is there twice (columns 0 and 1); rename"),
        ((FRAME[:0],), "the DataFrame: there are no rows"),
        (([],), "the list: there are no rows"),
        (({"a": [1, 2], "b": [1]},), "column 'b' has 1 rows but 'a' has 2"),
        ((FRAME, [1]), "column 'label' has 1 rows but 'amount' has 2"),
        ((FRAME, [1, 2], "shop"), "there is a column 'shop' already, and labels were given too"),
        (((FRAME, [1, 2]), None, "shop"), "there is a column 'shop' already among the features"),
        ((3,), "the source is a int; a path, a 'tfds:' name, a DataFrame"),
    ],
)
def test_sources_that_are_no_table(arguments, part):
    assert part in error_of(*arguments)


@pytest.fixture(scope="module")
def tf():
    import tensorflow

    return tensorflow


@pytest.mark.parametrize("batch", [None, 1, 2])
def test_datasets_batched_or_not(tf, batch):
    slices = tf.data.Dataset.from_tensor_slices
    values = np.arange(6.0).reshape(3, 2)
    sources = [
        (slices({"a": [1, 2, 3], "s": ["x", "y", "ü"]}), ["a", "s"]),
        (slices(({"a": [1, 2, 3]}, [0, 1, 0])), ["a", "fraud"]),
        (slices((values, [0, 1, 0])), ["x0", "x1", "fraud"]),
        (slices({"outer": {"inner": [1, 2, 3]}}), ["outer/inner"]),
    ]
    for dataset, names in sources:
        table = read(dataset if batch is None else dataset.batch(batch), label="fraud")
        assert list(table) == names
        assert len(table[names[0]]) == 3
    table = read(sources[0][0])
    assert table["s"].tolist() == ["x", "y", "ü"]


def test_datasets_that_can_not_be_read(tf):
    slices = tf.data.Dataset.from_tensor_slices
    assert "repeats for ever" in error_of(slices([1, 2]).repeat())
    assert "gives 3 things an element" in error_of(slices(([1], [2], [3])))
    assert "there are no rows" in error_of(slices([1, 2]).take(0))


def test_lists_of_different_lengths_are_values_of_a_column():
    table = read({"history": [["a", "b"], ["c"]], "k": [1, 2]})
    assert table["history"].tolist() == [["a", "b"], ["c"]]
