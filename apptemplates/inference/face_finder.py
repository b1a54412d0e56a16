"""Where the face is in a picture, and the upright crop of it. NumPy, Pillow and LiteRT only."""

import threading
from collections.abc import Callable

import numpy as np
from PIL import Image

from apptemplates.inference.images import Undecodable

# widths and heights of the detector's anchors, in cells
ANCHORS = np.array(
    ((1.603231, 2.094468), (6.041143, 7.080126), (2.882459, 3.518061), (4.266906, 5.178857), (9.041765, 10.66308))
)
# longer sides at which a picture is searched, and where each copy lies in the detector's view: it sees faces of 50 to
# 130 of its pixels best, which are faces of an eighth of the picture up to all of it
VIEWS = (((208, 0, 0), (128, 270, 20), (88, 290, 290), (64, 60, 300)), ((416, 0, 0),))
LARGER = 2.2  # a picture is enlarged by no more than that: nothing would be seen that is not there
SURE = 0.35  # the least score of a face
RIVAL = 0.7  # what is less sure than this share of the surest face does not count beside it
ALONE = 0.35  # a face with less than this share of the largest one's area stands in the background
ROOM = 1.0  # the side of the landmarks' view over that of the box
ROUNDS = 2
# eyes, nose and mouth corners among the 68 points
EYES_NOSE_MOUTH = (slice(36, 42), slice(42, 48), slice(33, 34), slice(48, 49), slice(54, 55))
# where they stand in the square crop (x, y in 0..1), as in the crops that the descriptor was trained on
PLACES = np.array(((0.317, 0.311), (0.670, 0.311), (0.4935, 0.5855), (0.336, 0.687), (0.651, 0.687)))
ZOOM = 1.0
# and in the landmark network's view
SEEN = np.array(((0.317, 0.311), (0.670, 0.311), (0.4935, 0.5855), (0.336, 0.687), (0.651, 0.687)))
MIRRORED = np.array(
    [
        *range(16, -1, -1),
        *range(26, 16, -1),
        *range(27, 31),
        *range(35, 30, -1),
        *range(45, 41, -1),
        47,
        46,
        *range(39, 35, -1),
        41,
        40,
        *range(54, 47, -1),
        *range(59, 54, -1),
        *range(64, 59, -1),
        *range(67, 64, -1),
    ]
)


