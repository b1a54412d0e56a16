"""Numbers about text: surprise, variety, what is copied, and what moved the next token."""

import math

import numpy as np
import pytest

from apptemplates.evaluation import prose, prose_explanation
from apptemplates.inference.tokens import Characters


def test_nats_are_weighted_by_characters():
    found = prose.score({"characters": np.array([10.0, 30.0])}, {"nats": np.array([1.0, 2.0])})
    assert found["nats a character"] == pytest.approx(1.75)
    assert found["bits a character"] == pytest.approx(1.75 / math.log(2))


def test_distinct_counts_different_runs_of_words():
    assert prose.distinct("a b a b", 1) == 0.5 and prose.distinct("a b a b", 2) == pytest.approx(2 / 3)
    assert math.isnan(prose.distinct("word", 2))


def test_copied_passages_are_found_whole():
    source = "It was the best of times, it was the worst of times. " * 2 + "Nobody had seen the ship."
    text = "XX Nobody had seen the ship.YY it was the worst of times"
    share, longest = prose.copied(text, source, span=10)
    assert set(longest[:2]) == {" it was the worst of times", " Nobody had seen the ship."}
    inside = sum(text[i : i + 10] in source for i in range(len(text) - 9))
    assert share == inside / (len(text) - 9)
    assert prose.copied("~~~~", source)[1] == [] and math.isnan(prose.copied("short", source)[0])


def test_certainty_and_its_error():
    chances = np.array([[0.1, 0.9], [0.8, 0.2], [0.6, 0.4]])
    sure, right = prose.certainty(chances, np.array([1, 0, 1]))
    assert sure.tolist() == [0.9, 0.8, 0.6] and right.tolist() == [True, True, False]
    numbers, figure = prose.next_character(sure, right)
    assert numbers["next token right"] == pytest.approx(2 / 3) and figure.get_label().startswith("The next token")


def test_what_decides_is_named_first():
    """A model that foresees 9 wherever a 5 stands three places back."""

    def chances(lines):
        found = np.full((len(lines), 10), 0.05)
        found[[row for row, line in enumerate(lines) if line[-3] == 5], 9] = 5.0
        return found / found.sum(axis=1, keepdims=True)

    line = np.array([0, 0, 2, 3, 4, 2, 5, 3, 4])
    report = prose_explanation.explain("Test", [line] * 4, [2] * 4, chances, lambda token: f"<{token}>")
    assert report.table["lifted by (nats)"][0].startswith("'<5>' +") and "(3 before)" in report.table.iloc[0, 2]
    assert report.table["next"][0] == "<9>" and report.notes["deletion better than random by"].value > 0


def test_the_more_is_counted_the_less_surprises():
    coder, rng = Characters(range(97, 123)), np.random.default_rng(0)
    stream = np.concatenate([np.array([2, 3, 4, 5, 6, 7])[: rng.integers(2, 7)] for _ in range(900)])
    given = prose.growing(stream[:3000], stream[3000:3400], coder, 3, 16, "counting", "nats a character")
    few, many = (given.learn(share, np.random.default_rng(1)) for share in (0.05, 1.0))
    assert few[0] < 400 and many[0] == 3000 and many[1] < few[1]
    assert (given.unit, given.method, given.score) == ("characters", "counting", "nats a character")
