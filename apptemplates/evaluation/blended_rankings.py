"""What stands beside a network that ranks items: a closed form, and how much of each, chosen on held-out items.

Histories are item rows from 1 in the order of time; scores have a column for each item.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from apptemplates.evaluation import simple_rankings
from apptemplates.evaluation.simple_rankings import Closed, Judged

SHARES = tuple(round(0.05 * step, 2) for step in range(21))  # of the network in the blend
CLOSE = 0.002  # of NDCG, relative: as good as the best


class Blend(NamedTuple):
    """What goes with a network.

    Args:
        closed: The closed form.
        popular: Scores (items,) for those who took nothing: the share of people who took each item.
        share: Of the network, 0 to 1.
    """

    closed: Closed
    popular: np.ndarray
    share: float


class Before(NamedTuple):
    """A blend that was learned from histories nobody remembers.

    Args:
        blend: What was learned.
        interactions: How many it was learned from.
    """

    blend: Blend
    interactions: int


class Found(NamedTuple):
    """What held-out items say of blends.

    Args:
        best: The best of them.
        numbers: NDCG@k of every kind of closed form, of the "network" and of the "blend"; empty where nobody can be
            judged.
        ease: What EASE alone ranks best with; None where it was not tried, or what was known before is gone on from.
    """

    best: Blend
    numbers: dict[str, float]
    ease: dict[str, float] | None


def choose(
    histories: Sequence[np.ndarray],
    judged: Judged,
    ordered: bool,
    network: Callable[[Sequence[np.ndarray]], np.ndarray],
    before: Before | None = None,
) -> Found:
    """The closed form and the share of the network that rank held-out items best.

    Args:
        histories: Item rows of everybody, to learn closed forms from.
        judged: The held-out items.
        ordered: Whether histories are in the order of time.
        network: From histories to the network's scores (n, items).
        before: What was known before these histories, where it is to be kept.
    """
    items = judged.items
    simple, found = simple_rankings.choose(histories, judged, ordered)
    closed = next(iter(simple.values()))
    popular = simple_rankings.popularity(histories, items)
    share = 0.5  # of people who are all new nobody can tell
    if before is not None:
        old, count = before.blend, sum(map(len, histories))
        part = count / (count + before.interactions)
        closed = simple_rankings.kept(old.closed, closed, part, items)
        popular *= part
        popular[: len(old.popular)] += (1 - part) * old.popular
        share = old.share  # which a few interactions do not tell better
    if len(judged):
        best, shares = share_of(judged, network(judged.past), closed.scores(judged.past, items))
        share = best if before is None else share
        found |= {"network": shares[1.0], "blend": shares[share]}
    ease = simple["EASE"].chosen if "EASE" in simple and before is None else None
    return Found(Blend(closed, popular, share), found, ease)


def alone(blend: Blend, nearest: tuple[np.ndarray, np.ndarray]) -> dict[str, Blend]:
    """The parts of a blend, each by itself, and item-kNN, by what a report calls them.

    Args:
        blend: What answers.
        nearest: Rows and weights (items + 1, m) of item-kNN, for blends with another closed form; of fewer items where
            some were learned later.
    """
    kind = blend.closed.kind
    found = {"the network alone": blend._replace(share=1.0), f"{kind} alone": blend._replace(share=0.0)}
    if kind != "item-kNN":
        weights = simple_rankings.wider(nearest, len(blend.popular))
        simple = blend.closed._replace(kind="item-kNN", weights=weights)
        found["item-kNN alone"] = Blend(simple, blend.popular, 0.0)
    return found


def share_of(judged: Judged, network: np.ndarray, closed: np.ndarray) -> tuple[float, dict[float, float]]:
    """The share of the network in the blend that ranks the held-out items best, and NDCG@k of every share."""
    ours, theirs = standard(network), standard(closed)
    found = {share: judged.ndcg(share * ours + (1 - share) * theirs) for share in SHARES}
    best = max(found.values())
    good = [share for share, value in found.items() if value >= best * (1 - CLOSE)]
    return good[len(good) // 2], found  # the middle of what is as good as the best


def standard(scores: np.ndarray) -> np.ndarray:
    """Scores (n, items) at mean 0 and spread 1 in every row."""
    centred = scores - scores.mean(axis=1, keepdims=True)
    return centred / np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + 1e-12)
