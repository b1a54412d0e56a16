"""Whether two pictures show the same person: a network that learns what makes faces differ, and a gallery of people."""

import sys
from dataclasses import dataclass
from typing import Any, Self

import keras
import numpy as np
import pandas as pd
from keras import layers as kl

from apptemplates import arguments
from apptemplates.contract import PROBLEM, Answers, Card, Part, readable
from apptemplates.data import augment as varied
from apptemplates.data import batches, near_copies, pairs, picture_findings, preflight, splits, synthetic_pictures
from apptemplates.data.schema import DataError, Field, Schema
from apptemplates.data.table import Table, rows, take
from apptemplates.deploy import fast
from apptemplates.evaluation import eigenfaces, pair_explanation, verification
from apptemplates.evaluation.certainty import Stated
from apptemplates.evaluation.diagnosis import Frozen
from apptemplates.inference import face_verifier as inference
from apptemplates.inference import images as read
from apptemplates.inference.face_finder import FaceFinder
from apptemplates.inference.face_verifier import PAIR
from apptemplates.layers import backbones, edges, face_embedding, similarity
from apptemplates.losses import MarginSoftmax
from apptemplates.policy import Policy, nearest
from apptemplates.template import Template

BACKBONES = ("small", "dlib")
# a face may be mirrored, and parts of it covered
AUGMENT = {"flip": True, "rotate": 8.0, "shift": 0.06, "zoom": 0.1, "brightness": 0.1, "contrast": 0.25, "erase": 0.15}
LARGEST, DESCRIBED = 56, 150  # pixels a side of the small network, at most, and of dlib's
EACH = 2  # pictures of each person in a batch
OWN, STRANGERS = 6, 4000  # pairs that judge: of one person at most, and of strangers
FEWEST = 4  # people with two pictures: two to learn from, two to be judged by
STEPS = 1500  # of learning, as far as five times the passes make them
LEAST_STEPS = 24  # in a pass of finetune
LOOKED_AT, ENOUGH = 100, 4  # people among whom wrong names are looked for: the most often pictured, and how often


