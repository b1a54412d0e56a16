"""Augmented pictures: what each choice changes and how far, anew on each pass, and nothing else."""

import numpy as np
import pytest
import tensorflow as tf

from apptemplates.data.augment import CHOICES, augment
from apptemplates.data.synthetic_pictures import faces

PICTURES = faces(16, 4, seed=1, size=24)["image"]
STRENGTH = {"flip": True, "flip_vertical": True, "rotate": 30, "shift": 0.2, "zoom": 0.3} | dict.fromkeys(
    ("brightness", "contrast", "erase", "blur", "noise"), 0.3
)


def drawn(choices, pictures=PICTURES, passes=1, seed=5, batch=32):
    numbers = np.arange(len(pictures))
    made = augment(tf.data.Dataset.from_tensor_slices((pictures, numbers)).batch(batch), choices, seed)
    assert made.element_spec[0].dtype == tf.float32 and made.element_spec[0].shape[1:] == pictures.shape[1:]
    found = [[(images.numpy(), rest.numpy()) for images, rest in made] for _ in range(passes)]
    for one in found:
        np.testing.assert_array_equal(np.concatenate([rest for _, rest in one]), numbers)
    answers = [np.concatenate([images for images, _ in one]) for one in found]
    return answers if passes > 1 else answers[0]


@pytest.mark.parametrize("pictures", [PICTURES, PICTURES[..., :1], PICTURES.astype("float32")])
def test_without_a_choice_nothing_changes(pictures):
    np.testing.assert_array_equal(drawn({}, pictures), pictures)
    np.testing.assert_array_equal(drawn(dict.fromkeys(CHOICES, 0), pictures), pictures)


@pytest.mark.parametrize("global_seed", [None, 0])
@pytest.mark.parametrize("name", CHOICES)
def test_every_pass_draws_anew_and_one_seed_gives_one_sequence(name, global_seed):
    tf.random.set_seed(global_seed)  # as `fit` does
    choices = {name: STRENGTH[name]}
    first, second = drawn(choices, passes=2)
    assert (first != second).any() and (first != PICTURES).any()
    assert first.min() >= 0 and first.max() <= 255
    changes = np.abs(first - PICTURES).mean(axis=(1, 2, 3))
    assert len(np.unique(changes.round(3))) > 20  # every picture by its own draw
    tf.random.set_seed(global_seed)
    np.testing.assert_array_equal(drawn(choices, passes=2)[1], second)
    tf.random.set_seed(global_seed)
    assert (drawn(choices, seed=6) != first).any()


@pytest.mark.parametrize(("name", "axis"), [("flip", 2), ("flip_vertical", 1)])
def test_half_are_mirrored_and_exactly_so(name, axis):
    found = drawn({name: True})
    mirrored = np.flip(PICTURES, axis)
    close = np.abs(found - mirrored).max(axis=(1, 2, 3)) < 0.01
    same = np.abs(found - PICTURES).max(axis=(1, 2, 3)) < 0.01
    assert (close ^ same).all() and 0.25 < close.mean() < 0.75


def spot(size=41):
    """Pictures of one bright spot to the right of the middle."""
    pictures = np.zeros((200, size, size, 1), np.float32)
    pictures[:, 18:23, 28:33] = 255
    return pictures


def centre(pictures):
    down, across = np.mgrid[0:41, 0:41] - 20
    weight = pictures[..., 0] / pictures.sum(axis=(1, 2, 3))[:, None, None]
    return (weight * down).sum((1, 2)), (weight * across).sum((1, 2))


def test_how_far_pictures_move():
    down, across = centre(drawn({"rotate": 30}, spot()))
    np.testing.assert_allclose(np.hypot(down, across), 10, atol=0.3)  # about the middle
    angles = np.degrees(np.arctan2(down, across))
    assert -30.5 < angles.min() < -25 and 25 < angles.max() < 30.5 and abs(angles.mean()) < 5
    down, across = centre(drawn({"shift": 0.1}, spot()))
    assert np.abs(down).max() < 4.2 and np.abs(down).max() > 3.5 and np.abs(across - 10).max() < 4.2
    assert abs(np.corrcoef(down, across)[0, 1]) < 0.2
    found = drawn({"zoom": 0.3}, spot())
    assert 6.9 < centre(found)[1].min() < 7.5 and 12.5 < centre(found)[1].max() < 13.1


def test_how_far_light_changes():
    flat = np.full((200, 8, 8, 3), 100, np.uint8)
    lighter = drawn({"brightness": 0.2}, flat)
    assert np.ptp(lighter, axis=(1, 2, 3)).max() < 1e-3
    assert 49 < lighter.min() < 53 and 147 < lighter.max() < 151
    np.testing.assert_allclose(drawn({"contrast": 0.5}, flat), 100, atol=1e-3)  # about the picture's own mean
    two = flat.copy()
    two[:, :4] = 60
    spread = np.ptp(drawn({"contrast": 0.5}, two), axis=(1, 2, 3))
    assert 19.9 < spread.min() < 23 and 57 < spread.max() < 60.1
    rough = drawn({"noise": 0.1}, flat) - 100
    assert 24 < rough.std() < 27 and abs(rough.mean()) < 1
    soft = drawn({"blur": 1.0}, spot())
    assert (soft.max(axis=(1, 2, 3)) >= 255 / 9).all() and (soft[:, 18, 27] > 0).mean() > 0.95


def test_erased_rectangles():
    pictures = np.full((400, 40, 40, 1), 300, np.float32)  # tells erased from kept, which is cut off at 255
    covered = (drawn({"erase": 0.25}, pictures) < 255).mean(axis=(1, 2, 3))
    assert 0.35 < (covered > 0).mean() < 0.6 and 0.2 < covered.max() < 0.28


def test_choices_that_make_no_sense():
    batches = tf.data.Dataset.from_tensors((PICTURES, np.arange(64)))
    with pytest.raises(ValueError, match=r"there is no 'rotation'.*It takes flip, flip_vertical, rotate"):
        augment(batches, {"rotation": 3}, 0)
    with pytest.raises(ValueError, match=r"rotate \(degrees, either way\) must be from 0 to 180. Received: -3"):
        augment(batches, {"rotate": -3}, 0)
    with pytest.raises(ValueError, match=r"must be from 0 to 1. Received: 'much'"):
        augment(batches, {"zoom": "much"}, 0)
