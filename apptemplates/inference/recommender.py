"""How a fitted Recommender answers: who took what so far, item rows in, names and reasons out. NumPy only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

MARK = "|"  # between the items of a list
LISTED = 256  # items that one query can exclude, or ask for
SHOWN = 20  # items that come with reasons
LOOKED = 50  # latest items of a history among which reasons are looked for
CELLS = 16_000_000  # scores held at a time, so that memory stays bounded
POPULAR = "popularity"
Table = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Histories:
    """Who took what, each thing once, in the order of time.

    Args:
        names: (items,) str objects, by code.
        people: User -> number of the user.
        start: (users + 1,) where each user's items begin.
        code: (n,) int64 item codes.
        time: (n,) int64, 0 where there are no times.
        liked: (n,) bool.
        described: Item name -> its features, a column each (items described,), and their names in "".
    """

    names: np.ndarray = field(default_factory=lambda: np.empty(0, object))
    people: Mapping[str, int] = field(default_factory=dict)
    start: np.ndarray = field(default_factory=lambda: np.zeros(1, "int64"))
    code: np.ndarray = field(default_factory=lambda: np.empty(0, "int64"))
    time: np.ndarray = field(default_factory=lambda: np.empty(0, "int64"))
    liked: np.ndarray = field(default_factory=lambda: np.empty(0, bool))
    described: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.people)

    def __contains__(self, user: str) -> bool:
        return user in self.people

    def added(self, user: np.ndarray, item: np.ndarray, time: np.ndarray | None, liked: np.ndarray | None) -> Histories:
        """With these interactions (n,); of a thing taken again, the first time stays."""
        n = len(user)
        people, places = dict(self.people), {name: code for code, name in enumerate(self.names)}
        who = np.fromiter((people.setdefault(name, len(people)) for name in user), "int64", n)
        what = np.fromiter((places.setdefault(name, len(places)) for name in item), "int64", n)
        before = np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))
        whole = np.concatenate([before, who]), np.concatenate([self.code, what])
        moments = np.concatenate([self.time, np.zeros(n, "int64") if time is None else time.astype("int64")])
        likes = np.concatenate([self.liked, np.ones(n, bool) if liked is None else liked])
        order = np.lexsort((np.arange(len(moments)), moments, whole[0]))
        pair = (whole[0] * max(len(places), 1) + whole[1])[order]
        order = order[np.sort(np.unique(pair, return_index=True)[1])]
        start = np.concatenate([[0], np.cumsum(np.bincount(whole[0][order], minlength=len(people)))])
        names = np.array(list(places), object)
        return Histories(names, people, start, whole[1][order], moments[order], likes[order], self.described)

    def describing(self, items: np.ndarray, columns: Table) -> Histories:
        """With the features of items (n,), a column each; of an item told of twice, the last row counts."""
        if not columns:
            return self
        told = {name: column for name, column in self.described.items() if name}
        names = np.concatenate([self.described.get("", np.empty(0, object)), items])
        last = len(names) - 1 - np.unique(names[::-1].astype(str), return_index=True)[1]
        before = len(names) - len(items)
        described = {"": names[last]}
        for name, column in columns.items():
            blank = np.full(before, np.nan) if column.dtype.kind == "f" else np.full(before, "", object)
            described[name] = np.concatenate([told.get(name, blank), column])[last]
        return replace(self, described=described)

    def described_names(self) -> list[str]:
        """The items that features are known of."""
        return list(map(str, self.described.get("", ())))

    def description(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """The features of items, a column each; empty where nothing is known."""
        place = {name: row for row, name in enumerate(self.described_names())}
        rows = np.array([place.get(name, -1) for name in names], int)
        found = {}
        for name, column in self.described.items():
            if name:
                whole = np.append(column, np.array([np.nan if column.dtype.kind == "f" else ""], column.dtype))
                found[name] = whole[rows]  # row -1 is the empty one
        return found

    def span(self, user: str) -> slice:
        """Where a user's items stand in `code`; an empty one of a stranger."""
        place = self.people.get(user)
        return slice(0, 0) if place is None else slice(int(self.start[place]), int(self.start[place + 1]))

    def longest(self) -> int:
        """The most items of one user."""
        return int(np.diff(self.start).max(initial=0))

    def rows(self, catalogue: Catalogue) -> np.ndarray:
        """The row of every entry of `code` in a catalogue, 0 where it has none, negative where it was not liked."""
        kept = self.__dict__.get("_rows")
        if kept is None or kept[0] is not catalogue:
            found = catalogue.rows(self.names)[self.code] if len(self.code) else np.empty(0, "int32")
            kept = catalogue, np.where(self.liked, found, -found)
            object.__setattr__(self, "_rows", kept)  # made once: of many people this takes longer than an answer
        return kept[1]  # type: ignore[no-any-return]

    def arrays(self) -> dict[str, np.ndarray]:
        """What a folder keeps of it."""
        told = {f"item {name}": column for name, column in self.described.items()}
        if not len(self):
            return told
        people = np.array(list(self.people), object)
        kept = {"names": self.names, "people": people, "start": self.start, "code": self.code, "time": self.time}
        return {**kept, "liked": self.liked, **told}

    @classmethod
    def of(cls, arrays: Table) -> Histories:
        """From the arrays of a folder."""
        told = {name.removeprefix("item "): column for name, column in arrays.items() if name.startswith("item ")}
        if "people" not in arrays:
            return cls(described=told)
        people = {str(name): place for place, name in enumerate(arrays["people"])}
        names = np.array([str(name) for name in arrays["names"]], object)
        start, code, time, liked = (arrays[name] for name in ("start", "code", "time", "liked"))
        return cls(names, people, start, code, time, liked, told)


