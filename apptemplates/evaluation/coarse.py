"""Pictures, also those of sound, as a simple method sees them."""

import numpy as np

SIDE = 16
AT_ONCE = 1024


def coarse(pictures: np.ndarray) -> np.ndarray:
    """The mean brightness (n, 256) of 16 x 16 parts of pictures (n, h, w, c) of at least 16 pixels a side, in 0..1."""
    down, across = (np.linspace(0, side, SIDE + 1).astype(int) for side in pictures.shape[1:3])
    parts = []
    for start in range(0, max(len(pictures), 1), AT_ONCE):
        part = pictures[start : start + AT_ONCE].mean(axis=-1, dtype="float32") / 255  # (m, h, w)
        part = np.add.reduceat(part, down[:-1], axis=1) / np.diff(down)[:, None]
        part = np.add.reduceat(part, across[:-1], axis=2) / np.diff(across)
        parts.append(part.reshape(-1, SIDE * SIDE))
    return np.concatenate(parts).astype("float32")


def bands(pictures: np.ndarray) -> np.ndarray:
    """Mean and spread (n, 2 bands) of every band of pictures of sound (n, bands, frames, 1) of about 0..255."""
    loud = pictures[..., 0] / 64 - 2
    return np.concatenate([loud.mean(axis=2), loud.std(axis=2)], axis=1)
