"""Pictures drawn by formulas: scans with and without a finding, faces of people who do not exist."""

from collections.abc import Callable

import numpy as np

from apptemplates.data.synthetic import numbered
from apptemplates.data.table import Table

TOGETHER = 256  # pictures drawn at once
FINDINGS = np.array(["normal", "opacity"], dtype=object)


def scans(n: int = 600, seed: int = 0, size: int = 28) -> Table:
    """Chest scans of about n / 2 patients, some 40 % with an opacity in one lung.

    Every patient has an own build: width, lungs, ribs, heart, brightness. Pictures of one patient differ in position,
    dose and noise; nine of ten of a patient's pictures agree on the finding.

    Args:
        n: Number of pictures.
        seed: Of the draw.
        size: Height and width in pixels.

    Returns:
        A table: image uint8 (n, size, size), finding "normal" or "opacity", patient.

    Example:
        >>> scans(3)["image"].shape
        (3, 28, 28)
    """
    rng = np.random.default_rng(seed)
    patients = max(1, n // 2)
    patient = rng.integers(0, patients, n)
    build = rng.normal(0, 1, (patients, 10))[patient]
    ill = (rng.random(patients) < 0.4)[patient] ^ (rng.random(n) < 0.1)
    pose = rng.normal(0, 1, (n, 6))
    blob = rng.random((n, 6))
    noise = rng.normal(0, 1, (n, size, size)).astype(np.float32)

    def draw(rows: slice) -> np.ndarray:
        b, p, o = columns(build[rows]), columns(pose[rows]), columns(blob[rows])
        across, down = placed(size, p[0] * 0.04, p[1] * 0.04, p[2] * 0.05, 1 + 0.05 * p[3])
        body = inside(oval(across, (down - 0.35) * 0.75, 0.82 + 0.05 * b[0], 1.0), 12)
        picture = 0.08 + (0.55 + 0.05 * b[1]) * body
        wide, high, apart = 0.30 + 0.025 * b[2], 0.62 + 0.05 * b[3], 0.40 + 0.02 * b[4]
        left = inside(oval(across + apart, down + 0.02, wide, high), 9)
        right = inside(oval(across - apart, down + 0.02, wide, high), 9)
        lungs = np.maximum(left, right)
        picture = picture - (0.40 + 0.03 * b[5]) * lungs
        ribs = np.sin((down + 0.55 * across**2) * (15 + 1.2 * b[6]) + 2 * b[7])
        picture = picture + 0.06 * ribs * lungs
        picture = picture + 0.22 * np.exp(-((across / 0.1) ** 2)) * body
        heart = inside(oval(across - 0.14, down - 0.30, 0.26 + 0.03 * b[8], 0.30 + 0.03 * b[9]), 8)
        picture = np.maximum(picture, 0.56 * heart * body)
        side = np.where(o[0] < 0.5, -1, 1)
        centre, level, spread = side * (0.28 + 0.24 * o[1]), -0.35 + 0.75 * o[2], 0.11 + 0.10 * o[3]
        ragged = 1 + 0.15 * np.sin(5 * np.arctan2(down - level, across - centre) + 6 * o[5])
        opacity = np.exp(-((oval(across - centre, down - level, spread, 1.2 * spread) / ragged) ** 2))
        picture = picture + columns(ill[rows, None])[0] * (0.22 + 0.20 * o[4]) * opacity * lungs
        return (picture - 0.5) * (1 + 0.10 * p[4]) + 0.5 + 0.04 * p[5] + 0.03 * noise[rows]

    return {
        "image": drawn(draw, n, (size, size)),
        "finding": FINDINGS[ill.astype(int)],
        "patient": numbered("patient", patients)[patient],
    }


def faces(people: int = 20, each: int = 10, seed: int = 0, size: int = 48) -> Table:
    """Pictures of faces, several of every person, who differ in build and colours.

    A person's head, eyes, brows, nose, mouth, hair and skin stay; pose, expression, light and background change.

    Args:
        people: Number of people.
        each: Pictures of each.
        seed: Of the draw.
        size: Height and width in pixels.

    Returns:
        A table ordered by person: image uint8 (people * each, size, size, 3), person.

    Example:
        >>> faces(2, 3)["image"].shape
        (6, 48, 48, 3)
    """
    rng = np.random.default_rng(seed)
    n = people * each
    person = np.repeat(np.arange(people), each)
    look = np.clip(rng.normal(0, 1, (people, 20)), -2, 2)[person]
    chance = np.clip(rng.normal(0, 1, (n, 16)), -2, 2)
    noise = rng.normal(0, 1, (n, size, size, 1)).astype(np.float32)

    def draw(rows: slice) -> np.ndarray:
        f, c = columns(look[rows]), columns(chance[rows])
        across, down = placed(size, 0.04 * c[0], 0.04 * c[1], 0.09 * c[2], 1 + 0.05 * c[3])
        turned = across - 0.05 * c[4] * (1 - across**2)  # the features move with the head, the outline hardly
        lifted = down - 0.04 * c[5]
        skin = tone(0.72 + 0.13 * f[0], 0.55 + 0.12 * f[0] + 0.02 * f[1], 0.45 + 0.12 * f[0] - 0.04 * f[1])
        hair = tone(0.30 + 0.15 * f[2], 0.22 + 0.13 * f[2] - 0.03 * f[3], 0.16 + 0.11 * f[2] - 0.05 * f[3])
        lips = tone(0.62 + 0.05 * f[0], 0.28 + 0.05 * f[4], 0.28 + 0.05 * f[0])
        iris = tone(0.25 + 0.12 * f[5], 0.25 + 0.10 * f[5], 0.25 + 0.15 * f[6])
        wide, high, jaw = 0.54 + 0.06 * f[7], 0.74 + 0.05 * f[8], 0.18 + 0.13 * f[9]

        picture = tone(0.5 + 0.2 * c[6], 0.5 + 0.2 * c[7], 0.5 + 0.2 * c[8]) * (1 + 0.15 * c[9] * across)[..., None]
        picture = laid(picture, inside(oval(across, down - 1.05, 0.75, 0.45), 10), 0.4 + 0.15 * c[10])
        picture = laid(picture, inside(oval(across, down + 0.12, wide + 0.10 + 0.04 * f[10], high + 0.06), 10), hair)
        outline = oval(across * (1 + jaw * np.clip(down, 0, 1)), down, wide, high)
        picture = laid(picture, inside(outline, 14), skin)
        fringe = inside(down + 0.46 + 0.10 * f[11] + (0.25 + 0.2 * f[12]) * turned**2, -14)
        picture = laid(picture, inside(outline, 14) * fringe, hair)

        apart, level, eye = 0.22 + 0.035 * f[13], -0.12 + 0.04 * f[14], 0.095 + 0.018 * f[15]
        openness = 0.6 + 0.12 * c[11]
        for side in (-1, 1):
            x, y = turned - side * apart, lifted - level
            picture = laid(picture, inside(oval(x, y, eye, eye * openness), 8), 0.92)
            picture = laid(picture, inside(oval(x, y, 0.45 * eye, 0.45 * eye), 5), iris)
            bow = y + 0.17 + 0.03 * f[16] + 0.02 * c[12] + side * (0.12 * f[17]) * x + 0.5 * x**2
            brow = inside(oval(x, bow, 0.15, 0.035 + 0.010 * f[18]), 5)
            picture = laid(picture, 0.9 * brow, 0.7 * hair)
        tip, nose = 0.20 + 0.05 * f[19], 0.07 + 0.02 * f[16]
        bridge = np.exp(-(((turned - 0.05) / 0.05) ** 2)) * ((lifted > level) & (lifted < tip))
        shade = np.maximum(0.25 * bridge, 0.55 * inside(oval(turned, lifted - tip, nose, 0.035), 5))
        picture = laid(picture, shade, 0.6 * skin)
        smile = lifted - (0.44 + 0.035 * f[14] - 0.02 * f[19]) + (0.25 * c[13]) * turned**2
        mouth = oval(turned, smile, 0.19 + 0.035 * f[12], 0.045 + 0.012 * f[4] + 0.012 * (c[11] + 2))
        picture = laid(picture, inside(mouth, 6), lips)

        light = 1 + 0.22 * c[14] * across + 0.10 * c[12] * down
        return picture * (light * (0.95 + 0.10 * c[15]))[..., None] + 0.02 * noise[rows]

    return {"image": drawn(draw, n, (size, size, 3)), "person": numbered("person", people)[person]}


def drawn(draw: Callable[[slice], np.ndarray], n: int, shape: tuple[int, ...]) -> np.ndarray:
    """Pictures 0..1 as uint8, some at a time."""
    pictures = np.empty((n, *shape), np.uint8)
    for start in range(0, n, TOGETHER):
        rows = slice(start, start + TOGETHER)
        pictures[rows] = np.rint(np.clip(draw(rows), 0, 1) * 255)
    return pictures


def columns(numbers: np.ndarray) -> list[np.ndarray]:
    """Columns of (n, k) as k arrays (n, 1, 1), which go with pictures (n, h, w)."""
    return [column.astype(np.float32)[:, None, None] for column in numbers.T]


def placed(size: int, right: np.ndarray, low: np.ndarray, turn: np.ndarray, scale: np.ndarray) -> tuple:
    """The coordinates -1..1 of every pixel (n, size, size), for pictures moved, turned (radians) and scaled."""
    line = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    across, down = (line[None, None, :] - right) / scale, (line[None, :, None] - low) / scale
    return np.cos(turn) * across + np.sin(turn) * down, np.cos(turn) * down - np.sin(turn) * across


def oval(across: np.ndarray, down: np.ndarray, wide: np.ndarray | float, high: np.ndarray | float) -> np.ndarray:
    """How far from the middle of an oval every pixel is; 1 at its edge."""
    return np.sqrt((across / wide) ** 2 + (down / high) ** 2)


def inside(distance: np.ndarray, sharpness: float) -> np.ndarray:
    """1 where a distance is below 1, 0 above, softly; the other way round, from 0 on, where sharpness is negative."""
    edge = 1.0 if sharpness > 0 else 0.0
    return 1 / (1 + np.exp(np.clip(abs(sharpness) * (distance - edge), -40, 40)))


def tone(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> np.ndarray:
    """A colour a picture, (n, 1, 1, 3)."""
    return np.clip(np.stack([red, green, blue], axis=-1), 0.03, 0.97)


def laid(picture: np.ndarray, mask: np.ndarray, colour: np.ndarray | float) -> np.ndarray:
    """The picture (n, h, w, 3) with a colour laid over it where the mask (n, h, w) is 1."""
    if isinstance(colour, np.ndarray) and colour.ndim == 3:
        colour = colour[..., None]
    return picture + mask[..., None] * (colour - picture)
