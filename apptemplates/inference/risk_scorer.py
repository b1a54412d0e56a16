"""How a fitted RiskScorer answers: the columns of a row, the group where thresholds differ, the words. NumPy only."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from apptemplates.data.schema import Schema
from apptemplates.inference.columns import GROUP, Column, encode, group_of, plan, threshold_column

WORDS = np.array(["low risk", "high risk", "ask a human"], dtype=object)


def entries(amount: str | None, columns: Schema) -> list[Column]:
    """The columns of rows that become inputs of the graph."""
    own = {} if amount is None else {amount: "number"}
    return plan(own | {name: entry.kind for name, entry in columns.items()}, taken=[GROUP])


def prepare(table: Mapping[str, np.ndarray], columns: Sequence[Column], group: str | None) -> dict[str, np.ndarray]:
    """The graph's inputs of canonical rows.

    Args:
        table: Columns.
        columns: Those that become inputs.
        group: The column whose groups have thresholds of their own, or None.
    """
    return encode(columns, table) | group_of(table, group)


def respond(raw: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Answer columns from what the graph says."""
    place = np.where(raw["refer"].astype(bool), 2, (raw["margin"] >= 0).astype(int))
    return {"probability": raw["probability"].astype("float64"), "decision": WORDS[place]}


class Answering:
    """Answers as the saved template does, without it."""

    def __init__(self, name: str, saved: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> None:
        given = saved["parameters"]
        self.columns = entries(given["amount"], Schema.from_json(saved["columns"]))
        self.group = threshold_column(given)

    def prepare(self, queries: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The graph's inputs."""
        return prepare(queries, self.columns, self.group)

    def respond(self, inputs: Mapping[str, np.ndarray], call: Any) -> dict[str, np.ndarray]:
        """The answers."""
        return respond(call(inputs))
