"""Maps that point at what decided, and checks that tell good maps from bad ones."""

import keras
import numpy as np
import pytest
from keras import layers as kl

from apptemplates.evaluation import heat_maps

RNG = np.random.default_rng(0)


def spots(n=24, side=32):
    """Grey pictures with one bright spot, and where it is (cell rows and columns of four by four)."""
    pictures = RNG.uniform(90, 110, (n, side, side, 1)).astype("float32")
    places = RNG.integers(0, 4, (n, 2))
    for picture, (row, column) in zip(pictures, places, strict=True):
        picture[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 250
    return pictures, places


def brightest(pictures):
    """Chances (n, 2) of there being no spot and a spot."""
    top = pictures.reshape(len(pictures), 4, 8, 4, 8).mean(axis=(2, 4)).max(axis=(1, 2))
    chance = 1 / (1 + np.exp(-(top - 180) / 15))
    return np.stack([1 - chance, chance], axis=1)


def inside_spot(maps, places):
    """Share of the weight of each map that lies in and next to the spot."""
    shares = []
    for one, (row, column) in zip(maps, places, strict=True):
        near = one[max(0, 8 * row - 4) : 8 * row + 12, max(0, 8 * column - 4) : 8 * column + 12]
        shares.append(near.sum() / one.sum())
    return np.array(shares)


@pytest.fixture(scope="module")
def parts():
    """A backbone that keeps what is bright, and a head that speaks for class 1 by its mean."""
    entry = keras.Input((32, 32, 1))
    backbone = keras.Model(entry, kl.ReLU()(kl.AveragePooling2D(4)(entry) - 150.0))
    features = keras.Input((8, 8, 1))
    head = keras.Model(features, kl.Dense(2)(kl.GlobalAveragePooling2D()(features)))
    head.layers[-1].set_weights([np.array([[-1.0, 1.0]]), np.zeros(2)])
    return backbone, head


def test_grad_cam_points_at_what_decided(parts):
    pictures, places = spots()
    maps = heat_maps.grad_cam(*parts, pictures, np.ones(len(pictures), int))
    assert maps.shape == (24, 32, 32) and maps.dtype == np.float32 and maps.min() >= 0
    np.testing.assert_allclose(maps.max(axis=(1, 2)), 1)
    assert inside_spot(maps, places).min() > 0.9
    # nothing speaks for class 0
    assert not heat_maps.grad_cam(*parts, pictures, np.zeros(len(pictures), int)).any()


def test_occlusion_points_at_what_decided():
    pictures, places = spots()
    maps = heat_maps.occlusion(brightest, pictures, np.ones(len(pictures), int))
    peaks = np.array([np.unravel_index(one.argmax(), one.shape) for one in maps]) // 8
    assert (np.abs(peaks - places).max(axis=1) <= 1).mean() > 0.9


def test_a_good_map_is_told_from_a_bad_one():
    pictures, places = spots()
    asked = np.ones(len(pictures), int)
    good = np.zeros(pictures.shape[:3], "float32")
    for one, (row, column) in zip(good, places, strict=True):
        one[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 1
    trust = heat_maps.faithfulness(brightest, pictures, {"good": good, "bad": 1 - good}, asked)
    for what in ("deletion", "insertion"):
        assert trust["better"][what, "good"].low > 0
        assert trust["better"][what, "bad"].high < 0
        assert set(trust["curves"][what]) == {"good", "bad", "middle first", "random"}
    assert trust["scores"]["deletion", "good"].value < trust["scores"]["deletion", "random"].value
    first, last = trust["curves"]["deletion"]["good"][[0, -1]]
    np.testing.assert_allclose(first, brightest(pictures)[:, 1].mean(), rtol=1e-5)
    assert last < 0.1


def test_where_in_words():
    maps = np.zeros((4, 30, 30), "float32")
    maps[0, :8, :8] = maps[1, 20:, 12:18] = maps[2, 12:18, 12:18] = 1
    assert heat_maps.where(maps) == ["upper left", "lower", "middle", "nowhere"]


def test_pictures_of_odd_sides_and_smaller_than_the_grid():
    for side in (5, 17, 28):
        pictures = RNG.uniform(0, 255, (2, side, side, 3)).astype("float32")

        def ask(some):
            return np.full((len(some), 2), 0.5)

        maps = heat_maps.occlusion(ask, pictures, np.zeros(2, int))
        assert maps.shape == (2, side, side) and not maps.any()
        trust = heat_maps.faithfulness(ask, pictures, {"it": maps}, np.zeros(2, int))
        assert trust["better"]["deletion", "it"].value == pytest.approx(0, abs=1e-6)
