"""Writes on from a prompt as the text it learned from does: a small transformer mixed with counted n-grams."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import keras
import numpy as np

from apptemplates.contract import WEIGHT, Answers, Card, Part, readable
from apptemplates.data import batches, passages, prose, synthetic_text
from apptemplates.data.schema import DataError, Field, Schema
from apptemplates.data.table import Table, rows
from apptemplates.data.text_memory import Memory
from apptemplates.evaluation import prose as judged
from apptemplates.evaluation import prose_explanation
from apptemplates.evaluation.diagnosis import Growing
from apptemplates.inference import foresight
from apptemplates.inference import text_generator as inference
from apptemplates.inference import tokens as coding
from apptemplates.layers import pretrained_text
from apptemplates.layers import text as network_parts
from apptemplates.layers.text import SIZES
from apptemplates.template import Template

HELD_OUT = 0.05
HELD_OUT_TOKENS = 40_000  # by which the network is judged after each pass, at most
RANK = 8  # of what is added to a pretrained network
PROBED = 300_000  # characters that the short fit of `check` learns from


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
        # what else answers is judged by its own steps
        faster = (lambda some: self._foresight.nats(some)) if call is self.call_ else None
        return inference.respond(inputs, call, state.counted, self._coder, self._shape, faster)

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
    def _shape(self) -> inference.Shape:
        return inference.shape_of(vars(self), self.learned_)

    # ---- what is kept ------------------------------------------------------

    def open_state(self, arrays: Table) -> Memory:
        return Memory.opened(arrays)

    def close_state(self, state: Memory, share: bool) -> Table:
        return state.arrays(share)

    # ---- how it learns -----------------------------------------------------

    def split(self, records: Table) -> tuple[Table, Table]:
        if WEIGHT in records:
            raise DataError(f"{self.name}: sample_weight is not used; leave out the texts that should not count.")
        total = sum(map(prose.size_of, records[self.text]))
        prose.refuse_short(f"{self.name}: the text", total, "characters", 4 * self.context, self.context)
        texts = int(prose.documents(records[self.text]).max()) + 1
        self.learned_.setdefault("ends", texts >= prose.MANY)  # from few texts nobody learns where they end
        train, valid = prose.hold_out(records[self.text], HELD_OUT, self.seed)
        return {self.text: train}, {self.text: valid}

    def portion(self, records: Table) -> tuple[Table, float]:
        some, share = prose.portion(records[self.text], PROBED, self.seed)
        return {self.text: some}, share

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
        self.learned_["begin"] = coding.beginning(coder, ends)
        entry = keras.Input((None,), dtype="int32", name="tokens")
        before = max(self._orders, default=1) - 1
        ngrams = network_parts.HashedNgrams(self._orders, SIZES[self.size].rows, before, name="ngrams")
        return keras.Model(entry, ngrams(entry), name="preprocessor")

    def _tokens_of(self, part: Part) -> np.ndarray:
        """The tokens of the texts of a part, made once."""
        kept = self.__dict__.get("_kept_stream")
        if kept is None or kept[0] is not part.records or kept[1] is not self.learned_["tokens"]:
            stream = prose.stream(part.records[self.text], self._coder)
            kept = self._kept_stream = part.records, self.learned_["tokens"], stream
        return kept[2]

    def _held_out(self, valid: Part) -> np.ndarray:
        return prose.stream(valid.records[self.text], self._coder)[:HELD_OUT_TOKENS]

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
        stream = self._tokens_of(part) if training else self._held_out(part)
        what, least = ("learn from", 2 * self.context) if training else ("hold out", 2)
        prose.refuse_short(f"{self.name}: the text to {what}", len(stream), "tokens", least, self.context)
        before, size, seed = self._shape.before, self.batch_size, self.seed
        if training:
            replay = None if part.teacher is None else self.state_.replay
            found = batches.lessons(stream, self.context, before, size, seed=seed, replay=replay)
        else:
            length = min(self.context, len(stream) - 1)
            found = batches.windows(stream, length, before, size, training=False, seed=seed)
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
        held_out, shape = self._held_out(valid), self._shape
        self.state_ = self.state_.grown(stream, held_out, shape.order, self._coder.size)
        counts = self.state_.counted
        share, nats = foresight.mix(self._reads(self.network_), counts, shape, held_out)
        self.learned_["held out"] = {f"nats a token of {way}": round(value, 4) for way, value in nats.items()}
        parts = network_parts.parts_of(self.network_)
        model = network_parts.step(parts, self.preprocessor_, shape.before, self.context, counts.order)
        model.get_layer("chances").share.assign(share)
        return model

    def growing(self, train: Part, valid: Part) -> Growing:
        given = self._tokens_of(train), self._held_out(valid), self._coder, self._shape.order, self.context
        return judged.growing(*given, self.baseline_name, self.headline)

    def make_golden(self, inputs: Table) -> Table:
        return synthetic_text.one_step(self._shape, self._coder.size, self.seed)

    def network_in(self, model: keras.Model) -> keras.Model:
        return network_parts.whole(network_parts.parts_of(model), 1 + len(self._orders))

    @property
    def _foresight(self) -> foresight.Foresight:
        share = np.asarray(self.model_.get_layer("chances").share)
        return foresight.Foresight(self._reads(None), self.state_.counted, self._shape, share)

    def _reads(self, network: keras.Model | None) -> Any:
        """The network from tokens to logits, compiled once."""
        source = self.model_ if network is None else network
        kept = self.__dict__.get("_kept_reads")
        if kept is None or kept[0] is not source:
            whole, length = self.network_in(source), self._shape.before + self.context
            kept = self._kept_reads = source, network_parts.reader(whole, self.preprocessor_, length)
        return kept[1]

    # ---- how it is judged --------------------------------------------------

    def make_trials(self, records: Table) -> tuple[Table, Table]:
        found = self._passages(records)
        if not found.text:
            raise DataError(f"{self.name}: column {self.text!r} holds no character to be judged by; give text.")
        return found.trials()

    def _passages(self, records: Table) -> passages.Passages:
        return passages.to_judge(records[self.text], 8 * self.context)

    def clusters(self, records: Table) -> np.ndarray | None:
        texts = np.array(self._passages(records).row)
        return texts if len(np.unique(texts)) > 1 else None

    def trial_groups(self, records: Table, values: np.ndarray) -> np.ndarray:
        return values[self._passages(records).row]

    def score(self, truth: Table, answers: Answers) -> dict[str, float]:
        return judged.score(truth, answers)

    def figures(self, truth: Table, answers: Answers) -> list[Any]:
        return [judged.spread(truth, answers)]

    def fit_baseline(self, train: Part) -> Table:
        return {}  # the counted n-grams, which stand in the state

    def baseline(self, state: Table, inputs: Table) -> Answers:
        """The counted n-grams alone."""
        return {"nats": self._foresight.nats(inputs, 0.0) / inputs["characters"]}

    def extend_report(self, report: Any, truth: Table, inputs: Table) -> None:
        judged.look_closer(report, self._foresight, inputs)
        alone = {"nats": self._foresight.nats(inputs, 1.0) / inputs["characters"]}
        report.notes["nats a character of the network alone"] = judged.score(truth, alone)[self.headline]
        report.notes |= {f"held out while learning, {way}": value for way, value in self.learned_["held out"].items()}
        replay = self.state_.replay
        source = self._coder.decode(replay.tolist()) if len(replay) else None
        judged.samples(report, lambda queries: self.predict(queries)["text"], source)

    def make_explanation(self, records: Table) -> Any:
        if self.text in records:
            queries, _ = self.query.check(self.name, {"prompt": records[self.text]})
        else:
            queries = {**records, "then": np.full(rows(records), "", object)}
        lines, _ = foresight.lines_of(readable(self.prepare(queries, self.state_))[0], self._shape)
        fronts, chances = [self._shape.lead] * len(lines), self._foresight.after
        return prose_explanation.explain(
            self.card.title, lines, fronts, chances, lambda token: self._coder.decode([token])
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
        return inference.pieces(inputs, self._fast(), self.state_.counted, self._coder, self._shape)

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
