"""Texts cut into passages, each with what stands before it, by which a language model is judged."""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from apptemplates.data import prose
from apptemplates.data.columns import objects
from apptemplates.data.table import Table

JUDGED = 400_000  # characters by which answers are judged, at most
PASSAGE, SHORTEST = 1024, 64  # characters of a passage that is judged: at most, and where there are enough at least
FEWEST = 50  # passages that shorter ones are cut for


class Passages(NamedTuple):
    """Passages of texts, in order."""

    before: list[str]  # what stands before each in its text
    text: list[str]
    row: list[int]  # that the text of each begins with

    def trials(self) -> tuple[Table, Table]:
        """Queries of how surprising each passage is after what stands before it, and how many characters it has."""
        blank = np.full(len(self.text), np.nan)
        numbers = {name: blank for name in ("length", "temperature", "top_k", "top_p", "seed")}
        queries = {"prompt": objects(self.before), **numbers, "stop": objects([""] * len(blank))}
        queries["then"] = objects(self.text)
        return queries, {"characters": np.array([len(passage) for passage in self.text], "float64")}


def to_judge(column: np.ndarray, reach: int) -> Passages:
    """The passages that a column of texts is judged by; of a very long one, only every so many.

    Args:
        column: (n,) str, or pieces of files.
        reach: Characters before a passage that are given, at most.
    """
    number = prose.documents(column)
    total = sum(map(prose.size_of, column))
    size = int(min(PASSAGE, max(SHORTEST, total // FEWEST)))
    step = max(1, math.ceil(total / JUDGED))
    found = Passages([], [], [])
    count = 0
    for first in np.unique(number, return_index=True)[1]:
        before = ""
        for passage in cut(prose.texts(column[number == number[first]]), size):
            if count % step == 0:
                found.before.append(before)
                found.text.append(passage)
                found.row.append(int(first))
            before = (before + passage)[-reach:]
            count += 1
    return found


def cut(texts: Iterable[str], size: int) -> Iterator[str]:
    """What the parts of one text come to, in passages of so many characters, the last of half to half more."""
    rest = ""
    for part in texts:
        rest += part
        while len(rest) >= 2 * size:
            yield rest[:size]
            rest = rest[size:]
    while rest:
        end = len(rest) if len(rest) < size * 1.5 else size
        yield rest[:end]
        rest = rest[end:]
