"""What is special to the voice command recognizer: sounds of every kind, live listening, and words added later."""

import copy
import itertools
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import apptemplates as at
from apptemplates.contract import Part
from apptemplates.data import synthetic_sounds
from apptemplates.inference.media import Undecodable

RATE = 16_000


@pytest.fixture(scope="module")
def clips():
    return synthetic_sounds.commands(240)


@pytest.fixture(scope="module")
def app(clips):
    return at.VoiceCommandRecognizer.demo()[0].set_params(epochs=3).fit(clips, verbose=0)


def wav(samples, bits=16, code=1, rate=RATE, promised=None):
    """A WAV file of samples (n, channels), whose header may promise another number of bytes."""
    samples = samples.reshape(len(samples), -1) if len(samples) else np.zeros((0, 1))
    if code == 3:
        data = samples.astype("<f4").tobytes()
    elif bits == 8:
        data = np.rint(samples * 127 + 128).astype(np.uint8).tobytes()
    else:
        whole = np.rint(samples * (2 ** (bits - 1) - 1)).astype("<i4").reshape(-1, 1)
        data = whole.view(np.uint8)[:, : bits // 8].tobytes()
    channels = samples.shape[1]
    width = channels * bits // 8
    form = struct.pack("<HHIIHH", code, channels, rate, rate * width, width, bits)
    length = len(data) if promised is None else promised
    chunks = b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", length) + data
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WAVE" + chunks


def one(value):
    column = np.empty(1, object)
    column[0] = value
    return {"sound": column}


def refusal(call):
    with pytest.raises(at.DataError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- clips ---------------------------------------------------------------------


def test_every_form_of_a_clip_gets_the_same_answer(app, clips):
    clip = clips["sound"][0]
    plain = app.predict_one({"sound": clip})
    twice = np.interp(np.arange(6 * RATE) / 6, np.arange(RATE), clip)  # 96 kHz
    forms = {
        "8 bits": wav(clip, 8),
        "16 bits": wav(clip),
        "24 bits": wav(clip, 24),
        "floats": wav(clip, 32, code=3),
        "96 kHz": wav(twice, rate=96_000),
        "8 channels": wav(np.stack([clip] * 8, axis=1)),
        "an offset": clip + 0.2,
        "a pair": (clip, RATE),
        "a pair the other way round": (RATE, (clip * 32767).astype(np.int16)),
    }
    answers = {what: app.predict_one({"sound": value}) for what, value in forms.items()}
    assert {what: answer["command"] for what, answer in answers.items()} == dict.fromkeys(forms, plain["command"])
    assert max(abs(answer["probability"] - plain["probability"]) for answer in answers.values()) < 0.05


def test_clipped_and_silent_clips_are_answered(app, clips):
    clipped = np.clip(20 * clips["sound"][0], -1, 1)
    assert app.predict_one({"sound": clipped})["problem"] == ""
    silent = app.predict_one({"sound": np.zeros(RATE, np.float32)})
    assert (silent["command"], silent["accepted"]) == ("_silence_", False)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (wav(np.zeros(8000), promised=90_000), "cut short, its header promises 90,000 bytes of sound and 16,000 are"),
        (wav(np.zeros(8000))[:30], "the wav file is damaged, its header is not complete; copy or make it again."),
        (wav(np.zeros(0)), "has no samples, it lasts 0 seconds; record it again or leave it out."),
        (np.zeros(0, np.float32), "has no samples, it lasts 0 seconds; record it again or leave it out."),
        (np.array([0.1, np.nan, 0.1]), "has 1 samples that are NaN or infinite; every sample must be a number."),
        (b"<html>not a sound</html>", "this is no sound, it begins with b'<html>no'; wav can be read, and flac, ogg"),
        ((np.zeros(RATE), 0), "has 0 samples a second; 1,000 to 768,000 are expected."),
        ("nowhere/a.wav", "nowhere/a.wav: there is no such file; check the path."),
    ],
)
def test_what_is_no_sound_says_why_and_the_rest_is_answered(app, clips, value, reason):
    both = {"sound": np.concatenate([one(value)["sound"], one(clips["sound"][0])["sound"]])}
    answers = app.predict(both)
    assert reason in answers["problem"][0]
    assert answers["problem"][1] == ""
    assert answers["command"][1] == app.predict_one({"sound": clips["sound"][0]})["command"]
    message = refusal(lambda: app.predict_one({"sound": value}))
    assert message.startswith("VoiceCommandRecognizer: ")
    assert reason in message


