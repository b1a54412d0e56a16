"""Text becomes numbers and comes back exactly, whatever it is written in."""

import contextlib
import json

import numpy as np
import pytest

from apptemplates.inference import tokens
from apptemplates.inference.tokens import BOUNDARY, FIRST, UNKNOWN, BytePairs, Characters

TEXTS = [
    "plain words\nand a second line\n",
    "",
    "\t \r\n\u2028",
    "crème brûlée, cre\u0301me bru\u0302le\u0301e",  # composed, and with combining marks
    "👩‍👩‍👧 🏳️‍🌈 👍🏽 \U0001d518",  # joined emoji, beyond the first plane
    "ﷺ שָׁלוֹם नमस्ते 한국어",
    "a\u0000b",
]


def kinds() -> list[tokens.Tokens]:
    made: list[tokens.Tokens] = [Characters.learned(TEXTS)]
    with contextlib.suppress(ImportError):
        made.append(BytePairs.learned(TEXTS * 3, 400))
    return made


@pytest.mark.parametrize("text", TEXTS)
def test_round_trip_is_exact_also_after_json(text):
    for coder in kinds():
        again = tokens.opened(json.loads(json.dumps(coder.note())))
        for one in (coder, again):
            numbers = one.encode(text)
            assert numbers.dtype == np.int32 and one.decode(numbers) == text
            assert not len(numbers) or FIRST <= numbers.min() <= numbers.max() < one.size
        np.testing.assert_array_equal(coder.encode(text), again.encode(text))


def test_unseen_characters_are_unknown_and_byte_pairs_know_all():
    coder = Characters.learned(["abc"])
    assert coder.encode("a☃c").tolist() == [FIRST, UNKNOWN, FIRST + 2]
    assert coder.decode([BOUNDARY, FIRST, UNKNOWN, FIRST + 1]) == "ab"
    assert Characters([]).encode("ab").tolist() == [0, 0]


def test_byte_pairs_write_what_they_never_saw_and_join_what_is_frequent():
    pytest.importorskip("tokenizers")
    coder = BytePairs.learned(["the cat sat on the mat " * 50], 300)
    assert coder.decode(coder.encode("☃ über")) == "☃ über"
    assert len(coder.encode("the cat sat")) <= 5
    half = coder.encode("☃")[:-1]
    assert coder.decode(half) == "\ufffd"


def test_characters_grow_and_keep_the_most_frequent(monkeypatch):
    old = Characters.learned(["abc"])
    grown = Characters.learned(["xyzzy"], known=old.letters.tolist())
    assert grown.decode(range(FIRST, grown.size)) == "abcxyz"
    monkeypatch.setattr(tokens, "MOST", 5)
    assert Characters.learned(["aaabbbcccd"]).decode(range(10)[:5]) == "abc"


def test_without_the_library_the_error_names_the_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ImportError, match=r"byte pair.*pip install 'apptemplates\[text\]'"):
        BytePairs.learned(["a"], 300)


def test_a_text_begins_like_a_line_where_beginnings_were_not_learned():
    coder = Characters.learned(["one\ntwo"])
    assert tokens.beginning(coder, ends=False) == coder.encode("\n")[0] >= FIRST
    assert tokens.beginning(coder, ends=True) == tokens.beginning(Characters.learned(["one"]), ends=False) == BOUNDARY
