"""How a fitted FraudDetector answers: the history of each entity, and the columns of the payment. NumPy only."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from apptemplates.data.schema import Schema
from apptemplates.inference.columns import GROUP, Column, encode, group_of, plan, threshold_column
from apptemplates.inference.facts import UNKNOWN
from apptemplates.inference.history import History
from apptemplates.inference.one import asked

HISTORY = "history"  # the graph's input for what the past says


class Roles(NamedTuple):
    """Which columns hold what; None or empty where there is none."""

    label: str | None
    time: str | None
    amount: str | None
    entities: tuple[str, ...]


def entries(roles: Roles, columns: Schema) -> list[Column]:
    """The columns of payments that become inputs of the graph."""
    own = {roles.amount: "number", roles.time: "time"}
    kinds = {name: kind for name, kind in own.items() if name is not None}
    return plan(kinds | {name: entry.kind for name, entry in columns.items()}, taken=[HISTORY, GROUP])


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
    table: Mapping[str, np.ndarray],
    state: History,
    roles: Roles,
    columns: Sequence[Column],
    group: str | None = None,
    apart: bool = False,
) -> dict[str, np.ndarray]:
    """The graph's inputs of canonical payments; earlier ones serve later ones, but where they are asked `apart`.

    Args:
        table: Columns.
        state: The past.
        roles: Which columns hold what.
        columns: Those that become inputs.
        group: The column whose groups have thresholds of their own, or None.
        apart: Whether each payment is asked as if it were alone.
    """
    inputs = encode(columns, table) | group_of(table, group)
    if state.entities:
        time, amount, label, keys = payments(table, roles)
        features = state.apart(time, amount, keys) if apart else state.features(time, amount, label, keys)
        inputs[HISTORY] = features.astype("float32")
    return inputs


def respond(raw: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Answer columns from what the graph says."""
    return {"probability": raw["probability"].astype("float64"), "alarm": raw["alarm"].astype(bool)}


class Answering:
    """Answers as the saved template does, without it."""

    def __init__(self, name: str, saved: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> None:
        given = saved["parameters"]
        self.name, self.query = name, Schema.from_json(saved["query"])
        self.roles = Roles(given["label"], given["time"], given["amount"], tuple(given["entities"]))
        self.columns = entries(self.roles, Schema.from_json(saved["columns"]))
        self.group = threshold_column(given)
        past = History(self.roles.entities, tuple(given["windows"]), given["label_delay"], given["label"] is not None)
        self.history = past.read_arrays(dict(state))

    def prepare(self, queries: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The graph's inputs, of each payment as if it alone was asked."""
        return prepare(queries, self.history, self.roles, self.columns, self.group, apart=True)

    def respond(self, inputs: Mapping[str, np.ndarray], call: Any) -> dict[str, np.ndarray]:
        """The answers."""
        return respond(call(inputs))

    def observe(self, record: Mapping[str, Any]) -> None:
        """Adds a payment to the history; also the late label of one that is there already."""
        before = len(self.history)
        self.history = self.history.note(*self.read(record)).lean(before)

    def lasting(self, records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Those observed records that can still matter."""
        oldest = self.history.oldest
        return [record for record in records if self.read(record)[0][0] > oldest]

    def read(self, record: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray]]:
        """Time, amount, label and entities of a payment, as `payments` gives them.

        Raises:
            DataError: It can not be read.
        """
        known = {self.roles.label, self.roles.time, self.roles.amount, *self.roles.entities}
        schema = Schema.of({name: entry for name, entry in self.query.items() if name in known})
        return payments(asked(self.name, schema, record), self.roles)
