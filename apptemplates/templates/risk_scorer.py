"""Risk of anything in a table, such as a loan not paid back: a calibrated chance, a decision, and how even it is."""

from dataclasses import dataclass, field
from typing import Any, Self

import keras
import numpy as np
from keras import layers as kl

from apptemplates import arguments, mitigation
from apptemplates.contract import WEIGHT, Answers, Card, Part
from apptemplates.data import batches, splits, synthetic_loans
from apptemplates.data.schema import DataError, Field, Schema
from apptemplates.data.table import Table, rows
from apptemplates.deploy import fast
from apptemplates.evaluation import binary, calibration, counterfactual, fairness, risk, table_explanation
from apptemplates.evaluation.certainty import Stated
from apptemplates.evaluation.diagnosis import Frozen
from apptemplates.inference import risk_scorer as inference
from apptemplates.inference.columns import GROUP, Column, entry_of, threshold_column
from apptemplates.layers import table_networks, tabular
from apptemplates.layers.classes import Unsure
from apptemplates.layers.decision import Chance, Sureness, Temperature, Weighed
from apptemplates.layers.ensemble import BlendedLogit, MeanLogit
from apptemplates.policy import Policy
from apptemplates.template import Template

BINS = 40  # intervals of each number
MEMBERS = 16


@dataclass(kw_only=True, eq=False)
class RiskScorer(Template):
    """Tells how likely something is to happen (a loan not paid back, a relapse, a customer lost), and decides.

    The chance is calibrated; the decision follows your costs or the errors you allow, and says "ask a human" where the
    policy refers what is not sure. Columns named `sensitive` are never features; `evaluate(by=...)` audits by them, and
    `mitigate` brings the groups of the first of them together.

    Args:
        label: Column that says whether it happened (0/1, yes/no).
        event: Where the label holds other words, the one that means it happened, such as ">50K".
        time: Column that orders the rows, so that the latest are held out; or None.
        group: Column of who a row belongs to (a patient), so that nobody stands on both sides of a split; or None.
        amount: Column with what is at stake in a row, > 0, for `Policy(cost_of_miss="<that column>")`; or None.
        sensitive: Columns for the audit by group, never features.
        ignore: Columns to leave out.
        kinds: Kinds of columns that were guessed wrong, such as `{"zip": "category"}`.
        immutable: Columns that nobody can change, such as an age: counterfactuals leave them alone.
        mitigate: "thresholds" gives each group of the first sensitive column a threshold of its own, which then must
            be told when asking; "penalty" learns chances that differ less between those groups.
        parity: Share of the gap between the groups in the rate of "high risk" that mitigation is to close, 0..1.
        policy: `cost_of_miss` (a number, or the amount's column) and `cost_of_alarm`; or `min_sensitivity`,
            `min_specificity`; or `alarm_rate`; and `max_error` or `refer_rate`. By default both errors cost the same.
        refit: Learn anew from all rows once the held-out ones have told how long to learn.

    Example:
        >>> app, loans = RiskScorer.demo()
        >>> list(app.fit(loans, verbose=0).predict(loans))
        ['probability', 'decision', 'problem']

    Reference: Gorishniy et al., 2025, TabM, arXiv:2410.24210; Hardt et al., 2016, arXiv:1610.02413.
    """

    label: str = "label"
    event: str | None = None
    time: str | None = None
    group: str | None = None
    amount: str | None = None
    sensitive: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    kinds: dict[str, str] = field(default_factory=dict)
    immutable: tuple[str, ...] = ()
    mitigate: str | None = None
    parity: float = 0.6
    policy: Policy | None = None
    refit: bool = True
    epochs: int = 24
    learning_rate: float = 3e-3

    card = Card(
        title="Risk scorer",
        answers="How likely is it that this happens, is that too much, and should a person decide?",
        not_for="Deciding alone about people's credit, health, work or freedom; causes: what a score leans on need not "
        "be what would change the outcome.",
        reference="Gorishniy et al., 2025, arXiv:2410.24210; Hardt et al., 2016, arXiv:1610.02413",
        data="A table with one row for each case, what was known when it was decided, and what happened.",
    )
    headline = "ROC AUC"
    lesson = "tables"
    baseline_name = "logistic regression on the same features"
    patience = 4
    slack = 0.002
    policy_arguments = (
        "cost_of_miss", "cost_of_alarm", "min_sensitivity", "min_specificity", "alarm_rate", "max_error", "refer_rate",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.policy is None:
            self.policy = Policy(cost_of_miss=1.0, cost_of_alarm=1.0)
        mitigation.refuse(self.name, self.mitigate, self.sensitive, self.parity)
        roles = ("label", "time", "group", "amount", "sensitive", "ignore", "kinds")
        arguments.one_role_each(self.name, {role: getattr(self, role) for role in roles}, {("ignore", "kinds")})

    @classmethod
    def demo(cls) -> tuple[Self, Table]:
        given: dict[str, Any] = {"label": "not_paid_back", "group": "customer", "amount": "amount"}
        given |= {"policy": Policy(cost_of_miss=5.0, cost_of_alarm=1.0), "epochs": 12, "batch_size": 128}
        return cls(**given, sensitive=("sex", "age_group"), immutable=("age",)), synthetic_loans.loans(3000)

    # ---- what goes in and comes out ----------------------------------------

    @property
    def record(self) -> Schema:
        kind = "flag" if self.event is None else "category"
        fields = {self.label: Field("whether it happened", kind, named=True)}
        if self.time is not None:
            fields[self.time] = Field("when it was", "time", role="time")
        if self.group is not None:
            fields[self.group] = Field("who the row belongs to", "id", role="group")
        if self.amount is not None:
            fields[self.amount] = Field("what is at stake", low=0, role="amount")
        return Schema.of(fields | mitigation.audited(self.sensitive) | self.columns_)

    @property
    def query(self) -> Schema:
        silent = {self.label, self.time, self.group}
        asked = mitigation.asked(self.record, self._threshold_column)
        return Schema.of({name: entry for name, entry in asked.items() if name not in silent})

    @property
    def answer(self) -> Schema:
        return Schema(
            probability=Field("calibrated chance that it happens", low=0, high=1),
            decision=Field(f"{risk.HIGH}, {risk.LOW} or {risk.ASK}, under the policy", "category"),
            problem=Field("why there is no answer", "text", missing=True),
        )

    @property
    def _threshold_column(self) -> str | None:
        return threshold_column(vars(self))

    @property
    def plan(self) -> list[Column]:
        """The columns that become inputs of the graph."""
        return inference.entries(self.amount, self.columns_)

    def prepare(self, queries: Table, state: Any) -> Table:
        return inference.prepare(queries, self.plan, self._threshold_column)

    def respond(self, inputs: Table, call: Any, state: Any) -> Answers:
        return inference.respond(call(inputs))

    # ---- how it learns -----------------------------------------------------

    def _truth(self, records: Table) -> np.ndarray:
        """Whether it happened, (n,) float64 0 or 1."""
        column = records[self.label]
        return np.asarray(column if self.event is None else column == self.event, "float64")

    def split(self, records: Table) -> tuple[Table, Table]:
        happened = self._truth(records)
        if self.event is not None and not 0 < happened.sum() < len(happened):
            words = sorted(set(records[self.label].tolist()))
            raise DataError(
                f"{self.name}: column {self.label!r} is {'always' if happened.any() else 'never'} {self.event!r}; "
                f"it holds {', '.join(map(repr, words[:5]))}; name one of several by event=."
            )
        if self.time is not None:
            return splits.by_time(records, self.time, 0.2)
        if self.group is not None:
            return splits.by_group(records, self.group, 0.2, self.seed)
        return splits.stratified(records, self.label, 0.2, self.seed)

    def clusters(self, records: Table) -> np.ndarray | None:
        return None if self.group is None else splits.owners(records[self.group])

    def build_preprocessor(self, train: Part) -> keras.Model:
        inputs = {name: column for name, column in train.inputs.items() if name != GROUP}
        happened = self._truth(train.records)
        preprocessor = tabular.build_preprocessor(inputs, bins=BINS, important=happened > 0)
        features = fast.values(preprocessor.input, preprocessor.output, inputs)
        self._linear = binary.fit_logistic(features, happened, self.seed)
        return preprocessor

    def build_network(self, preprocessor: keras.Model) -> keras.Model:
        return table_networks.ensemble(preprocessor, BINS, MEMBERS, (0.2, 0.2))

    def passes(self, rows: int) -> int:
        return min(self.epochs, max(6, round(2e6 / rows)))  # on many rows fewer passes are enough

    def objective(self) -> dict[str, Any]:
        loss = mitigation.loss_of(self.mitigate, MEMBERS, self.parity, self.learned_)
        return table_networks.objective(self.learning_rate, loss)

    def make_batches(self, part: Part, training: bool) -> Any:
        features, group = self._features(part.inputs), mitigation.penalty_column(self.mitigate, self.sensitive)
        target = mitigation.targets(self._truth(part.records), features, part, MEMBERS, group, self.learned_)
        weight = part.records.get(WEIGHT)
        return batches.shuffled(features, target, self.batch_size, weight=weight, training=training, seed=self.seed)

    def build_decision(self, valid: Part) -> keras.Model:
        entries = dict(self.preprocessor_.input)
        truth, features = self._truth(valid.records), self._features(valid.inputs)
        if "_linear" not in self.__dict__:  # finetune: the linear part stays as it was
            kernel, bias = self.model_.get_layer("linear").get_weights()
            self._linear = {"weights": kernel[:, 0], "bias": bias}
        entry = self.network_.input
        deep = fast.values({entry.name: entry}, MeanLogit()(self.network_.output), {entry.name: features})
        plain = features @ self._linear["weights"] + self._linear["bias"]
        # the linear part knows of no penalty
        share, held_out = (1.0, deep) if self.mitigate == "penalty" else risk.blend(truth, deep, plain)
        self.learned_["share of the network"] = share
        temperature = Temperature(name="temperature")
        odds = temperature(self._logit(self.preprocessor_(entries)))
        fitted = calibration.fit_temperature(truth, held_out)
        temperature.temperature.assign(fitted)
        self.learned_["temperature"] = fitted
        own = mitigation.Grouped.of(valid.inputs)
        self.valid_ = {"odds": held_out / fitted, "truth": truth} | own.known
        self.learned_ |= own.learned
        given = own.flags
        if self.amount is not None:
            self.valid_["record amount"] = valid.records[self.amount]
            given = {"value": entries[entry_of(self.plan, self.amount)], **given}
        margin = Weighed(own.groups, name="weighed_odds")(odds, **given)
        refer = Unsure(name="refer_to_human")(Sureness(name="how_sure")(margin))
        chance = Chance(name="probability")(odds)
        return keras.Model(entries | own.entries, {"probability": chance, "margin": margin, "refer": refer})

    def _logit(self, features: Any) -> Any:
        """The network's logit blended with the linear one, from features (n, d)."""
        share = self.learned_["share of the network"]
        linear = kl.Dense(1, name="linear")
        plain = kl.Reshape((), name="linear_logit")(linear(features))
        linear.set_weights([self._linear["weights"][:, None], self._linear["bias"]])
        return BlendedLogit(share, name="logit")([MeanLogit(name="network_logit")(self.network_(features)), plain])

    def finish(self, both: Part) -> None:
        self._linear = binary.fit_logistic(self._features(both.inputs), self._truth(both.records), self.seed)
        self.model_.get_layer("linear").set_weights([self._linear["weights"][:, None], self._linear["bias"]])

    def _features(self, inputs: Table) -> np.ndarray:
        return fast.values(self.preprocessor_.input, self.preprocessor_.output, inputs)

    def chances(self, inputs: Table) -> tuple[tuple[str, ...], np.ndarray]:
        return binary.both(self.call_(inputs)["probability"])

    def frozen(self, part: Part) -> Frozen | None:
        words = ("= 0", "= 1") if self.event is None else (f"not {self.event}", f"= {self.event}")
        names = tuple(f"{self.label} {word}" for word in words)
        return Frozen(self._features(part.inputs), self._truth(part.records).astype(int), names)

    # ---- how it decides ----------------------------------------------------

    def cost_columns(self) -> tuple[str, ...]:
        return () if self.amount is None else (self.amount,)

    def refuse_policy(self, policy: Policy) -> None:
        if self.is_fitted and policy != self.policy:
            mitigation.refuse_change(self.name, self.mitigate, self.valid_)

    def apply_policy(self) -> None:
        assert self.policy is not None
        known, group = self.valid_, None
        if self._threshold_column is not None:
            if "record group" not in known:
                return  # shared without the groups: the thresholds stay as they were saved
            group = known["record group"]
        value = known.get("record amount")
        decided = risk.decide(self.policy, known["odds"], known["truth"], value, group, self.parity)
        layer = self.model_.get_layer("weighed_odds")
        layer.by_value.assign(decided.by_value)
        layer.offset.assign(decided.offset)
        if group is not None:
            layer.of_group.assign(mitigation.in_order(self.learned_["threshold groups"], decided.of_group))
        self.model_.get_layer("refer_to_human").least.assign(decided.least)

    # ---- how it is judged --------------------------------------------------

    def make_trials(self, records: Table) -> tuple[Table, Table]:
        kept = [name for name in (self.amount, *self.sensitive) if name is not None]
        return records, {"happened": self._truth(records)} | {name: records[name] for name in kept}

    def score(self, truth: Table, answers: Answers) -> dict[str, float]:
        assert self.policy is not None
        costs = binary.costs_of(self.policy, truth)
        return risk.score(truth["happened"], answers["probability"], answers["decision"], costs)

    def stated(self, truth: Table, inputs: Table, answers: Answers) -> Stated:
        margin, temperature = self.call_(inputs)["margin"], self.learned_["temperature"]
        return risk.stated(margin >= 0, margin, truth["happened"], answers["probability"], temperature)

    def figures(self, truth: Table, answers: Answers) -> list[Any]:
        assert self.policy is not None
        happened, chance = truth["happened"], answers["probability"]
        drawn = binary.pictures(happened, chance, binary.costs_of(self.policy, truth), ("others", "cases"))
        margin = self._margin(chance, truth)
        for name in self.sensitive[:1]:
            decided = answers["decision"] == risk.HIGH
            drawn += risk.frontier_figures(happened, margin, decided, truth[name], name, f"'{risk.HIGH}'")
        return drawn

    def _margin(self, chance: np.ndarray, truth: Table) -> np.ndarray:
        """The margin (n,) of chances before any group's offset."""
        layer = self.model_.get_layer("weighed_odds")
        margin = risk.log_odds(chance) + float(layer.offset.numpy())
        if self.amount is not None:
            margin = margin + float(layer.by_value.numpy()) * np.log(np.maximum(truth[self.amount], 1e-6))
        return np.asarray(margin)

    def extend_report(self, report: Any, truth: Table, inputs: Table) -> None:
        fairness.add(report, self.sensitive)

    def fit_baseline(self, train: Part) -> Table:
        return {**self._linear, "typical": np.median(self._features(train.inputs), axis=0)}

    def baseline(self, state: Table, inputs: Table) -> Answers:
        chance = np.clip(binary.answer_logistic(state, self._features(inputs)), 1e-9, 1 - 1e-9)
        columns = {column.name: inputs[column.entry] for column in self.plan}
        margin = self._margin(chance, columns)
        least = float(self.model_.get_layer("refer_to_human").least.numpy())
        return inference.respond({"probability": chance, "margin": margin, "refer": risk.sureness(margin) < least})

    def make_explanation(self, records: Table) -> Any:
        inputs = self.prepare(records, self.state_)
        names = {column.entry: column.features() for column in self.plan}
        features = keras.Input(self.preprocessor_.output_shape[1:])
        kernel, bias = self.model_.get_layer("linear").get_weights()
        self._linear = {"weights": kernel[:, 0], "bias": bias}
        report = table_explanation.explain(
            self.card.title,
            keras.Model(features, self._logit(features)),
            self._features(inputs),
            self.baseline_["typical"],
            tabular.owners(self.preprocessor_, names),
            self._truth(records) if self.label in records and rows(records) > 1 else None,
            seed=self.seed,
        )
        free = [column for column in self.plan if column.name not in self.immutable]
        said = {"decision": self.respond(inputs, self.call_, self.state_)["decision"]}
        counterfactual.add(report, lambda rows: self.call_(rows)["margin"], inputs, self.preprocessor_, free, said)
        return report
