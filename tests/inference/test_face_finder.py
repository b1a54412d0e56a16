"""Boxes, turns and crops of faces, without a network; the networks themselves are tried on real photographs."""

import numpy as np
import pytest

from apptemplates.inference import face_finder
from apptemplates.inference.face_finder import FaceFinder
from apptemplates.inference.images import Undecodable


def test_boxes_lie_where_the_cells_say():
    cells = np.full((13, 13, 25), -20.0)
    cells[4, 7, 0:5] = [0.0, 0.0, 0.0, 0.0, 3.0]  # the first anchor in the middle of row 4, column 7
    boxes, scores = face_finder.boxes_of(cells)
    best = int(scores.argmax())
    middle, size = (boxes[best, :2] + boxes[best, 2:]) / 2, boxes[best, 2:] - boxes[best, :2]
    np.testing.assert_allclose(middle, [7.5 * 32, 4.5 * 32])
    np.testing.assert_allclose(size, face_finder.ANCHORS[0] * 32)
    assert scores[best] == pytest.approx(0.9526, abs=1e-4) and np.sort(scores)[-2] < 1e-8
    assert boxes.shape == (13 * 13 * 5, 4)


def test_of_boxes_that_share_much_the_surer_is_kept():
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30], [2, 2, 5, 5]], float)
    kept, scores = face_finder.apart(boxes, np.array([0.6, 0.9, 0.5, 0.8]))
    assert kept.tolist() == [[1, 1, 11, 11], [20, 20, 30, 30]] and scores.tolist() == [0.9, 0.5]
    none, _ = face_finder.apart(np.zeros((0, 4)), np.zeros(0))
    assert none.shape == (0, 4)


@pytest.mark.parametrize(("angle", "scale"), [(0.0, 1.0), (0.6, 3.0), (-2.0, 0.2)])
def test_the_turn_between_points_is_found(angle, scale):
    points = face_finder.PLACES
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = face_finder.similarity(points, points @ turn.T + [5, -7])
    np.testing.assert_allclose(found, np.column_stack([turn, [5, -7]]), atol=1e-9)


def test_a_crop_shows_what_the_view_says():
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[10:30, 40:60] = (200, 100, 50)
    whole = face_finder.warp(picture, np.array([[20.0, 0, 40], [0, 20, 10]]), 16)
    assert whole.shape == (16, 16, 3) and (np.abs(whole[2:-2, 2:-2].astype(int) - (200, 100, 50)) < 3).all()
    quarter_turn = face_finder.warp(picture, np.array([[0, -40.0, 60], [40, 0, 10]]), 16)
    inside = quarter_turn[..., 0] > 100
    assert inside[:8, :8].mean() > 0.7 and inside[9:].mean() < 0.1  # x runs down the picture now
    beyond = face_finder.warp(picture + 9, np.array([[20.0, 0, -50], [0, 20, -50]]), 16)
    assert (beyond == 9).all()


def test_pictures_are_scaled_by_their_longer_side():
    assert face_finder.scaled(np.zeros((50, 100, 3), np.uint8), 64).shape == (32, 64, 3)
    assert face_finder.scaled(np.zeros((400, 2, 3), np.uint8), 64).shape == (64, 1, 3)


def test_mirrored_points_are_mirrored_back():
    assert sorted(face_finder.MIRRORED) == list(range(68))
    assert (face_finder.MIRRORED[face_finder.MIRRORED] == np.arange(68)).all()


class Seen(FaceFinder):
    """A finder whose networks see what it is told."""

    def __init__(self, boxes, scores):
        self.told = np.array(boxes, float).reshape(-1, 4), np.array(scores, float)

    def find(self, picture):
        return self.told

    def points(self, picture, box):
        side, corner = box[2] - box[0], box[:2]
        points = np.zeros((68, 2))
        for part, place in zip(face_finder.EYES_NOSE_MOUTH, face_finder.PLACES, strict=True):
            points[part] = corner + side * place
        return points


def test_one_face_is_cropped_and_none_or_several_are_refused():
    picture = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    found = Seen([[20, 30, 60, 70]], [0.9]).crop(picture, 40)
    assert np.abs(found.astype(int) - picture[30:70, 20:60]).mean() < 12  # the box itself, as the points stand upright
    # somebody small in the background, and what is hardly a face, do not count
    same = Seen([[20, 30, 60, 70], [0, 0, 15, 15], [60, 60, 99, 99]], [0.9, 0.8, 0.4]).crop(picture, 40)
    assert (same == found).all()
    with pytest.raises(Undecodable, match="no face was found; give a photograph with one face"):
        Seen([], []).crop(picture, 40)
    with pytest.raises(Undecodable, match="2 faces were found; crop one"):
        Seen([[0, 0, 40, 40], [50, 50, 90, 90]], [0.9, 0.8]).crop(picture, 40)
