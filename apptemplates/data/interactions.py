"""Who took what: lines of items, what is refused, interactions held out, and rows that a network learns from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from apptemplates.data import splits
from apptemplates.data.schema import DataError
from apptemplates.data.table import Table, rows, take
from apptemplates.inference.recommender import MARK

if TYPE_CHECKING:
    from apptemplates.data.preflight import Finding

HOLD_OUT = ("time", "last", "some")
MUCH = 50  # times the usual number of interactions from which a user is odd
SHARE = 0.1  # of the interactions that are held out


def from_lines(path: Path, content: bytes, names: Sequence[str] | None = None) -> Table:
    """The table in lines of "user item item ...": columns user, item and place (0 for the first item of a line).

    Where a line is in the order of time, say `time="place"`.

    Raises:
        DataError: The file is no text, or no line has an item.
    """
    try:
        lines = [line.split() for line in content.decode("utf-8").splitlines()]
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(f"{path}: line {line} is not UTF-8 text; save the file as UTF-8.") from error
    lengths = np.array([max(len(line) - 1, 0) for line in lines], int)
    if not lengths.sum():
        raise DataError(f"{path}: no line holds a user and an item; lines of 'user item item ...' are expected.")
    users = np.repeat(np.array([line[0] if line else "" for line in lines], object), lengths)
    items = np.array([item for line in lines for item in line[1:]], object)
    place = np.arange(len(items)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return {"user": numbered(users), "item": numbered(items), "place": place}


def numbered(names: np.ndarray) -> np.ndarray:
    """Names (n,) as int64 where all of them are whole numbers as Python writes them, else as they are."""
    distinct = set(names.tolist())
    plain = all(
        name.isascii() and name.isdigit() and len(name) < 16 and (name == "0" or name[0] != "0") for name in distinct
    )
    return names.astype(str).astype("int64") if plain else names


# ---- what is refused -----------------------------------------------------------


def refuse_choices(owner: str, choices: Mapping[str, Any]) -> None:
    """Checks how interactions are to be learned from.

    Args:
        owner: Name of the template, for the message.
        choices: By name: hold_out, learns, k, time, rating, scale and liked; see `templates.recommender`.

    Raises:
        ValueError: A choice is none of those that there are, or can not be meant together with another.
    """
    scale, liked = scale_of(choices["scale"]), choices["liked"]
    checks = {
        "hold_out": (choices["hold_out"] in HOLD_OUT, f"one of {', '.join(HOLD_OUT)}"),
        "learns": (choices["learns"] in (None, "sequences", "sets"), "'sequences', 'sets' or None"),
        "k": (1 <= choices["k"] <= 1000, "a whole number from 1 to 1,000"),
        "scale": (is_scale(scale), "a lowest and a highest rating"),
    }
    for name, (good, wanted) in checks.items():
        if not good:
            raise ValueError(f"{owner}: {name} must be {wanted}. Received: {choices[name]!r}.")
    if choices["learns"] == "sequences" and choices["time"] is None:
        raise ValueError(f"{owner}: learns='sequences' needs times; name their column with time=.")
    if liked is not None and choices["rating"] is None:
        raise ValueError(f"{owner}: liked= is about ratings; name their column with rating=.")
    if not scale[0] <= least_liked(scale, liked) <= scale[1]:
        raise ValueError(f"{owner}: liked must lie on the scale {scale}. Received: {liked!r}.")


def is_scale(scale: Any) -> bool:
    """Whether this is a lower and a higher number."""
    two = isinstance(scale, list | tuple) and len(scale) == 2 and all(isinstance(end, int | float) for end in scale)
    return two and scale[0] < scale[1]


def scale_of(scale: list[float] | None) -> list[float]:
    """The lowest and the highest rating that was chosen, or the usual ones."""
    return [1.0, 5.0] if scale is None else scale


def least_liked(scale: list[float] | None, liked: float | None) -> float:
    """The rating from which on an item counts as liked: the one that was chosen, or the middle of the scale."""
    return sum(scale_of(scale)) / 2 if liked is None else liked


def refuse(owner: str, table: Table, user: str, item: str) -> None:
    """Checks that there is something to learn from interactions.

    Args:
        owner: Name of the template, for the message.
        table: Canonical interactions.
        user, item: Names of columns.

    Raises:
        DataError: There is but one user or one item, or the name of an item holds what stands between items of a list.
    """
    for role in (user, item):
        if len(set(table[role].tolist())) < 2:
            raise DataError(
                f"{owner}: column {role!r} holds a single value ({table[role][0]!r}) in all "
                f"{rows(table):,} rows; interactions of several users with several items are needed."
            )
    marked = next((name for name in table[item] if MARK in name), None)
    if marked is not None:
        raise DataError(
            f"{owner}: item {marked!r} holds {MARK!r}, which stands between the items of a list; write it otherwise."
        )


# ---- what is held out ----------------------------------------------------------


def in_order(table: Table, user: str, time: str | None) -> np.ndarray:
    """Row numbers sorted by user, then by time; rows of the same moment stay in the order of the table."""
    place = np.unique(table[user], return_inverse=True)[1]
    if time is None:
        return np.argsort(place, kind="stable")
    return np.lexsort((np.arange(len(place)), table[time], place))


def first_ones(table: Table, user: str, item: str, time: str | None) -> np.ndarray:
    """Row numbers, rising, of the first time that each user took each item."""
    people, things = (np.unique(table[name], return_inverse=True)[1] for name in (user, item))
    pair = people.astype("int64") * (int(things.max(initial=0)) + 1) + things
    order = np.arange(len(pair)) if time is None else np.argsort(table[time], kind="stable")
    _, first = np.unique(pair[order], return_index=True)
    return np.sort(order[first])


def hold_out(table: Table, user: str, time: str | None, how: str, seed: int) -> tuple[Table, Table]:
    """Interactions to learn from, and others to be judged by.

    Args:
        table: Canonical interactions.
        user, time: Names of columns; without times there is no "time", and "last" is the last row of each user.
        how: "time": the latest tenth of all, so that nothing is learned from the future; "last": the last one of each
            user who has more than one; "some": a tenth of each user's, drawn at random.
        seed: Of the draw.

    Raises:
        DataError: Nothing can be held out.
    """
    if how == "time" and time is not None:
        return splits.by_time(table, time, SHARE)
    order = in_order(table, user, time)
    if how == "some" or (time is None and how == "time"):
        shuffled = np.random.default_rng(seed).permutation(len(order))
        order = shuffled[np.argsort(np.unique(table[user], return_inverse=True)[1][shuffled], kind="stable")]
    people = np.unique(table[user][order], return_inverse=True)[1]
    count = np.bincount(people)
    left = np.cumsum(count)[people] - np.arange(len(people))  # 1 for the last one of each user
    held = np.ones(len(count), int) if how == "last" else np.maximum(1, count // round(1 / SHARE))
    late = np.zeros(rows(table), bool)
    late[order] = (left <= held[people]) & (count[people] > 1)
    if not late.any():
        raise DataError(f"split: every one of {len(count):,} users has a single interaction, so none can be held out.")
    return take(table, ~late), take(table, late)


# ---- what a network of sequences learns from -----------------------------------


def packed(histories: Sequence[np.ndarray], places: int, last_only: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Histories side by side in few rows, an empty place (0) between two, and what comes next at each place.

    Args:
        histories: Item rows (>= 1) in the order of time; longer ones are cut into pieces that overlap by one item.
        places: Length of a row.
        last_only: Whether only the last item of each history is to be foretold.

    Returns:
        rows (n, places) and following (n, places), both int32; 0 where nothing follows.
    """
    pieces = []
    for items in histories:
        ends = [len(items)] if last_only else range(len(items), 1, -places)
        pieces += [items[max(0, end - places - 1) : end] for end in ends if len(items) > 1]
    pieces.sort(key=len, reverse=True)
    filled: list[list[np.ndarray]] = []
    open_rows: dict[int, list[int]] = {}  # free places -> rows that have so many
    for piece in pieces:
        needed = len(piece)  # one less than its items, and the empty place
        room = next((free for free in range(needed, places + 2) if open_rows.get(free)), None)
        if room is None:
            filled.append([])
            row, room = len(filled) - 1, places + 1
        else:
            row = open_rows[room].pop()
        filled[row].append(piece)
        open_rows.setdefault(room - needed, []).append(row)
    table, following = np.zeros((2, len(filled), places), "int32")
    for row, parts in enumerate(filled):
        start = 0
        for piece in parts:
            end = start + len(piece) - 1
            table[row, start:end] = piece[:-1]
            if last_only:
                following[row, end - 1] = piece[-1]
            else:
                following[row, start:end] = piece[1:]
            start = end + 1
    return table, following


def padded(histories: Sequence[np.ndarray], places: int) -> np.ndarray:
    """The latest items of each history (n, places) int32, the last one at the last place, 0 where there are no more."""
    filled = np.zeros((len(histories), places), "int32")
    for row, found in enumerate(histories):
        found = found[-places:]
        filled[row, places - len(found) :] = found
    return filled


def odd_users(table: Table, user: str) -> "list[Finding]":
    """A warning where one user took so much that it may be a program or a shared account."""
    from apptemplates.data.preflight import Finding

    names, counts = np.unique(table[user].astype(str), return_counts=True)
    odd = (counts > MUCH * np.median(counts)) & (counts > 0.02 * counts.sum())
    if len(names) < 30 or not odd.any():
        return []
    first = str(names[odd][np.argmax(counts[odd])])
    return [
        Finding(
            "odd-user", "warning", user,
            f"{int(odd.sum()):,} of {len(names):,} users took more than {MUCH} times as much as usual, most of all "
            f"{first!r} with {counts.max():,} of {counts.sum():,} interactions.",
            "Find out whether this is a person; leave programs and shared accounts out.",
        )
    ]  # fmt: skip
