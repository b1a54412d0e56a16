"""Labels that may be wrong: rows whose own label a model that did not learn from them finds least likely."""

from typing import Any

import numpy as np
import pandas as pd

SHOWN = 25


def ranked(chance: np.ndarray) -> np.ndarray:
    """Rows from the most to the least suspect, by the chance (n,) that was given to each row's own label.

    Reference: Northcutt et al., 2021, Confident Learning, arXiv:1911.00068 (ranking by self-confidence).
    """
    return np.argsort(chance, kind="stable")


def table(chance: np.ndarray, records: dict[str, np.ndarray], said: Any) -> pd.DataFrame:
    """The most suspect rows to read one by one: row number, what was said instead, and their columns.

    Args:
        chance: (n,) of each row's own label.
        records: Columns (n,); media stay out unless they are paths.
        said: (n,) what the model says.
    """
    rows = ranked(chance)[:SHOWN]
    return listed(rows, chance[rows], records, said[rows])


def listed(rows: np.ndarray, chance: np.ndarray, records: dict[str, np.ndarray], said: Any = None) -> pd.DataFrame:
    """Some rows, in the order given, as `table` shows them.

    Args:
        rows: (m,) their numbers.
        chance: (m,) of each one's own label.
        records: Columns (n,).
        said: (m,) what the model says instead, where it is known.
    """
    rows, chance = rows[:SHOWN], chance[:SHOWN]
    shown: dict[str, Any] = {"row": rows, "chance of its label": np.round(chance, 4)}
    if said is not None:
        shown["model says"] = said
    for name, column in records.items():
        if column.ndim == 1 and (column.dtype != object or isinstance(column[0], str)):
            shown[name] = column[rows]
    return pd.DataFrame(shown)
