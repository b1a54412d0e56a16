"""Closed forms that rank without gradients, chosen on held-out items.

Histories are item rows from 1 in the order of time; scores have a column for each item.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from apptemplates.data.histories import Rows, judgeable
from apptemplates.evaluation import ranking

CLOSED = 6_000  # items up to which a weight for every pair is learned; beyond, each has its nearest alone
COMPARED = 15_000  # items up to which plain EASE is learned at least to compare with
NUMBER = 100  # nearest items of each
WINDOW = 20  # places between two items that still count as one after the other
STRENGTHS = (50.0, 150.0, 300.0, 500.0, 700.0, 1000.0, 2000.0)  # of the ridge
USUAL = {"strength": 500.0, "decay": 1.0}  # of EASE, where nothing was chosen
LATEST = 200  # places of a history that item-kNN looks at
SHRINKS = (1.0, 5.0, 20.0)
DECAYS = (1.0, 0.8, 0.5)
WEIGHTS = (0.5, 0.75)  # powers by which the say of people with many items is lowered
DROPOUTS = (0.0, 0.5, 0.7)  # shares of what each took that are thought away
FAMES = (0.1, 0.0, 0.05, 0.15, 0.2)  # powers by which the scores of popular items are lowered, the usual one first
CELLS = 25_000_000  # scores that are judged at a time
ASKED = 1000  # histories for which items are ranked at a time
SAVED = 2_000_000  # bytes of item-kNN that a folder keeps


def flags(histories: Sequence[np.ndarray], items: int, decay: float = 1.0) -> Any:
    """How much each item counts in histories: scipy sparse (n, items) float32; 1 each, or less the longer ago."""
    from scipy import sparse

    lengths = [len(rows) for rows in histories]
    who = np.repeat(np.arange(len(histories)), lengths)
    what = np.concatenate([*histories, np.empty(0, int)]).astype(int) - 1
    ages = np.concatenate([*(np.arange(length - 1, -1, -1) for length in lengths), np.empty(0, int)])
    found = sparse.csr_matrix((decay**ages, (who, what)), shape=(len(histories), items), dtype="float32")
    found.data = np.minimum(found.data, 1.0)
    return found


@dataclass(frozen=True)
class Judged:
    """Held-out items of people, by which rankings are judged.

    Args:
        past: What each of them had taken, item rows.
        taken: What they took then.
        k: Items that are shown.
        items: Number of all items.
    """

    past: Sequence[np.ndarray]
    taken: Sequence[np.ndarray]
    k: int
    items: int

    @classmethod
    def of(cls, past: Rows, taken: Rows, k: int, items: int, seed: int) -> "Judged":
        """Of as many of the people who can be judged as fit into memory, drawn by chance.

        Args:
            past: What each user had taken.
            taken: What they took then.
            k, items: As above.
            seed: Of the draw.
        """
        people = judgeable(past, taken)
        most = max(1, CELLS // max(items, 1))
        chosen = [people[i] for i in np.sort(np.random.default_rng(seed).permutation(len(people))[:most])]
        return cls([past[user] for user in chosen], [taken[user] for user in chosen], k, items)

    def __len__(self) -> int:
        return len(self.past)

    def ndcg(self, scores: np.ndarray) -> float:
        """Mean NDCG@k of scores (n, items), those of the past left out; what is there is overwritten."""
        if not len(self):
            return float("nan")
        for row, past in enumerate(self.past):
            scores[row, past - 1] = -np.inf
        best = ranking.top_rows(scores, self.k)
        gains = ranking.discounts(best.shape[1])
        found = []
        for row, taken in enumerate(self.taken):
            hits = np.isin(best[row], taken - 1)
            found.append(gains[hits].sum() / ranking.discounts(min(self.k, len(taken))).sum())
        return float(np.mean(found))


class Closed(NamedTuple):
    """What a closed form learned.

    Args:
        kind: "EASE" or "weighted EASE" (weights (items, items)), or "item-kNN" (rows and weights (items + 1, m), row 0
            for nothing).
        weights: Its arrays.
        chosen: What it was learned with: strength, weight, dropout and fame, or shrink; and decay.
    """

    kind: str
    weights: tuple[np.ndarray, ...]
    chosen: dict[str, float]

    @classmethod
    def of(cls, settings: Mapping[str, Any], weights: tuple[np.ndarray, ...] = ()) -> "Closed":
        """The closed form of what `settings` gave, with these weights."""
        chosen = dict(settings)
        return cls(chosen.pop("kind"), weights, chosen)

    def settings(self) -> dict[str, Any]:
        """Its kind and what it was learned with, as plain JSON."""
        return {"kind": self.kind, **self.chosen}

    def scores(self, histories: Sequence[np.ndarray], items: int) -> np.ndarray:
        """What it says of every item (n, items) after histories."""
        if len(self.weights) == 1:
            return np.asarray(flags(histories, items, self.chosen["decay"]) @ self.weights[0], "float32")
        latest = flags([rows[-LATEST:] for rows in histories], items, self.chosen["decay"])
        return np.asarray((latest @ as_sparse(*self.weights)).todense(), "float32")


def as_sparse(rows: np.ndarray, weights: np.ndarray) -> Any:
    """The weights of followers (items + 1, m) as scipy sparse (items, items)."""
    from scipy import sparse

    items, number = len(rows) - 1, rows.shape[1]
    where = np.repeat(np.arange(items), number), np.maximum(rows[1:].ravel() - 1, 0)
    return sparse.csr_matrix((np.where(rows[1:] > 0, weights[1:], 0).ravel(), where), shape=(items, items))


def learn(histories: Sequence[np.ndarray], items: int, kind: str, ordered: bool, chosen: dict[str, float]) -> Closed:
    """A closed form learned from everybody's histories with settings that were chosen before."""
    if kind == "item-kNN":
        return Closed(kind, nearest(histories, items, chosen["shrink"], ordered), chosen)
    weights = ease(histories, items, *(chosen.get(name, 0.0) for name in ("strength", "weight", "dropout")))
    return Closed(kind, (weights * famous(histories, items, chosen.get("fame", 0.0)),), chosen)


