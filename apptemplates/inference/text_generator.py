"""How a text generator answers: reads a prompt, draws one token after the other, keeps what it has read; NumPy only."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from apptemplates.inference import tokens as coding
from apptemplates.inference.kneser_ney import Counted, opened
from apptemplates.inference.tokens import BOUNDARY, FIRST, UNKNOWN, Tokens

Table = dict[str, np.ndarray]
Call = Callable[[Table], Table]

ORDERS = {"character": (2, 3, 4, 5), "byte pair": (2, 3)}  # of hashed n-grams
COUNTED = {"character": 6, "byte pair": 4}  # tokens of the longest counted n-gram
LENGTH = 200  # characters that are written by default
LEAST = 1e-6  # chance of a character never seen, where one has to be judged


class Shape(NamedTuple):
    """How a language model is built, as far as reading with it goes."""

    context: int  # tokens that attention reaches back
    before: int  # tokens before a place that its features need
    order: int  # tokens of the longest counted n-gram
    blocks: int
    width: int
    begin: int  # the token that stands before a text with no prompt
    ends: bool  # whether it was learned where texts end

    @property
    def lead(self) -> int:
        """How many tokens stand in front of what is read."""
        return max(self.before, self.order - 1)


def shape_of(given: Mapping[str, Any], learned: Mapping[str, Any]) -> Shape:
    """How a model is built, from the choices of its template and what it learned."""
    kind = given["tokens"] if given["preset"] is None else "byte pair"
    before = max(ORDERS[kind] if given["preset"] is None else (1,)) - 1
    built = (learned[name] for name in ("blocks", "width", "begin", "ends"))
    return Shape(given["context"], before, COUNTED[kind], *built)


def counts_of(state: Table) -> Counted:
    """The counted n-grams from the arrays of a folder."""
    side = "counts "
    return opened({name.removeprefix(side): column for name, column in state.items() if name.startswith(side)})


def prepare(queries: Table, coder: Tokens, shape: Shape) -> Table:
    """Prompts as tokens of one length, padded with -1, and every choice as a number.

    Of a prompt longer than the context the last half a context is read, beside the few tokens before it that features
    and n-grams need.
    """
    defaults = {"length": LENGTH, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "seed": 0}
    choices = {name: np.where(np.isnan(queries[name]), value, queries[name]) for name, value in defaults.items()}
    problems = np.full(len(queries["prompt"]), "", object)
    for name in ("length", "top_k", "seed"):
        broken = choices[name] % 1 != 0
        problems[broken] = [f"{name} must be a whole number. Received: {value:g}." for value in choices[name][broken]]
    good = problems == ""
    queries = {name: column[good] for name, column in queries.items()}
    number = len(queries["prompt"])
    far = 16 * (shape.context + shape.lead)  # characters: a token has at least one byte
    prompts = []
    for text in map(text_of, queries["prompt"]):
        tokens = coder.encode(text[-far:])
        tokens = tokens if len(tokens) else np.array([shape.begin], np.int32)
        reach = len(tokens) if len(tokens) <= shape.context else shape.context // 2
        prompts.append((tokens[max(0, len(tokens) - reach - shape.lead) :], reach))
    then = [coder.encode(text_of(text)) for text in queries["then"]]
    return {name: column[good] for name, column in choices.items()} | {
        "prompt": padded([tokens for tokens, _ in prompts]),
        "reach": np.array([reach for _, reach in prompts], np.int32).reshape(number),
        "then": padded(then),
        "characters": np.array([len(text_of(text)) for text in queries["then"]], np.int32).reshape(number),
        "stop": queries["stop"],
        "problem": problems,
    }


def text_of(passage: Any) -> str:
    """The characters of a passage, also of one that stays on disk."""
    return passage.read() if hasattr(passage, "read") else str(passage)


def padded(rows: list[np.ndarray]) -> np.ndarray:
    """Rows of tokens as one array (n, longest) int32, padded with -1 at the end."""
    found = np.full((len(rows), max(map(len, rows), default=0)), -1, np.int32)
    for place, row in enumerate(rows):
        found[place, : len(row)] = row
    return found


def respond(inputs: Table, call: Call, counts: Counted, coder: Tokens, shape: Shape, surprise: Any = None) -> Table:
    """What is written after each prompt and how surprising it is; of a row with `then`, how surprising that is.

    Args:
        inputs: What `prepare` made.
        call: The graph of one step.
        surprise: Judges rows with `then` faster than step by step: a function of these inputs to nats (n,).
    """
    number = len(inputs["reach"])
    texts, nats = np.full(number, "", object), np.full(number, np.nan)
    judged = inputs["characters"] > 0
    if judged.any():
        some = {name: column[judged] for name, column in inputs.items()}
        found = surprise(some) if surprise is not None else judge(some, call, counts, shape)
        nats[judged] = found / some["characters"]
    asked = np.flatnonzero(~judged)
    writers = [Writer.of(inputs, int(row), coder, shape) for row in asked]
    for _ in write({name: inputs[name][asked] for name in ("prompt", "reach")}, writers, call, counts, shape):
        pass
    for row, writer in zip(asked, writers, strict=True):
        texts[row], nats[row] = writer.text, writer.nats / max(1, len(writer.text))
    return {"text": texts, "nats": nats.astype("float32")}


class Writer:
    """Writes one text: draws its tokens, and knows when it is done.

    Args:
        coder: Tokens to text.
        shape: Says whether a text may end by itself.
        length: Characters at most.
        stop: Characters before which the text ends; "" for none.
        temperature: Divides the logarithm of the chances; 0 takes the likeliest.
        top_k: Only so many of the likeliest tokens are drawn; 0 for all.
        top_p: Only the likeliest whose chances come to so much together are drawn.
        seed: The same seed draws the same text.
    """

    def __init__(
        self,
        coder: Tokens,
        shape: Shape,
        length: int,
        stop: str = "",
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> None:
        self._decode, self._ends = coder.writer(), shape.ends
        self.length, self.stop = length, stop
        self.temperature, self.top_k, self.top_p = temperature, top_k, top_p
        self._random = np.random.default_rng(seed)
        self.text, self.nats, self.done = "", 0.0, False

    @classmethod
    def of(cls, inputs: Table, row: int, coder: Tokens, shape: Shape) -> "Writer":
        """The writer that a row of prepared queries asks for."""
        one = {name: inputs[name][row] for name in ("length", "top_k", "seed")}
        return cls(
            coder,
            shape,
            int(one["length"]),
            str(inputs["stop"][row]),
            float(inputs["temperature"][row]),
            int(one["top_k"]),
            float(inputs["top_p"][row]),
            int(one["seed"]),
        )

    def draw(self, chances: np.ndarray) -> int:
        """The next token, drawn from the chances (v,) of each; the text goes on with it."""
        chances = chances.astype("float64")
        chances[UNKNOWN] = 0.0
        if not self._ends:
            chances[BOUNDARY] = 0.0
        token = self._drawn(chances)
        self.nats -= math.log(max(LEAST, chances[token] / chances.sum()))
        self.done = token < FIRST
        self.text += self._decode(token)
        cut = self.text.find(self.stop) if self.stop else -1
        if 0 <= cut <= self.length:
            self.text, self.done = self.text[:cut], True
        elif len(self.text) >= self.length:
            self.text, self.done = self.text[: self.length], True
        return token

    def _drawn(self, chances: np.ndarray) -> int:
        if self.temperature == 0:
            return int(chances.argmax())
        order = np.argsort(-chances, kind="stable")
        if self.top_k:
            order = order[: self.top_k]
        with np.errstate(divide="ignore"):
            weights = np.log(chances[order]) / self.temperature
        weights = np.exp(weights - weights[0])
        total = np.cumsum(weights)
        if self.top_p < 1:
            order = order[: int((total < self.top_p * total[-1]).sum()) + 1]
            total = total[: len(order)]
        place = int(np.searchsorted(total, self._random.random() * total[-1], side="right"))
        return int(order[min(place, len(order) - 1)])

    @property
    def shown(self) -> str:
        """The text so far, without what may turn out to belong to `stop`."""
        if not self.done:
            for size in range(min(len(self.stop) - 1, len(self.text)), 0, -1):
                if self.stop.startswith(self.text[-size:]):
                    return self.text[:-size]
        return self.text


def write(prompts: Table, writers: list[Writer], call: Call, counts: Counted, shape: Shape) -> Iterator[int]:
    """Lets writers go on from prompts side by side until all are done; yields after each step how many are not.

    Args:
        prompts: `prompt` (n, l) and `reach` (n,) of what `prepare` made.
        writers: One a prompt.
        call: The graph of one step.
        counts: The counted n-grams.
        shape: Of the model.
    """
    tokens, starts, ends = spans(prompts)
    reading = Reading(call, counts, shape, heads(tokens, starts, shape))
    alive = np.arange(len(writers))
    current, at = tokens[alive, starts], starts.copy()
    while len(alive):
        chances = reading.read(current)
        at += 1
        for place, row in enumerate(alive):
            writing = at[place] >= ends[row]
            current[place] = writers[row].draw(chances[place]) if writing else tokens[row, at[place]]
        left = np.array([not writers[row].done for row in alive])
        alive, at, current = alive[left], at[left], current[left]
        if not left.all():
            reading.keep(left)
        yield len(alive)


def pieces(inputs: Table, call: Call, counts: Counted, coder: Tokens, shape: Shape) -> Iterator[str]:
    """What is written after the first prompt, in pieces as they are known.

    Args:
        inputs: What `prepare` made of it.
        call: The graph of one step.
        counts: The counted n-grams.
        coder: Tokens to text.
        shape: Of the model.
    """
    writer = Writer.of(inputs, 0, coder, shape)
    given = 0
    for _ in write(inputs, [writer], call, counts, shape):
        if len(writer.shown) > given:
            yield writer.shown[given:]
            given = len(writer.shown)


def judge(inputs: Table, call: Call, counts: Counted, shape: Shape) -> np.ndarray:
    """The nats (n,) of all of `then` after each prompt, read step by step."""
    tokens, starts, ends = spans(inputs)
    reading = Reading(call, counts, shape, heads(tokens, starts, shape))
    sizes = (inputs["then"] >= 0).sum(axis=1)
    whole = [np.concatenate([tokens[row, starts[row] : ends[row]], inputs["then"][row, :size]])
             for row, size in enumerate(sizes)]  # fmt: skip
    told, nats = ends - starts, np.zeros(len(tokens))
    for step in range(max(map(len, whole)) - 1):
        chances = reading.read(np.array([row[min(step, len(row) - 1)] for row in whole], np.int32))
        for row, line in enumerate(whole):
            if told[row] <= step + 1 < len(line):
                nats[row] -= math.log(max(LEAST, chances[row, line[step + 1]]))
    return nats


def spans(prompts: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prompts (n, l), and where in each what is read begins and ends (n,)."""
    ends = (prompts["prompt"] >= 0).sum(axis=1)
    return prompts["prompt"], ends - prompts["reach"], ends


