"""From labelled records to pairs of them, and to batches that hold several of each label."""

import hashlib
from collections.abc import Iterator

import numpy as np


def drawn(labels: np.ndarray, each: int, strangers: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of records: at most `each` of one label for every label, and so many of two labels.

    A label with many records would else fill the pairs: 100 pictures of one person make 4,950.

    Args:
        labels: (n,) whose record is whose.
        each: Most pairs of a label with itself.
        strangers: Pairs of two different labels, each drawn once; fewer where there are not so many.
        seed: Of the draw.

    Returns:
        (first, second, same): row numbers (m,) and 1.0 where both have one label, those first; no pair stands twice.
    """
    rng = np.random.default_rng(seed)
    names, place = np.unique(labels.astype(str), return_inverse=True)
    members = np.split(np.argsort(place, kind="stable"), np.cumsum(np.bincount(place, minlength=len(names)))[:-1])
    own = [one_label(rows, each, rng) for rows in members if len(rows) > 1]
    same = np.concatenate(own) if own else np.empty((0, 2), int)
    other = two_labels(place, strangers, rng)
    pairs = np.concatenate([same, other])
    return pairs[:, 0], pairs[:, 1], np.repeat([1.0, 0.0], [len(same), len(other)])


def distinct(*columns: np.ndarray) -> tuple[list[tuple[int, int]], np.ndarray]:
    """Which rows of columns (n, ...) are equal, without holding them in memory where they are in a file.

    Returns:
        (firsts, which): column and row of the first of all that are equal, and for each row of each column (columns, n)
        which of these it equals.
    """
    number: dict[bytes, int] = {}
    firsts: list[tuple[int, int]] = []
    which = np.empty((len(columns), len(columns[0])), int)
    for place in np.ndindex(*which.shape):
        mark = hashlib.sha256(columns[place[0]][place[1]].tobytes()).digest()
        which[place] = number.setdefault(mark, len(number))
        if len(number) > len(firsts):
            firsts.append((place[0], place[1]))
    return firsts, which


def one_label(rows: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most so many different pairs (m, 2) of these rows."""
    count = len(rows) * (len(rows) - 1) // 2
    number = np.sort(rng.choice(count, most, replace=False)) if count > most else np.arange(count)
    second = ((1 + np.sqrt(1 + 8 * number.astype("float64"))) // 2).astype(int)  # pair k of (0,1), (0,2), (1,2), ...
    second -= number < second * (second - 1) // 2  # a root of a large number may be rounded up
    return np.stack([rows[number - second * (second - 1) // 2], rows[second]], axis=1)


def two_labels(place: np.ndarray, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """So many different pairs (m, 2) of rows with different labels, or all where there are fewer."""
    n = len(place)
    count = (n * n - int((np.bincount(place).astype("int64") ** 2).sum() if n else 0)) // 2
    if count <= 2 * wanted or n * (n - 1) // 2 <= 200_000:
        first, second = np.triu_indices(n, 1)
        apart = np.flatnonzero(place[first] != place[second])
        kept = np.sort(rng.permutation(apart)[:wanted])
        return np.stack([first[kept], second[kept]], axis=1)
    found = np.empty(0, "int64")
    while len(found) < wanted:  # most draws are new, since at least twice as many pairs are there
        first, second = np.sort(rng.integers(0, n, (2, 2 * wanted)), axis=0)
        good = place[first] != place[second]
        found = np.unique(np.concatenate([found, first[good] * n + second[good]]))
    found = np.sort(rng.permutation(found)[:wanted])
    return np.stack([found // n, found % n], axis=1)


def held_out_people(person: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Which records (n,) bool to hold out, whole people by chance: of those with several records, and of the others.

    At least two people with several records are on either side, where there are four of them.

    Args:
        person: (n,) whose record it is.
        share: Of the people, to be held out.
        seed: Of the draw.
    """
    rng = np.random.default_rng(seed)
    _, place, count = np.unique(person.astype(str), return_inverse=True, return_counts=True)
    chosen = []
    for members, least in ((np.flatnonzero(count > 1), 2), (np.flatnonzero(count == 1), 0)):
        number = min(max(round(share * len(members)), least), max(len(members) - least, 0))
        chosen.append(rng.permutation(members)[:number])
    return np.isin(place, np.concatenate(chosen))


class Batches:
    """Row numbers of batches that hold several records of each of several people, drawn anew on each pass.

    A person comes the more often the more records they have, but only by the square root: ten times for a hundred. Of
    a person with fewer records some come twice.

    Args:
        person: (n,) int class numbers 0, 1, ...
        people: People in a batch; all where there are fewer.
        each: Records of each.
        steps: Batches of a pass.
        seed: Of the draws.
    """

    def __init__(self, person: np.ndarray, people: int, each: int, steps: int, seed: int) -> None:
        count = np.bincount(person)
        self._order, self._first, self._count = np.argsort(person, kind="stable"), np.cumsum(count) - count, count
        self._chance = np.sqrt(count) / np.sqrt(count).sum()
        self._people, self._each, self._steps = min(people, len(count)), each, steps
        self._rng = np.random.default_rng(seed)

    def __call__(self) -> Iterator[np.ndarray]:
        """(people * each,) int64 for each batch, the records of one person side by side."""
        for _ in range(self._steps):
            chosen = self._rng.choice(len(self._count), self._people, replace=False, p=self._chance)
            yield self._order[np.concatenate([self._first[one] + self._some(self._count[one]) for one in chosen])]

    def _some(self, count: int) -> np.ndarray:
        times = -(-self._each // count)
        return np.concatenate([self._rng.permutation(count) for _ in range(times)])[: self._each]
