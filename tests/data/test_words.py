"""Words for one class or several, and the same as flags."""

import numpy as np

from apptemplates.data.words import from_flags, parts, to_flags, to_places


def test_words_and_flags_are_one_thing():
    names = ("mass", "nodule")
    words = np.array(["mass", "nodule | mass", "normal", "", "other|nodule"], object)
    flags = to_flags(words, names)
    assert flags.tolist() == [[True, False], [True, True], [False, False], [False, False], [False, True]]
    assert from_flags(flags, names, "normal").tolist() == ["mass", "mass|nodule", "normal", "normal", "nodule"]


def test_edges():
    assert parts(" a || b |") == ["a", "b"] and parts("") == []
    assert to_flags(np.array([], object), ("a",)).shape == (0, 1)
    assert from_flags(np.zeros((0, 2), bool), ("a", "b"), "none").tolist() == []
    assert to_flags(np.array([0, 1, 0]), ("0", "1")).tolist() == [[True, False], [False, True], [True, False]]


def test_places_among_names():
    assert to_places(np.array(["b", "c", "a"], object), ("a", "b")).tolist() == [1, -1, 0]
    assert to_places(np.array([], object), ("a",)).dtype == int
