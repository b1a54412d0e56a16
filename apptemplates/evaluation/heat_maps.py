"""Where on a picture the answer was seen, and whether such a map can be trusted."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from apptemplates.evaluation.intervals import Metric, bootstrap

Ask = Callable[[np.ndarray], np.ndarray]  # pictures (m, h, w, c) float32 0..255 to chances (m, k)

CELLS = 8  # a picture is covered, taken away and brought in by cells of an 8 x 8 grid
STEPS = 16
AT_ONCE = 256
REPEATS = 5  # random orders


def grad_cam(backbone: Any, head: Any, pictures: np.ndarray, places: np.ndarray) -> np.ndarray:
    """How much each place of a picture speaks for a class, by the gradient at the feature map.

    Args:
        backbone: `keras.Model` from pictures to a feature map (n, p, q, d).
        head: `keras.Model` from that to logits (n, k).
        pictures: (n, h, w, c) float32 0..255.
        places: (n,) the class asked about.

    Returns:
        (n, h, w) float32 in 0..1; all 0 where nothing speaks for it.

    Reference:
        Selvaraju et al., 2017, Grad-CAM, arXiv:1610.02391.
    """
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def maps_of(some: Any, which: Any) -> Any:
        features = backbone(some, training=False)
        with tf.GradientTape() as tape:
            tape.watch(features)
            logit = tf.gather(head(features, training=False), which, axis=1, batch_dims=1)
        slope = tape.gradient(logit, features)
        weight = tf.reduce_mean(slope, axis=(1, 2), keepdims=True)  # (n, 1, 1, d)
        maps = tf.nn.relu(tf.reduce_sum(weight * features, axis=-1, keepdims=True))  # (n, p, q, 1)
        return tf.image.resize(maps, some.shape[1:3])[..., 0]

    parts = [
        maps_of(tf.constant(pictures[i : i + AT_ONCE], tf.float32), tf.constant(places[i : i + AT_ONCE], tf.int32))
        for i in range(0, len(pictures), AT_ONCE)
    ]
    return to_unit(np.concatenate([part.numpy() for part in parts]))


def occlusion(ask: Ask, pictures: np.ndarray, places: np.ndarray) -> np.ndarray:
    """How much the chance of a class falls when a place is covered with the mean grey of the picture.

    Args:
        ask: From pictures to chances.
        pictures: (n, h, w, c) float32 0..255.
        places: (n,) the class asked about.

    Returns:
        (n, h, w) float32 in 0..1.

    Reference:
        Zeiler and Fergus, 2014, Visualizing and Understanding Convolutional Networks, arXiv:1311.2901.
    """
    rows = np.arange(len(pictures))
    whole = ask(pictures)[rows, places]
    cell = cells(pictures.shape[1:3])
    grey = pictures.mean(axis=(1, 2), keepdims=True)
    fall = np.zeros((len(pictures), CELLS * CELLS), "float32")
    for place in range(CELLS * CELLS):
        row, column = divmod(place, CELLS)
        # a window of three cells: a single one hides too little for the answer to notice
        near = (np.abs(cell // CELLS - row) <= 1) & (np.abs(cell % CELLS - column) <= 1)
        covered = np.where(near[None, :, :, None], grey, pictures)
        fall[:, place] = whole - ask(covered)[rows, places]
    return to_unit(np.maximum(smooth(fall[:, cell]), 0))


def cells(side: tuple[int, int]) -> np.ndarray:
    """The number (h, w) of the grid's cell that each pixel lies in."""
    down, across = (np.minimum(np.arange(n) * CELLS // n, CELLS - 1) for n in side)
    return down[:, None] * CELLS + across[None, :]


def smooth(maps: np.ndarray) -> np.ndarray:
    """Maps (n, h, w) averaged over about a cell."""
    radius = max(1, maps.shape[1] // (2 * CELLS))
    for axis in (1, 2):
        padded = np.pad(maps, [(radius, radius) if a == axis else (0, 0) for a in range(3)], mode="edge")
        maps = sum(  # type: ignore[assignment]
            np.take(padded, range(step, step + maps.shape[axis]), axis=axis) for step in range(2 * radius + 1)
        ) / (2 * radius + 1)
    return maps


def to_unit(maps: np.ndarray) -> np.ndarray:
    """Maps (n, h, w) >= 0 with their highest place at 1."""
    top = maps.max(axis=(1, 2), keepdims=True)
    return (maps / np.where(top > 0, top, 1)).astype("float32")


def faithfulness(
    ask: Ask, pictures: np.ndarray, maps: Mapping[str, np.ndarray], places: np.ndarray, seed: int = 0
) -> dict[str, Any]:
    """Whether taking away what a map names first undoes the answer sooner than chance, and bringing it in makes it.

    Places are cells of one grid for every order, so that maps and random orders cover equally large pieces.

    Args:
        ask: From pictures to chances.
        pictures: (n, h, w, c) float32 0..255; a hundred are enough.
        maps: Method -> (n, h, w).
        places: (n,) the class asked about.
        seed: Of the random orders.

    Returns:
        `curves`: "deletion" and "insertion" -> order -> (steps + 1,) mean chance; orders are the methods, "random"
        and "middle first". `scores`: (what, order) -> `Metric`, the mean of the curve. `better`: (what, method)
        -> `Metric`, how much better than random (positive is better), with paired intervals.

    Reference:
        Petsiuk et al., 2018, RISE, arXiv:1806.07421.
    """
    cell = cells(pictures.shape[1:3])
    random = np.random.default_rng(seed)
    number = CELLS * CELLS
    row, column = np.divmod(np.arange(number), CELLS)
    middle = np.hypot(row - (CELLS - 1) / 2, column - (CELLS - 1) / 2)
    orders = {name: np.argsort(-by_cell(values, cell), axis=1, kind="stable") for name, values in maps.items()}
    orders["middle first"] = np.tile(np.argsort(middle, kind="stable"), (len(pictures), 1))
    guesses = [np.argsort(random.random((len(pictures), number)), axis=1) for _ in range(REPEATS)]
    grey = np.broadcast_to(pictures.mean(axis=(1, 2), keepdims=True), pictures.shape)
    ways = {"deletion": (pictures, grey), "insertion": (blurred(pictures), pictures)}
    curves: dict[str, dict[str, np.ndarray]] = {}
    for what, (first, last) in ways.items():
        ends = [ask(np.asarray(side, "float32")) for side in (first, last)]  # the same whatever the order
        curve = partial(replaced, ask, first, last, cell=cell, places=places, ends=ends)
        found = {name: curve(order) for name, order in orders.items()}
        found["random"] = np.mean([curve(order) for order in guesses], axis=0)
        curves[what] = found

    def areas(truth: dict[str, np.ndarray], answers: dict[Any, np.ndarray]) -> dict[Any, float]:
        mean = {key: float(column.mean()) for key, column in answers.items()}
        gain = {
            (what, name, "better"): (mean[what, name] - mean[what, "random"]) * (1 if what == "insertion" else -1)
            for what, name in mean
            if name in maps
        }
        return mean | gain

    columns = {(what, name): curve.mean(axis=1) for what, lines in curves.items() for name, curve in lines.items()}
    measured: dict[Any, Metric] = bootstrap(areas, {}, columns, seed=seed)  # type: ignore[arg-type]
    return {
        "curves": {what: {name: curve.mean(axis=0) for name, curve in lines.items()} for what, lines in curves.items()},
        "scores": {key: metric for key, metric in measured.items() if len(key) == 2},
        "better": {key[:2]: metric for key, metric in measured.items() if len(key) == 3},
    }


def notes(trust: Mapping[str, Any]) -> dict[str, Metric]:
    """What `faithfulness` found, by name, for a report."""
    told = {f"{what}, {name}": metric for (what, name), metric in trust["scores"].items()}
    return told | {f"{what}, {name} better than random by": metric for (what, name), metric in trust["better"].items()}


def by_cell(maps: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """The mean of each map in each cell, (n, h, w) to (n, cells); an empty cell has 0."""
    flat = cell.ravel()
    count = np.maximum(np.bincount(flat, minlength=CELLS * CELLS), 1)
    return np.stack([np.bincount(flat, weights=one.ravel(), minlength=CELLS * CELLS) / count for one in maps])


def by_place(maps: Mapping[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Method -> for each map (n, h, w) its mean in each cell of the grid."""
    return {name: list(by_cell(one, cells(one.shape[1:]))) for name, one in maps.items()}


def replaced(
    ask: Ask,
    first: np.ndarray,
    last: np.ndarray,
    order: np.ndarray,
    *,
    cell: np.ndarray,
    places: np.ndarray,
    ends: Sequence[np.ndarray],
) -> np.ndarray:
    """The chance (n, steps + 1) while cells of the first pictures are replaced by the last ones', in this order.

    Args:
        ends: What is said to the first and to the last pictures, (n, k) each.
    """
    rank = np.argsort(order, axis=1)[:, cell]  # (n, h, w) when each pixel is replaced
    numbers = np.round(np.linspace(0, CELLS * CELLS, STEPS + 1)).astype(int)[1:-1]
    between = [ask(np.where((rank < n)[..., None], last, first).astype("float32")) for n in numbers]
    rows = np.arange(len(first))
    return np.stack([chances[rows, places] for chances in (ends[0], *between, ends[1])], axis=1)


def blurred(pictures: np.ndarray) -> np.ndarray:
    """Pictures (n, h, w, c) of which only the coarse light and dark is left."""
    channels = []
    for channel in np.moveaxis(pictures, -1, 0):
        soft = channel
        for _ in range(4):
            soft = smooth(soft)
        channels.append(soft)
    return np.stack(channels, axis=-1)


def where(maps: np.ndarray) -> list[str]:
    """The part of the picture, in words, where each map (n, h, w) is highest on average."""
    words = []
    height, width = maps.shape[1:]
    for one in maps:
        total = one.sum()
        if total <= 0:
            words.append("nowhere")
            continue
        down = float((one.sum(axis=1) * (np.arange(height) + 0.5)).sum() / total / height)
        across = float((one.sum(axis=0) * (np.arange(width) + 0.5)).sum() / total / width)
        vertical = "upper" if down < 0.42 else "lower" if down > 0.58 else ""
        side = "left" if across < 0.42 else "right" if across > 0.58 else ""
        words.append(" ".join(part for part in (vertical, side) if part) or "middle")
    return words