class FaceFinder:
    """Finds the face in a photograph and gives it upright, eyes, nose and mouth in their usual places.

    Args:
        detector: The LiteRT file of `layers.face_networks.face_detector`.
        landmarks: The LiteRT file of `layers.face_networks.face_landmarks`.
    """

    def __init__(self, detector: bytes, landmarks: bytes) -> None:
        self._files = {"detector": detector, "landmarks": landmarks}
        self._own = threading.local()  # an interpreter may be used by one thread at a time

    def arrays(self) -> dict[str, np.ndarray]:
        """Its files as a folder keeps them."""
        return {name: np.frombuffer(content, np.uint8) for name, content in self._files.items()}

    def find(self, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The faces in a picture (h, w, 3) uint8, surest first.

        Returns:
            Boxes (m, 4) float64, left, top, right, bottom in pixels, and scores (m,) in 0..1.
        """
        detect = self._network("detector")
        longest, boxes, scores = max(picture.shape[:2]), [], []
        for view in VIEWS:
            copies = [(scaled(picture, side), x, y) for side, x, y in view if side <= LARGER * longest]
            if not copies:
                continue
            canvas = np.zeros((1, 416, 416, 3), "float32")
            for copy, x, y in copies:
                canvas[0, y : y + copy.shape[0], x : x + copy.shape[1]] = copy
            found, score = boxes_of(detect(picture=canvas)["boxes"][0])
            for copy, x, y in copies:
                middle = (found[:, :2] + found[:, 2:]) / 2 - (x, y)
                inside = (score >= SURE) & ((middle >= 0) & (middle < copy.shape[1::-1])).all(axis=1)
                boxes.append((found[inside] - (x, y, x, y)) * (longest / max(copy.shape)))
                scores.append(score[inside])
        return apart(np.concatenate(boxes), np.concatenate(scores)) if boxes else (np.zeros((0, 4)), np.zeros(0))

    def points(self, picture: np.ndarray, box: np.ndarray) -> np.ndarray:
        """The 68 points (68, 2) of the face in a box of a picture, x and y in pixels."""
        place = self._network("landmarks")
        side, middle = ROOM * (box[2:] - box[:2]).max(), (box[:2] + box[2:]) / 2
        view = np.array([[side, 0, middle[0] - side / 2], [0, side, middle[1] - side / 2]])  # (0..1) -> pixels
        for _ in range(ROUNDS):
            face = warp(picture, view, 112).astype("float32")
            points = place(face=face[None])["points"].reshape(68, 2)
            other = place(face=face[None, :, ::-1])["points"].reshape(68, 2)[MIRRORED]
            points = (points + (1 - other[:, :1]) * (1, 0) + other[:, 1:] * (0, 1)) / 2
            points = points @ view[:, :2].T + view[:, 2]
            view = similarity(SEEN, main_points(points))
        return points

    def crop(self, picture: np.ndarray, size: int) -> np.ndarray:
        """The one face in a picture, upright.

        Args:
            picture: (h, w, 3) uint8.
            size: Width and height of the crop.

        Returns:
            (size, size, 3) uint8.

        Raises:
            Undecodable: There is no face in the picture, or more than one.
        """
        boxes, scores = self.find(picture)
        if not len(boxes):
            raise Undecodable("no face was found; give a photograph with one face, seen from the front")
        boxes = boxes[scores >= RIVAL * scores[0]]
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        if (several := int((areas >= ALONE * areas.max()).sum())) > 1:
            raise Undecodable(f"{several} faces were found; crop one")
        points = main_points(self.points(picture, boxes[areas.argmax()]))
        return warp(picture, similarity((PLACES - 0.5) * ZOOM + 0.5, points), size)

    def _network(self, name: str) -> Callable[..., dict[str, np.ndarray]]:
        if not hasattr(self._own, name):
            from ai_edge_litert.interpreter import Interpreter

            interpreter = Interpreter(model_content=self._files[name], num_threads=1)
            interpreter.allocate_tensors()
            setattr(self._own, name, interpreter.get_signature_runner())
        return getattr(self._own, name)  # type: ignore[no-any-return]


def scaled(picture: np.ndarray, longest: int) -> np.ndarray:
    """A picture with this longer side."""
    height, width = picture.shape[:2]
    factor = longest / max(height, width)
    shape = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(picture).resize(shape, Image.Resampling.BILINEAR))


def boxes_of(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (m, 4) in pixels of the detector's view and scores (m,), from what it says of its cells (13, 13, 25)."""
    cells = cells.reshape(*cells.shape[:2], len(ANCHORS), 5).astype("float64")
    row, column = np.indices(cells.shape[:2])
    corner = np.stack([column, row], axis=-1)[:, :, None]  # (13, 13, 1, 2)
    middle = corner + 1 / (1 + np.exp(-cells[..., :2]))
    half = np.exp(np.minimum(cells[..., 2:4], 3)) * ANCHORS / 2
    boxes = np.concatenate([middle - half, middle + half], axis=-1).reshape(-1, 4) * 32
    return boxes, 1 / (1 + np.exp(-cells[..., 4].ravel()))


def apart(boxes: np.ndarray, scores: np.ndarray, share: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """The boxes that are faces of their own: of two that share so much of the smaller one, the surer."""
    kept: list[int] = []
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    for i in np.argsort(-scores, kind="stable"):
        common = np.minimum(boxes[i, 2:], boxes[kept, 2:]) - np.maximum(boxes[i, :2], boxes[kept, :2])
        if (common.clip(0).prod(axis=1) < share * np.minimum(area[i], area[kept])).all():
            kept.append(int(i))
    return boxes[kept], scores[kept]


def main_points(points: np.ndarray) -> np.ndarray:
    """Both eyes, the nose and the corners of the mouth (5, 2) of the 68 points."""
    return np.stack([points[part].mean(axis=0) for part in EYES_NOSE_MOUTH])


def similarity(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The turn, scale and shift (2, 3) that bring points (n, 2) closest to others."""
    one, none = np.ones(len(start)), np.zeros(len(start))
    x, y = start.T
    rows = np.concatenate([np.stack([x, -y, one, none], axis=1), np.stack([y, x, none, one], axis=1)])
    a, b, right, down = np.linalg.lstsq(rows, end.T.ravel(), rcond=None)[0]
    return np.array([[a, -b, right], [b, a, down]])


def warp(picture: np.ndarray, view: np.ndarray, size: int) -> np.ndarray:
    """What a view (2, 3), from 0..1 to pixels, shows of a picture; beyond the border its last pixels go on.

    Returns:
        (size, size, 3) uint8.
    """
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) @ view[:, :2].T + view[:, 2]
    (left, top), (right, bottom) = (
        np.floor(corners.min(axis=0)).astype(int) - 2,
        np.ceil(corners.max(axis=0)).astype(int) + 3,
    )
    height, width = picture.shape[:2]
    part = picture[np.arange(top, bottom).clip(0, height - 1)][:, np.arange(left, right).clip(0, width - 1)]
    shrink = max(1, int(np.hypot(*view[:, 0]) / size))  # a large face is first averaged, or lines would break
    image = Image.fromarray(part).reduce(shrink)
    matrix = np.column_stack([view[:, :2] / size, view[:, 2] - (left, top)]) / shrink
    return np.asarray(
        image.transform((size, size), Image.Transform.AFFINE, matrix.ravel().tolist(), Image.Resampling.BICUBIC)
    )
