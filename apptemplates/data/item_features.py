"""What an item is like, as numbers: so that a new one can borrow from those that are like it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from apptemplates.data import kinds
from apptemplates.data.schema import Field, Schema
from apptemplates.data.table import Table

MOST = 500  # words of one column
BLOCK = 2_000_000  # similarities at a time
ALIKE = 5  # items a new one borrows from


def guessed(names: Collection[str], table: Table) -> Schema:
    """Those columns of a table that describe an item, with the kinds they seem to be of."""
    return Schema.of(kinds.infer({name: column for name, column in table.items() if name in names}))


def fields(names: Sequence[str], columns: Schema) -> Schema:
    """The columns that describe an item, none of which must be there: numbers, flags, and categories, several of each.

    Args:
        names: Of the columns.
        columns: With the kinds they seem to be of, where these are known already.
    """
    found = {}
    for name in names:
        kind = columns[name].kind if name in columns else "category"
        kind = kind if kind in ("number", "flag") else "category"
        found[name] = Field(name, kind, required=False, missing=True, several=kind == "category")
    return Schema.of(found)


def learn(items: Table, schema: Schema) -> dict[str, Any]:
    """What the columns of items (one row each) hold, as plain JSON: the words of categories, the spread of numbers."""
    known: dict[str, Any] = {}
    for name, field in schema.items():
        column = items[name]
        if field.kind in ("number", "flag"):
            there = column[np.isfinite(column)]
            spread = float(there.std()) if len(there) else 0.0
            known[name] = {"mean": float(there.mean()) if len(there) else 0.0, "spread": spread or 1.0}
        else:
            words, counts = np.unique([word for text in column for word in text.split("|") if word], return_counts=True)
            known[name] = {"words": sorted(words[np.argsort(-counts, kind="stable")][:MOST].tolist())}
    return known


def encode(items: Table, known: Mapping[str, Any]) -> np.ndarray:
    """Items as directions (n, d) float32 of length 1; zeros where nothing is known of one."""
    parts = []
    for name, what in known.items():
        column = items[name]
        if "words" in what:
            place = {word: i for i, word in enumerate(what["words"])}
            flags = np.zeros((len(column), len(place)), "float32")
            for row, text in enumerate(column):
                flags[row, [place[word] for word in text.split("|") if word in place]] = 1.0
            parts.append(flags / np.maximum(np.sqrt(flags.sum(axis=1, keepdims=True)), 1.0))
        else:  # how near two numbers are, as the cosine of two angles
            angle = np.clip((column - what["mean"]) / what["spread"], -3, 3) / 3 * np.pi / 2
            there = np.isfinite(angle)
            angle = np.where(there, angle, 0.0)
            parts.append(np.stack([np.cos(angle), np.sin(angle)], axis=1).astype("float32") * there[:, None])
    whole = np.concatenate(parts, axis=1) if parts else np.zeros((len(next(iter(items.values()))), 0), "float32")
    return whole / np.maximum(np.linalg.norm(whole, axis=1, keepdims=True), 1e-6)  # type: ignore[no-any-return]


def alike(new: np.ndarray, old: np.ndarray, number: int = ALIKE) -> tuple[np.ndarray, np.ndarray]:
    """For each new direction (n, d) the old ones (m, d) most like it: rows (n, k) and shares (n, k) that sum to 1.

    Of what nothing is known the shares are 0.
    """
    number = min(number, len(old))
    rows, shares = np.zeros((len(new), number), "int64"), np.zeros((len(new), number), "float32")
    step = max(1, BLOCK // max(len(old), 1))
    for start in range(0, len(new), step):
        likeness = new[start : start + step] @ old.T
        best = np.argpartition(-likeness, number - 1, axis=1)[:, :number]
        weight = np.maximum(np.take_along_axis(likeness, best, axis=1), 0) ** 4  # the nearest count most
        rows[start : start + step] = best
        shares[start : start + step] = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)
    return rows, shares


def borrowed(items: Table, known: Mapping[str, Any], learned: int) -> tuple[np.ndarray, np.ndarray]:
    """For each item that was never learned from, the learned ones most like it: rows (new, k) and shares (new, k).

    Args:
        items: The features of all items, a row each, the learned ones first.
        known: What `learn` gave.
        learned: How many of them were learned from.
    """
    directions = encode(items, known)
    return alike(directions[learned:], directions[:learned])
