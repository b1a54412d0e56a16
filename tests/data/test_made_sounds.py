import wave

import numpy as np
import pytest

from apptemplates.data import made_sounds
from apptemplates.data.schema import DataError

NOISE = np.random.default_rng(1).normal(0, 0.1, 40_000).astype("float32")


def wav(path, samples, rate=8000):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


def test_silences_are_background_at_all_loudnesses():
    found = made_sounds.silences(200, NOISE, 8000, np.random.default_rng(0))
    assert found.shape == (200, 8000)
    assert found.dtype == np.float32
    loud = found.std(axis=1)
    assert (loud == 0).any()
    assert loud.max() > 5 * np.median(loud[loud > 0])
    assert loud.max() < 0.2


def test_others_hold_no_whole_word():
    rng = np.random.default_rng(0)
    clips = np.tile(np.linspace(0.1, 1, 1000, dtype="float32"), (5, 1))
    found = made_sounds.others(50, clips, rng)
    assert found.shape == (50, 1000)
    rising = (np.diff(found, axis=1) > 0).all(axis=1)
    assert not rising.any()


def test_a_stream_has_words_in_it_and_never_clips():
    words = np.ones((3, 4000), "float32")
    found = made_sounds.stream(20, 8000, words, NOISE, np.random.default_rng(0))
    alone = made_sounds.stream(20, 8000, words[:0], NOISE, np.random.default_rng(0))
    assert len(found) == len(alone) == 160_000
    assert np.abs(found).max() <= 1
    assert (np.abs(found - alone) > 0.1).mean() > 0.2


def test_background_from_files_and_folders(tmp_path):
    (tmp_path / "inside").mkdir()
    wav(tmp_path / "a.wav", np.full(8000, 0.25))
    wav(tmp_path / "inside" / "b.wav", np.full(16_000, 0.5), 16_000)
    (tmp_path / "notes.txt").write_text("no sound")
    found = made_sounds.background((str(tmp_path),), 8000, 4000, "Test")
    assert len(found) == 16_000
    np.testing.assert_allclose(np.median(found[:8000]), 0.25, atol=1e-3)
    np.testing.assert_allclose(np.median(found[8000:]), 0.5, atol=1e-2)
    assert len(made_sounds.background(None, 8000, 4000, "Test")) == 120_000


def test_background_that_can_not_serve(tmp_path):
    wav(tmp_path / "a.wav", np.full(8000, 0.25))
    with pytest.raises(DataError, match=r"Test: background holds 1\.0 seconds of sound; at least 2 are needed"):
        made_sounds.background((str(tmp_path / "a.wav"),), 8000, 8000, "Test")
    with pytest.raises(DataError, match=r"Test: background .*none\.wav"):
        made_sounds.background((str(tmp_path / "none.wav"),), 8000, 8000, "Test")


def test_clips_are_made_for_the_words_that_are_missing():
    rng = np.random.default_rng(0)
    clips, spoken = rng.normal(0, 0.1, (6, 800)).astype("float32") + 0.5, np.array(["go", "stop"] * 3, object)
    quiet, weight = ("_unknown_", "_silence_"), np.arange(6.0)
    given = clips, spoken, weight, ["_unknown_", "_silence_"], quiet, 4, lambda: NOISE
    sounds, words, weights = made_sounds.completed(*given, np.random.default_rng(0))
    assert sounds.shape == (14, 800) and (sounds[:6] == clips).all()
    assert words.tolist() == [*spoken, *["_unknown_"] * 4, *["_silence_"] * 4]
    assert weights[:6].tolist() == weight.tolist() and set(weights[6:]) == {2.5}
    assert np.abs(sounds[6:].mean(axis=1)).max() < 1e-6

    def never():
        raise AssertionError("no silence is to be made")

    only = made_sounds.completed(clips, spoken, None, ["_unknown_"], quiet, 4, never, np.random.default_rng(0))
    assert len(only[0]) == 10 and only[2] is None
    assert made_sounds.completed(clips, spoken, weight, [], quiet, 4, never, rng)[0] is clips
