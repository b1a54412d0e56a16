"""What is kept of a text comes back from its arrays, and grows by another text."""

import numpy as np
import pytest

from apptemplates.data.text_memory import Memory

FIRST, SECOND = np.tile([2, 3, 4, 5], 50).astype(np.uint16), np.tile([2, 5, 3, 6], 50).astype(np.uint16)


def chances(memory, *history):
    return memory.counted.chances(np.array([history]))[0][0]


def test_it_comes_back_from_its_arrays_and_shares_no_text():
    memory = Memory().grown(FIRST, FIRST[:20], order=3, tokens=7)
    for share in (False, True):
        again = Memory.opened(memory.arrays(share=share))
        np.testing.assert_array_equal(chances(again, 2, 3), chances(memory, 2, 3))
        assert again.replay.tolist() == ([] if share else FIRST.tolist())
    assert Memory.opened({}).counts is None and Memory().arrays(share=False) == {}


@pytest.mark.parametrize("share", [False, True])
def test_what_was_learned_before_stays(share):
    before = Memory().grown(FIRST, FIRST[:20], order=3, tokens=6)
    known = Memory.opened(before.arrays(share=share))
    memory = known.grown(SECOND, SECOND[:20], order=3, tokens=7)
    assert chances(memory, 3, 4).argmax() == 5  # of the first text only
    assert chances(memory, 3, 6).argmax() == 2 and len(chances(before, 3, 4)) == 6
    assert memory.replay.tolist() == ([] if share else [*FIRST, *SECOND])