def test_a_data_set_of_tfds(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    made = synthetic_sounds.commands(120)

    class TinySpeech(tfds.core.GeneratorBasedBuilder):  # with the features of TFDS' speech_commands
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            label = tfds.features.ClassLabel(names=sorted(set(made["command"])))
            audio = tfds.features.Audio(file_format="wav", sample_rate=RATE)
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict({"audio": audio, "label": label})
            )

        def _split_generators(self, _):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for row, (clip, word) in enumerate(zip(made["sound"], made["command"], strict=True)):
                yield row, {"audio": (clip[: 14_000 + row] * 32767).astype("int64"), "label": word}

    TinySpeech(data_dir=tmp_path).download_and_prepare()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    app = at.VoiceCommandRecognizer(
        sound="audio", command="label", speaker=None, width=4, listeners=1, epochs=1, batch_size=64
    )
    app.fit("tfds:tiny_speech:train", verbose=0)
    assert app.commands == ("go", "left", "stop", "yes", "_unknown_", "_silence_")
    assert (app.predict("tfds:tiny_speech:train")["problem"] == "").all()


# ---- what it is taught ---------------------------------------------------------


def test_one_clip_a_word_and_one_word_are_too_little(clips):
    app = at.VoiceCommandRecognizer.demo()[0]
    first = [int(np.flatnonzero(clips["command"] == word)[0]) for word in np.unique(clips["command"])]
    single = {name: column[first] for name, column in clips.items()}
    assert refusal(lambda: app.fit(single)) == (
        "VoiceCommandRecognizer: there are 5 rows; what is learned from fewer than 200 is hardly more than chance; "
        "give more records."
    )
    same = {**clips, "command": np.full(len(clips["command"]), "go", object)}
    assert refusal(lambda: app.fit(same)) == (
        "VoiceCommandRecognizer: label 'command' is 'go' in all 240 rows; give records of every class."
    )


@pytest.fixture(scope="module")
def spare(clips):
    """Learned from commands alone, of which only "go" counts, and one clip can not be read."""
    kept = np.flatnonzero(clips["command"] != "_unknown_")[:80]
    some = {name: column[kept] for name, column in clips.items()}
    sounds = np.empty(80, object)
    sounds[:] = list(some["sound"])
    sounds[3] = np.zeros(0, np.float32)
    weight = np.where(some["command"] == "go", 1.0, 0.0)
    app = at.VoiceCommandRecognizer(width=4, listeners=1, epochs=1, batch_size=64)
    return app.fit({**some, "sound": sounds}, sample_weight=weight, verbose=0)


def test_clips_that_can_not_be_read_are_left_out_and_told(spare):
    assert spare.learned_["left out"]["records"] == 1
    assert spare.learned_["left out"]["why"][0].startswith("the sound has no samples, it lasts 0 seconds")


def test_words_that_are_missing_are_made(spare, clips):
    assert spare.commands == ("go", "left", "stop", "yes", "_unknown_", "_silence_")
    assert spare.learned_["made"] == ["_unknown_", "_silence_"]
    answers = spare.predict(clips)
    assert not answers["accepted"][answers["command"].isin(spare.quiet)].any()


def test_weights_of_clips_count(spare, clips):
    said = spare.predict(clips)["command"]
    share = np.isin(clips["command"], ["left", "stop", "yes"]).mean()
    assert said.isin(["left", "stop", "yes"]).mean() < share / 4  # they did not count; hardly any is said by chance


