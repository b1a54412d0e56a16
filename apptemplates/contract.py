"""What an author writes: the hooks of a template, and the words they are written in."""

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np

from apptemplates.data import splits, traits
from apptemplates.data.fingerprint import imagined
from apptemplates.data.schema import Schema
from apptemplates.data.table import PROBLEM, Table, concat, take

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


@dataclass(frozen=True)
class Stage:
    """One stretch of learning, such as the head alone before the whole network.

    Args:
        ready: Called with the network before it is compiled, to say which layers learn; None leaves them.
        rate: Factor on the learning rate.
        epochs: Factor on the passes.
    """

    ready: Callable[[Any], None] | None = None
    rate: float = 1.0
    epochs: float = 1.0


@dataclass
class Part:
    """Records of one side of a split, and the network's inputs made of them, a row a record.

    Args:
        records: Those that could be read.
        inputs: What `prepare_records` made of them with the state that was known before these records.
        ask: `prepare` with that state.
        left_out: Why each record that could not be read was left out.
        teacher: In `finetune`: the network as it was, whose answers keep old knowledge alive.
        state: What was known before these records.
    """

    records: Table
    inputs: Table
    ask: Callable[[Table], Table]
    left_out: tuple[str, ...] = ()
    teacher: Any = None
    state: Any = None

    @classmethod
    def of(cls, app: "Contract", records: Table, state: Any) -> "Part":
        """The part of these records with what was known before them."""
        inputs, problems = readable(app.prepare_records(records, state))
        why = () if problems is None else tuple(problems[problems != ""])
        kept = records if problems is None else take(records, problems == "")
        return cls(kept, inputs, partial(app.prepare, state=state), why, state=state)

    @classmethod
    def joined(cls, first: "Part", second: "Part") -> "Part":
        """Both parts as one."""
        records, inputs = concat([first.records, second.records]), concat([first.inputs, second.inputs])
        return cls(records, inputs, second.ask, state=second.state)


def readable(prepared: Table) -> tuple[Table, np.ndarray | None]:
    """What `prepare` gave without its column of problems, and that column where it names any."""
    inputs = {name: column for name, column in prepared.items() if name != PROBLEM}
    problems = prepared.get(PROBLEM)
    return inputs, problems if problems is not None and (problems != "").any() else None