def of_share(
    histories: Sequence[np.ndarray], judged: Judged, like: Closed, ordered: bool, share: float, rng: np.random.Generator
) -> tuple[int, float]:
    """How many people a share of everybody is, and the NDCG@k of a closed form that is learned from them alone.

    Args:
        histories: Item rows of everybody.
        judged: By whom it is judged.
        like: What it is learned like: a closed form whose kind and settings were chosen.
        ordered: Whether histories are in the order of time.
        share: Of everybody, at least two people.
        rng: Draws them.
    """
    some = [histories[i] for i in rng.permutation(len(histories))[: max(2, round(share * len(histories)))]]
    closed = learn(some, judged.items, like.kind, ordered, like.chosen)
    return len(some), judged.ndcg(closed.scores(judged.past, judged.items))


def plain_ease(
    histories: Sequence[np.ndarray], items: int, ordered: bool, chosen: dict[str, float] | None
) -> Closed | None:
    """EASE alone, to compare with; None where there is nobody to learn from, or too many items.

    Args:
        histories: Item rows of everybody.
        items: Number of all items.
        ordered: Whether histories are in the order of time.
        chosen: What it is learned with; None for what is usual.
    """
    if not histories or items > COMPARED:
        return None
    return learn(histories, items, "EASE", ordered, USUAL if chosen is None else chosen)


def ease(
    histories: Sequence[np.ndarray], items: int, strength: float, weight: float, dropout: float = 0.0
) -> np.ndarray:
    """The weights (items, items) of EASE, with people of many items having less of a say.

    Args:
        histories: Item rows of everybody.
        items: Number of all items.
        strength: Of the ridge, for people who weigh the same; scaled to the weights otherwise.
        weight: A person of n items weighs n ** -weight.
        dropout: Share of what each took that is thought away, so that items rely on more others.

    Reference: Steck, 2019, Embarrassingly Shallow Autoencoders for Sparse Data, arXiv:1905.03375; Steck, 2020,
    Autoencoders that don't overfit towards the Identity.
    """
    taken = flags(histories, items)
    if not weight:
        kind = "float64" if items <= CLOSED else "float32"  # half the memory
        return ranking.ease_of_gram(ranking.gram(taken, kind), strength, dropout)
    said = np.maximum(np.asarray(taken.sum(axis=1)).ravel(), 1.0) ** -weight
    together = ranking.gram(taken.multiply(np.sqrt(said)[:, None]).tocsr())
    return ranking.ease_of_gram(together, strength * float(np.trace(together)) / float(taken.sum()), dropout)


