"""Figures of sounds: what was heard when, and at which pitch."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from apptemplates.evaluation.figures import INK, short


def heat_maps(
    images: np.ndarray,
    maps: Mapping[str, np.ndarray],
    titles: Sequence[str],
    *,
    seconds: float,
    pitches: Mapping[int, float],
) -> Figure:
    """Pictures of sound, and over each of them where the answer was heard.

    Args:
        images: (n, bands, frames, 1) uint8, high pitches on top.
        maps: Method -> (n, bands, frames) in 0..1.
        titles: n lines that stand above the pictures.
        seconds: Length of each sound.
        pitches: Hz -> the row of the picture at which that pitch lies.

    Returns:
        The figure, a row a sound.
    """
    rows, columns = len(images), 1 + len(maps)
    figure = Figure(figsize=(2.6 * columns + 0.6, 1.7 * rows + 0.7), layout="constrained")
    figure.set_label(
        "Where it was heard. Each row is a sound (time to the right, pitch upwards, bright is loud) and, laid over it, "
        f"how much each moment and band speaks for the answer: {' and '.join(maps)}. The yellower, the more. A map "
        "that marks what is not the word is a warning."
    )
    for row in range(rows):
        for column, (name, values) in enumerate({"sound": None, **maps}.items()):
            axes = figure.add_subplot(rows, columns, row * columns + column + 1)
            extent = (0.0, seconds, float(images.shape[1]), 0.0)
            axes.imshow(images[row, :, :, 0], cmap="gray", aspect="auto", extent=extent)
            if values is not None:
                axes.imshow(values[row], cmap="viridis", alpha=0.5, vmin=0, vmax=1, aspect="auto", extent=extent)
            title = titles[row] if column == 0 else name if row == 0 else ""
            axes.set_title(short(title, 30), fontsize=8.5, color=INK, loc="left")
            axes.tick_params(labelsize=7)
            axes.grid(visible=False)
            axes.set_yticks(
                list(pitches.values()) if column == 0 else [], [f"{p:,} Hz" for p in pitches] if column == 0 else []
            )
            axes.set_xlabel("seconds" if row == rows - 1 else "", fontsize=7.5)
    return figure
