"""How well a language model foresees text: the chances at many places at once, window by window; NumPy only."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from apptemplates.inference.kneser_ney import Counted
from apptemplates.inference.text_generator import LEAST, Shape, Table, heads, spans
from apptemplates.inference.tokens import BOUNDARY

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

    def nats(self, share: np.ndarray) -> np.ndarray:
        """How surprising (m,) the tokens that came were to both."""
        chance = self.mixed(share)[np.arange(len(self.token)), self.token]
        return -np.log(np.maximum(chance, LEAST))


class Foresight(NamedTuple):
    """A language model that judges text window by window.

    Args:
        network: From tokens (b, before + context) to logits (b, context, v).
        counts: The counted n-grams.
        shape: Of the model.
        share: (k,) the network's part of the mix, by how many of the last tokens the n-grams have seen together.
    """

    network: Callable[[np.ndarray], np.ndarray]
    counts: Counted
    shape: Shape
    share: np.ndarray

    def foresee(self, lines: Sequence[np.ndarray], told: Sequence[int]) -> Iterator[Foreseen]:
        """The chances of each token of lines that follows what was told of them; see the function of that name."""
        return foresee(lines, told, self.network, self.counts, self.shape)

    def nats(self, inputs: Table, share: float | None = None) -> np.ndarray:
        """The nats (n,) of all of `then` after each prompt.

        Args:
            inputs: What `prepare` made.
            share: Of the network, instead of that in the mix: with 1 it judges alone, with 0 the n-grams do.
        """
        part = self.share if share is None else np.full(self.counts.order, share)
        lines, told = lines_of(inputs, self.shape)
        nats = np.zeros(len(lines))
        for one in self.foresee(lines, told):
            np.add.at(nats, one.line, one.nats(part))
        return nats

    def by_place(self, passages: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where a token stands and its nats, (m,) each, of passages of which nothing is told but the first token.

        Args:
            passages: (n, l) tokens, padded with -1.
        """
        lines = [line_of(tokens[tokens >= 0], self.shape) for tokens in passages if (tokens >= 0).sum() > 1]
        place, nats = [np.zeros(0)], [np.zeros(0)]
        for one in self.foresee(lines, [1] * len(lines)):
            place.append(one.place)
            nats.append(one.nats(self.share))
        return np.concatenate(place), np.concatenate(nats)

    def after(self, lines: Sequence[np.ndarray]) -> np.ndarray:
        """The chances (n, v) of what follows each of these lines."""
        given = [np.append(line, BOUNDARY) for line in lines]  # what follows is not looked at
        told = [len(line) - self.shape.lead for line in lines]
        return np.concatenate([one.mixed(self.share) for one in self.foresee(given, told)])


def line_of(stream: np.ndarray, shape: Shape) -> np.ndarray:
    """A row of tokens (m,) as a line (lead + m,) with nothing known before it."""
    return np.concatenate([np.zeros(shape.lead, np.int32), stream.astype(np.int32)])


def lines_of(inputs: Table, shape: Shape) -> tuple[list[np.ndarray], list[int]]:
    """Prompts with what follows them as lines, and how much of each is given.

    Args:
        inputs: `prompt`, `reach` and `then` of what `prepare` made.
        shape: Of the model.
    """
    prompts, starts, ends = spans(inputs)
    fronts = heads(prompts, starts, shape)
    lines = [
        np.concatenate([front, prompt[start:end], then[then >= 0]])
        for front, prompt, start, end, then in zip(fronts, prompts, starts, ends, inputs["then"], strict=True)
    ]
    return lines, (ends - starts).tolist()


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


def came(foreseen: Iterable[Foreseen]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the tokens that came, what the network gave each, what the n-grams gave it, and what these had seen: (m,)."""
    found = [
        (one.network[at, one.token], one.counted[at, one.token], one.matched)
        for one in foreseen
        for at in [np.arange(len(one.token))]
    ]
    network, counted, matched = (np.concatenate(column) for column in zip(*found, strict=True))
    return network, counted, matched


def mix(
    network: Callable[[np.ndarray], np.ndarray], counts: Counted, shape: Shape, stream: np.ndarray
) -> tuple[np.ndarray, dict[str, float]]:
    """The network's part (k,) in the best mix, and mean nats a token of it, of the counted n-grams and of both.

    Args:
        network: From tokens (b, before + context) to logits (b, context, v).
        counts: The counted n-grams.
        shape: Of the model.
        stream: (m,) held-out tokens, foreseen from the second on.
    """
    alone, counted, matched = came(foresee([line_of(stream, shape)], [1], network, counts, shape))
    share = shares(alone, counted, matched, counts.order)
    chances = {"network": alone, "counted n-grams": counted}
    chances["both"] = share[matched] * alone + (1 - share[matched]) * counted
    return share, {way: float(-np.log(np.maximum(chance, LEAST)).mean()) for way, chance in chances.items()}


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
