"""Pictures of ranked lists: how many right ones stand how far up, and for whom and for what they work."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from apptemplates.evaluation import figures

BINS = 5


def pictures(
    taken: Sequence[Sequence[str]], items: Sequence[Sequence[str]], k: int, popularity: Mapping[str, float]
) -> list[Figure]:
    """The figures of a report on ranked lists.

    Args:
        taken: What each of n people took.
        items: What each was recommended, best first; at least k where there are so many.
        k: How many count.
        popularity: The share of people who took an item, by item.
    """
    return [by_place(taken, items), by_popularity(taken, items, k, popularity)]


def by_place(taken: Sequence[Sequence[str]], items: Sequence[Sequence[str]]) -> Figure:
    """The share of people with a right item among the first places, and of right items found there."""
    longest = max((len(list_) for list_ in items), default=0)
    hits = np.zeros((len(items), max(longest, 1)))
    total = np.array([max(len(set(right)), 1) for right in taken])
    for row, (right, list_) in enumerate(zip(taken, items, strict=True)):
        wanted = set(right)
        hits[row, : len(list_)] = [item in wanted for item in list_]
    found = np.cumsum(hits, axis=1)
    figure, axes = figures.blank(
        "How far down the list",
        "The share of people for whom one of the first places is right (solid), and of all they took that stands there "
        "(dashed). The sooner the lines rise, the shorter a list will do.",
    )
    places = np.arange(1, hits.shape[1] + 1)
    axes.plot(places, (found > 0).mean(axis=0), label="people with a right one", **figures.OURS)
    axes.plot(places, (found / total[:, None]).mean(axis=0), label="of what was taken", **figures.THEIRS)
    axes.set(xlabel="first places of the list", ylim=(0, None))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(frameon=False, fontsize=9)
    return figure


def by_popularity(
    taken: Sequence[Sequence[str]], items: Sequence[Sequence[str]], k: int, popularity: Mapping[str, float]
) -> Figure:
    """How much of what people took is found, for items from rarely to often taken."""
    pairs = [
        (popularity.get(item, 0.0), item in list_[:k])
        for right, list_ in zip(taken, items, strict=True)
        for item in right
    ]
    figure, axes = figures.blank(
        "Rare and popular items",
        f"The share of what people took that stands on the first {k} places, with a fifth of it in each bar, from the "
        "rarest items to the most popular. Short bars on the left: it recommends little else than bestsellers.",
    )
    shares, found = (np.array(column, float) for column in zip(*pairs, strict=True)) if pairs else (np.zeros(0),) * 2
    parts = np.array_split(np.argsort(shares, kind="stable"), min(BINS, max(len(pairs), 1)))
    heights = [found[part].mean() if len(part) else 0.0 for part in parts]
    names = [f"{100 * shares[part].mean():.2g} %" if len(part) else "" for part in parts]
    axes.bar(np.arange(len(heights)), heights, color=figures.BLUE, width=0.7)
    axes.set_xticks(np.arange(len(heights)), names)
    axes.set_xlabel("people who took such an item")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    return figure
