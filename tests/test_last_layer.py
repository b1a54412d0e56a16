import numpy as np

from apptemplates import last_layer

RNG = np.random.default_rng(0)
MEMBERS = 2
CENTRES = 3 * np.eye(12)[:6]


def drawn(classes, count):
    place = np.repeat(classes, count)
    return CENTRES[place][:, None] + RNG.normal(0, 0.7, (len(place), MEMBERS, 12)), place


def right(layer, features, place):
    logits = np.einsum("nmd,mdc->nmc", features, layer[0]) + layer[1]
    return float((logits.mean(axis=1).argmax(axis=1) == place).mean())


def test_new_classes_from_five_examples_leave_the_old_ones_right():
    features, place = drawn(np.arange(4), 50)
    means, spread = last_layer.moments(features, place, 4)
    kernel, bias = np.stack([2 * CENTRES[:4].T] * MEMBERS), np.zeros((MEMBERS, 4))
    before = right((kernel, bias), *drawn(np.arange(4), 200))
    few, told = drawn(np.array([4, 5]), 5)
    now, _ = last_layer.moments(few, told, 6)
    means = np.concatenate([means, now[:, 4:]], axis=1)
    grown = last_layer.grown(kernel, bias, means, spread, {4: 5, 5: 5}, np.random.default_rng(0))
    assert grown[0].shape == (MEMBERS, 12, 6)
    assert grown[1].shape == (MEMBERS, 6)
    assert right(grown, *drawn(np.array([4, 5]), 200)) > 0.85
    assert right(grown, *drawn(np.arange(4), 200)) > before - 0.02


def test_moments_of_a_class_that_is_not_there():
    features, place = drawn(np.array([0, 2]), 40)
    means, spread = last_layer.moments(features, place, 4)
    assert np.isnan(means[:, [1, 3]]).all()
    assert np.abs(means[:, [0, 2]] - CENTRES[[0, 2]]).max() < 0.6
    assert np.abs(np.sqrt(np.diag(spread[0])) - 0.7).max() < 0.25
    layer = last_layer.grown(
        np.zeros((MEMBERS, 12, 4)), np.zeros((MEMBERS, 4)), means, spread, {}, np.random.default_rng(0)
    )
    assert np.isfinite(layer[0]).all()


def test_a_class_that_is_met_again_lies_between_then_and_now():
    before = np.stack([np.stack([np.zeros(2), np.full(2, 4.0), np.full(2, np.nan)])])
    now = np.stack([np.stack([np.full(2, np.nan), np.full(2, 6.0), np.ones(2), np.full(2, 7.0)])])
    found = last_layer.met_again(before, now)
    assert found[0, :, 0].tolist() == [0.0, 5.0, 1.0, 7.0]
