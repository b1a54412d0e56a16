"""From labelled records to pairs of them, and to batches that hold several of each label."""

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


def several_of_each(labels: np.ndarray, people: int, each: int, steps: int, seed: int) -> Iterator[np.ndarray]:
    """Row numbers of batches that hold `each` records of `people` labels, for one pass.

    A label comes the more often the more records it has, but only by the square root: ten times for a hundred. Of a
    label with fewer records some come twice.

    Args:
        labels: (n,) int class numbers 0, 1, ...
        people: Labels in a batch; all where there are fewer.
        each: Records of each.
        steps: Batches.
        seed: Of the draw.

    Yields:
        (people * each,) int64, the records of one label side by side.
    """
    rng = np.random.default_rng(seed)
    count = np.bincount(labels)
    order, first = np.argsort(labels, kind="stable"), np.cumsum(count) - count
    known = np.flatnonzero(count)
    chance = np.sqrt(count[known])
    people = min(people, len(known))
    for _ in range(steps):
        chosen = rng.choice(known, people, replace=False, p=chance / chance.sum())
        rows = [
            np.concatenate([rng.permutation(count[label]) for _ in range(-(-each // count[label]))])[:each]
            + first[label]
            for label in chosen
        ]
        yield order[np.concatenate(rows)]
