"""The one form data take inside: a table is a dict of columns, NumPy arrays of equal length."""

from collections.abc import Mapping, Sequence

import numpy as np

from apptemplates.data.schema import DataError

Table = dict[str, np.ndarray]
# the column in which `prepare` says of each query why it can not be answered ("" where it can)
PROBLEM = "problem"


def rows(table: Mapping[str, np.ndarray]) -> int:
    """How many rows a table has; 0 for one without columns.

    Raises:
        DataError: if its columns differ in length.
    """
    lengths = {name: len(column) for name, column in table.items()}
    if len(set(lengths.values())) > 1:
        (first, count), (other, wrong) = differing(lengths)
        raise DataError(
            f"table: column {other!r} has {wrong:,} rows but {first!r} has {count:,}; "
            "every column must have one value a row."
        )
    return next(iter(lengths.values()), 0)


def differing(lengths: Mapping[str, int]) -> tuple[tuple[str, int], tuple[str, int]]:
    """The first column and the first one that differs from it in length."""
    first = next(iter(lengths.items()))
    other = next(pair for pair in lengths.items() if pair[1] != first[1])
    return first, other


def take(table: Mapping[str, np.ndarray], index) -> Table:
    """The rows that `index` names: row numbers, a slice, or one boolean a row."""
    return {name: column[index] for name, column in table.items()}


def concat(tables: Sequence[Mapping[str, np.ndarray]]) -> Table:
    """Tables with the same columns, one under the other.

    Raises:
        DataError: if one lacks a column that another has.
    """
    if not tables:
        return {}
    names = list(tables[0])
    for number, table in enumerate(tables):
        unequal = sorted(set(names) ^ set(table))
        if unequal:
            raise DataError(
                f"table: table {number} and table 0 do not have the same columns: {', '.join(map(repr, unequal))} "
                "stands in only one of them; give both the same columns."
            )
    return {name: joined([table[name] for table in tables]) for name in names}


def joined(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Columns end to end; numbers, times and strings together become objects instead of strings."""
    kinds = {"n" if column.dtype.kind in "biuf" else column.dtype.kind for column in columns if len(column)}
    if len(kinds) > 1:
        columns = [column.astype(object) for column in columns]
    elif kinds:
        columns = [column for column in columns if len(column)]
    return np.concatenate(columns)


def to_frame(table: Mapping[str, np.ndarray]):
    """The table as a pandas.DataFrame; a column of vectors or pictures becomes one of arrays."""
    import pandas as pd

    rows(table)
    return pd.DataFrame(
        {name: column if column.ndim == 1 else pd.Series(list(column)) for name, column in table.items()}
    )