def test_who_spoke_is_never_on_both_sides(clips):
    train, valid = at.VoiceCommandRecognizer().split(clips)
    assert not set(train["speaker"]) & set(valid["speaker"])


def test_a_word_that_only_the_test_has(app, clips):
    strange = {**clips, "command": np.where(clips["command"] == "go", "marvin", clips["command"])}
    report = app.evaluate({name: column[:60] for name, column in strange.items()})
    (finding,) = [one for one in report.findings if one.code == "words-never-learned"]
    assert "are of words that it never learned ('marvin'); '_unknown_' is taken for the right answer" in finding.message


def test_check_sees_copies_and_other_rates(clips):
    doubled = {name: np.concatenate([column[:100], column[:3]]) for name, column in clips.items()}
    doubled["command"][100] = "left" if doubled["command"][0] == "go" else "go"
    found = {one.code: one.message for one in at.VoiceCommandRecognizer().check(doubled, probe=False).findings}
    assert found["two-labels"].startswith("2 sounds are there under different labels, first the one in row 0 (")
    assert found["same-sound"] == "3 of 103 sounds are exact copies of an earlier one."
    codes = [one.code for one in at.VoiceCommandRecognizer(rate=8000).check(clips, probe=False).findings]
    assert "odd-lengths" in codes


def test_choices_that_make_no_sense():
    with pytest.raises(ValueError, match=r"rate must be 1,000 to 96,000 samples a second. Received: 10\."):
        at.VoiceCommandRecognizer(rate=10)
    with pytest.raises(ValueError, match=r"seconds must be 0\.2 to 10\. Received: 60\.0"):
        at.VoiceCommandRecognizer(seconds=60.0)
    with pytest.raises(ValueError, match=r"unknown and silence must be two words\. Received: 'x' for both"):
        at.VoiceCommandRecognizer(unknown="x", silence="x")
    with pytest.raises(ValueError, match="VoiceCommandRecognizer: augment: there is no 'shfit'; did you mean 'shift'"):
        at.VoiceCommandRecognizer(augment={"shfit": 0.1})


def test_background_that_is_not_there(clips):
    app = at.VoiceCommandRecognizer(background="nowhere.wav", epochs=1)
    assert "VoiceCommandRecognizer: background nowhere.wav: there is no such file; check the path." in refusal(
        lambda: app.fit(clips, verbose=0)
    )


# ---- live ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def stream(clips):
    """Five seconds with three words in soft noise."""
    samples = 0.002 * np.random.default_rng(0).normal(size=5 * RATE).astype(np.float32)
    for place, row in enumerate(np.flatnonzero(clips["command"] != "_unknown_")[:3]):
        start = round((0.4 + 1.6 * place) * RATE)
        samples[start : start + RATE] += clips["sound"][row]
    return samples


@pytest.fixture(scope="module")
def eager(app):
    """One that accepts whatever is likelier than not, so that there is something to hear."""
    return copy.copy(app).set_policy(false_accepts=1e6)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 20_000), max_size=12))
def test_where_chunks_end_changes_nothing(eager, stream, lengths):
    whole = list(eager.listen([stream], RATE))
    ends = [end for end in itertools.accumulate(lengths) if end < len(stream)]
    assert list(eager.listen(np.split(stream, ends), RATE)) == whole
    assert whole


def test_thousands_of_tiny_chunks(eager, stream):
    tiny = (stream[start : start + 11] for start in range(0, len(stream), 11))
    assert list(eager.listen(tiny, RATE)) == list(eager.listen([stream], RATE))


def test_what_was_heard_before_the_stream_broke_is_not_lost(eager, stream):
    def chunks():
        yield stream[: 3 * RATE]
        raise ConnectionError("the microphone is gone")

    heard = []
    with pytest.raises(ConnectionError, match="the microphone is gone"):
        for told in eager.listen(chunks(), RATE):
            heard.append(told)
    assert heard == list(eager.listen([stream[: 3 * RATE]], RATE))
    assert heard


