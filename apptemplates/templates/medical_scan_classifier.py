"""Findings on medical scans: a small network from scratch or ImageNet's, which refers what it is not sure of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import keras
import numpy as np
from keras import layers as kl

from apptemplates import arguments
from apptemplates.contract import WEIGHT, Answers, Card, Part, Stage
from apptemplates.data import augment as turning
from apptemplates.data import batches, near_copies, picture_findings, preflight, splits, synthetic_pictures
from apptemplates.data.schema import DataError, Field, Schema
from apptemplates.data.table import Table
from apptemplates.data.words import parts, to_flags
from apptemplates.deploy import fast
from apptemplates.evaluation import calibration, classes, picture_explanation, thresholds
from apptemplates.evaluation.certainty import Stated
from apptemplates.evaluation.coarse import coarse
from apptemplates.evaluation.diagnosis import Frozen
from apptemplates.inference import images
from apptemplates.inference import medical_scan_classifier as inference
from apptemplates.layers import backbones
from apptemplates.layers.classes import ClassChances, ClassChoice, Unsure
from apptemplates.layers.decision import Temperature
from apptemplates.policy import Policy
from apptemplates.template import Template

# no flip: in a scan the side matters
AUGMENT = {"rotate": 12.0, "shift": 0.08, "zoom": 0.12, "brightness": 0.15, "contrast": 0.2}
LARGEST, IMAGENET = 64, 128  # pixels a side, unless said otherwise
STEPS = 1500  # of learning at least, however few the scans are
MOST_PASSES = 100
DROPOUT = 0.3
READERS = 3
LEAST_STEPS = 32  # in a pass of finetune


@dataclass(kw_only=True, eq=False)
class MedicalScanClassifier(Template):
    """Tells what is found on a scan, how likely that is, and whether a person should look because it is not sure.

    Scans may be files (png, jpeg, dicom, ...) or arrays, grey or coloured, of any size. A record has one finding, or
    several as a list or as in "mass|nodule". By default every finding counts the same however common it is, so that the
    finding named is the one that is likelier than usual, not always the most probable one.

    Args:
        image: Column with the scans.
        finding: Column with what was found.
        patient: Column with whose scan it is, so that no patient is both learned from and judged by; or None.
        healthy: The finding that means "nothing"; by default a usual word for it, such as "normal".
        backbone: "small" learns from scratch; a name of `keras.applications` such as "MobileNet" or "MobileNet:0.25"; a
            `keras.Model`, or its .keras file, from pictures (0..255) to a feature map.
        weights: "imagenet" for a network of `keras.applications`, or None. Then the head learns first, the rest after.
        readers: How many small networks read each scan on their own, whose mean is the answer; 3 by default, and always
            1 with another backbone.
        size: Pixels a side that scans are brought to; by default their own up to 64, with ImageNet's weights 128.
        augment: How scans are varied while learning, as in `{"rotate": 10, "shift": 0.1, "flip": True}`; see
            `data.augment`. By default as suits scans, never mirrored, since the side matters.
        policy: `min_sensitivity`, `min_specificity`, or `cost_of_miss` and `cost_of_alarm`; and who is referred to a
            person: `refer_rate`, or `max_error` among those who are not; `prevalence` where it is used.

    Example:
        >>> app, scans = MedicalScanClassifier.demo()
        >>> list(app.fit(scans, verbose=0).predict(scans))
        ['finding', 'probability', 'refer', 'p_normal', 'p_opacity', 'problem']

    Reference: He et al., 2016, arXiv:1512.03385; Guo et al., 2017, arXiv:1706.04599; Geifman and El-Yaniv, 2017,
    arXiv:1705.08500.
    """

    image: str = "image"
    finding: str = "finding"
    patient: str | None = "patient"
    healthy: str | None = None
    backbone: Any = "small"
    weights: str | None = None
    readers: int | None = None
    size: int | None = None
    augment: Mapping[str, float | bool] | None = None
    policy: Policy | None = None
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 2e-3

    card = Card(
        title="Medical scan classifier",
        answers="What is found on this scan, how likely is it, and should a person look?",
        not_for="A diagnosis or treatment without a physician's look; it is no medical device. Scans of other "
        "machines, clinics or people than it learned from, before it was judged on theirs.",
        reference="He et al., 2016, arXiv:1512.03385; Geifman and El-Yaniv, 2017, arXiv:1705.08500",
        data="Scans with what was found on each of them, and whose they are.",
    )
    headline = "ROC AUC"
    lesson = "classes"
    baseline_name = "logistic regression on coarse pixels"
    target = "finding"
    patience = None  # type: ignore[assignment]  # few held-out scans: the last weights of a falling rate are better
    changeable = ("size",)
    policy_arguments = (
        "min_sensitivity", "min_specificity", "cost_of_miss", "cost_of_alarm", "max_error", "refer_rate", "prevalence",
    )  # fmt: skip

    def __post_init__(self) -> None:
        self.backbone = backbones.kept(self.backbone)
        super().__post_init__()
        if self.policy is None:
            self.policy = Policy()
        arguments.one_role_each(
            self.name, {role: getattr(self, role) for role in ("image", "finding", "patient")}, set()
        )
        try:
            backbones.check_name(self.backbone)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None
        if self.size is not None and self.size < 16:
            raise ValueError(f"{self.name}: size must be at least 16 pixels. Received: {self.size}.")
        if self.readers is not None and (self.readers < 1 or (self.readers > 1 and self.backbone != "small")):
            raise ValueError(
                f"{self.name}: readers must be at least 1, and exactly 1 with another backbone than 'small'. "
                f"Received: {self.readers}."
            )
        if self.weights is not None and self.backbone == "small":
            raise ValueError(
                f"{self.name}: backbone 'small' learns from scratch; weights={self.weights!r} needs a network of "
                "keras.applications, such as backbone='MobileNet'."
            )

    @classmethod
    def demo(cls) -> tuple[Self, Table]:
        return cls(epochs=3, batch_size=32, size=28, readers=2), synthetic_pictures.scans(400)

    # ---- what goes in and comes out ----------------------------------------

    @property
    def record(self) -> Schema:
        fields = {
            self.image: Field("the scan", "image"),
            self.finding: Field("what was found", "category", several=True),
        }
        if self.patient is not None:
            fields[self.patient] = Field("whose scan it is", "id", role="patient")
        return Schema.of(fields)

    @property
    def query(self) -> Schema:
        return Schema.of({self.image: self.record[self.image]})

    @property
    def answer(self) -> Schema:
        chances = {f"p_{name}": Field(f"chance of {name}", low=0, high=1) for name in self.classes.names}
        return Schema.of(
            {
                "finding": Field("what is found", "category", several=True),
                "probability": Field("chance of that", low=0, high=1),
                "refer": Field("a person should look", "flag"),
                **chances,
                "problem": Field("why there is no answer", "text", missing=True),
            }
        )

    @property
    def classes(self) -> classes.Classes:
        """The findings it knows."""
        known = getattr(self, "learned_", {}).get("classes")
        return classes.Classes.from_json(known) if known else classes.Classes((), None, False, ())

    def _shape(self, queries: Table) -> tuple[int, int, int]:
        """Height, width and channels of the graph's pictures, settled by the first scans it sees."""
        learned = self.__dict__.setdefault("learned_", {})
        if "shape" not in learned:
            scans = queries[self.image]
            own = max(scans.shape[1:3]) if scans.ndim > 2 else LARGEST
            side = self.size or (min(own, LARGEST) if self.weights is None else IMAGENET)
            learned["shape"] = [max(16, side), max(16, side), images.channels(scans)]
        if self.size is not None:  # `finetune` may have changed it
            learned["shape"][:2] = [self.size, self.size]
        height, width, channels = learned["shape"]
        return height, width, channels

    def prepare(self, queries: Table, state: Any) -> Table:
        return inference.prepare(queries, self.image, self._shape(queries))

    def respond(self, inputs: Table, call: Any, state: Any) -> Answers:
        return inference.respond(call(inputs), self.classes.names, self.classes.healthy or "none")

    # ---- how it learns -----------------------------------------------------

    def look(self, records: Table, inputs: Table) -> list[preflight.Finding]:
        given = inputs["image"], records[self.finding], self.finding, "picture"
        found = [*picture_findings.copies(*given), *near_copies.found_in(*given)]
        if self.patient is None:
            found.append(
                preflight.Finding(
                    "split-not-by-patient", "warning", "patient",
                    "Nobody says whose scan is whose, so scans of one patient may be learned from and judged by, which "
                    "flatters every number.",
                    "Name the column with the patient by patient=.",
                )
            )  # fmt: skip
        return found

    def split(self, records: Table) -> tuple[Table, Table]:
        if self.patient is not None:
            return splits.by_group(records, self.patient, 0.2, self.seed)
        return splits.stratified(records, self.finding, 0.2, self.seed)

    def clusters(self, records: Table) -> np.ndarray | None:
        return None if self.patient is None else records[self.patient]

    def build_preprocessor(self, train: Part) -> keras.Model:
        self.learned_["classes"] = classes.Classes.of(train.records[self.finding], self.healthy).to_json()
        return backbones.as_floats(train.inputs["image"].shape[1:])

    def build_network(self, preprocessor: keras.Model) -> keras.Model:
        return self._network(preprocessor.output_shape[1:], self.weights)

    def _network(self, shape: tuple[int, int, int], weights: str | None) -> keras.Model:
        readers = self.readers or (READERS if self.backbone == "small" else 1)
        body = backbones.backbone(self.backbone, weights, shape, readers)
        return backbones.joined(body, backbones.head(body.output_shape[1:], len(self.classes.names), DROPOUT, readers))

    def stages(self) -> tuple[Stage, ...]:
        if self.weights is None:
            return (Stage(),)
        return (
            Stage(backbones.freeze, epochs=0.4),
            Stage(backbones.thaw, rate=0.1, epochs=0.6),
        )

    def passes(self, rows: int) -> int:
        return max(self.epochs, min(MOST_PASSES, self.epochs * 5, round(STEPS * self.batch_size / rows)))

    def objective(self) -> dict[str, Any]:
        several = self.classes.several
        loss = keras.losses.BinaryCrossentropy if several else keras.losses.CategoricalCrossentropy
        rule = keras.optimizers.AdamW(self.learning_rate, weight_decay=0.02)
        return {"optimizer": rule, "loss": loss(from_logits=True, label_smoothing=0.05)}

    def make_batches(self, part: Part, training: bool) -> Any:
        truth = to_flags(part.records[self.finding], self.classes.names).astype("float32")
        truth = np.repeat(truth[:, None], self.network_.output_shape[1], axis=1)  # (n, readers, c)
        if part.teacher is not None:  # what was known before is held fast, so that few new scans do not wipe it out
            old = part.teacher.output_shape[-1]
            logits = part.teacher.predict(part.inputs["image"], batch_size=256, verbose=0)
            squash = keras.ops.sigmoid if self.classes.several else keras.ops.softmax
            known = truth[:, 0, :old].any(axis=1) if not self.classes.several else np.ones(len(truth), bool)
            truth[known, :, :old] = 0.5 * truth[known, :, :old] + 0.5 * np.asarray(squash(logits))[known]
        given = batches.shuffled(
            part.inputs["image"],
            truth,
            self.batch_size,
            weight=part.records.get(WEIGHT),
            training=training,
            seed=self.seed,
        )
        if not training:
            return given
        if part.teacher is not None:  # few new scans are seen often, or nothing would be learned from them
            given = given.repeat(max(1, LEAST_STEPS // int(given.cardinality())))
        return turning.augment(given, AUGMENT if self.augment is None else self.augment, self.seed)

    def extend_network(self, network: keras.Model, part: Part) -> keras.Model:
        known, words = self.classes, part.records[self.finding]
        if not known.several and any(len(parts(word)) > 1 for word in np.unique(words.astype(str))):
            first = next(word for word in words if len(parts(word)) > 1)
            raise DataError(
                f"{self.name}: column {self.finding!r} has several findings in one record ({first!r}), but it learned "
                "that each record has one; fit anew with records of both kinds."
            )
        shape = part.inputs["image"].shape[1:]
        if shape != network.input_shape[1:]:
            part.teacher, self.preprocessor_ = backbones.resizing(network, shape), backbones.as_floats(shape)
            try:
                network = backbones.moved(network, self._network(shape, None))
            except ValueError as error:
                raise DataError(f"{self.name}: {error}, so that it can not go on from these; fit anew.") from None
        grown = known.grown(words)
        self.learned_["classes"] = grown.to_json()
        if grown.names == known.names:
            return network
        top = backbones.grown(network.get_layer("head"), len(grown.names), DROPOUT)
        return backbones.joined(network.get_layer("backbone"), top)

    def build_decision(self, valid: Part) -> keras.Model:
        known, truth = self.classes, to_flags(valid.records[self.finding], self.classes.names)
        entries = self.preprocessor_.input
        logits = kl.GlobalAveragePooling1D(name="mean_of_readers")(self.network_(self.preprocessor_(entries)))
        temperature = Temperature(name="temperature")
        chances = ClassChances(known.several, name="chances")(temperature(logits))
        held_out = fast.values(entries, logits, valid.inputs)
        judged = truth.any(axis=1) | known.several  # a finding that was never learned can not be calibrated
        if judged.any():
            rows, target = held_out[judged], truth[judged]
            fitted = calibration.fit_temperature(
                target.ravel().astype(int) if known.several else target.argmax(axis=1),
                rows.ravel() if known.several else rows,
            )
            temperature.temperature.assign(fitted)
            self.learned_["temperature"] = fitted
        self.valid_ = {"logits": held_out / float(temperature.temperature.numpy()), "truth": truth}
        said, sure = ClassChoice(known.several, name="choice")(chances)
        refer = Unsure(name="refer")(sure)
        return keras.Model(entries, {"chances": chances, "said": said, "sure": sure, "refer": refer})

    def chances(self, inputs: Table) -> tuple[tuple[str, ...], np.ndarray]:
        return self.classes.names, self.call_(inputs)["chances"]

    def frozen(self, part: Part) -> Frozen | None:
        if self.classes.several:
            return None
        truth = to_flags(part.records[self.finding], self.classes.names)
        seen = backbones.seen(self.network_, part.inputs["image"].astype("float32"))
        return Frozen(seen.reshape(len(seen), -1), truth.argmax(axis=1), self.classes.names)

    # ---- how it decides ----------------------------------------------------

    def refuse_policy(self, policy: Policy) -> None:
        known = self.classes
        if not known.names:
            return
        if policy.prevalence is not None and not known.binary:
            raise ValueError(f"{self.name}: policy prevalence needs two findings; there are {', '.join(known.names)}.")
        wished = [name for name in self.policy_arguments[:4] if getattr(policy, name) is not None]
        if wished and not known.judges_ill:
            raise ValueError(
                f"{self.name}: policy {wished[0]} needs a finding that means nothing was found; say which by healthy=. "
                f"There are {', '.join(known.names)}."
            )

    def apply_policy(self) -> None:
        assert self.policy is not None
        self.refuse_policy(self.policy)
        known = self.classes
        shift = classes.shift_for(known, self.policy.prevalence)
        self.model_.get_layer("chances").shift.assign(shift)
        held_out = classes.chances(self.valid_["logits"] + shift, known.several)
        offset, least = classes.decision(self.policy, known, held_out, self.valid_["truth"])
        self.model_.get_layer("choice").offset.assign(offset)
        self.model_.get_layer("refer").least.assign(least)

    # ---- how it is judged --------------------------------------------------

    def make_trials(self, records: Table) -> tuple[Table, Table]:
        truth = {self.finding: records[self.finding]}
        if self.patient is not None:
            _, place, count = np.unique(records[self.patient].astype(str), return_inverse=True, return_counts=True)
            truth |= {"patient": place, "scans of the patient": count[place]}
        return {self.image: records[self.image]}, truth

    def _judged(self, truth: Table, answers: Answers) -> dict[str, Any]:
        known, offset = self.classes, self.model_.get_layer("choice").offset.numpy()
        chances = np.stack([answers[f"p_{name}"] for name in known.names], axis=1)
        return {
            "classes": known,
            "truth": to_flags(truth[self.finding], known.names),
            "chances": chances,
            "said": to_flags(answers["finding"], known.names),
            "sure": classes.choose(known, chances, offset)[1],
        }

    def score(self, truth: Table, answers: Answers) -> dict[str, float]:
        assert self.policy is not None
        judged = self._judged(truth, answers)
        costs, prevalence = thresholds.fixed_costs(self.policy), self.policy.prevalence
        found = classes.score(**judged, refer=answers["refer"] > 0, prevalence=prevalence, costs=costs)
        if "patient" not in truth:
            return found
        owner = truth["patient"], truth["scans of the patient"]
        return found | classes.by_owner(judged["classes"], judged["truth"], judged["chances"], *owner)

    def stated(self, truth: Table, inputs: Table, answers: Answers) -> Stated:
        judged, several = self._judged(truth, answers), self.classes.several
        true = judged["truth"]
        # a prevalence moves the chances after they were calibrated
        plain = self.policy is None or self.policy.prevalence is None
        return Stated(
            wrong=(judged["said"] != true).any(axis=1),
            sure=judged["sure"],
            truth=true if several else np.where(true.any(axis=1), true.argmax(axis=1), -1),
            chances=judged["chances"],
            temperature=self.learned_.get("temperature") if plain else None,
        )

    def figures(self, truth: Table, answers: Answers) -> list[Any]:
        judged = self._judged(truth, answers)
        return classes.pictures(*(judged[name] for name in ("classes", "truth", "chances", "said")))

    def fit_baseline(self, train: Part) -> Table:
        truth = to_flags(train.records[self.finding], self.classes.names)
        return classes.fit_baseline(coarse(train.inputs["image"]), truth, self.seed)

    def baseline(self, state: Table, inputs: Table) -> Answers:
        known = self.classes
        chances = classes.answer_baseline(state, coarse(inputs["image"]), known)
        offset = self.model_.get_layer("choice").offset.numpy()
        said, sure = classes.choose(known, chances, offset)
        refer = sure < float(self.model_.get_layer("refer").least.numpy())
        return inference.respond(
            {"chances": chances, "said": said, "refer": refer}, known.names, known.healthy or "none"
        )

    def make_explanation(self, records: Table) -> Any:
        scans, answers, places = self._explainable(records)
        return picture_explanation.explain(
            self.card.title,
            *self._halves(),
            lambda some: self.call_({"image": np.rint(some).clip(0, 255).astype("uint8")})["chances"],
            scans,
            places,
            {name: answers[name] for name in ("finding", "probability", "refer")},
            self.seed,
        )

    def attributions(self, records: Table) -> Any:
        scans, _, places = self._explainable(records)
        return picture_explanation.attributions(*self._halves(), scans, places)

    def _halves(self) -> tuple[keras.Model, keras.Model]:
        """From scans to a feature map, and from that to logits (n, k)."""
        head = keras.Sequential([self.network_.get_layer("head"), kl.GlobalAveragePooling1D()])
        return self.network_.get_layer("backbone"), head

    def _explainable(self, records: Table) -> tuple[np.ndarray, Answers, np.ndarray]:
        """Scans, the answers to them, and the finding (n,) of each that is explained."""
        scans, known = self.prepare(records, self.state_)["image"], self.classes
        answers = self.respond({"image": scans}, self.call_, self.state_)
        said = to_flags(answers["finding"], known.names)
        chances = np.stack([answers[f"p_{name}"] for name in known.names], axis=1)
        # of what is said the likeliest; where nothing is, the likeliest of all
        return scans, answers, np.where(said | ~said.any(axis=1, keepdims=True), chances, -1).argmax(axis=1)
