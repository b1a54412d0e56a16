"""What an author writes: the hooks of a template, and the words they are written in."""

import abc
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar, Self

import numpy as np

from apptemplates.data.schema import Schema
from apptemplates.data.table import Table, concat

Answers = dict[str, np.ndarray]
# the column that carries `fit(sample_weight=)` through a split; no column of a user's is called so
WEIGHT = "apptemplates: sample weight"


@dataclass(frozen=True)
class Card:
    """What a person must know before using a template."""

    title: str
    answers: str
    not_for: str
    reference: str
    data: str


@dataclass
class Part:
    """Records of one side of a split, and what `prepare` makes of them (when first asked for)."""

    records: Table
    prepare: partial[Table] | None = None
    teacher: Any = None  # in `finetune`: the network as it was, whose answers keep old knowledge alive

    @cached_property
    def inputs(self) -> Table:
        """The graph's inputs, one row a record."""
        assert self.prepare is not None
        return self.prepare(self.records)

    @classmethod
    def joined(cls, first: "Part", second: "Part") -> "Part":
        """Both parts as one, each with the inputs it has."""
        both = cls(concat([first.records, second.records]))
        both.__dict__["inputs"] = concat([first.inputs, second.inputs])
        return both


class Contract(abc.ABC):
    """The hooks between which `Template` runs the life of an application."""

    card: ClassVar[Card]
    headline: ClassVar[str]  # the metric a report leads with
    baseline_name: ClassVar[str]  # what the simple method is called
    target: ClassVar[str] = "label"  # the role whose column is learned
    policy_arguments: ClassVar[tuple[str, ...]] = ()
    patience: ClassVar[int] = 5  # epochs without a better validation loss before training stops
    slack: ClassVar[float] = 0.0  # share by which a later epoch may be worse and still be kept

    @classmethod
    @abc.abstractmethod
    def demo(cls) -> tuple[Self, Table]:
        """An unfitted template and synthetic records it learns in seconds."""

    @property
    @abc.abstractmethod
    def record(self) -> Schema:
        """What it learns from; with the columns that `fit` found on its own, once it has."""

    @property
    @abc.abstractmethod
    def query(self) -> Schema:
        """What it is asked."""

    @property
    @abc.abstractmethod
    def answer(self) -> Schema:
        """What it says."""

    @abc.abstractmethod
    def split(self, records: Table) -> tuple[Table, Table]:
        """Two tables: to learn from, and to be judged by while learning."""

    @abc.abstractmethod
    def build_preprocessor(self, train: Part) -> Any:
        """A `keras.Model` named "preprocessor" from the graph's inputs to features, adapted to `train` only."""

    @abc.abstractmethod
    def build_network(self, preprocessor: Any) -> Any:
        """A trainable `keras.Model` named "network" from features to outputs."""

    @abc.abstractmethod
    def objective(self) -> dict[str, Any]:
        """The keyword arguments of `network.compile`."""

    @abc.abstractmethod
    def make_batches(self, part: Part, training: bool) -> Any:
        """A batched `tf.data.Dataset` of (features, target[, weight]) of known length."""

    @abc.abstractmethod
    def build_decision(self, valid: Part) -> Any:
        """A `keras.Model` from the graph's inputs to the raw answer, calibrated on `valid`.

        What the policy is decided by goes into `self.valid_`; names that begin with "record " are never shared.
        """

    @abc.abstractmethod
    def respond(self, inputs: Table, call: Any, state: Any) -> Answers:
        """Answer columns; `call` is the graph."""

    @abc.abstractmethod
    def make_trials(self, records: Table) -> tuple[Table, Table]:
        """Queries, and the truth they are judged by."""

    @abc.abstractmethod
    def score(self, truth: Table, answers: Answers) -> dict[str, float]:
        """Named numbers; pure, so that it also serves groups, intervals and the baseline."""

    @abc.abstractmethod
    def figures(self, truth: Table, answers: Answers) -> list[Any]:
        """Pictures of how good the answers are, as matplotlib figures."""

    @abc.abstractmethod
    def fit_baseline(self, train: Part) -> Table:
        """The obvious simple method, as arrays that travel with the folder."""

    @abc.abstractmethod
    def baseline(self, state: Table, inputs: Table) -> Answers:
        """What that simple method, whose arrays are `state`, answers."""

    @abc.abstractmethod
    def make_explanation(self, records: Table) -> Any:
        """A Report of kind "explanation": what decided the answers to these records."""

    def prepare(self, queries: Table, state: Any) -> Table:
        """The graph's inputs from canonical queries: fixed-shape arrays; what the graph can not hold is done here."""
        return queries

    def open_state(self, arrays: Table) -> Any:
        """What lives and grows, from the arrays of a saved folder (empty for a new template)."""
        return arrays

    def close_state(self, state: Any, share: bool) -> Table:
        """The arrays that `open_state` opens; with `share` without any record of a third party."""
        return state

    def remember(self, records: Table, state: Any) -> Any:
        """The state after these records were seen."""
        return state

    def passes(self, rows: int) -> int:
        """Passes over so many training rows."""
        return self.epochs  # type: ignore[attr-defined,no-any-return]

    def extend_network(self, network: Any, records: Table) -> Any:
        """The network to go on from in `finetune`; another one where something grows."""
        return network

    def clusters(self, records: Table) -> np.ndarray | None:
        """Who each record belongs to, where records come in groups that intervals must respect."""
        return None

    def cost_columns(self) -> tuple[str, ...]:
        """Columns that a policy may name as the cost of a miss."""
        return ()

    def refuse_policy(self, policy: Any) -> None:  # noqa: B027 (most templates take every policy they name)
        """Raises ValueError where a policy does not go with the choices, such as reviews a day without times."""

    def apply_policy(self) -> None:  # noqa: B027 (many templates decide nothing)
        """Sets the numbers in the graph that `policy` decides."""
