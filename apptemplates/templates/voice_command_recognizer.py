"""Spoken commands from sound: one clip at a time, or live from a stream that never ends."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import keras
import numpy as np

from apptemplates import arguments, last_layer
from apptemplates.contract import WEIGHT, Answers, Card, Part
from apptemplates.data import made_sounds, preflight, sound_augment, sound_findings, splits, synthetic_sounds
from apptemplates.data.clip_batches import ClipBatches
from apptemplates.data.schema import Field, Schema
from apptemplates.data.table import Table
from apptemplates.data.words import to_flags, to_places
from apptemplates.deploy import fast
from apptemplates.evaluation import calibration, classes, coarse, picture_explanation, sound_explanation, streams, words
from apptemplates.evaluation.certainty import Stated
from apptemplates.evaluation.diagnosis import Frozen
from apptemplates.inference import listening, sounds
from apptemplates.inference import voice_command_recognizer as inference
from apptemplates.layers import backbones, sound_networks
from apptemplates.layers.ensemble import held_fast
from apptemplates.policy import Policy
from apptemplates.template import Template

AUGMENT = {
    "shift": 0.15, "speed": 0.15, "gain": 0.8, "noise": 0.5, "mask_time": 0.2, "mask_pitch": 0.15, "mix": 0.3,
}  # fmt: skip
STEPS = 1500  # of learning at least, however few the clips are
MOST_PASSES = 200
DROPOUT = 0.4
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
        arguments.within(self.name, "rate", self.rate, sounds.LOWEST, 96_000, " samples a second")
        arguments.within(self.name, "seconds", self.seconds, 0.2, 10)
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
        return Schema(
            command=Field("what is said", "category"),
            probability=Field("chance of that", low=0, high=1),
            accepted=Field("a command, and sure enough", "flag"),
            problem=Field("why there is no answer", "text", missing=True),
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
        given, columns = (records[self.sound], inputs["sound"], records[self.command]), (self.sound, self.command)
        return sound_findings.of_clips(*given, columns, self.rate, self.seconds)

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
        return sound_networks.preprocessor(self.samples, self.rate)

    def build_network(self, preprocessor: keras.Model) -> keras.Model:
        body = sound_networks.listener(preprocessor.output_shape[1:], self.width, self.listeners)
        top = backbones.head(body.output_shape[1:], len(self.commands), DROPOUT, self.listeners)
        return backbones.joined(body, top)

    def passes(self, rows: int) -> int:
        return max(self.epochs, min(MOST_PASSES, self.epochs * 4, round(STEPS * self.batch_size / rows)))

    def objective(self) -> dict[str, Any]:
        rule = keras.optimizers.AdamW(self.learning_rate, weight_decay=0.02)
        return {"optimizer": rule, "loss": keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)}

    def _with_made(self, part: Part, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Sounds (m, samples), words (m,) and weights of a part, with the clips made for the words it lacks."""
        clips, missing = part.inputs["sound"], self.learned_["made"]
        weight, rng = part.records.get(WEIGHT), np.random.default_rng(seed)
        count = max(1, len(clips) // max(1, len(self.commands) - len(missing)))
        given = clips, part.records[self.command], weight
        return made_sounds.completed(*given, missing, self.quiet, count, self._noise, rng)

    def make_batches(self, part: Part, training: bool) -> Any:
        if training and part.teacher is not None and not self._complete(part.records, part.teacher):
            return None
        clips, spoken, weight = self._with_made(part, self.seed + (not training))
        truth = to_flags(spoken, self.commands).astype("float32")
        if training and part.teacher is not None:  # what was known before is held fast
            said = part.teacher(self.preprocessor_.output)
            truth = held_fast(truth, fast.values(self.preprocessor_.input, said, {"sound": clips}))
        loose = np.isin(self.commands, self.quiet)
        given = clips, truth, weight, self.batch_size
        return self._batches.made(*given, members=self.listeners, training=training, loose=loose)

    @property
    def _batches(self) -> ClipBatches:
        noise, seed = self._noise, self.seed
        return ClipBatches(self.preprocessor_, self._augment, self.rate, self.seconds, noise, seed)

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
        told = to_places(spoken, self.commands)
        now, _ = self._moments(network, part.inputs["sound"], told, max(4, 400 // len(spoken)))
        means, spread = last_layer.met_again(self.valid_["feature means"], now), self.valid_["feature spread"]
        self.valid_ = self.valid_ | {"feature means": means}
        old, rng = network.get_layer("head").get_layer("logits").get_weights(), np.random.default_rng(self.seed)
        kernel, bias = last_layer.grown(old[0], old[1], means, spread, Counter(told.tolist()), rng)
        return backbones.with_last_layer(network, kernel, bias, DROPOUT)

    def _moments(
        self, network: keras.Model, clips: np.ndarray, place: np.ndarray, copies: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """`last_layer.moments` of clips (n, samples) of the classes `place` (n,), each varied so many times."""
        features = backbones.seen(network, self._batches.varied(clips, copies))
        return last_layer.moments(features, np.repeat(place, copies), len(self.commands))

    # ---- what it answers with ----------------------------------------------

    def build_decision(self, valid: Part) -> keras.Model:
        clips, spoken, _ = self._with_made(valid, self.seed + 1)
        model = sound_networks.decision(self.preprocessor_, self.network_)
        place = to_places(spoken, self.commands)
        known = place >= 0
        truth = place[known]
        judged = len(set(truth)) == len(self.commands) or "finetuned" not in self.learned_
        if judged and known.any():
            logits = fast.values(model.input, model.get_layer("mean_of_listeners").output, {"sound": clips[known]})
            self.learned_["temperature"] = calibration.fit_temperature(truth, logits)
        model.get_layer("temperature").temperature.assign(self.learned_.get("temperature", 1.0))
        if not judged:  # too few clips to set anything anew: what more was held out before decides on
            return model
        rng = np.random.default_rng(self.seed)
        peaks, hours = self._peaks(fast.batch(model), clips, spoken, self._noise(), rng)
        copies = min(8, max(1, 1000 // max(1, len(clips))))  # where there are few, more would tell little that is new
        means, spread = self._moments(self.network_, clips[known], truth, copies)
        self.valid_ = {
            "false accepts": peaks,
            "hours": np.array(hours),
            "feature means": means,
            "feature spread": spread,
        }
        return model

    def network_in(self, model: keras.Model) -> keras.Model:
        return model.get_layer("network")

    def _peaks(
        self, call: Any, clips: np.ndarray, spoken: np.ndarray, noise: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, float]:
        """`streams.peaks_in` a stream of those clips in which no command is spoken, and how many hours it lasts."""
        hours, other = streams.hours_for(len(clips), self.seconds), clips[np.isin(spoken, self.quiet)]
        given = other, noise, hours, self.commands, self.quiet, self._pace(), LEAST / 2, rng
        return streams.peaks_in(call, *given), hours

    def chances(self, inputs: Table) -> tuple[tuple[str, ...], np.ndarray]:
        return self.commands, self.call_(inputs)["chances"]

    def frozen(self, part: Part) -> Frozen | None:
        seen = backbones.seen(self.network_, self._pictures(part.inputs))
        return Frozen(seen.reshape(len(seen), -1), to_places(part.records[self.command], self.commands), self.commands)

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
        words_ = self._words(truth)
        return Stated(
            wrong=answers["command"] != words_,
            sure=answers["probability"],
            truth=to_places(words_, self.commands),
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
        words.add_noise(report, lambda some: self._said({"sound": some})["command"], clean, spoken, noise, rng)
        peaks, hours = self._peaks(self.call_, clean, spoken, noise, rng)
        answers, said = self._said(inputs), ~np.isin(spoken, self.quiet)
        found = np.where(answers["command"] == spoken, answers["probability"], 0.0)[said]
        streams.add(report, found, peaks, hours, self._least)

    def _said(self, inputs: Table) -> Answers:
        return self.respond(inputs, self.call_, self.state_)

    def fit_baseline(self, train: Part) -> Table:
        truth = to_flags(train.records[self.command], self.commands)
        return classes.fit_baseline(coarse.bands(self._pictures(train.inputs)), truth, self.seed)

    def baseline(self, state: Table, inputs: Table) -> Answers:
        known = classes.Classes(self.commands, None, False, ())
        chances = classes.answer_baseline(state, coarse.bands(self._pictures(inputs)), known)
        unsure = chances.max(axis=1) < LEAST
        return inference.respond({"chances": chances, "unsure": unsure}, self.commands, self.quiet)

    def _pictures(self, inputs: Table) -> np.ndarray:
        """What the network is given (n, bands, frames, 1)."""
        return fast.values(self.preprocessor_.input, self.preprocessor_.output, inputs)

    def make_explanation(self, records: Table) -> Any:
        inputs = {"sound": self.prepare(records, self.state_)["sound"]}
        answers = self._said(inputs)
        return sound_explanation.explain(
            self.card.title,
            self.network_,
            self._after,
            self.preprocessor_.get_layer("log_mel"),
            self._pictures(inputs),
            to_places(answers["command"], self.commands),
            {name: answers[name] for name in ("command", "probability", "accepted")},
            self.seed,
            self.seconds,
        )

    def attributions(self, records: Table) -> Any:
        inputs = {"sound": self.prepare(records, self.state_)["sound"]}
        places = to_places(self._said(inputs)["command"], self.commands)
        halves = sound_explanation.halves(self.network_, self._after)
        return picture_explanation.attributions(*halves, self._pictures(inputs), places)

    @property
    def _after(self) -> list[keras.layers.Layer]:
        """The layers from the logits to the chances."""
        return [self.model_.get_layer(name) for name in sound_networks.AFTER]
