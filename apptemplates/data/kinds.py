"""What kind of thing stands in each column that nobody named."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from apptemplates.data import values
from apptemplates.data.columns import READ
from apptemplates.data.schema import KINDS, DataError, Field

ENOUGH = 20  # rows below which "all different" says nothing
PAIRS = ({"yes", "no"}, {"true", "false"}, {"y", "n"}, {"t", "f"}, {"on", "off"}, {"0", "1"})
CODE_NAME = re.compile(r"(?:^|[\W_])(?i:ids?|key|code|uuid|guid|nr|nbr|zip)$|[a-z](?:ID|Id|Nr|Code|Key)$")
CODE = re.compile(r"[+-]?(0\d|\d{16})")
YEAR = re.compile(r"\d{4}\D|\D\d{4}")


def infer(
    table: Mapping[str, np.ndarray], skip: Iterable[str] = (), override: Mapping[str, str] | None = None
) -> dict[str, Field]:
    """Fields of the columns that are not skipped, all of which may have missing values.

    The rules, in this order, on what is not missing:

    * datetime64 is a time, bool a flag, numbers with several a row a vector.
    * Numbers: 0 and 1 are a flag; whole numbers that are all different and rise or fall with the rows, fill their
      range, or have a name such as `encounter_id`, are an id; repeated ones with such a name are a category; all
      others stay numbers, however few different ones there are.
    * Strings: yes and no (true and false, y and n, on and off) are a flag; if all read as numbers, and have no leading
      zeros, they are treated as numbers; if all read as dates with a year of four digits they are a time; mostly
      different ones of more than four words (or 50 characters) are a text; all different (or nearly, of 100 rows or
      more) ones are an id; all others a category.

    Args:
        table: Columns as `read` gives them.
        skip: Columns that have a role already.
        override: Kinds by column, where the rules would be wrong.

    Raises:
        DataError: if a column holds what no kind fits, or an overridden one is not there.
    """
    chosen, skip = dict(override or {}), set(skip)
    for name, kind in chosen.items():
        if name not in table:
            raise DataError(f"kinds: there is no column {name!r}; there are {', '.join(map(repr, table))}.")
        if kind not in KINDS:
            raise DataError(f"kinds: column {name!r} can not be a {kind!r}; it must be one of {', '.join(KINDS)}.")
    fields = {}
    for name, column in table.items():
        if name not in skip:
            kind = chosen.get(name) or kind_of(name, column)
            shape = column.shape[1:] if kind == "vector" else ()
            fields[name] = Field(name, kind, shape=shape, missing=True)
    return fields


def kind_of(name: str, column: np.ndarray) -> str:
    """The kind of one column by the rules of `infer`."""
    if column.ndim > 1:
        return "vector" if column.dtype.kind in "biuf" else refuse(name, column[0])
    if column.dtype.kind == "M":
        return "time"
    if column.dtype.kind == "b":
        return "flag"
    if column.dtype.kind in "iuf":
        return kind_of_numbers(name, column[~np.isnan(column)] if column.dtype.kind == "f" else column)
    try:
        words = [value for value in map(values.text, column) if value and not value.isspace()]
    except values.Unreadable:
        return refuse(
            name, next(value for value in column if isinstance(value, list | tuple | dict | set | np.ndarray))
        )
    return kind_of_strings(name, column, words)


def kind_of_numbers(name: str, numbers: np.ndarray) -> str:
    """number, flag, id or category."""
    distinct = np.unique(numbers)
    if distinct.tolist() == [0, 1]:
        return "flag"
    if not len(distinct) or not np.array_equal(distinct, np.floor(distinct)):
        return "number"
    coded = bool(CODE_NAME.search(name))
    if len(distinct) == len(numbers) and len(numbers) >= ENOUGH:
        steps = np.diff(numbers.astype(np.float64))
        dense = float(distinct[-1]) - float(distinct[0]) < 2 * len(numbers)
        if coded or dense or (steps > 0).all() or (steps < 0).all():
            return "id"
    return "category" if coded and len(distinct) > 2 else "number"


def kind_of_strings(name: str, column: np.ndarray, words: list[str]) -> str:
    """flag, number, id, category, time or text."""
    distinct = {word.strip() for word in words}
    if {word.lower() for word in distinct} in PAIRS:
        return "flag"
    if distinct and all(map(reads_as_number, distinct)):
        return kind_of_numbers(name, np.array([float(word) for word in words]))
    if distinct and reads_as_times(list(distinct)):
        return "time"
    share = len(distinct) / max(len(words), 1)
    if share > 0.5:
        sample = words[:10_000]
        if np.mean([len(word.split()) for word in sample]) > 4 or np.mean([len(word) for word in sample]) > 50:
            return "text"
    if (share == 1 and len(words) >= ENOUGH) or (share > 0.95 and len(words) >= 100):
        return "id"
    return "category"


def reads_as_number(word: str) -> bool:
    """Whether a string is a number and no code."""
    try:
        return not CODE.match(word) and np.isfinite(values.number(word))
    except values.Unreadable:
        return False


def reads_as_times(words: list[str]) -> bool:
    """Whether all strings are dates that can be told from other strings of digits."""
    field = Field("time", "time", missing=True)
    for part in (words[:50], words):
        if not all(YEAR.search(word) for word in part):
            return False
        _, faults = READ["time"](field, np.array([*part, None], dtype=object)[:-1])
        if any(fault.bad.any() for fault in faults):
            return False
    return True


def refuse(name: str, value: Any) -> str:
    """Says that no kind fits."""
    raise DataError(
        f"kinds: column {name!r} holds a {type(value).__name__} ({str(value)[:40]}), which no kind fits; leave it out "
        "or turn it into columns of single values."
    )
