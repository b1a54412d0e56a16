"""Counted n-grams as a language model: how often each token followed the last few, smoothed; NumPy only."""

from collections.abc import Mapping
from typing import Any

import numpy as np

SHARES = (0.5, 0.3, 0.4, 0.6, 0.7, 0.8)  # of the first of two models
FADE = 0.7  # what of its say is left for each token less that it has seen
MOST = 4_000_000  # tokens that are counted
TOGETHER = 4_000_000  # numbers in the chances of one chunk
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # of keys too long to hold every token


class KneserNey:
    """Chances of the next token after any context, from counts with modified Kneser-Ney smoothing.

    Contexts of each length stand sorted by a key, and what followed them beside it: arrays that travel with a saved
    folder and answer in microseconds.

    Args:
        order: Tokens in the longest n-gram.
        tokens: Number of different tokens; number 0 is one never seen and gets no chance.
        arrays: What `arrays` gave.
        known: How many of the tokens there were when it was counted; all by default.

    Reference: Chen and Goodman, 1999, An Empirical Study of Smoothing Techniques for Language Modeling.
    """

    def __init__(self, order: int, tokens: int, arrays: Mapping[str, np.ndarray], known: int | None = None) -> None:
        self.order, self.tokens, self.known = order, tokens, known or tokens
        self._arrays = dict(arrays)
        self._first = self._unigrams(arrays)
        self._levels = [self._level(length, arrays) for length in range(2, order + 1)]

    @classmethod
    def fit(cls, stream: np.ndarray, order: int, tokens: int) -> "KneserNey":
        """Counts the n-grams of a stream of tokens (n,), its first four million."""
        stream = np.asarray(stream[:MOST], np.int64)
        arrays: dict[str, np.ndarray] = {}
        places = np.arange(order - 1, len(stream))
        for length in range(order, 0, -1):  # below the longest, how many different tokens stood before counts
            keys = context_keys(stream, places, length - 1, tokens)
            sequence = np.lexsort((stream[places], keys))
            keys, nexts, places = keys[sequence], stream[places][sequence], places[sequence]
            fresh = np.append(True, (keys[1:] != keys[:-1]) | (nexts[1:] != nexts[:-1])) if len(keys) else keys > 0
            begin = np.flatnonzero(fresh)
            counts = np.diff(np.append(begin, len(keys)))
            keys, nexts, places = keys[begin], nexts[begin], places[begin]
            contexts, first = np.unique(keys, return_index=True)
            arrays |= {
                f"keys{length}": contexts,
                f"sizes{length}": compact(np.diff(np.append(first, len(keys)))),
                f"nexts{length}": compact(nexts),
                f"counts{length}": compact(counts),
            }
        return cls(order, tokens, arrays)

    def arrays(self) -> dict[str, np.ndarray]:
        """What the same model can be made from again."""
        numbers = {"order": self.order, "tokens": self.tokens, "known": self.known}
        # keys in order lie close together: their differences are small numbers
        near = {
            name: compact(np.diff(column, prepend=column.dtype.type(0))) if name.startswith("keys") else column
            for name, column in self._arrays.items()
        }
        return near | {name: np.array(number) for name, number in numbers.items()}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> "KneserNey":
        """The model whose `arrays` these are."""
        own = {
            name: np.cumsum(column, dtype=np.uint64) if name.startswith("keys") else column
            for name, column in arrays.items()
            if name not in ("order", "tokens", "known")
        }
        return cls(int(arrays["order"]), int(arrays["tokens"]), own, int(arrays["known"]))

    def widened(self, tokens: int) -> "KneserNey":
        """The same counts where there are more different tokens, none of which was counted."""
        return type(self)(self.order, tokens, self._arrays, self.known)

    def _unigrams(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        chances = np.full(self.tokens, 1 / max(1, self.tokens - 1))
        chances[0] = 0.0
        nexts, counts = arrays["nexts1"], arrays["counts1"].astype("float64")
        if len(counts):
            off = discounts(counts)[np.minimum(counts, 3).astype(int)]
            chances *= off.sum() / counts.sum()
            chances[nexts] += (counts - off) / counts.sum()
        return chances

    def _level(self, length: int, arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, ...]:
        keys, sizes, nexts, counts = (arrays[f"{name}{length}"] for name in ("keys", "sizes", "nexts", "counts"))
        sizes, counts = sizes.astype("int64"), counts.astype("float64")
        first = np.append(0, np.cumsum(sizes))
        off = discounts(counts)[np.minimum(counts, 3).astype(int)]
        if not len(keys):
            return keys, first, nexts, counts.astype("float32"), counts.astype("float32")
        total = np.add.reduceat(counts, first[:-1])
        left = np.add.reduceat(off, first[:-1]) / total
        value = (counts - off) / np.repeat(total, sizes)
        return keys, first, nexts.astype("int64"), value.astype("float32"), left.astype("float32")

    def chances(self, history: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The chances of every next token.

        Args:
            history: (n, order - 1) the tokens before, the latest last; 0 where there is none.

        Returns:
            (n, tokens) float32, and (n,) int32 how many of the last tokens were seen together before.
        """
        history = np.asarray(history, np.int64)
        history = np.where(history < self.known, history, 0)  # 0 was never counted either
        found = np.repeat(self._first[None].astype("float32"), len(history), axis=0)
        matched = np.zeros(len(history), np.int32)
        alive = np.arange(len(history))
        for place, (keys, first, nexts, value, left) in enumerate(self._levels):
            length = place + 1  # tokens of context
            if not len(alive) or not len(keys):
                break
            wanted = packed(history[alive, history.shape[1] - length :], self.known)
            where = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            there = keys[where] == wanted
            alive, where = alive[there], where[there]
            matched[alive] = length
            found[alive] *= left[where, None]
            sizes = first[where + 1] - first[where]
            entries = np.repeat(first[where] - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
            found[np.repeat(alive, sizes), nexts[entries]] += value[entries]
        return found, matched

    def along(self, stream: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`chances` of the token at each of these places of a stream (n,), given those before it."""
        padded = np.concatenate([np.zeros(self.order - 1, np.int64), stream])
        history = np.lib.stride_tricks.sliding_window_view(padded, max(1, self.order - 1))[places]
        return self.chances(history[:, : self.order - 1])

    def nats(self, stream: np.ndarray, start: int = 0) -> float:
        """Mean surprise of the tokens of a stream from a place on, in nats a token."""
        total, chunk = 0.0, max(1, TOGETHER // self.tokens)
        for begin in range(start, len(stream), chunk):
            places = np.arange(begin, min(begin + chunk, len(stream)))
            found = self.along(stream, places)[0][np.arange(len(places)), stream[places]]
            total -= float(np.log(np.maximum(found, 1e-12), dtype="float64").sum())
        return total / max(1, len(stream) - start)


class Blend:
    """Two counted models as one, such as of a newer text and of everything so far.

    The first has the less of a say the fewer of the last tokens it has seen together than the second, so that what the
    newer text does not know stays what it was.

    Args:
        first, second: The models, of the same tokens and order.
        share: Part of the first in the mix.
    """

    def __init__(self, first: "Counted", second: "Counted", share: float) -> None:
        self.first, self.second, self.share = first, second, share
        self.order: int = second.order
        self.tokens: int = second.tokens

    def chances(self, history: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As those of `KneserNey`; seen together counts what the second has seen."""
        (newer, near), (found, matched) = self.first.chances(history), self.second.chances(history)
        part = (self.share * faded(matched - near))[:, None]
        return (part * newer + (1 - part) * found).astype("float32"), matched

    def widened(self, tokens: int) -> "Blend":
        """The same counts where there are more different tokens, none of which was counted."""
        return Blend(self.first.widened(tokens), self.second.widened(tokens), self.share)

    def arrays(self) -> dict[str, np.ndarray]:
        """What the same model can be made from again."""
        parts = {"first": self.first.arrays(), "second": self.second.arrays()}
        named = {f"{side} {name}": column for side, arrays in parts.items() for name, column in arrays.items()}
        return named | {"share": np.array(self.share)}


Counted = KneserNey | Blend


def opened(arrays: Mapping[str, np.ndarray]) -> Counted:
    """The model whose `arrays` these are."""
    if "share" not in arrays:
        return KneserNey.of(arrays)
    first, second = (
        opened({name.removeprefix(side): column for name, column in arrays.items() if name.startswith(side)})
        for side in ("first ", "second ")
    )
    return Blend(first, second, float(arrays["share"]))


def blended(first: Counted, second: Counted, stream: np.ndarray) -> Blend:
    """The blend of two models, in the share that foresees a held-out row of tokens best."""
    places = np.arange(1, len(stream))
    padded = np.concatenate([np.zeros(second.order - 1, np.int64), stream])
    history = np.lib.stride_tricks.sliding_window_view(padded, second.order - 1)[places]
    (newer, near), (found, matched) = first.chances(history), second.chances(history)
    one, other = (chances[np.arange(len(places)), stream[places]] for chances in (newer, found))
    part = faded(matched - near)
    nats = {
        share: -np.log(np.maximum(share * part * one + (1 - share * part) * other, 1e-6)).mean() for share in SHARES
    }
    return Blend(first, second, min(nats, key=lambda share: nats[share]) if len(places) else SHARES[0])


def faded(less: np.ndarray) -> np.ndarray:
    """What is left of a say (n,) where so many tokens less were seen together."""
    return np.asarray(FADE ** np.maximum(less, 0))


def context_keys(stream: np.ndarray, places: np.ndarray, length: int, tokens: int) -> np.ndarray:
    """The key (m,) of the tokens before each place."""
    keys = np.zeros(len(places), np.uint64)
    factor = multiplier(length, tokens)
    with np.errstate(over="ignore"):
        for back in range(length, 0, -1):
            keys = keys * factor + stream[places - back].astype(np.uint64)
    return keys


def packed(contexts: np.ndarray, tokens: int) -> np.ndarray:
    """The key (m,) of contexts (m, length)."""
    keys = np.zeros(len(contexts), np.uint64)
    factor = multiplier(contexts.shape[1], tokens)
    with np.errstate(over="ignore"):
        for place in range(contexts.shape[1]):
            keys = keys * factor + contexts[:, place].astype(np.uint64)
    return keys


def multiplier(length: int, tokens: int) -> np.uint64:
    """What a key is multiplied by for each token: exact where all fit into 64 bits, else a hash."""
    return np.uint64(tokens) if tokens**length < 2**64 else MULTIPLIER


def discounts(counts: np.ndarray) -> np.ndarray:
    """What is taken off counts of 0, 1, 2 and more (4,), estimated from how many there are of each."""
    one, two, three, four = (float((counts == size).sum()) for size in (1, 2, 3, 4))
    if min(one, two, three, four) == 0:
        return np.array([0.0, 0.5, 0.75, 0.75])
    share = one / (one + 2 * two)
    raw = [0.0, 1 - 2 * share * two / one, 2 - 3 * share * three / two, 3 - 4 * share * four / three]
    return np.clip(raw, 0.0, [0.0, 0.95, 1.9, 2.9])


def compact(numbers: np.ndarray) -> np.ndarray:
    """Whole numbers >= 0 in the smallest type that holds them."""
    kind: Any = np.min_scalar_type(int(numbers.max(initial=0)))
    return numbers.astype(kind)
