"""What pictures show before anything is learned from them: copies, and copies that are labelled differently."""

import numpy as np
import pandas as pd

from apptemplates.data.fingerprint import marked
from apptemplates.data.preflight import Finding


def copies(pictures: np.ndarray, labels: np.ndarray, label: str) -> list[Finding]:
    """One picture under two labels, and pictures that are there more than once.

    Args:
        pictures: (n, h, w, c) uint8.
        labels: (n,) words.
        label: Name of their column.
    """
    table = pd.DataFrame({"mark": [int(marked(picture)) for picture in pictures], "label": labels.astype(str)})
    groups = table.groupby("mark")["label"]
    number, kinds = groups.transform("size"), groups.transform("nunique")
    found = []
    if (kinds > 1).any():
        first = int(np.flatnonzero(kinds > 1)[0])
        words = sorted(set(table["label"][table["mark"] == table["mark"][first]]))
        found.append(
            Finding(
                "two-labels", "warning", label,
                f"{int((kinds > 1).sum()):,} pictures are there under different labels, first the one in row {first} "
                f"({', '.join(map(repr, words[:3]))}).",
                "Find out which label is right and leave the other out.",
            )
        )  # fmt: skip
    repeated = int((number > 1).sum() - groups.ngroups + (groups.size() == 1).sum())
    if repeated:
        found.append(
            Finding(
                "same-picture", "warning" if repeated > 0.01 * len(table) else "note", "pictures",
                f"{repeated:,} of {len(table):,} pictures are exact copies of an earlier one.",
                "Leave the copies out, lest the same picture is learned from and judged by.",
            )
        )  # fmt: skip
    return found
