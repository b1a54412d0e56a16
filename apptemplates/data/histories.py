"""What people liked, as rows of a catalogue: their histories to learn from, and what followed them to be judged by."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from apptemplates.data.schema import DataError, Field, Schema
from apptemplates.data.table import Table
from apptemplates.inference.recommender import MARK, Catalogue, Histories

Rows = Mapping[str, np.ndarray]  # user -> item rows from 1, in the order of time


def liked_names(state: Histories) -> list[str]:
    """The items that anybody liked."""
    return list(map(str, state.names[np.unique(state.code[state.liked])])) if len(state) else []


def liked_rows(state: Histories, catalogue: Catalogue) -> dict[str, np.ndarray]:
    """The rows of the learned items that each user liked, in the order of time."""
    found = state.rows(catalogue)
    good = (found > 0) & (found <= catalogue.learned)
    return {user: found[span][good[span]] for user in state.people for span in [state.span(user)]}


def grown(catalogue: Catalogue, liked: Collection[str], described: Collection[str]) -> Catalogue:
    """The catalogue when it goes on learning: more items are learned from, after those that were so far.

    Args:
        catalogue: What is known by now, also what was taken for the first time among held-out interactions alone.
        liked: Items that anybody liked; they are learned from now.
        described: Items whose features are known: these alone can stay what they were.
    """
    old, others = catalogue.names[: catalogue.learned], catalogue.names[catalogue.learned :]
    wanted, known = set(liked), set(described)
    new = sorted(name for name in others if name in wanted or name not in known)
    added = set(new)
    return Catalogue([*old, *new, *(name for name in others if name not in added)], len(old) + len(new))


def rows_of(owner: str, catalogue: Catalogue, items: Iterable[Any]) -> np.ndarray:
    """The rows (n,) int32 of items, however their names are written.

    Args:
        owner: Name of the template, for the message.
        catalogue: The items that are known.
        items: Names, or numbers that stand for them.

    Raises:
        DataError: An item is not known.
    """
    schema, names = Schema.of({"item": Field("an item", "id")}), []
    for item in items:
        name = str(schema.check_one(owner, {"item": item})["item"])
        if not catalogue.rows([name])[0]:
            raise DataError(f"{owner}: item {name!r} is not known; it was neither learned from nor described.")
        names.append(name)
    return catalogue.rows(names)


def everybody(state: Histories, catalogue: Catalogue) -> list[np.ndarray]:
    """The rows of `liked_rows` of those who liked anything."""
    return [found for found in liked_rows(state, catalogue).values() if len(found)]


def followed(after: Histories, before: Histories, catalogue: Catalogue) -> dict[str, np.ndarray]:
    """The item rows that each user of `after` liked there and had not taken before."""
    known = before.rows(catalogue)
    return {
        user: found[~np.isin(found, np.abs(known[before.span(user)]))]
        for user, found in liked_rows(after, catalogue).items()
    }


def judgeable(past: Rows, taken: Rows) -> list[str]:
    """The users who took something, and of whom it is known what they liked before."""
    return [user for user in taken if len(taken[user]) and len(past.get(user, []))]


def trials(after: Histories, before: Histories) -> tuple[np.ndarray, Table]:
    """Whom to recommend to, and what of it would have been right.

    Args:
        after: What was taken in the time that is judged.
        before: What was taken until then.

    Returns:
        The users (n,) of `after`; and of each the column "taken", the items liked there that were not taken before,
        as a list in text, and "begins", the first moment (n,) int64.
    """
    taken = []
    for user in after.people:
        span = after.span(user)
        had = set(before.names[before.code[before.span(user)]])
        liked = after.names[after.code[span][after.liked[span]]]
        taken.append(MARK.join(name for name in liked if name not in had))
    begins = np.array([after.time[after.span(user)].min() for user in after.people], "int64")
    return np.array(list(after.people), object), {"taken": np.array(taken, object), "begins": begins}