def famous(histories: Sequence[np.ndarray], items: int, fame: float) -> np.ndarray:
    """What the scores of items are multiplied by (items,): count ** -fame."""
    return (np.maximum(popularity(histories, items) * len(histories), 1.0) ** -fame).astype("float32")


def nearest(histories: Sequence[np.ndarray], items: int, shrink: float, ordered: bool) -> tuple[np.ndarray, np.ndarray]:
    """The items that most often go with each: taken by the same people, or, where the order is known, soon after it.

    Of two items near each other the later one follows the earlier with the weight 1 / places between, and the earlier
    one the later with half of that. Counts are shrunk, and lowered for what is often taken anyhow.

    Returns:
        rows (items + 1, m) int32 from 1, weights (items + 1, m) float32; the first row stands for nothing.

    Reference: Sarwar et al., 2001, Item-Based Collaborative Filtering Recommendation Algorithms; Garg et al., 2019,
    Sequence and Time Aware Neighborhood for Session-based Recommendations (the weight of places between).
    """
    number = max(1, min(NUMBER, items - 1))
    rows, weights = np.zeros((items + 1, number), "int32"), np.zeros((items + 1, number), "float32")
    if not ordered:
        found, weight = ranking.neighbours(flags(histories, items), number, shrink)
        rows[1:, : found.shape[1]], weights[1:, : found.shape[1]] = np.where(weight > 0, found + 1, 0), weight
        return rows, weights
    pairs = one_after_another(histories, items)
    count = np.bincount(np.concatenate(histories), minlength=items + 1)[1:].astype("float64")
    for item in range(items):
        part = slice(pairs.indptr[item], pairs.indptr[item + 1])
        other = pairs.indices[part]
        value = pairs.data[part] / (count[item] ** 0.75 * count[other] ** 0.25 + shrink)
        best = np.argsort(-value, kind="stable")[:number]
        rows[item + 1, : len(best)], weights[item + 1, : len(best)] = other[best] + 1, value[best]
    return rows, weights


