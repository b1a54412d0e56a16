"""Passages that are nearly the same, such as a story with another title, by the runs of words they share."""

import re
import zlib
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from apptemplates.data.preflight import Finding

WORDS = 4  # of a run
FEWEST = 12  # runs below which a passage is too short to compare
LONGEST = 20_000  # characters of a passage that are looked at, the first ones
MOST = 6_000  # passages that are compared, the first ones
BANDS, DEEP = 16, 4  # hashes: passages that agree in all of a band are compared
ALIKE = 0.7  # share of the runs of either that both have
PRIME = (1 << 61) - 1


def findings(name: str, column: np.ndarray) -> "list[Finding]":
    """Near copies among passages; exact copies are told by another finding.

    Args:
        name: Of the column.
        column: (n,) passages.
    """
    from apptemplates.data.preflight import Finding

    texts = [str(passage)[:LONGEST] for passage in column[:MOST]]
    pairs = [(one, other) for one, other in near_pairs(texts) if texts[one] != texts[other]]
    if not pairs:
        return []
    first, second = pairs[0]
    later = len({other for _, other in pairs})
    return [
        Finding(
            "near-copies-of-passages", "warning" if later > 0.01 * len(column) else "note", name,
            f"{later:,} of {len(column):,} passages are nearly the same as an earlier one, such as rows {first} and "
            f"{second}.",
            "Leave one of each pair out, lest nearly the same text is learned from and judged by.",
        )
    ]  # fmt: skip


def pairs_across(texts: list[str], others: list[str]) -> np.ndarray:
    """Pairs (m, 2) of a text and one of others that is nearly, but not quite, the same."""
    first, second = ([text[:LONGEST] for text in side[: MOST // 2]] for side in (texts, others))
    pairs = [(one, other - len(first)) for one, other in near_pairs(first + second) if one < len(first) <= other]
    return np.array([pair for pair in pairs if first[pair[0]] != second[pair[1]]], int).reshape(-1, 2)


def near_pairs(texts: list[str]) -> list[tuple[int, int]]:
    """Pairs of texts that share most of their runs of words, the first before the second, in order.

    Reference: Broder, 1997, On the Resemblance and Containment of Documents (MinHash over shingles).
    """
    runs = [runs_of(text) for text in texts]
    random = np.random.default_rng(0)
    times = random.integers(1, 1 << 31, BANDS * DEEP, dtype=np.uint64)
    plus = random.integers(0, 1 << 31, BANDS * DEEP, dtype=np.uint64)
    buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for row, own in enumerate(runs):
        if len(own) < FEWEST:
            continue
        hashes = np.fromiter(own, np.uint64, len(own))
        least = ((hashes[:, None] * times + plus) % np.uint64(PRIME)).min(axis=0)
        for band in range(BANDS):
            buckets[band, least[band * DEEP : (band + 1) * DEEP].tobytes()].append(row)
    asked = {(one, other) for rows in buckets.values() for one in rows[:1] for other in rows[1:]}
    return sorted(pair for pair in asked if alike(runs[pair[0]], runs[pair[1]]) >= ALIKE)


def runs_of(text: str) -> set[int]:
    """The runs of words of a text, hashed to 31 bits; case and signs say nothing."""
    words = re.findall(r"\w+", text.lower())
    return {zlib.crc32(" ".join(words[start : start + WORDS]).encode()) >> 1 for start in range(len(words) - WORDS + 1)}


def alike(one: set[int], other: set[int]) -> float:
    """The share of the runs of either that both have."""
    return len(one & other) / max(1, len(one | other))