@dataclass(kw_only=True, eq=False)
class FaceVerifier(Template):
    """Tells whether two pictures show the same person, and who of the people that were enrolled a picture shows.

    It learns from pictures with the name of the person, several pictures of most of them; names are never kept. Of the
    people that are enrolled the gallery keeps numbers that tell faces apart, no picture.

    Args:
        image: Column with the pictures: cropped faces, or photographs with one face where `find` is set.
        person: Column with who it is.
        backbone: "small" learns from scratch, best from hundreds of people or more; a part of its similarity is that of
            the directions of edges, compared in closed form, as large as suits the people held out. "dlib" starts from
            a network that was trained on millions of faces, and is usable with a few people; see `data.pretrained` for
            its licence.
        size: Pixels a side that faces are brought to; by default their own up to 56, with "dlib" always 150.
        find: Whether the face is first found in the picture, turned upright and cropped; needs the detector's weights.
        policy: `false_accepts`, the share of strangers that may be taken for the same person; 0.001 by default.
    """

    image: str = "image"
    person: str = "person"
    backbone: str = "small"
    size: int | None = None
    find: bool = False
    policy: Policy | None = None
    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 2e-3

    card = Card(
        title="Face verifier",
        answers="Whether two pictures show the same person, and which enrolled person a picture shows.",
        not_for="Finding people in crowds or from afar, watching people without their consent, guessing age, sex, "
        "origin or mood, or decisions about people that no person looks at. It does not notice a photograph held "
        "before the camera.",
        reference="Wang et al., 2018, CosFace: Large Margin Cosine Loss for Deep Face Recognition, arXiv:1801.09414",
        data="Pictures of faces seen from the front, with the consent of the people, several of each.",
    )
    headline = "equal error rate"
    lesson = "faces"
    baseline_name = "eigenfaces and cosine"
    target = "person"
    changeable = ("size",)
    policy_arguments = ("false_accepts",)
    truth = Schema(same=Field("whether both show one person", "flag"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.policy is None:
            self.policy = Policy(false_accepts=0.001)
        arguments.one_role_each(self.name, {"image": self.image, "person": self.person}, set())
        if self.backbone not in BACKBONES:
            raise ValueError(
                f"{self.name}: there is no backbone {self.backbone!r}{nearest(self.backbone, BACKBONES)}; "
                f"it takes {' or '.join(map(repr, BACKBONES))}."
            )
        if self.size is not None and (self.size < 24 or self.backbone == "dlib"):
            raise ValueError(
                f"{self.name}: size must be at least 24 pixels, and is not chosen with backbone 'dlib', which takes "
                f"{DESCRIBED}. Received: {self.size}."
            )

    @classmethod
    def demo(cls) -> tuple[Self, Table]:
        return cls(epochs=4, batch_size=32, size=24), synthetic_pictures.faces(24, 5)

    # ---- what goes in and comes out ----------------------------------------

    @property
    def record(self) -> Schema:
        return Schema.of({self.image: Field("the face", "image"), self.person: Field("who it is", "id")})

    @property
    def query(self) -> Schema:
        return Schema.of({name: Field(f"the {name} face", "image") for name in PAIR})

    @property
    def answer(self) -> Schema:
        return Schema(
            similarity=Field("cosine of the two directions", low=-1, high=1),
            match=Field("whether both show the same person", "flag"),
            problem=Field("why there is no answer", "text", missing=True),
        )

    def _load(self, pictures: Any, state: Any) -> inference.Load:
        """What reads pictures; their size is settled by the first ones."""
        learned = self.__dict__.setdefault("learned_", {})
        if "shape" not in learned:
            own = max(pictures.shape[1:3]) if pictures.ndim > 2 else LARGEST
            side = DESCRIBED if self.backbone == "dlib" else self.size or max(24, min(own, LARGEST))
            learned["shape"] = [side, side, 3 if self.backbone == "dlib" else read.channels(pictures)]
        if self.size is not None:  # `finetune` may have changed it
            learned["shape"][:2] = [self.size, self.size]
        height, width, channels = learned["shape"]
        return inference.loader((height, width), channels, state.finder)

    def prepare(self, queries: Table, state: Any) -> Table:
        return inference.prepare(queries, PAIR, self._load(queries[PAIR[0]], state))

    def prepare_records(self, records: Table, state: Any) -> Table:
        load = self._load(records[self.image], state)
        found = inference.prepare(records, (self.image,), load)
        return {"image": found[self.image], PROBLEM: found[PROBLEM]}

    def respond(self, inputs: Table, call: Any, state: Any) -> Answers:
        if call is not self.call_:
            return inference.respond(inputs, call)
        firsts, which = pairs.distinct(*(inputs[name] for name in PAIR))
        if 2 * len(firsts) >= which.size:
            return inference.respond(inputs, call)
        # pictures that stand in many pairs are looked at once
        pictures = np.stack([inputs[PAIR[column]][row] for column, row in firsts])
        directions = self._directions(self.model_)({"image": pictures})["direction"]
        alike = self.model_.get_layer("similarity")(*directions[which])
        match = self.model_.get_layer("match")(alike)
        return inference.answers(np.asarray(alike), np.asarray(match))

    def open_state(self, arrays: Table) -> inference.Gallery:
        if not self.find:
            return inference.Gallery.of(arrays)
        if "detector" not in arrays:
            from apptemplates.layers import face_networks

            nets = {"detector": face_networks.face_detector(), "landmarks": face_networks.face_landmarks()}
            arrays = {**arrays, **{name: np.frombuffer(fast.convert(net), np.uint8) for name, net in nets.items()}}
        return inference.Gallery.of(arrays, FaceFinder(arrays["detector"].tobytes(), arrays["landmarks"].tobytes()))

    def close_state(self, state: inference.Gallery, share: bool) -> Table:
        return (state.emptied() if share else state).arrays()

    # ---- how it learns -----------------------------------------------------

    def look(self, records: Table, inputs: Table) -> list[preflight.Finding]:
        given = inputs["image"], records[self.person], self.person, "picture"
        found = [*picture_findings.copies(*given), *near_copies.found_in(*given)]
        alone = int((np.unique(records[self.person].astype(str), return_counts=True)[1] == 1).sum())
        if alone:
            found.append(
                preflight.Finding(
                    "one-picture", "note", self.person, f"Of {alone:,} people there is one picture only.",
                    "Nothing: they are learned from as strangers to the others; give more pictures to learn more.",
                )
            )  # fmt: skip
        return found

    def split(self, records: Table) -> tuple[Table, Table]:
        people, count = np.unique(records[self.person].astype(str), return_counts=True)
        if (several := int((count > 1).sum())) < FEWEST:
            raise DataError(
                f"{self.name}: column {self.person!r} has {len(people):,} people, {several:,} of them with two or more "
                f"pictures; at least {FEWEST} such people are needed, two to learn from and two to be judged by."
            )
        # dlib's network does not learn from these people, so that half of them can serve to find the threshold
        share = 0.5 if self.backbone == "dlib" else 0.1 if len(people) > 500 else 0.2
        later = pairs.held_out_people(records[self.person], share, self.seed)
        return take(records, ~later), take(records, later)

    def portion(self, records: Table) -> tuple[Table, float]:
        return splits.portion(records, 300, self.seed, self.person)

    def build_preprocessor(self, train: Part) -> keras.Model:
        self.learned_["people"] = len(np.unique(train.records[self.person]))
        plain = backbones.as_floats(train.inputs["image"].shape[1:])
        if self.backbone == "small":
            self._edges = edges.learned(train.inputs["image"], train.records[self.person], self.seed)
            return plain
        from apptemplates.data.pretrained import FACE_LICENCE
        from apptemplates.layers.face_networks import descriptor

        self.learned_["pretrained"] = FACE_LICENCE
        body = descriptor()
        body.trainable = False
        both = kl.Add()([body(plain.output), body(similarity.Mirror()(plain.output))])
        return keras.Model(plain.input, both, name="preprocessor")

    def build_network(self, preprocessor: keras.Model) -> keras.Model:
        shape = preprocessor.output_shape[1:]
        body = face_embedding.embedder(shape) if self.backbone == "small" else face_embedding.as_given(shape[0])
        return face_embedding.with_people(body, self.learned_["people"])

    def passes(self, rows: int) -> int:
        if self.backbone == "dlib":
            return 1  # the directions of the people alone are learned, and nothing that answers need
        return max(self.epochs, min(5 * self.epochs, round(STEPS * self.batch_size / rows)))

    def objective(self) -> dict[str, Any]:
        rule = keras.optimizers.AdamW(self.learning_rate, weight_decay=0.02)
        return {"optimizer": rule, "loss": MarginSoftmax()}

    def frozen(self, part: Part) -> Frozen:
        _, place, count = np.unique(part.records[self.person].astype(str), return_inverse=True, return_counts=True)
        often = np.argsort(-count, kind="stable")[:LOOKED_AT]
        # by the network alone: edges were fitted to these very names in closed form, the wrong ones among them
        network, entry = face_embedding.both_ways(self.network_.get_layer("embedder")), self.preprocessor_
        seen = fast.values(entry.input, network(entry.output), {"image": part.inputs["image"]})
        often = often[count[often] >= ENOUGH]
        return Frozen(seen, np.where(np.isin(place, often), place, -1), ())  # names are never kept

    def make_batches(self, part: Part, training: bool) -> Any:
        if not training or (self.backbone == "dlib" and part.teacher is not None):
            return None  # people never seen have no class; what dlib's network tells of faces stays as it is
        known = 0 if part.teacher is None else part.teacher.output_shape[-1]
        person = np.unique(part.records[self.person].astype(str), return_inverse=True)[1]
        steps = max(-(-len(person) // self.batch_size), 1 if part.teacher is None else LEAST_STEPS)
        features = part.inputs["image"]
        if self.backbone == "dlib":
            features = fast.values(self.preprocessor_.input, self.preprocessor_.output, part.inputs)
        drawn = pairs.Batches(person, self.batch_size // EACH, EACH, steps, self.seed)
        given = batches.by_number(features, person + known, drawn, steps)
        return given if self.backbone == "dlib" else varied.augment(given, AUGMENT, self.seed)

    def extend_network(self, network: keras.Model, part: Part) -> keras.Model:
        """The network with the new people beside the old ones, who stay as those they must not be taken for."""
        if self.backbone == "dlib":
            return network
        shape = part.inputs["image"].shape[1:]
        known = {layer.name: layer for layer in self.model_.get_layer("embedding").layers}
        if "edges" in known:  # folders of earlier versions have none
            self._edges = edges.moved(known["edges"], shape)
        if len(self.state_):
            print(
                f"{self.name}: the gallery was emptied ({len(self.state_):,} people), since faces get other numbers by "
                "learning; enrol them again.",
                file=sys.stderr,
            )
            self.state_ = self.state_.emptied()
        body, old = network.get_layer("embedder"), network.get_layer("people").get_weights()[0]  # (d, people)
        if shape != network.input_shape[1:]:
            self.preprocessor_ = backbones.as_floats(shape)
            try:
                body = face_embedding.moved(body, shape)
            except ValueError as error:
                raise DataError(f"{self.name}: {error}, so that it can not go on from these; fit anew.") from None
        backbones.still(body)
        person = np.unique(part.records[self.person].astype(str), return_inverse=True)[1]
        vectors = batches.predicted(body, part.inputs["image"])
        new = np.stack([vectors[person == number].mean(axis=0) for number in range(person.max() + 1)], axis=1)
        grown = face_embedding.with_people(body, old.shape[1] + new.shape[1])
        length = np.linalg.norm(old, axis=0).mean() / np.linalg.norm(new, axis=0)
        grown.get_layer("people").set_weights([np.concatenate([old, new * length], axis=1)])
        return grown

    def build_decision(self, valid: Part) -> keras.Model:
        shape = valid.inputs["image"].shape[1:]
        body, by_edges = self.network_.get_layer("embedder"), self.__dict__.pop("_edges", None)
        share = 0.0
        if by_edges is not None:
            first, second, same = self._drawn(valid.records)
            ways = (face_embedding.both_ways(one) for one in (body, by_edges))
            seen = [batches.predicted(way, valid.inputs["image"]) for way in ways]
            share = verification.best_share(same, *((way[first] * way[second]).sum(axis=1) for way in seen))
            self.learned_["share of edges"] = share
        embedding = face_embedding.both_ways(body, by_edges if share else None, share)
        faces = {name: keras.Input(shape, dtype="uint8", name=name) for name in PAIR}
        directions = [embedding(self.preprocessor_({"image": face})) for face in faces.values()]
        alike = similarity.Cosine(name="similarity")(*directions)
        told = {"similarity": alike, "match": similarity.Match(name="match")(alike)}
        model = keras.Model(faces, told | {"direction": directions[0]})  # for who searches a gallery without Keras
        person = np.unique(valid.records[self.person].astype(str), return_inverse=True)[1]
        vectors = self._directions(model)({"image": valid.inputs["image"]})["direction"]
        self.valid_ = verification.stranger_scale(*verification.all_strangers(vectors, person), self.seed)
        return model

    def _directions(self, model: keras.Model) -> Any:
        """What gives the directions of single pictures by the layers of the decision."""
        kept = self.__dict__.get("_embed")
        if kept is None or kept[0] is not model:
            prepared = model.get_layer("preprocessor")
            direction = model.get_layer("embedding")(prepared.output)
            kept = self._embed = model, fast.batch(keras.Model(prepared.input, {"direction": direction}))
        return kept[1]

    # ---- how it decides ----------------------------------------------------

    def refuse_policy(self, policy: Policy) -> None:
        if policy.false_accepts is not None and not 0 < policy.false_accepts < 1:
            raise ValueError(
                f"{self.name}: policy false_accepts is the share of strangers that may be taken for the same person, "
                f"above 0 and below 1. Received: {policy.false_accepts!r}."
            )

    def apply_policy(self) -> None:
        assert self.policy is not None
        wanted = 0.001 if self.policy.false_accepts is None else self.policy.false_accepts
        threshold, counted = verification.threshold_at(self.valid_, wanted)
        self.model_.get_layer("match").threshold.assign(threshold)
        self.learned_["decision"] = {"threshold": threshold, "false_accepts": wanted, "counted": counted}

    @property
    def threshold(self) -> float:
        """The similarity from which two pictures are taken for the same person."""
        self._check_fitted()
        return float(self.model_.get_layer("match").threshold.numpy())

    # ---- the gallery -------------------------------------------------------

    def embed(self, images: Any) -> np.ndarray:
        """What tells faces apart, as directions (n, d) float32 of length 1; their products are similarities.

        Args:
            images: One picture or several: paths, arrays, PIL images; or an array (n, h, w[, c]).

        Raises:
            DataError: A picture can not be read, or shows no face or several where `find` is set.
        """
        self._check_fitted()
        pictures, problems = self._pictures(images)
        if (problems != "").any():
            place = int(np.argmax(problems != ""))
            raise DataError(f"{self.name}: picture {place + 1} of {len(problems)}: {problems[place]}")
        return self._directions(self.model_)({"image": pictures})["direction"]

    def _pictures(self, images: Any) -> tuple[np.ndarray, np.ndarray]:
        column = inference.column_of(images)
        if not len(column):
            raise DataError(f"{self.name}: there are no pictures; give at least one.")
        return inference.read(column, self._load(column, self.state_))

    def enrol(self, name: str, images: Any) -> Self:
        """Adds pictures of a person to the gallery, beside those that were enrolled before; only numbers are kept.

        Raises:
            DataError: A picture can not be used, or the name is empty or means nobody.
        """
        inference.check_name(self.name, name)
        vectors = self.embed(images)
        with self._lock:
            self.state_ = self.state_.enrolled(name, vectors)
        return self

    def forget(self, name: str) -> Self:
        """Takes a person out of the gallery; what is saved afterwards holds nothing of them.

        Raises:
            DataError: Nobody of this name is enrolled.
        """
        self._check_fitted()
        with self._lock:
            self.state_ = inference.without(self.name, self.state_, name)
        return self

    def identify(self, images: Any, k: int = 1) -> pd.DataFrame:
        """Who of the gallery each picture shows.

        Args:
            images: As for `embed`.
            k: How many of the most alike people are named.

        Returns:
            k rows a picture: picture (its number), rank, name ("unknown" below the threshold, or where there are
            fewer people), similarity, problem (why the picture can not be used, or "").

        Raises:
            DataError: The gallery is empty, or k is below 1.
        """
        self._check_fitted()
        inference.check_asked(self.name, self.state_, k)
        pictures, problems = self._pictures(images)
        vectors = self._directions(self.model_)({"image": pictures})["direction"] if len(pictures) else pictures
        return pd.DataFrame(inference.identified(self.state_, vectors, problems, k, self.threshold))

    # ---- how it is judged --------------------------------------------------

    def _drawn(self, records: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return pairs.drawn(records[self.person], OWN, STRANGERS, self.seed)

    def make_trials(self, records: Table) -> tuple[Table, Table]:
        first, second, same = self._drawn(records)
        if not len(same):
            raise DataError(f"{self.name}: no pair can be made of one picture; give at least two.")
        return {name: records[self.image][place] for name, place in zip(PAIR, (first, second), strict=True)}, {
            "same": same
        }

    def clusters(self, records: Table) -> np.ndarray:
        return records[self.person][self._drawn(records)[0]]

    def trial_groups(self, records: Table, values: np.ndarray) -> np.ndarray:
        first, second, _ = self._drawn(records)
        one, other = values[first].astype(str), values[second].astype(str)
        return np.where(one == other, one, "of two groups").astype(object)

    def score(self, truth: Table, answers: Answers) -> dict[str, float]:
        return verification.score(truth["same"], answers["similarity"], answers["match"])

    def stated(self, truth: Table, inputs: Table, answers: Answers) -> Stated:
        return Stated(
            wrong=answers["match"] != (truth["same"] > 0),
            sure=np.abs(answers["similarity"] - self.threshold),
        )

    def figures(self, truth: Table, answers: Answers) -> list[Any]:
        return verification.pictures(truth["same"], answers["similarity"], self.threshold)

    def extend_report(self, report: Any, truth: Table, inputs: Table) -> None:
        report.notes["threshold of similarity"] = self.threshold
        report.notes["strangers accepted at it, on people held out while learning"] = verification.rate_at(
            self.valid_, self.threshold
        )
        report.notes["people held out while learning"] = int(self.valid_["people"][0])
        if not self.learned_["decision"]["counted"]:
            report.notes["the threshold"] = (
                "was carried on beyond what could be counted: there are too few pairs of strangers held out for so few "
                "false accepts"
            )
        alike = self.respond(inputs, self.call_, self.state_)["similarity"]
        worst = verification.worst_rows(truth["same"], alike)
        shown = [inputs[name][worst] for name in PAIR]
        report.figures.append(verification.worst_pairs(truth["same"][worst] > 0, alike[worst], *shown))

    def fit_baseline(self, train: Part) -> Table:
        person = train.records[self.person].astype(str)
        allowed = 0.001 if self.policy is None else self.policy.false_accepts or 0.001
        return eigenfaces.fit(train.inputs["image"], person, allowed, self.seed)

    def baseline(self, state: Table, inputs: Table) -> Answers:
        return eigenfaces.answer(state, *(inputs[name] for name in PAIR))

    def make_explanation(self, records: Table) -> Any:
        inputs = self._explainable(records)
        answers = self.respond(inputs, self.call_, self.state_)
        return pair_explanation.explain(self.card.title, self._likeness, inputs, answers, self.seed)

    def attributions(self, records: Table) -> Any:
        return pair_explanation.attributions(self._likeness, self._explainable(records))

    def _explainable(self, records: Table) -> Table:
        """The pairs that can be read, of queries or of records."""
        queries = records if PAIR[0] in records else self.make_trials(records)[0]
        inputs, problems = readable(self.prepare(queries, self.state_))
        if not rows(inputs):
            raise DataError(f"{self.name}: no pair can be explained; {problems[0] if problems is not None else ''}")
        return inputs

    def _likeness(self, second: np.ndarray) -> Any:
        """A function from first pictures to their similarity to these, which are looked at once."""
        directions = self._directions(self.model_)
        kept = directions({"image": second})["direction"]
        return lambda first: (directions({"image": first})["direction"] * kept).sum(axis=1)