@dataclass(frozen=True)
class Catalogue:
    """The items that can be recommended: rows 1, 2, ... of the graph.

    Args:
        names: Of rows 1, 2, ...
        learned: How many of them, the first, were learned from; the others are known by their features alone.
    """

    names: Sequence[str]
    learned: int

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def _row(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names, 1)}

    @cached_property
    def _names(self) -> np.ndarray:
        return np.array(["", *self.names], object)

    def rows(self, names: Iterable[str]) -> np.ndarray:
        """Rows (n,) int32 of names, 0 where there is no such item."""
        row = self._row
        return np.array([row.get(name, 0) for name in names], "int32")

    def named(self, rows: np.ndarray) -> np.ndarray:
        """Names of rows, "" of row 0."""
        return self._names[rows]  # type: ignore[no-any-return]


class Limits(NamedTuple):
    """What a graph can take and give: places of a history, the most items it ranks, and how many by default."""

    places: int
    most: int
    k: int


def limits(places: int, k: int, items: int) -> Limits:
    """Those of a graph over so many items, of which k are recommended by default."""
    most = min(items, max(100, 2 * k))
    return Limits(places, most, min(k, most))


def listed(text: str) -> list[str]:
    """The items of a list as a query holds it."""
    return [name for name in text.split(MARK) if name]


def prepare(queries: Table, user: str, state: Histories, catalogue: Catalogue, limits: Limits) -> dict[str, np.ndarray]:
    """The graph's inputs of canonical queries, and of those that can not be answered why not.

    Returns:
        history (n, places) int32, again (n,) float32, exclude and candidates (n, 256) int32; and k (n,) int32 and asked
        (n,) str, which `respond` reads; problem (n,) names why a query was left out of the arrays.
    """
    n = len(queries[user])
    history = np.zeros((n, limits.places), "int32")
    exclude, candidates = np.zeros((2, n, LISTED), "int32")
    again, wanted = np.zeros(n, "float32"), np.full(n, limits.k, "int32")
    asked, problems = np.full(n, "", object), np.full(n, "", object)
    known = state.rows(catalogue)
    for row in range(n):
        who, given, left_out, among = (queries[name][row] for name in (user, "history", "exclude", "candidates"))
        rows, asked[row] = _history(who, given, user, state, known, catalogue)
        problems[row], wanted[row] = _number(queries["k"][row], limits)
        if not asked[row]:
            problems[row] = (
                f"the query names neither a {user!r} nor a 'history'; give one of them, [] for somebody new."
            )
        rows = rows[rows != 0]
        recent = rows[-limits.places :]
        history[row, limits.places - len(recent) :] = recent
        if left_out:
            again[row] = 1.0
            refused = catalogue.rows(listed(left_out))
        else:  # what the history has no place for is still left out
            refused = np.abs(rows[: -limits.places][-LISTED:])
        offered = listed(among) if among else []
        for name, count in (("exclude", len(refused)), ("candidates", len(offered))):
            if count > LISTED:
                problems[row] = f"{name!r} names {count:,} items; give at most {LISTED}."
        refused = refused[refused > 0][:LISTED]
        exclude[row, : len(refused)] = refused
        if among:
            found = catalogue.rows(offered[:LISTED])
            found = found[found > 0]
            candidates[row, : len(found)] = found
            blocked = refused if left_out else np.concatenate([refused, np.abs(recent)])
            if not problems[row] and not np.setdiff1d(found, blocked).size:
                problems[row] = (
                    f"none of the {len(offered):,} candidates can be recommended: they are unknown, excluded or taken "
                    "already; give others, or exclude=[] to allow what was taken."
                )
    good = problems == ""
    inputs = {"history": history, "again": again, "exclude": exclude, "candidates": candidates}
    inputs |= {"k": wanted, "asked": asked}
    return {name: column if good.all() else column[good] for name, column in inputs.items()} | {"problem": problems}


