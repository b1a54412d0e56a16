"""Clips as batches of pictures."""

import numpy as np

from apptemplates.data.clip_batches import ClipBatches
from apptemplates.layers.sound_networks import preprocessor

RATE = 8000
CLIPS = np.random.default_rng(0).normal(0, 0.1, (10, RATE)).astype("float32")
TARGET = np.eye(3, dtype="float32")[np.arange(10) % 3]
PICTURES = preprocessor(RATE, RATE)
PLAIN = PICTURES({"sound": CLIPS}).numpy()


def clip_batches(choices, noise=lambda: CLIPS.ravel()):
    return ClipBatches(PICTURES, choices, RATE, 1.0, noise, 0)


def test_held_out_clips_stay_as_they_are_and_every_member_learns_the_same():
    def never():
        raise AssertionError("nothing is varied")

    options = {"members": 2, "training": False, "loose": np.zeros(3, bool)}
    given = clip_batches({"gain": 1.0}, never).made(CLIPS, TARGET, np.arange(10.0), 4, **options)
    ((pictures, target, weight),) = given.as_numpy_iterator()
    np.testing.assert_allclose(pictures, PLAIN, atol=1e-2)
    assert target.shape == (10, 2, 3) and (target == TARGET[:, None]).all() and weight.tolist() == list(range(10))


def test_clips_to_learn_from_differ_on_every_pass():
    options = {"members": 1, "training": True, "loose": np.array([False, False, True])}
    given = clip_batches({"gain": 1.0, "mask_time": 0.3}).made(CLIPS, TARGET, None, 4, **options)
    assert len(given) == 3
    first, second = (loudness_by_class(given) for _ in range(2))
    assert first.keys() == second.keys() == {0, 1, 2}
    assert not set(first[0]) & set(second[0])


def loudness_by_class(given):
    """The mean of every picture of a pass, by the class that it is to be."""
    found = {}
    for pictures, target in given.as_numpy_iterator():
        for picture, row in zip(pictures, target, strict=True):
            found.setdefault(int(row[0].argmax()), []).append(float(picture.mean()))
    return found


def test_varied_copies_of_a_clip_follow_each_other():
    same = clip_batches({}).varied(CLIPS, 3)
    np.testing.assert_allclose(same, np.repeat(PLAIN, 3, axis=0), atol=1e-2)
    louder = clip_batches({"gain": 1.0}).varied(CLIPS, 3).mean(axis=(1, 2, 3)).reshape(10, 3)
    assert (louder.std(axis=1) > 0.5).all()
