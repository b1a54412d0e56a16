"""Writes on from a prompt as the text it learned from does: a small transformer mixed with counted n-grams."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import keras
import numpy as np

from apptemplates.contract import WEIGHT, Answers, Card, Part, readable
from apptemplates.data import batches, prose, synthetic_text
from apptemplates.data.schema import DataError, Field, Schema
from apptemplates.data.table import Table, rows
from apptemplates.evaluation import prose as judged
from apptemplates.evaluation import prose_explanation
from apptemplates.evaluation.diagnosis import Growing
from apptemplates.inference import foresight, kneser_ney
from apptemplates.inference import text_generator as inference
from apptemplates.inference import tokens as coding
from apptemplates.inference.foresight import Foreseen
from apptemplates.inference.kneser_ney import Counted, KneserNey, compact
from apptemplates.inference.text_generator import Shape, Writer
from apptemplates.layers import pretrained_text
from apptemplates.layers import text as network_parts
from apptemplates.template import Template


class Size(NamedTuple):
    """How large a network is: its width, blocks and heads, and the tables of hashed n-grams."""

    width: int
    blocks: int
    heads: int
    rows: int
    each: int


SIZES = {
    "tiny": Size(96, 3, 3, 1021, 16),
    "small": Size(128, 4, 4, 16_381, 32),
    "medium": Size(256, 6, 8, 16_381, 64),
}
HELD_OUT = 0.05
HELD_OUT_TOKENS = 40_000  # by which the network is judged after each pass, at most
STEPS, FEWEST = 32, 8  # of a pass, and windows of a step, at least: a short text is gone through more than once
JUDGED = 400_000  # characters by which answers are judged, at most
RANK = 8  # of what is added to a pretrained network
REPLAYED = 1_000_000  # tokens that are kept, so that fine-tuning does not forget
PROBED = 300_000  # characters that the short fit of `check` learns from
PIECES = 256  # of a text, of which a learning curve draws some
PASSAGE = 1024  # characters of a passage that is judged
SAMPLE = 300  # characters of a sample in the report


class Memory(NamedTuple):
    """What a text generator keeps of what it learned from: counted n-grams, and tokens to learn again from."""

    counts: Counted | None = None
    replay: np.ndarray = np.zeros(0, np.uint16)


@dataclass(kw_only=True, eq=False)
class TextGenerator(Template):
    """A language model of your own text: writes on from a prompt, and says how surprising a text is.

    A small transformer (rotary positions, normed queries and keys, squared ReLU, tied weights, features of hashed
    n-grams, learned with Muon) whose chances are mixed with those of counted n-grams (Kneser-Ney), by shares found on
    held-out text. Both are parts of the one saved graph and folder.

    Args:
        text: Column with the text, one text a row. Of text files, and folders of them, it is their content.
        tokens: "character", or "byte pair" for pieces of words learned from the text (needs `apptemplates[text]`).
        context: How many tokens before are looked at, at most; an even number.
        size: "tiny", "small" or "medium".
        vocabulary: Different byte pairs; does not count for characters.
        dropout: Share of the activations that are dropped while learning.
        preset: A pretrained language model of KerasHub with byte pairs, such as "gpt2_base_en", or a folder of one
            (needs `apptemplates[hub]`). It is tuned to the text by low-rank additions; `tokens`, `size`, `vocabulary`
            and `dropout` do not count then, and a `learning_rate` of about 1e-4 to 1e-3 suits it.

    Example:
        >>> app, stories = TextGenerator.demo()
        >>> text = app.fit(stories, verbose=0).generate("The fox ", length=20, seed=1)
        >>> len(text)
        20

    Reference: Vaswani et al., 2017, arXiv:1706.03762; Su et al., 2021, arXiv:2104.09864; Jordan et al., 2024, Muon;
    Chen and Goodman, 1999, An Empirical Study of Smoothing Techniques for Language Modeling.
    """

    text: str = "text"
    tokens: str = "character"
    context: int = 128
    size: str = "small"
    vocabulary: int = 1024
    dropout: float = 0.2
    preset: str | None = None
    epochs: int = 16
    batch_size: int = 64
    learning_rate: float = 0.01

    card = Card(
        title="Text generator",
        answers="How does this text go on, in the manner of the texts it learned from?",
        not_for="Facts, advice, or text that is passed off as somebody's own: it writes what sounds likely, not what "
        "is true, and it can repeat passages it has learned from.",
        reference="Vaswani et al., 2017, arXiv:1706.03762; Chen and Goodman, 1999",
        data="Text in any language: files, folders of files, or a column of a table.",
    )
    headline = "nats a character"
    lesson = "text"
    # it learns whole windows, with the layers of the graph of one step
    lesson_parts = ("apptemplates.layers.text", "logits"), ("apptemplates.layers.text", "parts_of")
    asked_apart = 100  # passages, of some hundred steps each
    baseline_name = "counted n-grams (Kneser-Ney)"
    target = ""  # nothing is labelled

    def __post_init__(self) -> None:
        super().__post_init__()
        self.learned_: dict[str, Any] = {}
        checks = {
            "tokens": (self.tokens in coding.KINDS, f"one of {', '.join(coding.KINDS)}"),
            "size": (self.size in SIZES, f"one of {', '.join(SIZES)}"),
            "context": (8 <= self.context <= 2048 and self.context % 2 == 0, "an even number from 8 to 2,048"),
            "vocabulary": (300 <= self.vocabulary <= coding.MOST, f"from 300 to {coding.MOST:,}"),
            "dropout": (0 <= self.dropout < 1, "from 0 up to 1"),
        }
        for name, (good, wanted) in checks.items():
            if not good:
                raise ValueError(f"{self.name}: {name} must be {wanted}. Received: {getattr(self, name)!r}.")
        if self.preset is not None:
            pretrained_text.imported_hub()  # also registers the layers that a saved graph holds

    @classmethod
    def demo(cls) -> tuple[Self, Table]:
        return cls(size="tiny", context=32, epochs=8, batch_size=32), synthetic_text.stories()

    # ---- what goes in and comes out ----------------------------------------

    def _own_columns(self, table: Table) -> Schema:
        return Schema()  # other columns say nothing about the text

    @property
    def record(self) -> Schema:
        return Schema.of({self.text: Field("what is learned from", "passage", named=True)})

    @property
    def query(self) -> Schema:
        some: dict[str, Any] = {"required": False, "missing": True}
        return Schema(
            prompt=Field("what stands before; may be empty", "passage", missing=True),
            length=Field("characters to write, at most", low=1, high=1_000_000, **some),
            temperature=Field("0 takes the likeliest, 1 draws by the chances learned", low=0, high=100, **some),
            top_k=Field("only so many of the likeliest tokens are drawn", low=1, **some),
            top_p=Field("only the likeliest with so much chance together are drawn", low=1e-6, high=1, **some),
            stop=Field("text before which it ends", "passage", **some),
            seed=Field("the same seed draws the same text", low=0, high=2**53, **some),
            then=Field("a text to be judged instead of one to be written", "passage", **some),
        )

    @property
    def answer(self) -> Schema:
        return Schema(
            text=Field("what was written; empty where a text was to be judged", "text"),
            nats=Field("how surprising that text is, in nats a character", low=0),
            problem=Field("why there is no answer", "text", missing=True),
        )

    def prepare(self, queries: Table, state: Memory) -> Table:
        return inference.prepare(queries, self._coder, self._shape)

    def prepare_records(self, records: Table, state: Memory) -> Table:
        return {"row": np.arange(rows(records))}  # what is learned from are windows, which `make_batches` cuts

    def respond(self, inputs: Table, call: Any, state: Memory) -> Answers:
        faster = self._surprise if call is self.call_ else None  # what else answers is judged by its own steps
        return inference.respond(inputs, call, counted(state), self._coder, self._shape, faster)

    @property
    def _coder(self) -> coding.Tokens:
        kept = self.__dict__.get("_kept_coder")
        if kept is None or kept[0] is not self.learned_["tokens"]:
            kept = self._kept_coder = self.learned_["tokens"], coding.opened(self.learned_["tokens"])
        return kept[1]

    @property
    def _orders(self) -> tuple[int, ...]:
        return inference.ORDERS[self.tokens] if self.preset is None else ()

    @property
    def _before(self) -> int:
        return max(self._orders, default=1) - 1

    @property
    def _order(self) -> int:
        return inference.COUNTED[self.tokens if self.preset is None else "byte pair"]

    @property
    def _shape(self) -> Shape:
        given = {"tokens": self.tokens, "preset": self.preset, "context": self.context}
        return inference.shape_of(given, self.learned_)

    # ---- what is kept ------------------------------------------------------

    def open_state(self, arrays: Table) -> Memory:
        if not arrays:
            return Memory()
        return Memory(inference.counts_of(arrays), arrays.get("replay", Memory().replay))

    def close_state(self, state: Memory, share: bool) -> Table:
        if state.counts is None:
            return {}
        arrays = {f"counts {name}": column for name, column in state.counts.arrays().items()}
        return arrays if share else arrays | {"replay": compact(state.replay)}

    # ---- how it learns -----------------------------------------------------

    def split(self, records: Table) -> tuple[Table, Table]:
        if WEIGHT in records:
            raise DataError(f"{self.name}: sample_weight is not used; leave out the texts that should not count.")
        total = sum(map(prose.size_of, records[self.text]))
        if total < 4 * self.context:
            raise DataError(
                f"{self.name}: the text has {total:,} characters, at least {4 * self.context:,} are needed with "
                f"context={self.context}; give more text, or choose a smaller context."
            )
        texts = int(prose.documents(records[self.text]).max()) + 1
        self.learned_.setdefault("ends", texts >= prose.MANY)  # from few texts nobody learns where they end
        train, valid = prose.hold_out(records[self.text], HELD_OUT, self.seed)
        return {self.text: train}, {self.text: valid}

    def portion(self, records: Table) -> tuple[Table, float]:
        share = PROBED / max(1, sum(map(prose.size_of, records[self.text])))
        if share >= 1:
            return records, 1.0
        return {self.text: prose.hold_out(records[self.text], share, self.seed)[1]}, share

    def build_preprocessor(self, train: Part) -> keras.Model:
        column = train.records[self.text]
        if self.preset is None:
            coder = coding.learned(self.tokens, prose.texts(column), self.vocabulary)
            self.learned_["tokens"] = coder.note()
        else:
            self._pretrained, self.learned_["tokens"] = pretrained_text.loaded(self.preset, RANK)
            coder = self._coder
        borders = int((self._tokens_of(train) == coding.BOUNDARY).sum())
        ends = self.learned_.setdefault("ends", borders >= prose.MANY)
        newline = coder.encode("\n")
        # else the beginning of a line is most like that of a text
        self.learned_["begin"] = int(coding.BOUNDARY if ends or newline[0] == coding.UNKNOWN else newline[0])
        entry = keras.Input((None,), dtype="int32", name="tokens")
        features = network_parts.HashedNgrams(self._orders, SIZES[self.size].rows, self._before, name="ngrams")(entry)
        return keras.Model(entry, features, name="preprocessor")

    def _tokens_of(self, part: Part) -> np.ndarray:
        """The tokens of the texts of a part, made once."""
        kept = self.__dict__.get("_kept_stream")
        if kept is None or kept[0] is not part.records or kept[1] is not self.learned_["tokens"]:
            stream = prose.stream(part.records[self.text], self._coder)
            kept = self._kept_stream = part.records, self.learned_["tokens"], stream
        return kept[2]

    def build_network(self, preprocessor: keras.Model) -> keras.Model:
        width, blocks, heads, table, each = SIZES[self.size]
        orders = len(self._orders)
        if self.preset is None:
            parts = network_parts.text_parts(self._coder.size, width, blocks, heads, orders, table, each, self.dropout)
        else:
            parts = {"pretrained": self._pretrained}
        self.learned_ |= {"blocks": network_parts.blocks_of(parts), "width": network_parts.size_of(parts)[1]}
        return network_parts.whole(parts, 1 + orders)

    def objective(self) -> dict[str, Any]:
        rule: Any
        if self.preset is None:
            rule = keras.optimizers.Muon(
                self.learning_rate, adam_lr_ratio=0.4, adam_beta_2=0.99, weight_decay=0.1, exclude_layers=["embedding"]
            )
        else:
            rule = keras.optimizers.AdamW(self.learning_rate, weight_decay=0.01)
        return {"optimizer": rule, "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}

    def make_batches(self, part: Part, training: bool) -> Any:
        stream = self._tokens_of(part) if training else prose.stream(part.records[self.text], self._coder)
        least = 2 * self.context if training else 2
        if len(stream) < least:
            raise DataError(
                f"{self.name}: the text to {'learn from' if training else 'hold out'} has {len(stream):,} tokens, at "
                f"least {least:,} are needed with context={self.context}; give more text, or choose a smaller context."
            )
        if not training:
            stream = stream[:HELD_OUT_TOKENS]
        length = min(self.context, len(stream) - 1)
        common: dict[str, Any] = {"length": length, "before": self._before, "training": training, "seed": self.seed}
        size, steps = self.batch_size, None
        if training:  # a short text is learned in smaller steps, as many as a longer one
            size = int(np.clip(len(stream) // (STEPS * length), min(FEWEST, size), size))
            steps = max(STEPS, len(stream) // (size * length))
        found = batches.windows(stream, batch_size=size, steps=steps, **common)
        replay = self.state_.replay if part.teacher is not None and training else Memory().replay
        if part.teacher is not None and training and len(replay) > 2 * length:
            # half of what is seen was learned before
            old = batches.windows(replay, batch_size=size, steps=steps, **common)
            found = batches.side_by_side(found, old)
        return found.map(lambda before, after: (self.preprocessor_(before), after)).prefetch(2)

    def extend_network(self, network: keras.Model, part: Part) -> keras.Model:
        if self.tokens != "character" or self.preset is not None:
            return network  # bytes can write everything
        old = self._coder
        coder = coding.Characters.learned(prose.texts(part.records[self.text]), known=old.letters.tolist())  # type: ignore[attr-defined]
        self.learned_["tokens"] = coder.note()
        return network_parts.widened(network, coder.size)

    # ---- the graph that answers ---------------------------------------------

    def build_decision(self, valid: Part) -> keras.Model:
        stream = self._kept_stream[2]  # of the texts that were learned from
        held_out = prose.stream(valid.records[self.text], self._coder)[:HELD_OUT_TOKENS]
        old, before, size = self.state_.counts, self.state_.replay, self._coder.size
        # of a very long text, which stays in a file, what can be counted
        counts: Counted = KneserNey.fit(stream[: kneser_ney.MOST], self._order, size)
        if old is not None:  # the newer text counts for itself, and with what was learned before
            both: Counted = old.widened(size)
            if len(before):
                both = KneserNey.fit(np.concatenate([before, stream[: kneser_ney.MOST]]), self._order, size)
            counts = kneser_ney.blended(counts, both, held_out)
        if old is None or len(before):
            before = np.concatenate([before, stream[:REPLAYED]])[-REPLAYED:]
        self.state_ = Memory(counts, before)
        lines, told = self._lines(held_out)
        found = [
            (one.network[at, one.token], one.counted[at, one.token], one.matched)
            for one in self._foreseen(lines, told, self.network_)
            for at in [np.arange(len(one.token))]
        ]
        columns = [np.concatenate(column) for column in zip(*found, strict=True)]
        share = foresight.shares(columns[0], columns[1], columns[2], counts.order)
        alone = {"network": columns[0], "counted n-grams": columns[1]}
        alone["both"] = share[columns[2]] * columns[0] + (1 - share[columns[2]]) * columns[1]
        self.learned_["held out"] = {
            f"nats a token of {way}": round(float(-np.log(np.maximum(chance, inference.LEAST)).mean()), 4)
            for way, chance in alone.items()
        }
        parts = network_parts.parts_of(self.network_)
        model = network_parts.step(parts, self.preprocessor_, self._before, self.context, counts.order)
        model.get_layer("chances").share.assign(share)
        return model

    def growing(self, train: Part, valid: Part) -> Growing:
        stream = self._tokens_of(train)[: kneser_ney.MOST]
        held_out = prose.stream(valid.records[self.text], self._coder)[:HELD_OUT_TOKENS]
        characters = len(self._coder.decode(held_out[1:].tolist()))
        pieces = np.array_split(stream, max(1, min(PIECES, len(stream) // self.context)))

        def learn(share: float, rng: np.random.Generator) -> tuple[int, float]:
            drawn = rng.permutation(len(pieces))[: max(1, round(share * len(pieces)))]
            some = np.concatenate([pieces[place] for place in np.sort(drawn)])
            counts = KneserNey.fit(some, self._order, self._coder.size)
            nats = counts.nats(held_out, 1) * (len(held_out) - 1) / max(1, characters)
            return len(self._coder.decode(some.tolist())), nats

        return Growing(learn, "characters", self.baseline_name, self.headline)

    def make_golden(self, inputs: Table) -> Table:
        """Made-up inputs of one step: no text, and nothing kept but a little noise."""
        rng, shape, number = np.random.default_rng(self.seed), self._shape, 2
        some = self._coder.size
        found = {
            "tokens": rng.integers(0, some, (number, shape.before + 1)).astype("int32"),
            "place": np.full(number, 2, "int32"),
            "counted": np.full((number, some), 1 / some, "float32"),
            "matched": rng.integers(0, self._order, number).astype("int32"),
        }
        for block in range(shape.blocks):
            rows_ = np.zeros((number, shape.context, 2 * shape.width), "float32")
            rows_[:, :2] = rng.normal(size=(number, 2, 2 * shape.width)).round(1)
            found[f"cache{block}"] = rows_
        return found

    def network_in(self, model: keras.Model) -> keras.Model:
        return network_parts.whole(network_parts.parts_of(model), 1 + len(self._orders))

    @property
    def _share(self) -> np.ndarray:
        return np.asarray(self.model_.get_layer("chances").share)

    def _lines(self, stream: np.ndarray) -> tuple[list[np.ndarray], list[int]]:
        """A row of tokens as one line to be foreseen from its second token on."""
        return [np.concatenate([np.zeros(self._shape.lead, np.int32), stream.astype(np.int32)])], [1]

    def _foreseen(
        self, lines: Sequence[np.ndarray], told: Sequence[int], network: keras.Model | None = None
    ) -> Iterator[Foreseen]:
        return foresight.foresee(lines, told, self._reads(network), counted(self.state_), self._shape)

    def _reads(self, network: keras.Model | None) -> Any:
        """The network from tokens to logits, compiled once."""
        import tensorflow as tf

        source = self.model_ if network is None else network
        kept = self.__dict__.get("_kept_reads")
        if kept is None or kept[0] is not source:
            whole = self.network_in(source)
            wanted = tf.TensorSpec((None, self._before + self.context), tf.int32)
            call = tf.function(lambda t: whole(self.preprocessor_(t), training=False)).get_concrete_function(wanted)
            kept = self._kept_reads = source, lambda t: call(tf.constant(t)).numpy()
        return kept[1]

    def _surprise(self, inputs: Table) -> np.ndarray:
        """The nats (n,) of all of `then` after each prompt."""
        return self._nats(inputs, self._share)

    def _nats(self, inputs: Table, share: np.ndarray) -> np.ndarray:
        lines, told = self._told(inputs)
        nats = np.zeros(len(lines))
        for one in self._foreseen(lines, told):
            chance = one.mixed(share)[np.arange(len(one.token)), one.token]
            np.add.at(nats, one.line, -np.log(np.maximum(chance, inference.LEAST)))
        return nats

    def _told(self, inputs: Table) -> tuple[list[np.ndarray], list[int]]:
        """Prompts with what follows them as lines, and how much of each is given."""
        prompts, starts, ends = inference.spans(inputs)
        fronts = inference.heads(prompts, starts, self._shape)
        lines = [
            np.concatenate([front, prompt[start:end], then[then >= 0]])
            for front, prompt, start, end, then in zip(fronts, prompts, starts, ends, inputs["then"], strict=True)
        ]
        return lines, (ends - starts).tolist()

    # ---- how it is judged --------------------------------------------------

    def make_trials(self, records: Table) -> tuple[Table, Table]:
        prompts, passages, _ = self._passages(records)
        if not passages:
            raise DataError(f"{self.name}: column {self.text!r} holds no character to be judged by; give text.")
        blank = np.full(len(prompts), np.nan)
        numbers = {name: blank for name in ("length", "temperature", "top_k", "top_p", "seed")}
        queries = {"prompt": objects(prompts), **numbers, "stop": objects([""] * len(prompts))}
        queries["then"] = objects(passages)
        return queries, {"characters": np.array([len(passage) for passage in passages], "float64")}

    def _passages(self, records: Table) -> tuple[list[str], list[str], list[int]]:
        """What stands before passages of texts, the passages, and the row that each text begins with."""
        column = records[self.text]
        number = prose.documents(column)
        total = sum(map(prose.size_of, column))
        size = int(min(PASSAGE, max(64, total // 50)))
        step = max(1, math.ceil(total / JUDGED))  # of a very long text, only every so many passages are judged
        found: tuple[list[str], list[str], list[int]] = ([], [], [])
        count = 0
        for first in np.unique(number, return_index=True)[1]:
            before, rest = "", ""
            for passage in column[number == number[first]]:
                rest += prose.text_of(passage)
                while len(rest) >= 2 * size:
                    before, rest, count = self._cut(found, before, rest, size, int(first), count, step)
            while rest:
                before, rest, count = self._cut(found, before, rest, size, int(first), count, step)
        return found

    def _cut(
        self, found: tuple[list, list, list], before: str, rest: str, size: int, row: int, count: int, step: int
    ) -> tuple[str, str, int]:
        """Takes a passage off the rest of a text."""
        end = size if len(rest) >= 2 * size else len(rest) if len(rest) < size * 1.5 else size
        if count % step == 0:
            for side, part in zip(found, (before, rest[:end], row), strict=True):
                side.append(part)
        return (before + rest[:end])[-8 * self.context :], rest[end:], count + 1

    def clusters(self, records: Table) -> np.ndarray | None:
        texts = np.array(self._passages(records)[2])
        return texts if len(np.unique(texts)) > 1 else None

    def trial_groups(self, records: Table, values: np.ndarray) -> np.ndarray:
        return values[self._passages(records)[2]]

    def score(self, truth: Table, answers: Answers) -> dict[str, float]:
        return judged.score(truth, answers)

    def figures(self, truth: Table, answers: Answers) -> list[Any]:
        return [judged.spread(truth, answers)]

    def fit_baseline(self, train: Part) -> Table:
        return {}  # the counted n-grams, which stand in the state

    def baseline(self, state: Table, inputs: Table) -> Answers:
        """The counted n-grams alone."""
        return {"nats": self._nats(inputs, np.zeros(counted(self.state_).order)) / inputs["characters"]}

    def extend_report(self, report: Any, truth: Table, inputs: Table) -> None:
        lines, told = self._told({name: column[:200] for name, column in inputs.items()})
        found = [(one.mixed(self._share), one) for one in self._foreseen(lines, told)]
        sure, right = zip(*(judged.certainty(chances, one.token) for chances, one in found), strict=True)
        numbers, picture = judged.next_character(np.concatenate(sure), np.concatenate(right))
        report.calibration |= numbers
        report.figures += [picture, self._by_place(inputs["then"][:200, : self.context])]
        alone = self._nats(inputs, np.ones(counted(self.state_).order)) / inputs["characters"]
        report.notes["nats a character of the network alone"] = judged.score(truth, {"nats": alone})[self.headline]
        report.notes |= {f"held out while learning, {way}": value for way, value in self.learned_["held out"].items()}
        replay = self.state_.replay
        source = self._coder.decode(replay.tolist()) if len(replay) else None
        judged.samples(report, self._samples, source)

    def _by_place(self, passages: np.ndarray) -> Any:
        """How nats fall the more was read, from passages of which nothing is told but the first token."""
        front = np.zeros(self._shape.lead, np.int32)
        lines = [np.concatenate([front, tokens[tokens >= 0]]) for tokens in passages if (tokens >= 0).sum() > 1]
        place, nats = [np.zeros(0)], [np.zeros(0)]
        for one in self._foreseen(lines, [1] * len(lines)):
            chance = one.mixed(self._share)[np.arange(len(one.token)), one.token]
            place.append(one.place)
            nats.append(-np.log(np.maximum(chance, inference.LEAST)))
        return judged.by_place(np.concatenate(place), np.concatenate(nats), self.context)

    def _samples(self, temperatures: Sequence[float]) -> list[str]:
        number = len(temperatures)
        queries = {"prompt": [""] * number, "temperature": list(temperatures), "seed": list(range(number))}
        return list(self.predict({**queries, "length": [SAMPLE] * number})["text"])

    def make_explanation(self, records: Table) -> Any:
        if self.text in records:
            prompts = records[self.text]
            queries, _ = self.query.check(self.name, {"prompt": prompts})
        else:
            queries = {**records, "then": objects([""] * rows(records))}
        lines, _ = self._told(readable(self.prepare(queries, self.state_))[0])
        front = self._shape.lead

        def chances(some: Sequence[np.ndarray]) -> np.ndarray:
            given = [np.append(line, coding.BOUNDARY) for line in some]  # what follows is not looked at
            told = [len(line) - front for line in some]
            return np.concatenate([one.mixed(self._share) for one in self._foreseen(given, told)])

        return prose_explanation.explain(
            self.card.title, lines, [front] * len(lines), chances, lambda token: self._coder.decode([token])
        )

    # ---- writing and judging ------------------------------------------------

    def generate(
        self,
        prompt: str = "",
        length: int = inference.LENGTH,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: str | None = None,
        stream: bool = False,
    ) -> Any:
        """Writes on from a prompt.

        Args:
            prompt: What stands before; of a long one, the last `context` tokens count. It is not repeated.
            length: Characters to write, at most.
            temperature: Below 1 more likely and tamer, above 1 wilder; 0 takes the likeliest token each time.
            top_k: Only so many of the likeliest tokens are drawn.
            top_p: Only the likeliest tokens that have so much chance together are drawn.
            seed: The same seed draws the same text; by default another one each time.
            stop: Text before which it ends; it is not given.
            stream: Give an iterator of pieces as they are written, instead of the whole.

        Returns:
            The text, or with `stream` an iterator of str whose pieces together are the text.

        Raises:
            DataError: A choice is out of range.
        """
        self._check_fitted()
        choices = {"prompt": prompt, "length": length, "temperature": temperature, "top_k": top_k, "top_p": top_p}
        if not isinstance(prompt, str):
            raise DataError(f"{self.name}: prompt must be one text; predict takes many. Received: {prompt!r:.60}.")
        seed = int(np.random.default_rng().integers(2**31)) if seed is None else seed
        given = {name: value for name, value in {**choices, "seed": seed, "stop": stop}.items() if value is not None}
        if not stream:
            return self.predict_one(given)["text"]
        table, _ = self.query.check(self.name, {name: [value] for name, value in given.items()})
        inputs, problems = readable(self.prepare(table, self.state_))
        if problems is not None:
            raise DataError(f"{self.name}: {problems[0]}")
        return self._pieces(inputs)

    def _pieces(self, inputs: Table) -> Iterator[str]:
        writer = Writer.of(inputs, 0, self._coder, self._shape)
        shown = 0
        for _ in inference.write(inputs, [writer], self._fast(), counted(self.state_), self._shape):
            if len(writer.shown) > shown:
                yield writer.shown[shown:]
                shown = len(writer.shown)

    def nats(self, texts: str | Iterable[str]) -> Any:
        """How surprising texts are, in nats a character; the first character of each is given, not judged.

        Args:
            texts: One, or several.

        Returns:
            A float, or (n,) float64; NaN for a text of fewer than two characters.
        """
        self._check_fitted()
        given = [texts] if isinstance(texts, str) else list(texts)
        long = np.array([len(text) > 1 for text in given])
        found = np.full(len(given), np.nan)
        if long.any():
            some = [text for text, good in zip(given, long, strict=True) if good]
            queries = {"prompt": [text[:1] for text in some], "then": [text[1:] for text in some]}
            found[long] = self.predict(queries)["nats"]
        return float(found[0]) if isinstance(texts, str) else found


def counted(state: Memory) -> Counted:
    """The counted n-grams of a fitted template."""
    assert state.counts is not None
    return state.counts


def objects(values: Sequence[Any]) -> np.ndarray:
    """A column of any values."""
    column = np.empty(len(values), object)
    column[:] = values
    return column
