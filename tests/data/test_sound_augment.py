import numpy as np
import pytest
import tensorflow as tf

from apptemplates.data import sound_augment

RATE = 8000
TIME = np.arange(RATE) / RATE
TONES = np.tile(np.sin(2 * np.pi * 500 * TIME) * (abs(TIME - 0.5) < 0.2), (32, 1)).astype("float32")
NOISE = np.random.default_rng(0).normal(0, 0.2, 5 * RATE).astype("float32")


def varied(choices, seed=0):
    given = tf.data.Dataset.from_tensors((TONES, np.arange(32)))
    sounds, rest = next(iter(sound_augment.augment(given, choices, RATE, NOISE, seed)))
    assert rest.numpy().tolist() == list(range(32))
    assert sounds.shape == TONES.shape
    return sounds.numpy()


def middles(sounds):
    energy = np.square(sounds)
    return (energy @ TIME) / energy.sum(axis=1)


def pitches(sounds):
    return abs(np.fft.rfft(sounds)).argmax(axis=1)


def test_nothing_chosen_changes_nothing():
    np.testing.assert_array_equal(varied({"shift": 0.0}), TONES)


def test_shift_moves_within_its_range():
    moved = middles(varied({"shift": 0.2})) - 0.5
    assert 0.12 < np.abs(moved).max() <= 0.2
    assert moved.min() < 0 < moved.max()


def test_what_is_no_word_moves_further():
    target = np.eye(2, dtype="float32")[np.arange(32) % 2]
    given = tf.data.Dataset.from_tensors((TONES, target))
    sounds, _ = next(iter(sound_augment.augment(given, {"shift": 0.1}, RATE, NOISE, 0, np.array([False, True]))))
    energy = np.square(sounds.numpy())
    moved = np.abs((energy @ TIME) / energy.sum(axis=1) - 0.5)
    assert moved[::2].max() <= 0.101
    assert moved[1::2].max() > 0.25


def test_speed_changes_the_pitch():
    found = pitches(varied({"speed": 0.2}))
    assert found.min() < 470
    assert found.max() > 530
    assert (abs(found - 500) <= 102).all()


def test_gain_changes_the_loudness_alone():
    found = varied({"gain": 0.5})
    factor = np.abs(found).max(axis=1)
    np.testing.assert_allclose(found, factor[:, None] * TONES / TONES.max(), atol=1e-5)
    assert factor.std() > 0.2


def test_noise_is_added_to_about_as_many_as_asked():
    found = varied({"noise": 0.5})
    noisy = np.abs(found - TONES).max(axis=1) > 1e-6
    assert 0.2 < noisy.mean() < 0.8
    louder = 10 * np.log10(np.square(TONES).sum(axis=1) / np.square(found - TONES).sum(axis=1).clip(1e-9))[noisy]
    assert louder.min() > sound_augment.SOFTEST - 1
    assert louder.max() < sound_augment.LOUDEST + 1


def test_every_pass_is_drawn_anew_and_seeds_repeat():
    given = tf.data.Dataset.from_tensors((TONES, np.arange(32)))
    twice = list(sound_augment.augment(given, {"gain": 1.0}, RATE, NOISE, 3).repeat(2))
    assert np.abs(twice[0][0] - twice[1][0]).max() > 0.1
    np.testing.assert_array_equal(varied({"gain": 1.0}, 5), varied({"gain": 1.0}, 5))


def hidden(choices):
    pictures = np.random.default_rng(1).uniform(0, 200, (16, 20, 50, 1)).astype("float32")
    target = np.eye(16, dtype="float32")
    given = tf.data.Dataset.from_tensors((pictures, target))
    return pictures, target, *(x.numpy() for x in next(iter(sound_augment.hide(given, choices, 1.0, 0))))


def test_masks_hide_bands_and_moments():
    pictures, target, found, same = hidden({"mask_pitch": 0.3, "mask_time": 0.3})
    np.testing.assert_array_equal(same, target)
    mean = pictures.mean(axis=(1, 2, 3), keepdims=True)
    covered = np.isclose(found, mean, atol=1e-3)
    assert 0.05 < covered.mean() < 0.7
    np.testing.assert_allclose(np.where(covered, 0, found), np.where(covered, 0, pictures))


def test_mix_lays_another_under_and_shares_the_target():
    pictures, _, found, shared = hidden({"mix": 1.0})
    np.testing.assert_allclose(shared.sum(axis=1), 1, atol=1e-6)
    own = np.diag(shared)
    assert (own >= 0.5 - 1e-6).all()
    np.testing.assert_allclose(
        found, own[:, None, None, None] * pictures + (1 - own)[:, None, None, None] * pictures[::-1], rtol=1e-4
    )


def test_unknown_and_excessive_choices_are_refused():
    with pytest.raises(ValueError, match=r"no 'shfit'; did you mean 'shift'\? It takes shift, "):
        sound_augment.checked({"shfit": 0.1})
    with pytest.raises(ValueError, match=r"speed .* must be from 0 to 0\.5\. Received: 2"):
        sound_augment.checked({"speed": 2})