def _history(
    who: str, given: str, user: str, state: Histories, known: np.ndarray, catalogue: Catalogue
) -> tuple[np.ndarray, str]:
    """What somebody took as rows, negative where not liked, and what the answer is to be put down to."""
    if given:
        names = listed(given)
        rows = catalogue.rows(names)
        if not names:
            return rows, f"{POPULAR} (the history is empty)"
        if not rows.any():
            return rows, f"{POPULAR} (no item of the history is known)"
        return rows, "history" if (rows[rows > 0] <= catalogue.learned).any() else "features"
    if not who:
        return np.empty(0, "int32"), ""
    rows = known[state.span(who)]
    if not (rows > 0).any():
        return rows, f"{POPULAR} ({user} is not known)" if who not in state else f"{POPULAR} ({user} liked nothing yet)"
    return rows, "user" if (rows[rows > 0] <= catalogue.learned).any() else "features"


def _number(k: float, limits: Limits) -> tuple[str, int]:
    """What is wrong with the number of items wanted, and that number."""
    if np.isnan(k):
        return "", limits.k
    if k != int(k) or not 1 <= k <= limits.most:
        return f"'k' is {k:g}; give a whole number from 1 to {limits.most:,}, as many items as can be ranked.", limits.k
    return "", int(k)


def respond(inputs: Table, call: Any, items: int) -> dict[str, np.ndarray]:
    """Answer columns, a list a query in each, from what the graph says.

    Args:
        inputs: What `prepare` gave.
        call: The graph.
        items: Size of the catalogue, which says how many queries fit into memory.
    """
    n = len(inputs["k"])
    together = max(1, CELLS // max(items, 1))
    found: dict[str, np.ndarray] = {name: np.empty(n, object) for name in ("items", "scores", "because")}
    for start in range(0, n, together):
        part = slice(start, start + together)
        raw = call({name: column[part] for name, column in inputs.items()})
        counts = (raw["items"] != "").sum(axis=1)
        counts = np.minimum(counts, inputs["k"][part])
        for row, count in enumerate(counts.tolist()):
            found["items"][start + row] = raw["items"][row, :count].tolist()
            found["scores"][start + row] = [round(score, 5) for score in raw["scores"][row, :count].tolist()]
            reasons = raw["because"][row, :count].tolist()
            found["because"][start + row] = [[name for name in names if name] for names in reasons]
    return {**found, "source": inputs["asked"].copy()}


class Answering:
    """Answers as the saved template does, without it."""

    def __init__(self, name: str, saved: Mapping[str, Any], state: Table) -> None:
        given, learned = saved["parameters"], saved["learned"]
        self.user, self.histories = given["user"], Histories.of(state)
        self.catalogue = Catalogue(learned["items"], learned["learned"])
        self.limits = limits(learned["places"], given["k"], len(self.catalogue))

    def prepare(self, queries: Table) -> dict[str, np.ndarray]:
        """The graph's inputs."""
        return prepare(queries, self.user, self.histories, self.catalogue, self.limits)

    def respond(self, inputs: Table, call: Any) -> dict[str, np.ndarray]:
        """The answers."""
        return respond(inputs, call, len(self.catalogue))
