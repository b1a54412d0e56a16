"""Payment fraud: a small ensemble over the payment and the past of its card, terminal or whatever else took part."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import keras
import numpy as np
from keras import layers as kl

from apptemplates import arguments, mitigation
from apptemplates.contract import WEIGHT, Answers, Card, Part
from apptemplates.data import batches, splits, synthetic
from apptemplates.data.readers import read
from apptemplates.data.schema import Field, Schema
from apptemplates.data.table import Table, rows, take
from apptemplates.deploy import fast
from apptemplates.evaluation import (
    binary,
    calibration,
    counterfactual,
    fairness,
    metrics,
    risk,
    table_explanation,
    thresholds,
)
from apptemplates.evaluation.certainty import Stated
from apptemplates.evaluation.diagnosis import Frozen
from apptemplates.inference import fraud_detector as inference
from apptemplates.inference.columns import GROUP, Column, entry_of, threshold_column
from apptemplates.inference.facts import DAY
from apptemplates.inference.history import History
from apptemplates.layers import table_networks, tabular
from apptemplates.layers.decision import Alarm, Chance, Temperature, Unusualness
from apptemplates.layers.ensemble import MeanLogit
from apptemplates.policy import Policy
from apptemplates.template import Template

BINS = 40  # intervals of each number
MEMBERS = 8


@dataclass(kw_only=True, eq=False)
class FraudDetector(Template):
    """Tells how likely a payment is a fraud, and whether it is worth a look at your costs.

    What happened before with the same card, terminal or shop (`entities`) is counted over `windows`, and so are the
    frauds among it that were known by then; every other column of the table is used too. Without labels it learns what
    payments usually look like and alarms at the most unusual ones.

    Args:
        label: Column that says whether the payment was a fraud (0/1, yes/no); None where nobody knows.
        time: Column with the time of the payment, or None.
        amount: Column with the amount paid, >= 0, or None.
        entities: Columns that name who or what took part; their past is kept. Needs `time`. The payments of one of the
            first of them, such as a customer, go together where intervals are told.
        sensitive: Columns for the audit by group only, never features.
        ignore: Columns to leave out.
        kinds: Kinds of columns that were guessed wrong, such as `{"zip": "category"}`.
        label_delay: How long it takes until a fraud is known, such as "7D"; a label serves only later payments.
        windows: How far back the past is counted.
        immutable: Columns that nobody can change: what would make an alarm none, or the reverse, leaves them alone.
        mitigate: "thresholds" gives each group of the first sensitive column a threshold of its own, which then must
            be told when asking; "penalty" learns chances that differ less between those groups. None treats all alike.
        parity: Share of the gap between the groups in the rate of alarms that mitigation is to close, 0..1.
        policy: `cost_of_miss` (a number, or the amount's column) and `cost_of_alarm`; or `reviews_per_day`; or
            `alarm_rate`. By default a miss costs 100 and an alarm 5; without labels one payment in a hundred alarms.
        refit: Learn anew from all rows once the held-out ones have told how long to learn.

    Example:
        >>> app, payments = FraudDetector.demo()
        >>> answers = app.fit(payments, verbose=0).predict(payments)
        >>> list(answers)
        ['probability', 'alarm', 'problem']

    Reference: Le Borgne et al., 2022, Reproducible Machine Learning for Credit Card Fraud Detection; Gorishniy et al.,
    2025, TabM, arXiv:2410.24210.
    """

    label: str | None = "label"
    time: str | None = "time"
    amount: str | None = "amount"
    entities: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    kinds: dict[str, str] = field(default_factory=dict)
    label_delay: str = "7D"
    windows: tuple[str, ...] = ("1D", "7D", "30D")
    immutable: tuple[str, ...] = ()
    mitigate: str | None = None
    parity: float = 0.6
    policy: Policy | None = None
    refit: bool = True
    epochs: int = 16
    batch_size: int = 512
    learning_rate: float = 3e-3

    card = Card(
        title="Fraud detector",
        answers="How likely is this payment a fraud, and is it worth a look at your costs?",
        not_for="Refusing a payment or closing an account without a person's look; people's creditworthiness.",
        reference="Le Borgne et al., 2022, Fraud Detection Handbook; Gorishniy et al., 2025, arXiv:2410.24210",
        data="A table of payments with time, amount, card and terminal, and which of them turned out to be frauds.",
    )
    headline = "average precision"
    lesson = "tables"
    baseline_name = "logistic regression on the same features"
    patience = 4
    slack = 0.02  # a week holds out a hundred frauds or so
    policy_arguments = ("cost_of_miss", "cost_of_alarm", "reviews_per_day", "alarm_rate")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.policy is None:
            self.policy = (
                Policy(alarm_rate=0.01) if self.label is None else Policy(cost_of_miss=100.0, cost_of_alarm=5.0)
            )
        if self.label is None:
            self.baseline_name = "distance from a typical payment"
        if self.entities and self.time is None:
            raise ValueError(
                "FraudDetector: entities need the time of each payment; name it with time=, or say entities=()."
            )
        if self.entities and not self.windows:
            raise ValueError("FraudDetector: windows must name at least one length such as '7D'. Received: ().")
        arguments.different_lengths(self.name, "windows", self.windows)
        arguments.lengths(self.name, "label_delay", (self.label_delay,))
        mitigation.refuse(self.name, self.mitigate, self.sensitive, self.parity)
        if self.label is None and self.mitigate == "penalty":
            raise ValueError("FraudDetector: mitigate='penalty' needs chances, which are not known with label=None.")
        roles = ("label", "time", "amount", "entities", "sensitive", "ignore", "kinds")
        arguments.one_role_each(self.name, {role: getattr(self, role) for role in roles}, {("ignore", "kinds")})

    @classmethod
    def demo(cls) -> tuple[Self, Table]:
        app = cls(label="fraud", entities=("card", "terminal"), sensitive=("region",), batch_size=128, epochs=12)
        return app, synthetic.payments(12_000)

    # ---- what goes in and comes out ----------------------------------------

    @property
    def record(self) -> Schema:
        roles = {
            self.label: Field("whether it was a fraud", "flag", role="label"),
            self.time: Field("time of the payment", "time", role="time"),
            self.amount: Field("amount paid", low=0, role="amount"),
        }
        fields = {name: entry for name, entry in roles.items() if name is not None}
        fields |= dict.fromkeys(
            self.entities, Field("who or what took part in the payment", "category", role="entities")
        )
        return Schema.of(fields | mitigation.audited(self.sensitive) | self.columns_)

    @property
    def query(self) -> Schema:
        asked = mitigation.asked(self.record, threshold_column(vars(self)))
        if self.label is not None:  # a label is never a feature, but serves later rows of the same table
            asked[self.label] = Field("whether it was a fraud", "flag", required=False, missing=True, lenient=True)
        return Schema.of(asked)

    @property
    def answer(self) -> Schema:
        meaning = (
            "share of usual payments that are less unusual" if self.label is None else "calibrated chance of fraud"
        )
        return Schema(
            probability=Field(meaning, low=0, high=1),
            alarm=Field("worth a look under the policy", "flag"),
            problem=Field("why there is no answer", "text", missing=True),
        )

    @property
    def roles(self) -> inference.Roles:
        """Which column holds what."""
        return inference.Roles(self.label, self.time, self.amount, self.entities)

    @property
    def plan(self) -> list[Column]:
        """The columns that become inputs of the graph."""
        return inference.entries(self.roles, self.columns_)

    def prepare(self, queries: Table, state: History) -> Table:
        return inference.prepare(queries, state, self.roles, self.plan, threshold_column(vars(self)))

    def respond(self, inputs: Table, call: Any, state: History) -> Answers:
        return inference.respond(call(inputs))

    # ---- the past ----------------------------------------------------------

    def open_state(self, arrays: Table) -> History:
        return History(self.entities, self.windows, self.label_delay, self.label is not None).read_arrays(arrays)

    def close_state(self, state: History, share: bool) -> Table:
        return {} if share or not self.entities else state.to_arrays()

    def remember(self, records: Table, state: History) -> History:
        return state.add(*inference.payments(records, self.roles)) if self.entities else state

    def observe(self, records: Any) -> Self:
        """Adds payments to the history without learning from them; also the late label of one that is there already.

        Args:
            records: A table or one payment (a dict of values): time, amount, entities and, where known, the label.

        Before `fit` this gives the past of what will be learned from.
        """
        if isinstance(records, Mapping) and not any(np.ndim(value) for value in records.values()):
            records = [dict(records)]
        known = Schema.of({name: entry for name, entry in self.query.items() if name in self._past_columns})
        if self.label is not None:  # here it counts, so that nothing may stand in it but what it means
            known[self.label] = replace(known[self.label], lenient=False)
        table, _ = known.check(self.name, read(records))
        if not self.entities or not rows(table):
            return self
        with self._lock:  # of two threads that observe none forgets what the other saw
            state = self.open_state({}) if self.state_ is None else self.state_
            before, self.state_ = len(state), state.note(*inference.payments(table, self.roles))
            if self.is_fitted:
                self.state_ = self.state_.lean(before)
            else:
                self.before_ = self.state_
        return self

    @property
    def _past_columns(self) -> set[str | None]:
        return {self.label, self.time, self.amount, *self.entities}

    # ---- how it learns -----------------------------------------------------

    def split(self, records: Table) -> tuple[Table, Table]:
        if self.time is not None:
            return splits.by_time(records, self.time, 0.2)  # never learn from the future
        if self.label is not None:
            return splits.stratified(records, self.label, 0.2, self.seed)
        return splits.at_random(records, 0.2, self.seed)

    def clusters(self, records: Table) -> np.ndarray | None:
        return splits.owners(records[self.entities[0]]) if self.entities else None

    def portion(self, records: Table) -> tuple[Table, float]:
        if self.time is None:
            return super().portion(records)
        latest = np.sort(np.argsort(records[self.time], kind="stable")[-20_000:])  # whose histories are whole
        return take(records, latest), len(latest) / max(1, rows(records))

    def build_preprocessor(self, train: Part) -> keras.Model:
        frauds = None if self.label is None else train.records[self.label] > 0
        inputs = {name: column for name, column in train.inputs.items() if name != GROUP}
        return tabular.build_preprocessor(inputs, bins=BINS, important=frauds)

    def build_network(self, preprocessor: keras.Model) -> keras.Model:
        if self.label is not None:
            return table_networks.ensemble(preprocessor, BINS, MEMBERS, (0.0, 0.1))
        features = keras.Input(preprocessor.output_shape[1:])
        x = tabular.ramps(features, preprocessor, BINS)
        for width in (64, 16, 64):
            x = kl.Dense(width, activation="relu")(x)
        return keras.Model(features, kl.Dense(features.shape[1])(x), name="network")

    def passes(self, rows: int) -> int:
        return min(self.epochs, max(6, round(1.2e6 / rows)))  # on many rows fewer passes are enough

    def objective(self) -> dict[str, Any]:
        given = self.mitigate, MEMBERS, self.parity, self.learned_
        loss = "mse" if self.label is None else mitigation.loss_of(*given)
        return table_networks.objective(self.learning_rate, loss)

    def make_batches(self, part: Part, training: bool) -> Any:
        features = self._features(part.inputs)
        if self.label is None:
            clean = batches.shuffled(features, features, self.batch_size, training=training, seed=self.seed)
            return batches.with_swaps(clean, 0.15) if training else clean
        group = mitigation.penalty_column(self.mitigate, self.sensitive)
        target = mitigation.targets(part.records[self.label], features, part, MEMBERS, group, self.learned_)
        weight = part.records.get(WEIGHT)
        return batches.shuffled(features, target, self.batch_size, weight=weight, training=training, seed=self.seed)

    def build_decision(self, valid: Part) -> keras.Model:
        entries = dict(self.preprocessor_.input)
        features = self.preprocessor_(entries)
        out = self.network_(features)
        if self.label is None:
            error = keras.ops.mean(keras.ops.square(out - features), axis=-1)
            scale = Unusualness(name="probability").adapt(fast.values(entries, error, valid.inputs))
            probability = scale(error)
        else:
            logit, temperature = MeanLogit(name="logit")(out), Temperature(name="temperature")
            calibrated = temperature(logit)
            held_out = fast.values(entries, logit, valid.inputs)
            fitted = calibration.fit_temperature(valid.records[self.label], held_out)
            temperature.temperature.assign(fitted)
            self.learned_["temperature"] = fitted
            probability = Chance(name="probability")(calibrated)
        value = keras.ops.zeros_like(probability) if self.amount is None else entries[entry_of(self.plan, self.amount)]
        own = mitigation.Grouped.of(valid.inputs)
        self.valid_ = {"probability": fast.values(entries, probability, valid.inputs)} | own.known
        self.learned_ |= own.learned
        if self.amount is not None:
            self.valid_["record amount"] = valid.records[self.amount]
        if self.time is not None:
            times = valid.records[self.time]
            self.valid_["days"] = np.array([max(1.0, (times.max() - times.min()).astype("int64") / DAY)])
        alarm = Alarm(own.groups, name="alarm")(probability, value, **own.flags)
        return keras.Model(entries | own.entries, {"probability": probability, "alarm": alarm})

    def _features(self, inputs: Table) -> np.ndarray:
        return fast.values(self.preprocessor_.input, self.preprocessor_.output, inputs)

    def chances(self, inputs: Table) -> tuple[tuple[str, ...], np.ndarray]:
        return binary.both(self.call_(inputs)["probability"])

    def frozen(self, part: Part) -> Frozen | None:
        if self.label is None:
            return None
        names = f"{self.label} = 0", f"{self.label} = 1"
        return Frozen(self._features(part.inputs), part.records[self.label].astype(int), names)

    # ---- how it decides ----------------------------------------------------

    def cost_columns(self) -> tuple[str, ...]:
        return () if self.amount is None else (self.amount,)

    def refuse_policy(self, policy: Policy) -> None:
        if self.is_fitted and policy != self.policy:
            mitigation.refuse_change(self.name, self.mitigate, self.valid_)
        if self.label is None and (policy.cost_of_miss is not None or policy.cost_of_alarm is not None):
            raise ValueError(
                "FraudDetector: costs need chances of fraud, which are not known with label=None; "
                "give a policy with alarm_rate or reviews_per_day."
            )
        if self.time is None and policy.reviews_per_day is not None:
            raise ValueError(
                "FraudDetector: policy reviews_per_day needs the time of each payment; name it with time=, or give "
                "alarm_rate instead."
            )

    def apply_policy(self) -> None:
        layer, known, rule = self.model_.get_layer("alarm"), self.valid_, self._rule
        layer.set(*rule)
        if "record group" in known:  # shared without the groups, their offsets stay as they were saved
            margin = rule.margin(known["probability"], known.get("record amount", 0.0))
            of_group = risk.group_offsets(margin, known["record group"], self.parity)
            layer.of_group.assign(mitigation.in_order(self.learned_["threshold groups"], of_group))

    @property
    def _rule(self) -> thresholds.Rule:
        assert self.policy is not None
        return thresholds.by_policy(self.policy, self.valid_)

    def _amounts(self, inputs: Table) -> np.ndarray | float:
        """The amount (n,) of prepared payments; 0 where no column says it."""
        return binary.at_stake(inputs, None if self.amount is None else entry_of(self.plan, self.amount))

    def _offsets(self, inputs: Table) -> np.ndarray | float:
        names = self.learned_.get("threshold groups", ())
        return mitigation.offsets(inputs, names, self.model_.get_layer("alarm"))

    def _over(self, inputs: Table) -> np.ndarray:
        """The margin (n,) of prepared payments, their groups' offsets included: an alarm from 0 on."""
        return self._rule.margin(self.call_(inputs)["probability"], self._amounts(inputs)) + self._offsets(inputs)

    # ---- how it is judged --------------------------------------------------

    def make_trials(self, records: Table) -> tuple[Table, Table]:
        return records, {name: records[name] for name in (self.label, self.amount, *self.sensitive) if name is not None}

    def score(self, truth: Table, answers: Answers) -> dict[str, float]:
        alarm, probability = answers["alarm"], answers["probability"]
        if self.label is None:
            return {"alarm rate": metrics.alarm_rate(alarm), "mean unusualness": float(np.mean(probability))}
        return binary.score(truth[self.label], probability, alarm, self._costs(truth))

    def stated(self, truth: Table, inputs: Table, answers: Answers) -> Stated | None:
        if self.label is None:
            return None
        fraud, chance = truth[self.label], answers["probability"]
        place = self._rule.place(binary.at_stake(truth, self.amount)) / np.exp(self._offsets(inputs))
        margin = risk.log_odds(chance) - risk.log_odds(place)
        return risk.stated(answers["alarm"], margin, fraud, chance, self.learned_["temperature"])

    def figures(self, truth: Table, answers: Answers) -> list[Any]:
        if self.label is None:
            return []
        fraud, chance = truth[self.label], answers["probability"]
        drawn = binary.pictures(fraud, chance, self._costs(truth), ("others", "frauds"))
        margin = self._rule.margin(chance, binary.at_stake(truth, self.amount))
        for name in self.sensitive[:1]:
            drawn += risk.frontier_figures(fraud, margin, answers["alarm"], truth[name], name, "alarms")
        return drawn

    def extend_report(self, report: Any, truth: Table, inputs: Table) -> None:
        fairness.add(report, self.sensitive)

    def _costs(self, truth: Table) -> binary.Costs | None:
        assert self.policy is not None
        return binary.costs_of(self.policy, truth)

    def fit_baseline(self, train: Part) -> Table:
        features = self._features(train.inputs)
        learned = {} if self.label is None else binary.fit_logistic(features, train.records[self.label], self.seed)
        return {**learned, "typical": np.median(features, axis=0)}

    def baseline(self, state: Table, inputs: Table) -> Answers:
        features = self._features(inputs)
        if self.label is None:  # how far a payment is from a typical one
            distance = np.abs(features - state["typical"]).mean(axis=1)
            return {"probability": distance / (1 + distance), "alarm": distance > np.quantile(distance, 0.99)}
        probability = binary.answer_logistic(state, features)
        return {"probability": probability, "alarm": self._rule.reached(probability, self._amounts(inputs))}

    def make_explanation(self, records: Table) -> Any:
        inputs = self.prepare(records, self.state_)
        names = {column.entry: column.features() for column in self.plan} | {inference.HISTORY: self.state_.names()}
        features = keras.Input(self.preprocessor_.output_shape[1:])
        out = self.network_(features)
        answer = keras.ops.mean(keras.ops.square(out - features), -1) if self.label is None else MeanLogit()(out)
        truth = records.get(self.label) if self.label is not None else None
        report = table_explanation.explain(
            self.card.title,
            keras.Model(features, answer),
            self._features(inputs),
            self.baseline_["typical"],
            tabular.owners(self.preprocessor_, names),
            None if truth is None or np.isnan(truth).any() else truth,
            seed=self.seed,
        )
        free = [column for column in self.plan if column.name not in self.immutable]
        said = {"alarm": self.respond(inputs, self.call_, self.state_)["alarm"]}
        counterfactual.add(report, self._over, inputs, self.preprocessor_, free, said)
        return report
