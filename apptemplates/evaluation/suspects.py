"""Labels that may be wrong: rows whose own label a model that did not learn from them finds least likely."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from apptemplates.evaluation.figures import INK, RECORDS, short

SHOWN = 25
DRAWN, ACROSS = 12, 4  # media that are drawn, and how many in a row
WINDOW, BINS = 512, 96  # samples of a stretch of sound, and bands that are drawn


def ranked(chance: np.ndarray) -> np.ndarray:
    """Rows from the most to the least suspect, by the chance (n,) that was given to each row's own label.

    Reference: Northcutt et al., 2021, Confident Learning, arXiv:1911.00068 (ranking by self-confidence).
    """
    return np.argsort(chance, kind="stable")


def table(chance: np.ndarray, records: dict[str, np.ndarray], said: Any) -> pd.DataFrame:
    """The most suspect rows to read one by one: row number, what was said instead, and their columns.

    Args:
        chance: (n,) of each row's own label.
        records: Columns (n,); media stay out unless they are paths.
        said: (n,) what the model says.
    """
    rows = ranked(chance)[:SHOWN]
    return listed(rows, chance[rows], records, said[rows])


def listed(rows: np.ndarray, chance: np.ndarray, records: dict[str, np.ndarray], said: Any = None) -> pd.DataFrame:
    """Some rows, in the order given, as `table` shows them.

    Args:
        rows: (m,) their numbers.
        chance: (m,) of each one's own label.
        records: Columns (n,).
        said: (m,) what the model says instead, where it is known.
    """
    rows, chance = rows[:SHOWN], chance[:SHOWN]
    shown: dict[str, Any] = {"row": rows, "chance of its label": np.round(chance, 4)}
    if said is not None:
        shown["model says"] = said
    for name, column in records.items():
        if column.ndim == 1 and (column.dtype != object or isinstance(column[0], str)):
            shown[name] = column[rows]
    return pd.DataFrame(shown)


def pictures(media: np.ndarray, table: pd.DataFrame, label: str) -> Figure:
    """The most suspect pictures or sounds themselves, each with its label and what the model says.

    Args:
        media: (n, h, w, c) uint8, or sounds (n, samples) float32.
        table: What `table` gave of the same rows.
        label: Name of the column of labels.

    Returns:
        The figure; it shows records, so that a folder to share leaves it out.
    """
    some = table.iloc[:DRAWN]
    down = -(-len(some) // ACROSS)
    figure = Figure(figsize=(7.2, 2.15 * down + 0.2), layout="constrained")
    figure.set_gid(RECORDS)
    sounds = media.ndim == 2
    figure.set_label(
        "Labels to look at: the "
        + ("sounds (time to the right, pitch upwards, bright is loud)" if sounds else "pictures")
        + " whose own label the model finds least likely, the least likely first. Above each its row and label, and "
        "what the model says instead. Correct those that are wrong; the others are hard."
    )
    for place, one in enumerate(some.to_dict("records")):
        axes = figure.add_subplot(down, ACROSS, place + 1)
        shown = media[one["row"]]
        picture = spectrogram(shown) if sounds else shown if shown.shape[-1] == 3 else shown[..., 0]
        axes.imshow(picture, cmap="gray", aspect="auto" if sounds else "equal")
        titles = f"row {one['row']}: {one.get(label, '')}", f"says {one['model says']}"
        axes.set_title("\n".join(short(str(title), 24) for title in titles), fontsize=8, color=INK, loc="left")
        axes.set_axis_off()
    return figure


def spectrogram(sound: np.ndarray) -> np.ndarray:
    """The log energy (bands, stretches) of a sound (samples,), high pitches on top."""
    sound = np.pad(sound, (0, max(0, WINDOW - len(sound))))
    starts = np.arange(0, len(sound) - WINDOW + 1, WINDOW // 2)
    pieces = sound[starts[:, None] + np.arange(WINDOW)] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(pieces, axis=1))[:, 1 : BINS + 1] ** 2
    return np.asarray(np.log(power / max(power.max(), 1e-12) + 1e-5).T[::-1])
