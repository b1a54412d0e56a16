import numpy as np

from apptemplates.data import synthetic_sounds


def test_commands_are_reproducible_and_sounds():
    table = synthetic_sounds.commands(60)
    again = synthetic_sounds.commands(60)
    np.testing.assert_array_equal(table["sound"], again["sound"])
    assert table["sound"].shape == (60, 16_000)
    assert table["sound"].dtype == np.float32
    assert np.abs(table["sound"]).max() <= 1
    assert set(table["command"]) == {*synthetic_sounds.WORDS, "_unknown_"}
    assert len(set(table["speaker"])) == 5
    assert not np.array_equal(synthetic_sounds.commands(60, seed=1)["sound"], table["sound"])


def test_words_sound_different():
    rng = np.random.default_rng(0)
    spoken = {name: synthetic_sounds.say(parts, 140, 1, 0.45, rng) for name, parts in synthetic_sounds.WORDS.items()}
    loud = {name: np.abs(np.fft.rfft(sound, 8192))[:2000] for name, sound in spoken.items()}
    names = list(loud)
    alike = np.corrcoef([loud[name] for name in names])
    assert alike[~np.eye(len(names), dtype=bool)].max() < 0.95


def test_noises():
    found = synthetic_sounds.noises()
    assert len(found) == 3
    assert all(noise.shape == (80_000,) and 0.001 < noise.std() < 0.3 for noise in found)
