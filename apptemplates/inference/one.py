"""One query: a dict of values as a table of one row, and an answer of one row as a dict. NumPy only."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from apptemplates.data.schema import DataError, Schema


def asked(owner: str, schema: Schema, query: Any) -> dict[str, np.ndarray]:
    """The canonical columns (1,) of one query.

    Args:
        owner: Who is asked.
        schema: Of its queries.
        query: Values by column name; or a row of a DataFrame.

    Raises:
        DataError: It is not one query, or it can not be answered.
    """
    if not isinstance(query, Mapping):
        query = one_query(owner, query)
    return {name: single(value) for name, value in schema.check_one(owner, query).items()}


def told(answers: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The answer to one query, without a problem, from its columns (1,)."""
    return {name: plain(column[0]) for name, column in answers.items()} | {"problem": ""}


def one_query(owner: str, query: Any) -> Mapping[str, Any]:
    """The values by column name of a query that is no dict, such as a row of a DataFrame.

    Raises:
        DataError: It is not one query.
    """
    if np.ndim(query) == 1 and hasattr(query, "to_dict"):
        return dict(query.to_dict())
    raise DataError(
        f"{owner}: predict_one takes one query as a dict of values by column name; predict takes tables of them. "
        f"Received: a {type(query).__name__}."
    )


def plain(value: Any) -> Any:
    """A NumPy scalar as the Python value it holds; others as they are."""
    return value.item() if isinstance(value, np.generic) else value


def single(value: Any) -> np.ndarray:
    """A canonical value as a column of one row."""
    if isinstance(value, np.ndarray | np.generic | float):
        return np.asarray(value)[None]
    column = np.empty(1, object)
    column[0] = value
    return column
