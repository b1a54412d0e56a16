"""What would have to be otherwise for a decision to be otherwise: the smallest change to columns that can change."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from apptemplates.evaluation.wording import number
from apptemplates.inference.columns import Column
from apptemplates.layers import tabular

Table = dict[str, np.ndarray]
MOST = 3  # columns that are changed
ROWS = 50  # for which the smallest change is looked for
COLUMN = "would be decided otherwise with"
OF_A_WORD = 0.5  # how far a word is from any other, where a number's whole range is 1


def smallest(
    margin: Callable[[Table], np.ndarray], inputs: Table, values: Mapping[str, np.ndarray], names: Mapping[str, str]
) -> list[str]:
    """For each row the smallest change that brings its margin to the other side of 0, in words; "" where none does.

    First every single change to a usual value is tried; where none is enough, the one that brings the margin furthest
    is kept and a second and a third are tried. How small a change is: for a number, the share of its usual values that
    it passes; for a word, one half.

    Args:
        margin: From inputs to (n,) numbers, >= 0 on one side of the decision.
        inputs: Prepared rows (n, ...).
        values: For each input that can change the values it may take.
        names: What each input is called.

    Reference: Wachter et al., 2017, Counterfactual Explanations Without Opening the Black Box, arXiv:1711.00399.
    """
    count = len(next(iter(inputs.values())))
    before = margin(inputs) >= 0
    return [
        of_one(margin, {n: c[i : i + 1] for n, c in inputs.items()}, values, names, before[i]) for i in range(count)
    ]


def add(
    report: Any,
    margin: Callable[[Table], np.ndarray],
    inputs: Table,
    preprocessor: keras.Model,
    columns: Sequence[Column],
    said: Table,
) -> None:
    """Adds to the table of an explanation what was said, and for its first 50 rows what would change that.

    Args:
        report: With a table of n rows.
        margin, inputs: As for `smallest`.
        preprocessor: Of `tabular.build_preprocessor`, which knows the usual values.
        columns: Those that can change.
        said: Columns (n,) that hold the decision.
    """
    values = tabular.usual_values(preprocessor, [(column.entry, column.kind) for column in columns])
    names = {column.entry: column.name for column in columns}
    flips = smallest(margin, {name: column[:ROWS] for name, column in inputs.items()}, values, names)
    flips += [""] * (len(report.table) - len(flips))
    report.table = report.table.assign(**said, **{COLUMN: flips})


def of_one(
    margin: Callable[[Table], np.ndarray],
    row: Table,
    values: Mapping[str, np.ndarray],
    names: Mapping[str, str],
    high: bool,
) -> str:
    """The smallest change of one row, see `smallest`."""
    now, changed = dict(row), {}
    for _ in range(MOST):
        tried, table = candidates(now, {name: v for name, v in values.items() if name not in changed})
        if not tried:
            return ""
        found = margin(table)
        flipped = (found >= 0) != high
        if flipped.any():
            best = min(np.flatnonzero(flipped).tolist(), key=lambda place: (tried[place][2], abs(found[place])))
        else:
            best = int(np.argmin(found if high else -found))
        entry, value, _ = tried[best]
        changed[entry] = value
        now = {name: column[best : best + 1] for name, column in table.items()}
        if flipped.any():
            return " and ".join(f"{names[name]} {said(row[name][0])} → {said(to)}" for name, to in changed.items())
    return ""


def candidates(row: Table, values: Mapping[str, np.ndarray]) -> tuple[list[tuple[str, object, float]], Table]:
    """Every change of one column to a usual value: input, value and size of the change; and the changed rows."""
    tried: list[tuple[str, object, float]] = []
    for entry, usual in values.items():
        now = row[entry][0]
        for place, value in enumerate(usual):
            if isinstance(value, str):
                if value != now:
                    tried.append((entry, value, OF_A_WORD))
            elif not np.isnan(now) and value != now:
                here = np.searchsorted(usual, now)
                tried.append((entry, float(value), abs(place - here) / max(len(usual) - 1, 1)))
    table = {name: np.repeat(column, len(tried), axis=0) for name, column in row.items()}
    for place, (entry, value, _) in enumerate(tried):
        table[entry][place] = value
    return tried, table


def said(value: object) -> str:
    """A value in words."""
    return repr(value) if isinstance(value, str) else number(float(value))  # type: ignore[arg-type]