class Contract(abc.ABC):
    """The hooks between which `Template` runs the life of an application."""

    card: ClassVar[Card]
    headline: ClassVar[str]  # the metric a report leads with
    baseline_name: str  # what the simple method is called
    target: ClassVar[str] = "label"  # the role whose column is learned
    policy_arguments: ClassVar[tuple[str, ...]] = ()
    patience: ClassVar[int] = 5  # epochs without a better validation loss before training stops
    slack: ClassVar[float] = 0.0  # share by which a later epoch may be worse and still be kept
    changeable: ClassVar[tuple[str, ...]] = ()  # choices that `finetune` can change, for which `extend_network` sees
    enough_to_go_on: ClassVar[tuple[str, ...]] = ()  # findings that refuse a `fit`, but no `finetune`
    asked_apart: ClassVar[int] = 10_000  # trials at most that judge an exported form, which is asked one by one
    lesson: ClassVar[str | None] = None  # deploy/scripts/task_<lesson>.py, by which an ejected model goes on learning
    lesson_parts: ClassVar[tuple[tuple[str, str], ...]] = ()  # (module, name) of what that takes beside the layers
    truth: ClassVar[Schema | None] = None  # the truth in ready trials, which `evaluate` takes, too

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
        """A `keras.Model` named "preprocessor" from the graph's inputs to features, adapted to `train` only.

        What is learned here and answers depend on, such as the names of classes, goes into `self.learned_` (JSON).
        """

    @abc.abstractmethod
    def build_network(self, preprocessor: Any) -> Any:
        """A trainable `keras.Model` named "network" from features to outputs."""

    @abc.abstractmethod
    def objective(self) -> dict[str, Any]:
        """The keyword arguments of `network.compile`."""

    @abc.abstractmethod
    def make_batches(self, part: Part, training: bool) -> Any:
        """A batched `tf.data.Dataset` of (features, target[, weight]) of known length.

        None of held-out records that the loss can not judge, such as people never seen: then learning goes to its end.
        None of training records in `finetune` where `extend_network` has learned all there is to learn.
        """

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
        """A Report of kind "explanation": what decided the answers to these records.

        Its `attributions` hold, by method, the numbers of the parts of each answer; by these it is told what of the
        explanation is left with shuffled weights. `evaluation.faithfulness` compares its order with random ones.
        """

    def attributions(self, records: Table) -> Mapping[str, list[Any]]:
        """The `attributions` of that report; worth a way of its own where the rest of the report takes long."""
        return self.make_explanation(records).attributions  # type: ignore[no-any-return]

    def prepare(self, queries: Table, state: Any) -> Table:
        """The graph's inputs from canonical queries: fixed-shape arrays; what the graph can not hold is done here.

        Queries that can not be answered, such as damaged pictures, are left out of the arrays, and the column
        "problem" (n,) says why; it is "" for the others.
        """
        return queries

    def prepare_records(self, records: Table, state: Any) -> Table:
        """The network's inputs from canonical records, where these are not queries; else as `prepare`."""
        return self.prepare(records, state)

    def make_golden(self, inputs: Table) -> Table:
        """A few made-up inputs of the graph, by whose answers a saved folder is checked when it is opened.

        Args:
            inputs: Prepared queries, to be like; nothing of them may be kept.
        """
        return imagined(inputs, self.seed)  # type: ignore[attr-defined]

    def network_in(self, model: Any) -> Any:
        """The network that the graph holds as it is, so that a folder need not hold it twice; else None."""
        return None

    def look(self, records: Table, inputs: Table) -> list[Any]:
        """Findings that need decoded media, such as one picture under two labels."""
        return []

    def extend_report(self, report: Any, truth: Table, inputs: Table) -> None:  # noqa: B027 (most need no more)
        """Adds to the report of `evaluate` what its trials alone do not tell, such as how good answers are in noise."""

    def ways(self, train: Part) -> tuple[str, ...]:
        """The kinds of network to choose between by the held-out records, where these can not tell the first.

        `learned_["kind"]` names the one that is to be built.
        """
        return ("",)

    def worth(self) -> float:
        """How good the held-out records find the decision that was built, the higher the better; chooses the way."""
        return 0.0

    def stages(self) -> tuple[Stage, ...]:
        """The stretches of learning, one after the other."""
        return (Stage(),)

    def open_state(self, arrays: Table) -> Any:
        """What lives and grows, from the arrays of a saved folder (empty for a new template)."""
        return arrays

    def close_state(self, state: Any, share: bool) -> Table:
        """The arrays that `open_state` opens; with `share` without any record of a third party."""
        return state

    def remember(self, records: Table, state: Any) -> Any:
        """The state after these records were seen."""
        return state

    def portion(self, records: Table) -> tuple[Table, float]:
        """Some records that are like all of them, for the short fit of `check`, and the share that they are."""
        media = any(field.kind in ("image", "sound") for field in self.record.values())
        return splits.portion(records, 300 if media else 4_000, self.seed)  # type: ignore[attr-defined]

    def passes(self, rows: int) -> int:
        """Passes over so many training rows."""
        return self.epochs  # type: ignore[attr-defined,no-any-return]

    def extend_network(self, network: Any, part: Part) -> Any:
        """The network to go on from in `finetune`; another one where something grows, or is learned in closed form."""
        return network

    def finish(self, both: Part) -> None:  # noqa: B027 (most templates learn by gradients alone)
        """Learns in closed form once more, from all records; called last, where `refit` is set."""

    def clusters(self, records: Table) -> np.ndarray | None:
        """Who each trial of these records belongs to, where trials come in groups that intervals must respect."""
        return None

    def trial_groups(self, records: Table, values: np.ndarray) -> np.ndarray:
        """The group of each trial of these records from the group of each record."""
        return values

    def traits(self, records: Table, inputs: Table) -> Table:
        """What rows are like (n,) each, by which drift and the worst slices are told; never the label."""
        label = getattr(self, self.target, None)
        return traits.of_rows(records, inputs, {name: field for name, field in self.query.items() if name != label})

    def stated(self, truth: Table, inputs: Table, answers: Answers) -> Any:
        """What was decided of each trial and how sure that was said to be, as `evaluation.certainty.Stated`.

        By it reports show calibration before and after, what is left when the unsure go to a person, and which labels
        look wrong; None where nothing is decided that can be wrong.
        """
        return None

    def chances(self, inputs: Table) -> Any:
        """Names of the classes, and the chance (n, c) of each for prepared queries; None where there are no classes."""
        return None

    def frozen(self, part: Part) -> Any:
        """Features of a fitted template that learn no more, and classes, as `evaluation.diagnosis.Frozen`.

        By these `fit(diagnose=True)` tells which labels look wrong and what more records would bring; None where
        records have no one class.
        """
        return None

    def growing(self, train: Part, valid: Part) -> Any:
        """What can be learned from shares of records that have no classes, as `evaluation.diagnosis.Growing`.

        By it `fit(diagnose=True)` tells what more records would bring; None where they have classes.
        """
        return None

    def cost_columns(self) -> tuple[str, ...]:
        """Columns that a policy may name as the cost of a miss."""
        return ()

    def refuse_policy(self, policy: Any) -> None:  # noqa: B027 (most templates take every policy they name)
        """Raises ValueError where a policy does not go with the choices, such as reviews a day without times."""

    def apply_policy(self) -> None:  # noqa: B027 (many templates decide nothing)
        """Sets the numbers in the graph that `policy` decides."""
