"""Two parts of a table, one to learn from and one to be judged by. Call twice for three parts."""

import re
from collections.abc import Mapping

import numpy as np

from apptemplates.data.schema import DataError
from apptemplates.data.table import Table, rows, take

SECONDS = {"W": 604_800, "D": 86_400, "h": 3600, "H": 3600, "min": 60, "s": 1}


def span(text: str | np.timedelta64) -> np.timedelta64:
    """A stretch of time such as "7D", "12h", "30min" or "2W" as numpy.timedelta64 in microseconds.

    Raises:
        ValueError: if it is not a number with one of these units.
    """
    if isinstance(text, np.timedelta64):
        return text.astype("timedelta64[us]")
    found = re.fullmatch(r"\s*(\d+)\s*([A-Za-z]+)\s*", str(text))
    if not found or found[2] not in SECONDS:
        raise ValueError(
            f"a stretch of time must be a number with one of W, D, h, min, s, such as '7D'. Received: {text!r}"
        )
    return np.timedelta64(int(found[1]) * SECONDS[found[2]] * 1_000_000, "us")


def by_time(
    table: Mapping[str, np.ndarray], time: str, held_out: float = 0.2, gap: str | np.timedelta64 | None = None
) -> tuple[Table, Table]:
    """The earlier rows and the latest ones; rows of the same moment are never parted.

    Args:
        table: With a canonical `time` column (datetime64 or numbers), in any order.
        time: Name of that column.
        held_out: Share of the rows in the later part, as nearly as moments allow.
        gap: Stretch before the later part whose rows are in neither ("7D"), for labels that are known late.

    Returns:
        (earlier, later), each in the order of the table.

    Raises:
        DataError: where a time is missing or a part would be empty.
    """
    check_share(held_out)
    count, times = rows(table), table[time]
    missing = np.isnat(times) if times.dtype.kind == "M" else np.isnan(times)
    if missing.any():
        raise DataError(f"split by time: column {time!r} has missing times; fill them in or leave those rows out.")
    moments, first = np.unique(np.sort(times), return_index=True)  # first[i] rows are before moments[i]
    if len(moments) < 2:
        raise DataError(
            f"split by time: all {count:,} rows of column {time!r} are at one moment"
            f"{f' ({moments[0]})' if count else ''}; at least two moments are needed to learn from the earlier."
        )
    start = moments[1:][np.argmin(np.abs(first[1:] - count * (1 - held_out)))]
    earlier, later = times < start, times >= start
    if gap is not None:
        stretch = span(gap)
        earlier = times < start - (stretch if times.dtype.kind == "M" else stretch / np.timedelta64(1, "s"))
        if not earlier.any():
            raise DataError(
                f"split by time: column {time!r} runs from {moments[0]} to {moments[-1]}, too short for a gap of {gap} "
                "before the rows held out; give a longer stretch of records or a shorter gap."
            )
    return take(table, earlier), take(table, later)


def by_group(table: Mapping[str, np.ndarray], group: str, held_out: float = 0.2, seed: int = 0) -> tuple[Table, Table]:
    """Two parts that share no group (person, machine, patient), drawn at random.

    Args:
        table: With a column `group`.
        group: Name of that column; a row in which it is missing ("") is a group of its own.
        held_out: Share of the rows in the second part, as nearly as whole groups allow.
        seed: Of the draw.

    Raises:
        DataError: if there are fewer than two groups.
    """
    check_share(held_out)
    place = owners(table[group])
    names = np.unique(place)
    if len(names) < 2:
        raise DataError(
            f"split by group: column {group!r} has {len(names)} group{'s' if len(names) != 1 else ''}; "
            "at least two are needed, so that one can be held out."
        )
    order = np.random.default_rng(seed).permutation(len(names))
    filled = np.cumsum(np.bincount(place)[order])
    number = 1 + int(np.argmin(np.abs(filled[:-1] - rows(table) * held_out)))
    later = np.isin(place, order[:number])
    return take(table, ~later), take(table, later)


def owners(group: np.ndarray) -> np.ndarray:
    """The number (n,) of the group of each row, where a row without one ("") is a group of its own."""
    names, place = np.unique(group.astype(str), return_inverse=True)
    alone = np.flatnonzero(group.astype(str) == "")
    place[alone] = len(names) + np.arange(len(alone))
    return np.unique(place, return_inverse=True)[1]


def stratified(
    table: Mapping[str, np.ndarray], label: str, held_out: float = 0.2, seed: int = 0
) -> tuple[Table, Table]:
    """Two parts drawn at random with the same share of every label; a label seen twice or more is in both.

    Args:
        table: With a column `label`.
        label: Name of that column.
        held_out: Share of the rows in the second part.
        seed: Of the draw.

    Raises:
        DataError: if no label stands in two rows, so that a part would be empty.
    """
    check_share(held_out)
    rng = np.random.default_rng(seed)
    _, place = np.unique(table[label].astype(str), return_inverse=True)
    later = np.zeros(rows(table), bool)
    for members in np.split(np.argsort(place, kind="stable"), np.cumsum(np.bincount(place))[:-1]) if len(place) else []:
        if len(members) > 1:
            number = min(max(round(len(members) * held_out), 1), len(members) - 1)
            later[rng.choice(members, number, replace=False)] = True
    if not later.any():
        raise DataError(
            f"split by label: no value of column {label!r} stands in two rows ({rows(table):,} rows in all); "
            "at least two rows of one label are needed, so that one can be held out."
        )
    return take(table, ~later), take(table, later)


def at_random(table: Mapping[str, np.ndarray], held_out: float = 0.2, seed: int = 0) -> tuple[Table, Table]:
    """Two parts drawn by chance, for records without time, group or label; each in the order of the table.

    Raises:
        DataError: where a part would be empty.
    """
    check_share(held_out)
    count = rows(table)
    if count < 2:
        raise DataError(f"split: the table has {count} rows; at least two are needed to hold one out.")
    later = np.zeros(count, bool)
    later[np.random.default_rng(seed).permutation(count)[: min(count - 1, max(1, round(held_out * count)))]] = True
    return take(table, ~later), take(table, later)


def portion(table: Mapping[str, np.ndarray], most: int, seed: int = 0, owner: str | None = None) -> tuple[Table, float]:
    """At most so many rows, drawn by chance, and the share of all that they are; of an owner all rows or none.

    Args:
        table: In any order, which is kept.
        most: Rows; a first owner with more is taken whole.
        seed: Of the draw.
        owner: Name of a column whose values stay together, or None.
    """
    count = rows(table)
    if count <= most:
        return dict(table), 1.0
    random = np.random.default_rng(seed)
    if owner is None:
        chosen = np.sort(random.permutation(count)[:most])
    else:
        _, place, size = np.unique(owners(table[owner]), return_inverse=True, return_counts=True)
        order = random.permutation(len(size))
        kept = order[: max(1, int(np.searchsorted(np.cumsum(size[order]), most, "right")))]
        chosen = np.flatnonzero(np.isin(place, kept))
    return take(table, chosen), len(chosen) / count


def check_share(held_out: float) -> None:
    """Refuses a share that would leave a part empty."""
    if not 0 < held_out < 1:
        raise ValueError(f"held_out must be a share between 0 and 1. Received: {held_out!r}")
