"""Pictures told apart by the directions of their edges."""

import keras
import numpy as np
import pytest

from apptemplates.data import synthetic_pictures
from apptemplates.data.batches import predicted
from apptemplates.evaluation import metrics
from apptemplates.layers import edges, face_embedding


@pytest.fixture(scope="module")
def faces():
    table = synthetic_pictures.faces(24, 5, seed=2)
    return table["image"], np.unique(table["person"], return_inverse=True)[1]


def area(directions, person):
    first, second = np.triu_indices(len(person), 1)
    return metrics.roc_auc(person[first] == person[second], (directions[first] * directions[second]).sum(axis=1))


def test_people_never_seen_are_told_apart(faces):
    pictures, person = faces
    seen = person < 14
    body = edges.learned(pictures[seen], person[seen], 0)
    found = predicted(body, pictures[~seen])
    assert found.shape[1] == 13  # one less than people
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-3)
    pixels = pictures[~seen].reshape(len(found), -1).astype(float)
    pixels -= pixels.mean(axis=1, keepdims=True)
    pixels /= np.linalg.norm(pixels, axis=1, keepdims=True)
    assert area(found, person[~seen]) > max(0.8, area(pixels, person[~seen]))


def test_the_direction_of_an_edge_counts_and_its_strength_little():
    rise = np.tile(np.arange(56, dtype="float32")[:, None] * 4, (1, 56))[None, :, :, None]
    described = edges.describer((56, 56, 1))
    down, right, weak = (
        np.asarray(described(picture)).reshape(-1, edges.DIRECTIONS)
        for picture in (rise, rise.transpose(0, 2, 1, 3), rise / 3)
    )
    turned = (down.argmax(axis=1) - right.argmax(axis=1)) % edges.DIRECTIONS
    assert set(turned) == {2}  # a quarter of a circle
    np.testing.assert_allclose(weak, down, atol=0.05)


def test_at_another_size_they_are_much_the_same(faces):
    pictures, person = faces
    body = edges.learned(pictures, person, 0)
    larger = edges.moved(body, (48, 48, 3))
    big = keras.ops.image.resize(pictures.astype("float32"), (48, 48)).numpy()
    alike = (np.asarray(body(pictures.astype("float32"))) * np.asarray(larger(big))).sum(axis=1)
    assert np.median(alike) > 0.8


def test_a_share_of_each_cosine_is_that_of_the_edges(faces):
    pictures, person = faces
    body, by_edges = face_embedding.embedder(pictures.shape[1:]), edges.learned(pictures, person, 0)
    one, other = (predicted(face_embedding.both_ways(way), pictures[:8]) for way in (body, by_edges))
    both = predicted(face_embedding.both_ways(body, by_edges, 0.25), pictures[:8])
    np.testing.assert_allclose(both @ both.T, 0.75 * one @ one.T + 0.25 * other @ other.T, atol=1e-4)


def test_networks_beside_them_begin_as_without_them(faces):
    def begun(beside):
        keras.utils.set_random_seed(3)
        if beside:
            edges.learned(*faces, 0)
        return face_embedding.embedder((24, 24, 3)).get_weights()

    for alone, after in zip(begun(False), begun(True), strict=True):
        np.testing.assert_array_equal(alone, after)
