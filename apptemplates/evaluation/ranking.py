"""How good ranked lists are: NDCG, recall, hit rate, MRR, and what they do to the catalogue.

Every number is of the whole catalogue ranked, never of a few sampled wrong items, which would favour other models
(Krichene and Rendle, 2020, On Sampled Metrics for Item Recommendation).
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

NAMES = ("NDCG", "recall", "hit rate")


# ---- of scores, ties and all -------------------------------------------------


def of_scores(relevant: np.ndarray, scores: np.ndarray, k: int) -> dict[str, np.ndarray]:
    """The numbers of every row when items are ranked by their scores, equal scores in random order.

    Args:
        relevant: (n, items) bool, what was taken.
        scores: (n, items) float, higher is better; minus infinity leaves an item out.
        k: How many are shown.

    Returns:
        NDCG@k, recall@k, hit rate@k and MRR@k, each (n,): the means over all orders that the ties allow; NaN in a row
        without a relevant item.

    Reference: Järvelin and Kekäläinen, 2002, Cumulated Gain-Based Evaluation; McSherry and Najork, 2008, Computing
    Information Retrieval Performance Measures Efficiently in the Presence of Tied Scores.
    """
    found: dict[str, list[float]] = {name: [] for name in (*NAMES, "MRR")}
    for hits, row in zip(np.asarray(relevant, bool), np.asarray(scores, "float64"), strict=True):
        for name, value in one_row(hits, row, k).items():
            found[name].append(value)
    return {f"{name}@{k}": np.array(values) for name, values in found.items()}


def one_row(relevant: np.ndarray, scores: np.ndarray, k: int) -> dict[str, float]:
    """The numbers of one row; see `of_scores`."""
    total = int(relevant.sum())
    if not total:
        return dict.fromkeys((*NAMES, "MRR"), float("nan"))
    shown = np.isfinite(scores)
    values, place = np.unique(-scores[shown], return_inverse=True)  # tied groups, the best first
    sizes = np.bincount(place, minlength=len(values))
    hits = np.bincount(place, weights=relevant[shown], minlength=len(values)).astype(int)
    gain = recalled = reciprocal = 0.0
    none_yet, start = 1.0, 0  # the chance that nothing was hit so far
    for size, right in zip(sizes.tolist(), hits.tolist(), strict=True):
        if start >= k:
            break
        within = min(size, k - start)
        if right:
            gain += right / size * float(discounts(start + within)[start:].sum())
            recalled += right * within / size
            for offset in range(within):  # the first hit of a tied group falls on each place with this chance
                first = none_yet * right / (size - offset)
                reciprocal += first / (start + offset + 1)
                none_yet -= first
                if size - offset <= right:
                    break
        start += size
    return {
        "NDCG": gain / float(discounts(min(k, total)).sum()),
        "recall": recalled / total,
        "hit rate": 1.0 - none_yet,
        "MRR": reciprocal,
    }


@lru_cache(maxsize=4096)
def discounts(k: int) -> np.ndarray:
    """What a hit on each of the first k places counts: 1 / log2(place + 1)."""
    return 1 / np.log2(np.arange(2, k + 2))


# ---- of lists ----------------------------------------------------------------


@lru_cache(maxsize=200_000)  # intervals score the same lists hundreds of times
def of_list(items: tuple[str, ...], taken: tuple[str, ...], k: int) -> tuple[float, float, float, float]:
    """NDCG@k, recall@k, hit rate@k and MRR@k of one list, best item first, against what was taken."""
    right = set(taken)
    places = [place for place, item in enumerate(items[:k]) if item in right]
    if not right or not places:
        return (0.0, 0.0, 0.0, 0.0) if right else (float("nan"),) * 4
    ideal = float(discounts(min(k, len(right))).sum())
    gain = float(discounts(k)[places].sum())
    return gain / ideal, len(places) / len(right), 1.0, 1 / (places[0] + 1)


def score(
    taken: Sequence[Sequence[str]],
    items: Sequence[Sequence[str]],
    k: int,
    popularity: Mapping[str, float] | None = None,
    catalogue: int = 0,
) -> dict[str, float]:
    """The means over all lists, and what the lists do to the catalogue.

    Args:
        taken: What each of the n people took.
        items: What each of them was recommended, best first.
        k: How many count.
        popularity: The share of people who took an item, by item.
        catalogue: How many items there are to recommend.

    Returns:
        Named numbers. Coverage is the share of the catalogue in any list; novelty the mean of -log2 of popularity, in
        bits; popularity bias how much more popular the recommended items are than those taken, as a ratio.
    """
    rows = np.array([of_list(tuple(list_), tuple(right), k) for list_, right in zip(items, taken, strict=True)])
    rows = rows.reshape(len(items), 4)
    numbers = {f"{name}@{k}": mean(rows[:, place]) for place, name in enumerate((*NAMES, "MRR"))}
    if popularity:
        shown = [item for list_ in items for item in list_[:k]]
        ours = np.array([popularity.get(item, 0.0) for item in shown])
        theirs = np.array([popularity.get(item, 0.0) for right in taken for item in right])
        least = min((share for share in popularity.values() if share > 0), default=1.0) / 2
        numbers["coverage"] = len(set(shown)) / max(catalogue, 1)
        numbers["novelty"] = mean(-np.log2(np.maximum(ours, least)))
        numbers["popularity bias"] = mean(ours) / max(mean(theirs), least)
    return numbers


def mean(values: np.ndarray) -> float:
    """The mean of what is a number; NaN of nothing."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


