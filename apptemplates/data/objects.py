"""Python objects, pandas' and plain ones, as columns of a table."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from apptemplates.data import values
from apptemplates.data.columns import as_column
from apptemplates.data.schema import DataError
from apptemplates.data.table import Table

EXACT = 2**53  # the largest integer up to which float64 holds every one


def from_rows(records: Sequence[Mapping[str, Any]]) -> Table:
    """The table of dicts, one a row; what a row does not have is missing."""
    names = dict.fromkeys(name for record in records for name in record)
    return {str(name): from_values([record.get(name) for record in records]) for name in names}


def from_frame(frame: Any) -> Table:
    """The table of a pandas.DataFrame; levels of its index that have a name become columns."""
    named = [name for name in frame.index.names if name is not None and name not in frame.columns]
    frame = frame.reset_index(level=named) if named else frame
    names = [str(name) for name in frame.columns]
    refuse_twice("the DataFrame", names)
    return {name: from_values(frame.iloc[:, place]) for place, name in enumerate(names)}


def from_values(column: Any) -> np.ndarray:
    """One column in the form a table holds it."""
    dtype: Any = getattr(column, "dtype", None)
    if hasattr(column, "cat"):  # pandas' categories
        column = column.astype(column.cat.categories.dtype)
    elif type(dtype).__name__.endswith(("IntegerDtype", "FloatingDtype", "BooleanDtype")) or (
        hasattr(dtype, "numpy_dtype") and dtype.kind in "biuf"
    ):  # pandas' numbers with NA
        missing = bool(column.isna().any())
        column = column.to_numpy("float64", na_value=np.nan) if missing else column.to_numpy(dtype.numpy_dtype)
    array = as_column(column)
    if array.dtype.kind == "m":
        return array / np.timedelta64(1, "s")
    if array.dtype.kind in "US":
        array = array.astype(object)
    return typed(array) if array.dtype == object and array.ndim == 1 else array


def from_media(column: Any) -> np.ndarray:
    """A column of pictures or sounds: an array of them, or objects (paths, bytes, arrays) as they are."""
    if isinstance(column, np.ndarray) and (column.ndim > 1 or column.dtype.kind in "biuf"):
        return column
    found = np.empty(len(column), dtype=object)
    for place, value in enumerate(column):
        found[place] = None if values.is_missing(value) else value
    return found


def typed(objects: np.ndarray) -> np.ndarray:
    """Python objects as numbers, booleans or times where all of them are, else as they are with None for missing."""
    import pandas as pd

    if pd.api.types.infer_dtype(objects, skipna=True) == "string":
        found = objects.copy()
        found[pd.isna(found)] = None
        return found
    found = np.empty(len(objects), dtype=object)
    found[:] = [None if values.is_missing(value) else decoded(value) for value in objects]
    kinds = {type(value) for value in found}
    missing = type(None) in kinds
    kinds.discard(type(None))
    kinds = {np.generic if issubclass(kind, np.number | np.bool_) else kind for kind in kinds}
    if kinds == {np.generic}:
        found[:] = [None if value is None else value.item() for value in found]
        return typed(found)
    if kinds == {bool} and not missing:
        return found.astype(bool)
    if kinds == {int}:
        largest = max(abs(value) for value in found if value is not None)
        if largest < (EXACT if missing else 2**63):
            return found.astype(np.float64 if missing else np.int64)
    if kinds and kinds <= {int, float}:
        return found.astype(np.float64) if all(abs(v) < EXACT for v in found if type(v) is int) else found
    if (
        kinds
        and all(issubclass(kind, datetime | np.datetime64) for kind in kinds)
        and not any(getattr(value, "tzinfo", None) for value in found)
    ):
        return found.astype("datetime64[us]")
    return found


def decoded(value: Any) -> Any:
    """Bytes as str where they are UTF-8; anything else, and encoded media, as it is."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value


def refuse_twice(who: str, names: list[str]) -> None:
    """Refuses two columns of one name."""
    seen: set[str] = set()
    for place, name in enumerate(names):
        if name in seen:
            raise DataError(
                f"{who}: column {name!r} is there twice (columns {names.index(name)} and {place}); "
                "rename or leave out one of them."
            )
        seen.add(name)
