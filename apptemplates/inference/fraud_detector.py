"""How a fitted FraudDetector answers: the history of each entity, and the columns of the payment. NumPy only."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from apptemplates.inference.columns import Column, encode
from apptemplates.inference.history import UNKNOWN, History

HISTORY = "history"  # the graph's input for what the past says


class Roles(NamedTuple):
    """Which columns hold what; None or empty where there is none."""

    label: str | None
    time: str | None
    amount: str | None
    entities: tuple[str, ...]


def payments(
    table: Mapping[str, np.ndarray], roles: Roles
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray]]:
    """Time in microseconds, amount, label and entity names of canonical records; what is absent is 0 or unknown."""
    n = len(next(iter(table.values())))
    time = table[roles.time].astype("int64") if roles.time else np.zeros(n, "int64")
    amount = table[roles.amount].astype("float64") if roles.amount else np.zeros(n)
    label = np.full(n, UNKNOWN, "int8")
    if roles.label is not None and roles.label in table:
        known = ~np.isnan(table[roles.label])
        label[known] = table[roles.label][known]
    return time, amount, label, [table[name] for name in roles.entities]


def prepare(
    table: Mapping[str, np.ndarray], state: History, roles: Roles, columns: Sequence[Column]
) -> dict[str, np.ndarray]:
    """The graph's inputs of canonical payments."""
    inputs = encode(columns, table)
    if state.entities:
        inputs[HISTORY] = state.features(*payments(table, roles)).astype("float32")
    return inputs


def respond(raw: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Answer columns from what the graph says."""
    return {"probability": raw["probability"].astype("float64"), "alarm": raw["alarm"].astype(bool)}