# ---- simple methods ----------------------------------------------------------


def ease(taken: Any, strength: float) -> np.ndarray:
    """The closed-form item-to-item weights (items, items) that reproduce what people took, without the item itself.

    Args:
        taken: (people, items) scipy sparse or array of 0 and 1 (or weights).
        strength: Of the ridge; more trusts common items more.

    Reference: Steck, 2019, Embarrassingly Shallow Autoencoders for Sparse Data, arXiv:1905.03375.
    """
    return ease_of_gram(gram(taken), strength)


def gram(taken: Any) -> np.ndarray:
    """How often two items were taken by one person: (items, items) float64."""
    product = taken.T @ taken
    return np.asarray(product.todense() if hasattr(product, "todense") else product, "float64")


def ease_of_gram(together: np.ndarray, strength: float) -> np.ndarray:
    """The weights of `ease` from what `gram` gives."""
    ridge = together.copy()
    ridge[np.diag_indices(len(ridge))] += strength
    inverse = np.linalg.inv(ridge)
    weights = inverse / -np.diag(inverse)
    weights[np.diag_indices(len(weights))] = 0.0
    return weights.astype("float32")


def neighbours(taken: Any, number: int, shrink: float = 10.0) -> tuple[np.ndarray, np.ndarray]:
    """The items most often taken together with each item, by shrunken cosine.

    Args:
        taken: (people, items) scipy sparse of 0 and 1.
        number: How many of each.
        shrink: Doubt about pairs that few people took.

    Returns:
        rows (items, m) int32 and weights (items, m) float32, the most alike first; m <= number.

    Reference: Sarwar et al., 2001, Item-Based Collaborative Filtering Recommendation Algorithms.
    """
    columns = taken.tocsc()
    count = np.sqrt(np.asarray(columns.power(2).sum(axis=0), "float64")).ravel()
    items = len(count)
    number = max(1, min(number, items - 1))
    rows, weights = np.zeros((items, number), "int32"), np.zeros((items, number), "float32")
    for start in range(0, items, 1024):  # a block of the item-by-item table at a time
        part = np.asarray((columns[:, start : start + 1024].T @ columns).todense(), "float64")
        here = np.arange(len(part))
        part /= count[start : start + 1024, None] * count[None] + shrink
        part[here, start + here] = 0.0
        best = np.argsort(-part, axis=1, kind="stable")[:, :number]
        rows[start : start + 1024], weights[start : start + 1024] = best, np.take_along_axis(part, best, axis=1)
    return rows, weights


def top_rows(scores: np.ndarray, k: int) -> np.ndarray:
    """The columns (n, k) of the highest scores (n, items), best first, the first of equal ones first."""
    k = min(k, scores.shape[1])
    part = np.argpartition(-scores, k - 1, axis=1)[:, :k] if k < scores.shape[1] else np.argsort(-scores, axis=1)
    found = np.take_along_axis(scores, part, axis=1)
    order = np.lexsort((part, -found), axis=1)
    return np.take_along_axis(part, order, axis=1)
