"""How a fitted RiskScorer answers: the columns of a row, the group where thresholds differ, the words. NumPy only."""

from collections.abc import Mapping, Sequence

import numpy as np

from apptemplates.inference.columns import MISSING, Column, encode

GROUP = "threshold_group"  # the graph's input for the group whose threshold counts
WORDS = np.array(["low risk", "high risk", "ask a human"], dtype=object)


def prepare(table: Mapping[str, np.ndarray], columns: Sequence[Column], group: str | None) -> dict[str, np.ndarray]:
    """The graph's inputs of canonical rows.

    Args:
        table: Columns.
        columns: Those that become inputs.
        group: The column whose groups have thresholds of their own, or None.
    """
    inputs = encode(columns, table)
    if group is not None:
        inputs[GROUP] = np.where(table[group] == "", MISSING, table[group])
    return inputs


def respond(raw: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Answer columns from what the graph says."""
    place = np.where(raw["refer"].astype(bool), 2, (raw["margin"] >= 0).astype(int))
    return {"probability": raw["probability"].astype("float64"), "decision": WORDS[place]}