def few_nearest(histories: Sequence[np.ndarray], items: int, ordered: bool) -> dict[str, np.ndarray]:
    """What `nearest` gives with a usual shrinkage, "near" and "weights": so few of each item that both stay small."""
    number = max(1, min(50, SAVED // (8 * (items + 1))))
    near, weights = nearest(histories, items, 5.0, ordered)
    return {"near": near[:, :number], "weights": weights[:, :number]}


def one_after_another(histories: Sequence[np.ndarray], items: int) -> Any:
    """How often items stand near each other: scipy sparse (items, items), the earlier by the later one."""
    from scipy import sparse

    longest = max(len(rows) for rows in histories)
    first, second, near = [], [], []
    for gap in range(1, min(WINDOW, longest - 1) + 1):
        for rows in histories:
            if len(rows) > gap:
                first += [rows[:-gap], rows[gap:]]
                second += [rows[gap:], rows[:-gap]]
                near += [np.full(len(rows) - gap, 1 / gap), np.full(len(rows) - gap, 0.5 / gap)]
    if not first:
        return sparse.csr_matrix((items, items))
    where = np.concatenate(first) - 1, np.concatenate(second) - 1
    pairs = sparse.csr_matrix((np.concatenate(near), where), shape=(items, items))
    pairs.setdiag(0)
    pairs.eliminate_zeros()
    return pairs


def choose(
    histories: Sequence[np.ndarray], judged: Judged, ordered: bool
) -> tuple[dict[str, Closed], dict[str, float]]:
    """Of each kind the closed form that ranks the held-out items best, the best kind first, and their NDCG@k.

    Up to 6,000 items EASE, weighted EASE and item-kNN are tried; beyond, item-kNN alone.
    """
    items, decays = judged.items, DECAYS if ordered and len(judged) else DECAYS[:1]
    best: dict[str, tuple[float, Closed]] = {}

    def tried(kind: str, settings: dict[str, float], closed: Closed) -> None:
        for decay in decays:
            one = closed._replace(kind=kind, chosen={**settings, "decay": decay})
            value = judged.ndcg(one.scores(judged.past, items)) if len(judged) else 0.0
            if kind not in best or value > best[kind][0]:
                best[kind] = value, one

    for shrink in SHRINKS if len(judged) else SHRINKS[1:2]:
        settings = {"shrink": shrink}
        tried("item-kNN", settings, learn(histories, items, "item-kNN", ordered, settings))
    if items <= CLOSED:
        for strength in STRENGTHS if len(judged) else STRENGTHS[3:4]:
            settings = {"strength": strength}
            tried("EASE", settings, learn(histories, items, "EASE", ordered, settings))
        if len(judged):
            middle = best["EASE"][1].chosen["strength"]
            for weight, dropout in itertools.product(WEIGHTS, DROPOUTS):
                for strength in (middle, 2 * middle):
                    settings = {"strength": strength, "weight": weight, "dropout": dropout, "fame": FAMES[0]}
                    tried("weighted EASE", settings, learn(histories, items, "weighted EASE", ordered, settings))
            settings = best["weighted EASE"][1].chosen
            plain = learn(histories, items, "weighted EASE", ordered, {**settings, "fame": 0.0})
            for fame in FAMES[1:]:
                weights = (plain.weights[0] * famous(histories, items, fame),)
                tried("weighted EASE", {**settings, "fame": fame}, plain._replace(weights=weights))
    numbers = {kind: value for kind, (value, _) in best.items()} if len(judged) else {}
    order = sorted(best, key=lambda kind: -best[kind][0])
    return {kind: best[kind][1] for kind in order}, numbers


def kept(old: Closed, new: Closed, part: float, items: int) -> Closed:
    """A closed form that has learned more, where nobody remembers what the old one learned from.

    Weights are mixed; of item-kNN each item keeps its nearest of both.

    Args:
        old: Of the first items.
        new: Of these and more.
        part: Of all interactions, those that the new one learned from.
        items: Number of all items.
    """
    if len(old.weights) != len(new.weights):
        return old._replace(weights=wider(old.weights, items))
    if len(new.weights) == 2:
        return old._replace(weights=nearest_of_both(old.weights, new.weights))
    return new._replace(weights=((1 - part) * wider(old.weights, items)[0] + part * new.weights[0],))


def wider(weights: tuple[np.ndarray, ...], items: int) -> tuple[np.ndarray, ...]:
    """The weights of a closed form for more items, which nothing was learned of."""
    more = items - len(weights[0]) if len(weights) == 1 else items + 1 - len(weights[0])
    return tuple(np.pad(one, ((0, more), (0, more if len(weights) == 1 else 0))) for one in weights)


def nearest_of_both(old: tuple[np.ndarray, ...], new: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The rows and weights of the nearest items among those of both; where both name one, the larger weight counts."""
    number = new[0].shape[1]
    rows, weights = new[0].copy(), new[1].copy()
    for item in range(1, len(old[0])):
        found: dict[int, float] = {}
        for names, values in ((old[0][item], old[1][item]), (new[0][item], new[1][item])):
            for name, value in zip(names.tolist(), values.tolist(), strict=True):
                if name:
                    found[name] = max(value, found.get(name, 0.0))
        best = sorted(found.items(), key=lambda pair: -pair[1])[:number]
        rows[item], weights[item] = 0, 0.0
        rows[item, : len(best)], weights[item, : len(best)] = [n for n, _ in best], [v for _, v in best]
    return rows, weights


def popularity(histories: Sequence[np.ndarray], items: int) -> np.ndarray:
    """The share of people who took each item: (items,) float32."""
    count = np.bincount(np.concatenate([*histories, np.empty(0, int)]).astype(int), minlength=items + 1)[1:]
    return (count / max(len(histories), 1)).astype("float32")


def ranked(closed: Closed, histories: np.ndarray, popular: np.ndarray, k: int) -> np.ndarray:
    """The items (n, k) from 1 that a closed form ranks first, best first, as its graph does, which is slower.

    Args:
        closed: The closed form.
        histories: (n, places) item rows, 0 where there are no more, negative where an item was not liked; items beyond
            those that the closed form learned are passed over. What stands there is not ranked again.
        popular: Scores (items,) for those who liked nothing.
        k: How many; fewer where there are fewer items.
    """
    items, found = len(popular), []
    for part in np.array_split(histories, max(1, len(histories) // ASKED)):
        scores = closed.scores([row[(row > 0) & (row <= items)] for row in part], items)
        for row, taken in enumerate(np.where(np.abs(part) <= items, part, 0)):
            if not (taken > 0).any():
                scores[row] = popular
            scores[row, np.abs(taken[taken != 0]) - 1] = -np.inf
        found.append(ranking.top_rows(scores, k) + 1)
    return np.concatenate(found)
