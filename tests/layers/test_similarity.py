"""Directions, cosines and thresholds in the graph, and the networks that give them."""

import keras
import numpy as np
import pytest

from apptemplates.layers import face_embedding, similarity

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(6, 5)).astype("float32")


def test_directions_have_length_one_and_nothing_stays_nothing():
    found = np.asarray(similarity.Direction()(VECTORS))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(found, VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True), atol=1e-5)
    assert not np.asarray(similarity.Direction()(np.zeros((1, 5), "float32"))).any()


def test_cosines_to_people_do_not_hang_on_lengths():
    layer = similarity.ClassCosines(3)
    found = np.asarray(layer(VECTORS))
    np.testing.assert_allclose(np.asarray(layer(7 * VECTORS)), found, atol=1e-5)
    own = layer.directions.numpy()
    layer.directions.assign(own * np.array([1, 5, 0.2], "float32"))
    np.testing.assert_allclose(np.asarray(layer(VECTORS)), found, atol=1e-5)
    assert np.abs(found).max() <= 1 + 1e-5
    layer.directions.assign(np.eye(5, 3))
    np.testing.assert_allclose(np.asarray(layer(np.eye(5, dtype="float32")))[:3], np.eye(3), atol=1e-5)


def test_a_match_reaches_the_threshold():
    layer = similarity.Match()
    layer.build()
    assert not np.asarray(layer(np.array([0.999], "float32"))).any()  # until one is set, only the same matches
    layer.threshold.assign(0.5)
    np.testing.assert_array_equal(np.asarray(layer(np.array([0.4, 0.5, 0.6], "float32"))), [False, True, True])


def test_mirrors_and_lamps():
    pictures = RNG.uniform(0, 255, (2, 6, 8, 3)).astype("float32")
    np.testing.assert_array_equal(np.asarray(similarity.Mirror()(pictures)), pictures[:, :, ::-1])
    even = np.asarray(similarity.EvenLight()(pictures))
    np.testing.assert_allclose(even.mean(axis=(1, 2, 3)), 0, atol=1e-5)
    brighter = np.asarray(similarity.EvenLight()(pictures * 0.5 + 40))
    np.testing.assert_allclose(brighter, even, atol=0.2)  # but for the few grey levels that are no contrast
    flat = np.asarray(similarity.EvenLight()(np.full((1, 6, 8, 1), 90.0, "float32")))
    assert not flat.any()


@pytest.mark.parametrize("side", [24, 56])
def test_an_embedder_gives_directions_that_a_mirror_does_not_change(side):
    body = face_embedding.embedder((side, side, 1))
    assert body.count_params() < 2_500_000
    pictures = RNG.integers(0, 256, (3, side, side, 1)).astype("float32")
    both = face_embedding.both_ways(body)
    found = np.asarray(both(pictures))
    assert found.shape == (3, face_embedding.NUMBERS)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-4)
    np.testing.assert_allclose(np.asarray(both(pictures[:, :, ::-1])), found, atol=1e-3)


def test_features_that_tell_people_apart_already_stay_as_they_are():
    body = face_embedding.as_given(5)
    np.testing.assert_allclose(np.asarray(face_embedding.both_ways(body)(VECTORS)), np.asarray(body(VECTORS)))
    network = face_embedding.with_people(body, 4)
    assert network.output_shape == (None, 4) and network.get_layer("people").classes == 4


def test_they_are_kept_in_a_file(tmp_path):
    network = face_embedding.with_people(face_embedding.embedder((24, 24, 1)), 3)
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    pictures = RNG.integers(0, 256, (2, 24, 24, 1)).astype("float32")
    np.testing.assert_allclose(np.asarray(again(pictures)), np.asarray(network(pictures)), atol=1e-5)
