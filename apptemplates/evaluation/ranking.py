"""How good ranked lists are: NDCG, recall, hit rate, MRR, and what they do to the catalogue.

Every number is of the whole catalogue ranked, never of a few sampled wrong items, which would favour other models
(Krichene and Rendle, 2020, On Sampled Metrics for Item Recommendation).
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

MOST = 200_000  # lists whose numbers are kept
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


def of_list(items: Sequence[str], taken: Sequence[str], k: int) -> tuple[float, float, float, float]:
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
    known: "Known | None" = None,
) -> dict[str, float]:
    """The means over all lists, and what the lists do to the catalogue.

    Args:
        taken: What each of the n people took.
        items: What each of them was recommended, best first.
        k: How many count.
        popularity: The share of people who took an item, by item.
        catalogue: How many items there are to recommend.
        known: Numbers of lists that were scored before; intervals score the same lists hundreds of times.

    Returns:
        Named numbers. Coverage is the share of the catalogue in any list; novelty the mean of -log2 of popularity, in
        bits; popularity bias how much more popular the recommended items are than those taken, as a ratio.
    """
    known = Known(popularity) if known is None else known
    found = [known.row(list_, right, k) for list_, right in zip(items, taken, strict=True)]
    rows = np.array([numbers for numbers, _ in found]).reshape(len(items), 8)
    numbers = {f"{name}@{k}": mean(rows[:, place]) for place, name in enumerate((*NAMES, "MRR"))}
    if popularity:
        shown, rare, ours, theirs = rows[:, 4:].sum(axis=0) / max(len(items), 1)
        right = sum(len(one) for one in taken) / max(len(items), 1)
        listed = np.unique(np.concatenate([codes for _, codes in found] or [np.zeros(0, int)]))
        numbers["coverage"] = len(listed) / max(catalogue, 1)
        numbers["novelty"] = rare / max(shown, 1e-12)
        numbers["popularity bias"] = (ours / max(shown, 1e-12)) / max(theirs / max(right, 1e-12), known.least)
    return numbers


class Known:
    """Numbers of lists by what the list is, so that none is worked out twice.

    Args:
        popularity: The share of people who took an item, by item.
    """

    def __init__(self, popularity: Mapping[str, float] | None) -> None:
        self.popularity = popularity or {}
        self.code = {item: place for place, item in enumerate(self.popularity)}
        self.least = min((share for share in self.popularity.values() if share > 0), default=1.0) / 2
        self.rows: dict[int, tuple[Any, Any, int, Any]] = {}

    def row(self, items: Sequence[str], taken: Any, k: int) -> tuple[tuple[float, ...], np.ndarray]:
        """The numbers of one list, and a code for each of its items.

        Returns:
            NDCG, recall, hit rate and MRR; then, summed, count, novelty and popularity of the items shown and
            popularity of those taken. And codes (k,).
        """
        kept = self.rows.get(id(items))
        if kept is not None and kept[0] is items and kept[1] == taken and kept[2] == k:  # not another at the same place
            return kept[3]  # type: ignore[no-any-return]
        shown = list(items[:k])
        shares = np.array([self.popularity.get(item, 0.0) for item in shown])
        rare = -np.log2(np.maximum(shares, self.least)).sum()
        theirs = sum(self.popularity.get(item, 0.0) for item in taken)
        codes = np.array([self.code.setdefault(item, len(self.code)) for item in shown], int)
        row = (*of_list(shown, taken, k), float(len(shown)), float(rare), float(shares.sum()), float(theirs)), codes
        if len(self.rows) > MOST:
            self.rows.clear()
        self.rows[id(items)] = items, taken, k, row
        return row


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


def gram(taken: Any, dtype: str = "float64") -> np.ndarray:
    """How often two items were taken by one person: (items, items)."""
    product = taken.T @ taken
    return np.asarray(product.todense() if hasattr(product, "todense") else product, dtype)


def ease_of_gram(together: np.ndarray, strength: float, dropout: float = 0.0) -> np.ndarray:
    """The weights of `ease` from what `gram` gives, as if a share of what each person took were dropped while learning.

    Reference: Steck, 2020, Autoencoders that don't overfit towards the Identity (dropout).
    """
    from scipy.linalg import get_lapack_funcs

    ridge = np.array(together, order="F")
    ridge[np.diag_indices(len(ridge))] += strength + dropout / (1 - dropout) * np.diag(together)
    # symmetric and positive definite: a third of the work of any inverse, and in place
    factor, invert = get_lapack_funcs(("potrf", "potri"), (ridge,))
    weights = invert(factor(ridge, lower=True, overwrite_a=True)[0], lower=True, overwrite_c=True)[0]
    for row in range(len(weights)):  # only the lower half is there yet
        weights[row, row + 1 :] = weights[row + 1 :, row]
    weights /= -np.diag(weights).copy()
    weights[np.diag_indices(len(weights))] = 0.0
    return np.asarray(weights, "float32", order="C")


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


def as_lists(rows: np.ndarray) -> np.ndarray:
    """The rows of (n, k) as n lists, (n,) objects."""
    found = np.empty(len(rows), object)
    for place, row in enumerate(rows.tolist()):
        found[place] = row
    return found