def test_chunks_that_are_no_samples(eager, stream):
    heard = []
    with pytest.raises(at.DataError, match="VoiceCommandRecognizer: chunk 1 has 1 samples that are NaN or infinite"):
        heard.extend(told for told in eager.listen([stream, np.array([np.nan])], RATE))
    message = refusal(lambda: list(eager.listen([stream], 10)))
    assert message == "VoiceCommandRecognizer: rate must be 1,000 to 768,000 samples a second, not 10."
    with pytest.raises(at.NotFittedError, match="fit"):
        list(at.VoiceCommandRecognizer().listen([stream], RATE))


def test_a_recording_is_listened_to_as_a_stream_is(eager, stream):
    from apptemplates.deploy import fast
    from apptemplates.evaluation import streams

    least = eager._least
    padded = np.append(stream, np.zeros(RATE, np.float32))
    quick = streams.heard_in(fast.batch(eager.model_), padded, eager.commands, eager.quiet, eager._pace(), least)
    live = list(eager.listen([stream], RATE))
    assert [(one.command, one.time) for one in quick] == [(one.command, one.time) for one in live]


# ---- words added later ---------------------------------------------------------


def test_five_clips_of_one_new_word(app, clips):
    new = synthetic_sounds.commands(60, seed=9)
    tones = np.flatnonzero(new["command"] == "_unknown_")[:5]
    few = {
        "sound": np.stack([chirp(seed) for seed in range(5)]),
        "command": np.full(5, "whistle", object),
        "speaker": new["speaker"][tones],
    }
    before = (app.predict(clips)["command"] == clips["command"]).mean()
    grown = copy.copy(app).finetune(few, verbose=0)
    assert grown.commands == (*app.commands, "whistle")
    heard = grown.predict({"sound": np.stack([chirp(seed) for seed in range(20, 40)])})
    assert (heard["command"] == "whistle").mean() > 0.8
    assert (grown.predict(clips)["command"] == clips["command"]).mean() > before - 0.05
    assert "whistle" not in app.commands


def chirp(seed):
    """A whistle that rises."""
    rng = np.random.default_rng(seed)
    time = np.arange(RATE) / RATE
    place = np.clip((time - 0.25 - 0.1 * rng.random()) / 0.5, 0, 1)
    pitch = (1000 + 1500 * place) * np.exp(0.05 * rng.normal())
    sound = 0.4 * np.sin(np.pi * place) * np.sin(2 * np.pi * np.cumsum(pitch) / RATE)
    return (sound + 0.003 * rng.normal(size=RATE)).astype(np.float32)


# ---- the report ----------------------------------------------------------------


def test_the_report_tells_of_noise_and_of_false_accepts(app, clips):
    report = app.evaluate({name: column[:80] for name, column in clips.items()}, by=("speaker",))
    assert [f"accuracy, {louder} dB" in report.notes for louder in (20, 10, 5, 0)] == [True] * 4
    bound = report.notes["false accepts an hour, at most (95 %, Poisson)"]
    assert bound >= report.notes["false accepts in them"] / report.notes["hours listened to where no command is said"]
    assert "recall of go" in report.metrics
    assert "speaker" in report.groups


def test_errors_of_sounds_and_of_streams_are_one_kind():
    assert issubclass(Undecodable, ValueError)


def test_frozen_features_know_words_that_were_never_learned_as_none(app, clips):
    records, _ = app.record.check("test", {name: column[:6] for name, column in clips.items()})
    records[app.command] = np.array(["never heard", *records[app.command][1:]], object)
    features, place, names = app.frozen(Part.of(app, records, app.state_))
    assert features.shape[0] == 6 and features.ndim == 2 and place[0] == -1
    assert names == app.commands
    assert [app.commands[one] for one in place[1:]] == records[app.command][1:].tolist()