def heads(tokens: np.ndarray, starts: np.ndarray, shape: Shape) -> np.ndarray:
    """The tokens (n, h) before what is read; 0 where there are none."""
    found = np.zeros((len(tokens), shape.lead), np.int32)
    for row, start in enumerate(starts):
        size = min(start, shape.lead)
        found[row, shape.lead - size :] = tokens[row, start - size : start]
    return found


class Reading:
    """Reads texts side by side, a token of each at a time, and gives the chances of what follows.

    What was read is kept as rows of keys and values. Once the context is full, its second half is read anew as the
    first, so that every token is foreseen from at least half a context, as the network has learned to.

    Args:
        call: The graph of one step.
        counts: The counted n-grams.
        shape: Of the model.
        before: (n, h) tokens that stand before the first ones; 0 where there are none.
    """

    def __init__(self, call: Call, counts: Counted, shape: Shape, before: np.ndarray) -> None:
        self._call, self._counts, self._shape = call, counts, shape
        # as many as are read anew, with those before them
        room = max(before.shape[1] + 1, shape.context // 2 + shape.before)
        self._tokens = np.zeros((len(before), room), np.int32)
        self._tokens[:, room - before.shape[1] :] = before
        self._place = 0
        self._cache = [np.zeros((len(before), shape.context, 2 * shape.width), "float32") for _ in range(shape.blocks)]

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """The chances (n, v) of what follows, once these tokens (n,) were read."""
        if self._place == self._shape.context:
            half, last = self._shape.context // 2, self._tokens.shape[1]
            nothing = np.zeros((len(tokens), self._counts.tokens), "float32"), np.zeros(len(tokens), np.int32)
            self._place = 0
            for place in range(last - half, last):
                self._step(self._tokens[:, place - self._shape.before : place + 1], *nothing)
        self._tokens[:, :-1] = self._tokens[:, 1:]
        self._tokens[:, -1] = tokens
        size = self._counts.order - 1
        counted = self._counts.chances(self._tokens[:, self._tokens.shape[1] - size :])
        return self._step(self._tokens[:, self._tokens.shape[1] - self._shape.before - 1 :], *counted)

    def _step(self, tokens: np.ndarray, counted: np.ndarray, matched: np.ndarray) -> np.ndarray:
        inputs = {
            "tokens": tokens,
            "place": np.full(len(tokens), self._place, np.int32),
            "counted": counted,
            "matched": matched,
        }
        inputs |= {f"cache{block}": rows for block, rows in enumerate(self._cache)}
        found = self._call(inputs)
        for block, rows in enumerate(self._cache):
            rows[:, self._place] = found[f"keep{block}"][:, 0]
        self._place += 1
        return found["chances"]

    def keep(self, rows: np.ndarray) -> None:
        """Goes on with some of the texts only: a mask (n,)."""
        self._tokens = self._tokens[rows]
        self._cache = [kept[rows] for kept in self._cache]


class Answering:
    """Answers as the saved template does, without it."""

    def __init__(self, name: str, saved: Mapping[str, Any], state: Table) -> None:
        self.coder, self.counts = coding.opened(saved["learned"]["tokens"]), counts_of(state)
        self.shape = shape_of(saved["parameters"], saved["learned"])

    def prepare(self, queries: Table) -> Table:
        """The prompts as tokens, and why one can not be answered."""
        return prepare(queries, self.coder, self.shape)

    def respond(self, inputs: Table, call: Call) -> Table:
        """The answers."""
        return respond(inputs, call, self.counts, self.coder, self.shape)
