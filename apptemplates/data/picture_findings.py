"""What pictures and sounds show before anything is learned from them: copies, also with different labels."""

import numpy as np
import pandas as pd

from apptemplates.data.fingerprint import marked
from apptemplates.data.preflight import Finding


def copies(pictures: np.ndarray, labels: np.ndarray, label: str, what: str = "picture") -> list[Finding]:
    """One picture under two labels, and pictures that are there more than once.

    Args:
        pictures: (n, h, w, c) uint8, or sounds (n, samples) float32.
        labels: (n,) words.
        label: Name of their column.
        what: One of them is called.
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
                f"{int((kinds > 1).sum()):,} {what}s are there under different labels, first the one in row {first} "
                f"({', '.join(map(repr, words[:3]))}).",
                "Find out which label is right and leave the other out.",
            )
        )  # fmt: skip
    repeated = int((number > 1).sum() - groups.ngroups + (groups.size() == 1).sum())
    if repeated:
        found.append(
            Finding(
                f"same-{what}", "warning" if repeated > 0.01 * len(table) else "note", f"{what}s",
                f"{repeated:,} of {len(table):,} {what}s are exact copies of an earlier one.",
                f"Leave the copies out, lest the same {what} is learned from and judged by.",
            )
        )  # fmt: skip
    return found
