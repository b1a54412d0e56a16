"""How a fitted MedicalScanClassifier answers: pictures of one size in, findings out; NumPy and Pillow only."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from apptemplates.data.table import PROBLEM, Table
from apptemplates.data.words import from_flags
from apptemplates.inference import images


def prepare(queries: Table, column: str, shape: tuple[int, int, int]) -> Table:
    """The pictures of a column as uint8 (good, h, w, c), and why others can not be read (n,)."""
    pictures, problems = images.load(queries[column], shape[:2], shape[2])
    return {"image": pictures, PROBLEM: problems}


def respond(raw: Table, names: Sequence[str], nothing: str) -> Table:
    """Answer columns from the graph's chances (n, c), flags said (n, c) and refer (n,)."""
    chances, said = raw["chances"].astype("float64"), raw["said"] > 0
    stated = np.where(said, chances, 1.0 - chances)
    least = np.where(said, chances, np.inf).min(axis=1)
    answers = {
        "finding": from_flags(said, names, nothing),
        # of several findings the least likely one's; of none, that of the most likely one not being there
        "probability": np.where(said.any(axis=1), least, stated.min(axis=1)),
        "refer": raw["refer"],
    }
    return answers | {f"p_{name}": chances[:, place] for place, name in enumerate(names)}


class Answering:
    """Answers as the saved template does, without it."""

    def __init__(self, name: str, saved: Mapping[str, Any], state: Table) -> None:
        learned = saved["learned"]
        self.image, self.shape = saved["parameters"]["image"], tuple(learned["shape"])
        self.names, self.nothing = learned["classes"]["names"], learned["classes"]["healthy"] or "none"

    def prepare(self, queries: Table) -> Table:
        """The graph's inputs, and why a scan can not be read."""
        return prepare(queries, self.image, self.shape)

    def respond(self, inputs: Table, call: Any) -> Table:
        """The answers."""
        return respond(call(inputs), self.names, self.nothing)
