import numpy as np
import pytest

from apptemplates.evaluation.intervals import Metric
from apptemplates.evaluation.wording import inside, measured, number, plain, rounded_up, sentence


@pytest.mark.parametrize(
    "value, text",
    [
        (12345, "12,345"),
        (12345.6, "12,346"),
        (12.34, "12.3"),
        (0.7119, "0.712"),
        (-0.7119, "-0.712"),
        (0.00531, "0.0053"),
        (0.00042, "0.00042"),
        (0.000099, "0.000099"),
        (1e-12, "1e-12"),
        (0.0, "0"),
        (1.0, "1.000"),
        (True, "yes"),
        (np.int64(3), "3"),
        (None, "–"),  # noqa: RUF001
        (np.float32("nan"), "–"),  # noqa: RUF001
        (float("-inf"), "minus infinite"),
    ],
)
def test_numbers_read_as_people_write_them(value, text):
    assert number(value) == text


def test_metrics_lists_and_sentences():
    assert measured(Metric(0.5, 0.4, 0.6)) == "0.500 (0.400 to 0.600)" and measured(Metric(0.5)) == "0.500"
    assert plain({"a": [1, 2.5], "b": "x"}) == "a: 1, 2.500; b: x"
    assert inside("Leave it out.") == "leave it out" and inside("TX_FRAUD is empty.") == "TX_FRAUD is empty"
    assert sentence("average precision") == "Average precision"


def test_what_is_only_roughly_known_has_two_digits():
    assert [rounded_up(n) for n in (0.2, 7.1, 43.01, 431, 12_345)] == [1, 8, 44, 440, 13_000]
