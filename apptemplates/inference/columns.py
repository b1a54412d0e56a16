"""Canonical columns of any table as the inputs of a graph. NumPy only."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

MISSING = "(missing)"  # a graph's vocabulary can not hold the empty string
GROUP = "threshold_group"  # the graph's input for the group whose threshold counts
WORDS = 64  # places that the words of a free text are spread over
# names that layers and operations of our graphs have, where Keras wants every name once
GRAPH = re.compile(
    r"(preprocessor|network|numbers|reshape|concatenate|logit|temperature|probability|alarm|mean|square|subtract"
    r"|zeros_like|weighed_odds|how_sure|refer_to_human)(_\d+)?|.*_words"
)


class Column(NamedTuple):
    """One column of the table and the graph input it becomes."""

    name: str
    kind: str
    entry: str  # name of the graph's input

    def features(self) -> list[str]:
        """What each number of this input says."""
        if self.kind == "time":
            return [f"hour of {self.name}", f"weekday of {self.name}"]
        return [self.name] * (WORDS if self.kind == "text" else 1)


def plan(kinds: Mapping[str, str], taken: Iterable[str] = ()) -> list[Column]:
    """The graph inputs of columns, by kind; ids have none.

    Args:
        kinds: Column names (any strings) to kinds.
        taken: Input names that are used already.
    """
    used, columns = set(taken), []
    for name, kind in kinds.items():
        if kind not in ("number", "flag", "category", "time", "text"):
            continue
        entry = plain = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower() or "column"
        if GRAPH.fullmatch(plain):
            entry = plain = f"{plain}_column"
        number = 2
        while entry in used:
            entry, number = f"{plain}_{number}", number + 1
        used.add(entry)
        columns.append(Column(name, kind, entry))
    return columns


def entry_of(columns: Iterable[Column], name: str) -> str:
    """The graph input that a column became."""
    return next(column.entry for column in columns if column.name == name)


def encode(columns: Iterable[Column], table: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inputs: numbers and flags float32 (n,), categories str (n,), times and texts float32 (n, k).

    Missing numbers stay NaN and missing words become `"(missing)"`: the graph deals with both.
    """
    inputs = {}
    for name, kind, entry in columns:
        column = table[name]
        if kind == "category":
            inputs[entry] = np.where(column == "", MISSING, column)
        elif kind == "time":
            inputs[entry] = clock(column)
        elif kind == "text":
            inputs[entry] = words(column)
        else:
            inputs[entry] = column.astype("float32")
    return inputs


def clock(times: np.ndarray) -> np.ndarray:
    """Hour of the day 0..24 and weekday 0 (Monday) .. 6 of datetime64 (n,), as float32 (n, 2); NaN where missing."""
    seconds = times.astype("datetime64[s]").astype("int64")
    parts = np.empty((len(times), 2), "float32")
    parts[:, 0] = seconds % 86_400 / 3600
    parts[:, 1] = (seconds // 86_400 + 3) % 7
    parts[np.isnat(times)] = np.nan
    return parts


def words(texts: np.ndarray) -> np.ndarray:
    """How often each word stands in texts (n,), spread by hash over float32 (n, 64), as log(1 + count)."""
    counts = np.zeros((len(texts), WORDS), "float32")
    for row, text in enumerate(texts):
        for word in re.findall(r"\w+", text.lower()):
            counts[row, crc32(word.encode()) % WORDS] += 1
    return np.log1p(counts)


def group_of(table: Mapping[str, np.ndarray], group: str | None) -> dict[str, np.ndarray]:
    """The input that names the group (n,) whose threshold counts; none where all share one.

    Args:
        table: Canonical columns.
        group: The column whose groups have thresholds of their own, or None.
    """
    return {} if group is None else {GROUP: np.where(table[group] == "", MISSING, table[group])}


def threshold_column(given: Mapping[str, Any]) -> str | None:
    """The column whose groups have thresholds of their own, by the choices of a template; None where all share one."""
    return given["sensitive"][0] if given.get("mitigate") == "thresholds" else None
