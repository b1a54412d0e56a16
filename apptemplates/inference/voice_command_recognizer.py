"""How a fitted VoiceCommandRecognizer answers: sounds of one length in, commands out; NumPy only."""

from collections.abc import Sequence

import numpy as np

from apptemplates.contract import PROBLEM, Answers
from apptemplates.data.table import Table
from apptemplates.inference import sounds


def prepare(queries: Table, column: str, rate: int, samples: int) -> Table:
    """The sounds of a column as float32 (good, samples), and why others can not be read (n,)."""
    found, problems = sounds.load(queries[column], rate, samples)
    return {"sound": levelled(found), PROBLEM: problems}


def levelled(found: np.ndarray) -> np.ndarray:
    """Sounds (n, samples) without their mean, which cheap microphones add and nobody hears."""
    return found - found.mean(axis=1, keepdims=True)


def respond(raw: Table, names: Sequence[str], quiet: Sequence[str]) -> Answers:
    """Answer columns from the graph's chances (n, c) and flags unsure (n,)."""
    place = raw["chances"].argmax(axis=1)
    command = np.array(list(names), object)[place]
    probability = raw["chances"][np.arange(len(place)), place].astype("float64")
    accepted = ~(raw["unsure"] > 0) & ~np.isin(command, list(quiet))
    return {"command": command, "probability": probability, "accepted": accepted}
