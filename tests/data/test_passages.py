"""Texts are judged by passages that come to the whole text, each after what stands before it."""

import numpy as np

from apptemplates.data import passages


def objects(*texts):
    column = np.empty(len(texts), object)
    column[:] = texts
    return column


def test_passages_come_to_the_text_and_know_what_stands_before():
    text = "".join(f"{number:04d} " for number in range(1000))
    found = passages.to_judge(objects(text, "a short one"), reach=30)
    assert found.row == [0] * (len(found.row) - 1) + [1] and found.text[-1] == "a short one"
    assert "".join(found.text[:-1]) == text
    sizes = [len(passage) for passage in found.text[:-1]]
    assert set(sizes[:-1]) == {100} and 50 <= sizes[-1] < 150  # a fiftieth of all there is
    assert found.before[0] == found.before[-1] == "" and found.before[5] == text[470:500]


def test_of_a_very_long_text_every_so_many_passages_are_judged(monkeypatch):
    monkeypatch.setattr(passages, "JUDGED", 1_000)
    text = "".join(map(str, range(1500)))
    found = passages.to_judge(objects(text), reach=10)
    assert len("".join(found.text)) < 1_100 < len(text)
    assert all(before + passage in text for before, passage in zip(found.before, found.text, strict=True))
    assert all(len(before) == 10 for before in found.before[1:])


def test_parts_of_one_text_are_cut_as_the_whole():
    text = "".join(map(str, range(200)))
    parts = [text[start : start + 7] for start in range(0, len(text), 7)]
    assert list(passages.cut(parts, 64)) == list(passages.cut([text], 64))
    assert list(passages.cut(["", ""], 64)) == []


def test_trials_ask_for_a_judgement_and_nothing_to_be_written():
    queries, truth = passages.Passages(["", "ab"], ["abc", "c"], [0, 1]).trials()
    assert queries["prompt"].tolist() == ["", "ab"] and queries["then"].tolist() == ["abc", "c"]
    assert np.isnan(queries["length"]).all() and truth["characters"].tolist() == [3, 1]
