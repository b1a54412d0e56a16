"""Words that name one class or several, such as "normal" or "mass|nodule", and the same as flags. NumPy only."""

from collections.abc import Sequence

import numpy as np

SEPARATOR = "|"  # between the classes of one record


def parts(word: str) -> list[str]:
    """The classes that a word names."""
    return [part.strip() for part in word.split(SEPARATOR) if part.strip()]


def to_flags(words: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Which of the names (n, c) each word (n,) holds; a row without any names a class that is not among them."""
    place_of = {name: place for place, name in enumerate(names)}
    distinct, place = np.unique(np.asarray(words).astype(str), return_inverse=True)
    table = np.zeros((len(distinct), len(names)), bool)
    for row, word in enumerate(distinct):
        table[row, [place_of[part] for part in parts(word) if part in place_of]] = True
    return table[place.ravel()]


def to_places(words: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """The number (n,) of each word among the names, int; -1 for one that is not among them."""
    place_of = {name: place for place, name in enumerate(names)}
    return np.array([place_of.get(word, -1) for word in words.tolist()], int)


def from_flags(flags: np.ndarray, names: Sequence[str], nothing: str) -> np.ndarray:
    """The words (n,) of flags (n, c), object strings; a row without any flag reads as `nothing`."""
    kinds, place = np.unique(flags > 0, axis=0, return_inverse=True)
    spoken = [SEPARATOR.join(name for name, true in zip(names, kind, strict=True) if true) or nothing for kind in kinds]
    return np.array(spoken, object)[place.ravel()]
