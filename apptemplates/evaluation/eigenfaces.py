"""The obvious simple way to compare faces: cosines of their shares in the pictures by which faces differ most."""

import numpy as np

from apptemplates.evaluation.coarse import coarse
from apptemplates.evaluation.verification import all_strangers

MOST_FACES, MOST_AXES = 3000, 100


def fit(pictures: np.ndarray, person: np.ndarray, allowed: float, seed: int) -> dict[str, np.ndarray]:
    """The mean face, the axes along which faces differ most, and the threshold that so many strangers pass.

    Args:
        pictures: (n, h, w, c) uint8.
        person: (n,) whose face.
        allowed: Share of strangers that may be accepted, of those learned from.
        seed: Of the draw of the faces.

    Returns:
        mean (256,), axes (256, k), threshold (1,).

    Reference: Turk and Pentland, 1991, Eigenfaces for Recognition.
    """
    some = np.sort(np.random.default_rng(seed).permutation(len(pictures))[:MOST_FACES])
    faces = coarse(pictures[some])
    mean = faces.mean(axis=0)
    _, spread, axes = np.linalg.svd(faces - mean, full_matrices=False)
    kept = axes[: min(MOST_AXES, int((spread > 1e-6 * spread[0]).sum()))].T
    state = {"mean": mean, "axes": kept.astype("float32"), "threshold": np.ones(1)}
    place = np.unique(person[some], return_inverse=True)[1]
    alike = all_strangers(directions(state, pictures[some]), place)[0]
    if len(alike):
        state["threshold"] = np.quantile(alike, [1 - allowed])
    return state


def directions(state: dict[str, np.ndarray], pictures: np.ndarray) -> np.ndarray:
    """Faces (n, k) along the axes, of length 1."""
    shares = (coarse(pictures) - state["mean"]) @ state["axes"]
    return shares / np.maximum(np.linalg.norm(shares, axis=1, keepdims=True), 1e-9)


def answer(state: dict[str, np.ndarray], first: np.ndarray, second: np.ndarray) -> dict[str, np.ndarray]:
    """Similarity (n,) and match (n,) of pairs of pictures (n, h, w, c)."""
    alike = (directions(state, first) * directions(state, second)).sum(axis=1).astype("float64")
    return {"similarity": alike, "match": alike > state["threshold"]}
