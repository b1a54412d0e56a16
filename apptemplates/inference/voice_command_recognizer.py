"""How a fitted VoiceCommandRecognizer answers: sounds of one length in, commands out; NumPy only."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from apptemplates.data.table import PROBLEM, Table
from apptemplates.inference import sounds


def prepare(queries: Table, column: str, rate: int, samples: int) -> Table:
    """The sounds of a column as float32 (good, samples), and why others can not be read (n,)."""
    found, problems = sounds.load(queries[column], rate, samples)
    return {"sound": levelled(found), PROBLEM: problems}


def levelled(found: np.ndarray) -> np.ndarray:
    """Sounds (n, samples) without their mean, which cheap microphones add and nobody hears."""
    return found - found.mean(axis=1, keepdims=True)


def respond(raw: Table, names: Sequence[str], quiet: Sequence[str]) -> Table:
    """Answer columns from the graph's chances (n, c) and flags unsure (n,)."""
    place = raw["chances"].argmax(axis=1)
    command = np.array(list(names), object)[place]
    probability = raw["chances"][np.arange(len(place)), place].astype("float64")
    accepted = ~(raw["unsure"] > 0) & ~np.isin(command, list(quiet))
    return {"command": command, "probability": probability, "accepted": accepted}


class Answering:
    """Answers as the saved template does, without it."""

    def __init__(self, name: str, saved: Mapping[str, Any], state: Table) -> None:
        given = saved["parameters"]
        self.sound, self.rate, self.samples = given["sound"], given["rate"], round(given["rate"] * given["seconds"])
        self.names, self.quiet = saved["learned"]["commands"], (given["unknown"], given["silence"])

    def prepare(self, queries: Table) -> Table:
        """The graph's inputs, and why a sound can not be read."""
        return prepare(queries, self.sound, self.rate, self.samples)

    def respond(self, inputs: Table, call: Any) -> Table:
        """The answers."""
        return respond(call(inputs), self.names, self.quiet)
