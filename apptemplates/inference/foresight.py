"""How well a language model foresees text: the chances at many places at once, window by window; NumPy only."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from apptemplates.inference.kneser_ney import Counted
from apptemplates.inference.text_generator import Shape

TOGETHER = 32  # windows that the network reads at a time


class Foreseen(NamedTuple):
    """What was foreseen at m places of lines of text."""

    line: np.ndarray  # (m,) number of the line
    place: np.ndarray  # (m,) in it
    network: np.ndarray  # (m, v) chances by the network
    counted: np.ndarray  # (m, v) chances by n-grams
    matched: np.ndarray  # (m,) how many of the last tokens the n-grams have seen together
    token: np.ndarray  # (m,) which came

    def mixed(self, share: np.ndarray) -> np.ndarray:
        """The chances (m, v) of both: `share` (k,) is the network's part by what the n-grams have seen."""
        part = share[np.minimum(self.matched, len(share) - 1)][:, None]
        return part * self.network + (1 - part) * self.counted


def foresee(
    lines: Sequence[np.ndarray],
    told: Sequence[int],
    network: Callable[[np.ndarray], np.ndarray],
    counts: Counted,
    shape: Shape,
) -> Iterator[Foreseen]:
    """The chances of each token of lines that follows what was told of them.

    A line is read as writing reads it: from its beginning as far as the context goes, then in windows that overlap by
    half, so that every token is foreseen from at least half a context.

    Args:
        lines: Rows of tokens, `shape.lead` of them in front that are not read but stand before the first.
        told: How many tokens of each line, beside those in front, are given and not foreseen; at least 1.
        network: From tokens (b, before + context) to logits (b, context, v).
        counts: The counted n-grams.
        shape: Of the model.
    """
    context, before, front, half = shape.context, shape.before, shape.lead, shape.context // 2
    windows = []  # of a line, where one begins, and which of its places are judged
    for number, line in enumerate(lines):
        last = len(line) - front - 2  # the last place from which something is foreseen
        for begin in range(0, max(1, last + 1), half):
            first = max(told[number] - 1, 0 if begin == 0 else begin + context - half)
            end = min(last, begin + context - 1)
            if first <= end:
                windows.append((number, begin, first, end))
            if begin + context - 1 >= last:
                break
    for start in range(0, len(windows), TOGETHER):
        some = windows[start : start + TOGETHER]
        tokens = np.zeros((len(some), before + context), np.int32)
        for row, (number, begin, _, _) in enumerate(some):
            part = lines[number][front + begin - before : front + begin + context]
            tokens[row, : len(part)] = part
        logits = network(tokens)
        where = [(number, place) for number, _, first, end in some for place in range(first, end + 1)]
        line, place = (np.array(column, int) for column in zip(*where, strict=True))
        rows = np.concatenate([np.full(end - first + 1, row) for row, (_, _, first, end) in enumerate(some)])
        begins = np.array([begin for _, begin, _, _ in some])[rows]
        history = np.stack([lines[n][front + p - counts.order + 2 : front + p + 1] for n, p in where])
        token = np.array([lines[n][front + p + 1] for n, p in where])
        yield Foreseen(line, place + 1, softmax(logits[rows, place - begins]), *counts.chances(history), token)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Chances (..., v) of logits."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def shares(network: np.ndarray, counted: np.ndarray, matched: np.ndarray, number: int, passes: int = 60) -> np.ndarray:
    """The network's part (number,) in the best mix for each length that the n-grams have seen, by held-out text.

    Args:
        network: (m,) chances that the network gave the tokens that came.
        counted: (m,) those that the n-grams gave.
        matched: (m,) how many of the last tokens the n-grams have seen together.
        number: Of lengths.
        passes: Of expectation and maximization.

    Reference: Jelinek and Mercer, 1980, Interpolated Estimation of Markov Source Parameters from Sparse Data.
    """
    found = np.full(number, 0.5)
    overall = 0.5
    prior = 50.0  # places of which the mix over all lengths is thought, so that a rare length goes with the others
    for _ in range(passes):
        part = found[matched] * network
        chance = part / np.maximum(part + (1 - found[matched]) * counted, 1e-30)
        overall = float(chance.mean()) if len(chance) else 0.5
        total, times = np.bincount(matched, chance, number), np.bincount(matched, minlength=number)
        found = (total + prior * overall) / (times + prior)
    return found
