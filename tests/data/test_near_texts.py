"""Passages that are nearly the same are found, others are not."""

import numpy as np

import apptemplates as at
from apptemplates.data import near_texts

RANDOM = np.random.default_rng(0)
WORDS = np.array([f"word{number}" for number in range(500)])


def passages(n):
    return [" ".join(RANDOM.choice(WORDS, 80)) for _ in range(n)]


def test_a_passage_with_a_few_other_words_is_a_near_copy():
    texts = passages(50)
    again = texts[7].split()
    again[:3] = ["quite", "another", "title"]
    texts.append(" ".join(again).upper() + "!")
    assert near_texts.near_pairs(texts) == [(7, 50)]
    found = near_texts.findings("text", np.array(texts, object))
    assert found[0].code == "near-copies-of-passages" and found[0].severity == "warning"
    assert "1 of 51 passages" in found[0].message and "rows 7 and 50" in found[0].message


def test_exact_copies_and_short_lines_are_not_told():
    texts = passages(20)
    assert near_texts.findings("text", np.array([*texts, texts[0], "so it is", "so it was"], object)) == []


def test_check_names_them():
    texts = passages(30)
    findings = at.TextGenerator().check({"text": [*texts, texts[3] + " and one more"]}, probe=False).findings
    assert "near-copies-of-passages" in {finding.code for finding in findings}
