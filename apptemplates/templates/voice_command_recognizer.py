"""Spoken commands from sound: one clip at a time, or live from a stream that never ends."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import keras
import numpy as np
from keras import layers as kl

from apptemplates import arguments, last_layer
from apptemplates.contract import WEIGHT, Answers, Card, Part
from apptemplates.data import (
    batches,
    made_sounds,
    near_copies,
    picture_findings,
    preflight,
    sound_augment,
    sound_findings,
    splits,
    synthetic_sounds,
)
from apptemplates.data.schema import Field, Schema
from apptemplates.data.table import Table
from apptemplates.data.words import to_flags
from apptemplates.deploy import fast
from apptemplates.evaluation import calibration, classes, picture_explanation, sound_figures, streams, words
from apptemplates.evaluation.certainty import Stated
from apptemplates.evaluation.diagnosis import Frozen
from apptemplates.evaluation.intervals import Metric
from apptemplates.inference import listening, sounds
from apptemplates.inference import voice_command_recognizer as inference
from apptemplates.layers import backbones
from apptemplates.layers.classes import ClassChances, Unsure
from apptemplates.layers.decision import Temperature
from apptemplates.layers.sound import LogMel, SoundPicture
from apptemplates.layers.sound_networks import listener
from apptemplates.policy import Policy
from apptemplates.template import Template

AUGMENT = {
    "shift": 0.15, "speed": 0.15, "gain": 0.8, "noise": 0.5, "mask_time": 0.2, "mask_pitch": 0.15, "mix": 0.3,
}  # fmt: skip
STEPS = 1500  # of learning at least, however few the clips are
MOST_PASSES = 200
DROPOUT = 0.4
STREAM = 3600.0  # seconds without a command that the threshold is set on, at most
PITCHES = (200, 1000, 4000)  # Hz that are marked in a picture of sound
LEAST = 0.5  # chance below which a command is never accepted


@dataclass(kw_only=True, eq=False)
class VoiceCommandRecognizer(Template):
    """Tells which of a few spoken commands is heard, in a clip or live, and stays silent at everything else.

    Sounds may be files (wav; flac, ogg and mp3 with the extra "sound") or arrays, of any rate and number of channels.
    What is no command is learned as two more classes; where the data have none of them, they are made from background
    and from commands taken apart.

    Args:
        sound: Column with the clips.
        command: Column with what was said.
        speaker: Column with who said it, so that nobody is both learned from and judged by (missing where nobody
            speaks); or None.
        rate: Samples a second that every sound is brought to; an array without a rate has this one.
        seconds: Length of a clip; of a longer one the loudest part is taken.
        background: Recordings without a command, a file, a folder or several: for noise while learning, for silence,
            and to set the threshold by. By default, and where they are gone after learning, noise made by formulas.
        unknown: The word for other words, in the data or made.
        silence: The word for nothing said.
        augment: How clips are varied while learning, as in `{"shift": 0.1, "noise": 0.5}`; see `data.sound_augment`.
        width: Channels of the network's first layer; its size grows with the square of it.
        listeners: Networks side by side, which differ by where they start; their mean answers.
        policy: `false_accepts`, how many an hour are allowed where no command is said.

    Example:
        >>> app, clips = VoiceCommandRecognizer.demo()
        >>> list(app.fit(clips, verbose=0).predict(clips))
        ['command', 'probability', 'accepted', 'problem']

    Reference: Warden, 2018, Speech Commands, arXiv:1804.03209; Tang and Lin, 2018, arXiv:1710.10361.
    """

    sound: str = "sound"
    command: str = "command"
    speaker: str | None = "speaker"
    rate: int = 16_000
    seconds: float = 1.0
    background: str | Sequence[str] | None = None
    unknown: str = "_unknown_"
    silence: str = "_silence_"
    augment: Mapping[str, float] | None = None
    width: int = 16
    listeners: int = 2
    policy: Policy | None = None
    epochs: int = 50
    batch_size: int = 64
    learning_rate: float = 3e-3

    card = Card(
        title="Voice command recognizer",
        answers="Which command was said, and was it one at all?",
        not_for="Dictation, identifying who speaks, or switching anything that may hurt somebody when it is misheard. "
        "Languages, microphones and rooms other than those it learned from, before it was judged on them.",
        reference="Warden, 2018, Speech Commands, arXiv:1804.03209",
        data="Clips with the command that is said in each, and who says it.",
    )
    headline = "accuracy"
    lesson = "classes"
    baseline_name = "logistic regression on mean and spread of each band"
    target = "command"
    patience = None  # type: ignore[assignment]  # few held-out clips: the last weights of a falling rate are better
    policy_arguments = ("false_accepts",)
    enough_to_go_on = ("few-rows", "one-class")  # a few clips of one new word

    def __post_init__(self) -> None:
        if self.background is not None:
            places = [self.background] if isinstance(self.background, str | os.PathLike) else self.background
            self.background = tuple(map(os.fspath, places))
        super().__post_init__()
        if self.policy is None:
            self.policy = Policy(false_accepts=1.0)
        roles = {role: getattr(self, role) for role in ("sound", "command", "speaker")}
        arguments.one_role_each(self.name, roles, set())
        if not sounds.LOWEST <= self.rate <= 96_000:
            raise ValueError(f"{self.name}: rate must be 1,000 to 96,000 samples a second. Received: {self.rate!r}.")
        if not 0.2 <= self.seconds <= 10:
            raise ValueError(f"{self.name}: seconds must be 0.2 to 10. Received: {self.seconds!r}.")
        if self.unknown == self.silence:
            raise ValueError(
                f"{self.name}: unknown and silence must be two words. Received: {self.unknown!r} for both."
            )
        try:
            sound_augment.checked(self._augment)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None

    @classmethod
    def demo(cls) -> tuple[Self, Table]:
        return cls(width=8, listeners=1, epochs=8, batch_size=32), synthetic_sounds.commands(240)

    @property
    def _augment(self) -> Mapping[str, float]:
        return AUGMENT if self.augment is None else self.augment

    # ---- what goes in and comes out ----------------------------------------

    @property
    def record(self) -> Schema:
        fields = {self.sound: Field("the clip", "sound"), self.command: Field("what is said", "category")}
        if self.speaker is not None:
            fields[self.speaker] = Field("who says it", "id", role="speaker", missing=True)
        return Schema.of(fields)

    @property
    def query(self) -> Schema:
        return Schema.of({self.sound: self.record[self.sound]})

    @property
    def answer(self) -> Schema:
        return Schema.of(
            {
                "command": Field("what is said", "category"),
                "probability": Field("chance of that", low=0, high=1),
                "accepted": Field("a command, and sure enough", "flag"),
                "problem": Field("why there is no answer", "text", missing=True),
            }
        )

    @property
    def commands(self) -> tuple[str, ...]:
        """The words it knows, those for silence and for other words among them."""
        return tuple(getattr(self, "learned_", {}).get("commands", ()))

    @property
    def quiet(self) -> tuple[str, str]:
        """The two words that are no commands."""
        return self.unknown, self.silence

    @property
    def samples(self) -> int:
        """Length of a clip."""
        return round(self.rate * self.seconds)

    def prepare(self, queries: Table, state: Any) -> Table:
        return inference.prepare(queries, self.sound, self.rate, self.samples)

    def respond(self, inputs: Table, call: Any, state: Any) -> Answers:
        return inference.respond(call(inputs), self.commands, self.quiet)

    def listen(self, chunks: Iterable[Any], rate: int) -> Iterator[listening.Heard]:
        """The commands in a stream, each as soon as it is certain; where chunks end makes no difference.

        Args:
            chunks: Samples (n,) or (n, channels), any number of them each: integers by the range of their type, or
                floats of -1..1.
            rate: Samples a second of the stream.

        Yields:
            `command`, `time` (seconds from the beginning to the middle of the word), `probability`.

        Raises:
            DataError: A chunk holds no samples; what was heard before it has been given.
        """
        self._check_fitted()
        quiet, least = self.quiet, self._least
        yield from inference.heard(chunks, rate, self._fast(), self.commands, quiet, least, self._pace(), self.name)

    def _pace(self) -> listening.Pace:
        return listening.Pace(self.rate, self.samples)

    @property
    def _least(self) -> float:
        """The chance from which a command is accepted."""
        return float(self.model_.get_layer("unsure").least.numpy())

    # ---- how it learns -----------------------------------------------------

    def look(self, records: Table, inputs: Table) -> list[preflight.Finding]:
        given = inputs["sound"], records[self.command], self.command, "sound"
        found = [*picture_findings.copies(*given), *near_copies.found_in(*given)]
        return [*found, *sound_findings.odd_lengths(records[self.sound], self.sound, self.rate, self.seconds)]

    def split(self, records: Table) -> tuple[Table, Table]:
        if self.speaker is not None and len(np.unique(splits.owners(records[self.speaker]))) > 1:
            return splits.by_group(records, self.speaker, 0.2, self.seed)
        return splits.stratified(records, self.command, 0.2, self.seed)

    def clusters(self, records: Table) -> np.ndarray | None:
        return None if self.speaker is None else splits.owners(records[self.speaker])

    def _noise(self) -> np.ndarray:
        """Background (m,), longer than a clip; made by formulas where the recordings are no longer there."""
        gone = self.is_fitted and not all(map(os.path.exists, self.background or ()))
        return made_sounds.background(None if gone else self.background, self.rate, self.samples, self.name)

    def build_preprocessor(self, train: Part) -> keras.Model:
        there = sorted(set(train.records[self.command].astype(str).tolist()))
        self.learned_["made"] = [word for word in self.quiet if word not in there]
        self.learned_["commands"] = [*(word for word in there if word not in self.quiet), *self.quiet]
        sound = keras.Input((self.samples,), dtype="float32", name="sound")
        picture = SoundPicture(name="picture")(LogMel(rate=self.rate, name="log_mel")(sound))
        return keras.Model({"sound": sound}, picture, name="preprocessor")

    def build_network(self, preprocessor: keras.Model) -> keras.Model:
        body = listener(preprocessor.output_shape[1:], self.width, self.listeners)
        return backbones.joined(body, self._head(body))

    def _head(self, body: keras.Model) -> keras.Model:
        return backbones.head(body.output_shape[1:], len(self.commands), DROPOUT, self.listeners)

    def passes(self, rows: int) -> int:
        return max(self.epochs, min(MOST_PASSES, self.epochs * 4, round(STEPS * self.batch_size / rows)))

    def objective(self) -> dict[str, Any]:
        rule = keras.optimizers.AdamW(self.learning_rate, weight_decay=0.02)
        return {"optimizer": rule, "loss": keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)}

    def _with_made(self, part: Part, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Sounds (m, samples), words (m,) and weights of a part, with the clips made for the words it lacks."""
        clips, spoken = part.inputs["sound"], part.records[self.command]
        rng = np.random.default_rng(seed)
        count = max(1, len(clips) // max(1, len(self.commands) - len(self.learned_["made"])))
        more, names = [], []
        for word in self.learned_["made"]:
            silent = word == self.silence
            made = (
                made_sounds.silences(count, self._noise(), self.samples, rng)
                if silent
                else made_sounds.others(count, clips[~np.isin(spoken, self.quiet)], rng)
            )
            more.append(inference.levelled(made))
            names.append(np.full(count, word, object))
        weight = part.records.get(WEIGHT)
        if not more:
            return clips, spoken, weight
        added = sum(map(len, names))
        weight = None if weight is None else np.concatenate([weight, np.full(added, weight.mean())])
        return np.concatenate([clips, *more]), np.concatenate([spoken, *names]), weight

    def make_batches(self, part: Part, training: bool) -> Any:
        if training and part.teacher is not None and not self._complete(part.records, part.teacher):
            return None
        clips, spoken, weight = self._with_made(part, self.seed + (not training))
        truth = to_flags(spoken, self.commands).astype("float32")
        if training and part.teacher is not None:  # what was known before is held fast
            old = part.teacher.output_shape[-1]
            logits = fast.values(self.preprocessor_.input, part.teacher(self.preprocessor_.output), {"sound": clips})
            known = truth[:, :old].any(axis=1)
            told = np.asarray(keras.ops.softmax(logits[known])).mean(axis=1)  # by all listeners together
            truth[known, :old] = 0.5 * truth[known, :old] + 0.5 * told
        given = batches.shuffled(clips, truth, self.batch_size, weight=weight, training=training, seed=self.seed)
        if training:
            loose = np.isin(self.commands, self.quiet)
            given = sound_augment.augment(given, self._augment, self.rate, self._noise(), self.seed, loose)
        given = given.map(self._pictured, num_parallel_calls=2)
        given = sound_augment.hide(given, self._augment, self.seconds, self.seed) if training else given.cache()
        return given.map(self._for_all)

    def _pictured(self, sound: Any, *rest: Any) -> Any:
        return self.preprocessor_({"sound": sound}), *rest

    def _for_all(self, picture: Any, target: Any, *weight: Any) -> Any:
        return picture, keras.ops.repeat(target[:, None], self.listeners, axis=1), *weight

    # ---- how it goes on ----------------------------------------------------

    def _complete(self, records: Table, teacher: keras.Model) -> bool:
        """Whether every word that the teacher knows is spoken in records, but for those that are made."""
        known = set(self.commands[: teacher.output_shape[-1]]) - set(self.learned_["made"])
        return known <= set(records[self.command].astype(str))

    def extend_network(self, network: keras.Model, part: Part) -> keras.Model:
        """With a column for every new word; where old words are missing in the records, all that is learned is this."""
        spoken = part.records[self.command].astype(str)
        fresh = [word for word in sorted(set(spoken.tolist())) if word not in self.commands]
        self.learned_["commands"] = [*self.commands, *fresh]
        body, top = network.get_layer("backbone"), network.get_layer("head")
        means, spread = self.valid_["feature means"], self.valid_["feature spread"]
        here = {self.commands.index(word): int((spoken == word).sum()) for word in sorted(set(spoken))}
        told = np.array([self.commands.index(word) for word in spoken])
        features, place = self._features(network, part.inputs["sound"], told, max(4, 400 // len(spoken)))
        now, _ = last_layer.moments(features, place, len(self.commands))
        # a word heard again lies between where it lay and where it lies now
        seen = [place for place in here if place < means.shape[1]]
        means = np.concatenate([means, now[:, means.shape[1] :]], axis=1)
        means[:, seen] = np.where(np.isfinite(means[:, seen]), (means[:, seen] + now[:, seen]) / 2, now[:, seen])
        self.valid_ = self.valid_ | {"feature means": means}
        kernel, bias = top.get_layer("logits").get_weights()
        grown = self._head(body)
        rng = np.random.default_rng(self.seed)
        grown.get_layer("logits").set_weights(last_layer.grown(kernel, bias, means, spread, here, rng))
        backbones.still(body)
        return backbones.joined(body, grown)

    def _features(
        self, network: keras.Model, clips: np.ndarray, place: np.ndarray, copies: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the last layer is given (n copies, listeners, d) for clips varied as in learning, and their classes."""
        place = np.repeat(place, copies)
        given = batches.shuffled(np.repeat(clips, copies, axis=0), place, 256, training=False, seed=self.seed)
        varied = sound_augment.augment(given, self._augment, self.rate, self._noise(), self.seed)
        pictures = np.concatenate([some for some, _ in varied.map(self._pictured).as_numpy_iterator()])
        return backbones.seen(network, pictures), place

    # ---- what it answers with ----------------------------------------------

    def build_decision(self, valid: Part) -> keras.Model:
        clips, spoken, _ = self._with_made(valid, self.seed + 1)
        entries = self.preprocessor_.input
        logits = kl.GlobalAveragePooling1D(name="mean_of_listeners")(self.network_(self.preprocessor_(entries)))
        temperature = Temperature(name="temperature")
        chances = ClassChances(name="chances")(temperature(logits))
        unsure = Unsure(name="unsure")(kl.GlobalMaxPooling1D(name="highest")(kl.Reshape((-1, 1))(chances))[:, 0])
        model = keras.Model(entries, {"chances": chances, "unsure": unsure})
        known = np.isin(spoken.astype(str), self.commands)
        truth = np.array([self.commands.index(word) for word in spoken[known]], int)
        judged = len(set(truth)) == len(self.commands) or "finetuned" not in self.learned_
        if judged and known.any():
            held_out = fast.values(entries, logits, {"sound": clips[known]})
            self.learned_["temperature"] = calibration.fit_temperature(truth, held_out)
        temperature.temperature.assign(self.learned_.get("temperature", 1.0))
        if not judged:  # too few clips to set anything anew: what more was held out before decides on
            return model
        other = clips[np.isin(spoken, self.quiet)]
        hours = self._hours(len(clips))
        heard = made_sounds.stream(3600 * hours, self.rate, other, self._noise(), np.random.default_rng(self.seed))
        features, place = self._features(self.network_, clips[known], truth, max(1, 1000 // max(1, len(clips))))
        means, spread = last_layer.moments(features, place, len(self.commands))
        self.valid_ = {
            "false accepts": self._peaks(model, heard),
            "hours": np.array(hours),
            "feature means": means,
            "feature spread": spread,
        }
        return model

    def network_in(self, model: keras.Model) -> keras.Model:
        return model.get_layer("network")

    def _hours(self, clips: int) -> float:
        """How long to listen to what is no command, where there are so many clips."""
        return min(STREAM, max(30.0, 6 * self.seconds * clips)) / 3600

    def _peaks(self, model: keras.Model, samples: np.ndarray) -> np.ndarray:
        """Chances (m,) of the commands that would be heard in a stream where none is said, highest first."""
        found = streams.heard_in(fast.batch(model), samples, self.commands, self.quiet, self._pace(), LEAST / 2)
        return np.sort([one.probability for one in found])[::-1]

    def chances(self, inputs: Table) -> tuple[tuple[str, ...], np.ndarray]:
        return self.commands, self.call_(inputs)["chances"]

    def frozen(self, part: Part) -> Frozen | None:
        pictures = fast.values(self.preprocessor_.input, self.preprocessor_.output, part.inputs)
        place = [self.commands.index(word) if word in self.commands else -1 for word in part.records[self.command]]
        seen = backbones.seen(self.network_, pictures)
        return Frozen(seen.reshape(len(seen), -1), np.array(place), self.commands)

    # ---- how it decides ----------------------------------------------------

    def apply_policy(self) -> None:
        assert self.policy is not None
        peaks, hours = self.valid_["false accepts"], float(self.valid_["hours"])
        allowed = self.policy.false_accepts
        least = LEAST if allowed is None else max(LEAST, streams.least_chance(peaks, hours, allowed))
        self.model_.get_layer("unsure").least.assign(least)
        self.learned_["least"] = least  # for who listens without Keras

    # ---- how it is judged --------------------------------------------------

    def make_trials(self, records: Table) -> tuple[Table, Table]:
        return {self.sound: records[self.sound]}, {self.command: records[self.command]}

    def score(self, truth: Table, answers: Answers) -> dict[str, float]:
        return words.score(self._words(truth), answers, self.commands, self.quiet)

    def stated(self, truth: Table, inputs: Table, answers: Answers) -> Stated:
        words_, names = self._words(truth), list(self.commands)
        return Stated(
            wrong=answers["command"] != words_,
            sure=answers["probability"],
            truth=np.array([names.index(word) if word in names else -1 for word in words_]),
            chances=self.chances(inputs)[1],
            temperature=self.learned_.get("temperature"),
        )

    def figures(self, truth: Table, answers: Answers) -> list[Any]:
        return words.pictures(self._words(truth), answers, self.commands, self.quiet)

    def _words(self, truth: Table) -> np.ndarray:
        """What should be answered (n,): of a word that it never learned, that it is another word."""
        spoken = truth[self.command].astype(str)
        return np.where(np.isin(spoken, self.commands), spoken, self.unknown)

    def extend_report(self, report: Any, truth: Table, inputs: Table) -> None:
        rng, noise, clean = np.random.default_rng(self.seed), self._noise(), inputs["sound"]
        spoken = self._words(truth)
        report.findings += words.never_learned(truth[self.command], self.command, self.commands, self.unknown)
        rows = {"clean": report.metrics["accuracy"]}
        for louder in words.SNR:
            loud = inference.levelled(words.in_noise(clean, noise, louder, rng))
            answers = self.respond({"sound": loud}, self.call_, self.state_)
            right = (answers["command"] == spoken).astype(float)
            low, high = calibration.wilson(right.mean(), np.array(len(right)))
            rows[f"{louder} dB"] = Metric(float(right.mean()), float(low), float(high))
        report.figures.append(words.in_noise_figure(rows))
        report.notes |= {f"accuracy, {name}": metric for name, metric in rows.items() if name != "clean"}
        answers = self.respond(inputs, self.call_, self.state_)
        hours, other = self._hours(len(clean)), clean[np.isin(spoken, self.quiet)]
        peaks = self._peaks(self.model_, made_sounds.stream(3600 * hours, self.rate, other, noise, rng))
        said = ~np.isin(spoken, self.quiet)
        found = np.where(answers["command"] == spoken, answers["probability"], 0.0)[said]
        report.figures.append(streams.detection(found, peaks, hours, self._least))
        report.notes |= streams.false_accepts(peaks, self._least, hours)

    def fit_baseline(self, train: Part) -> Table:
        truth = to_flags(train.records[self.command], self.commands)
        return classes.fit_baseline(self._bands(train.inputs), truth, self.seed)

    def baseline(self, state: Table, inputs: Table) -> Answers:
        known = classes.Classes(self.commands, None, False, ())
        chances = classes.answer_baseline(state, self._bands(inputs), known)
        unsure = chances.max(axis=1) < LEAST
        return inference.respond({"chances": chances, "unsure": unsure}, self.commands, self.quiet)

    def _bands(self, inputs: Table) -> np.ndarray:
        """Mean and spread of every band (n, 2 bands)."""
        pictures = fast.values(self.preprocessor_.input, self.preprocessor_.output, inputs)[..., 0] / 64 - 2
        return np.concatenate([pictures.mean(axis=2), pictures.std(axis=2)], axis=1)

    def make_explanation(self, records: Table) -> Any:
        inputs = {"sound": self.prepare(records, self.state_)["sound"]}
        answers = self.respond(inputs, self.call_, self.state_)
        pictures = fast.values(self.preprocessor_.input, self.preprocessor_.output, inputs)
        places = np.array([self.commands.index(word) for word in answers["command"]])
        entry = keras.Input(pictures.shape[1:], name="picture")
        layers = [self.model_.get_layer(name) for name in ("mean_of_listeners", "temperature", "chances")]
        rest = keras.Model({"picture": entry}, {"chances": layers[2](layers[1](layers[0](self.network_(entry))))})
        ask = fast.batch(rest)
        return picture_explanation.explain(
            self.card.title,
            self.network_.get_layer("backbone"),
            keras.Sequential([self.network_.get_layer("head"), layers[0]]),
            lambda some: ask({"picture": some.astype("float32")})["chances"],
            np.rint(pictures).clip(0, 255).astype("uint8"),
            places,
            {name: answers[name] for name in ("command", "probability", "accepted")},
            self.seed,
            lambda maps: words.places_heard(maps, self.seconds),
            "The answers were heard mostly in {}",
            partial(sound_figures.heat_maps, seconds=self.seconds, pitches=self._rows_of(PITCHES)),
        )

    def _rows_of(self, pitches: Sequence[int]) -> dict[int, float]:
        """At which row of a picture each pitch (Hz) lies, of those that it shows."""
        bands = self.preprocessor_.get_layer("log_mel")
        return {pitch: bands.bands - 0.5 - bands.band(pitch) for pitch in pitches if pitch < self.rate / 2}
