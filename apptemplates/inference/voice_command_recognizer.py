"""How a fitted VoiceCommandRecognizer answers: sounds of one length in, commands out; NumPy only."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from apptemplates.data.schema import DataError
from apptemplates.data.table import PROBLEM, Table
from apptemplates.inference import listening, sounds
from apptemplates.inference.media import Undecodable


def prepare(queries: Table, column: str, rate: int, samples: int) -> Table:
    """The sounds of a column as float32 (good, samples), and why others can not be read (n,)."""
    found, problems = sounds.load(queries[column], rate, samples)
    return {"sound": sounds.levelled(found), PROBLEM: problems}


def heard(
    chunks: Iterable[Any],
    rate: int,
    call: Callable[[Table], Table],
    names: Sequence[str],
    quiet: Sequence[str],
    least: float,
    pace: listening.Pace,
    owner: str,
) -> Iterator[listening.Heard]:
    """The commands in a stream, each as soon as it is certain.

    Args:
        chunks: Samples (n,) or (n, channels) each.
        rate: Samples a second of the stream.
        call: The graph.
        names: Of its classes.
        quiet: Those that are no commands.
        least: The chance from which a command is accepted.
        pace: How the stream is listened to.
        owner: Who is named in errors.

    Raises:
        DataError: A chunk holds no samples; what was heard before it has been given.
    """
    decider = listening.Decider(names, [place for place, name in enumerate(names) if name in quiet], least, pace)

    def look(window: np.ndarray) -> np.ndarray:
        return call({"sound": sounds.levelled(window)})["chances"][0]  # type: ignore[no-any-return]

    try:
        yield from listening.listen(chunks, rate, look, decider, owner)
    except Undecodable as error:
        raise DataError(str(error)) from error


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
        self.name, self.least = name, saved["learned"].get("least")

    def prepare(self, queries: Table) -> Table:
        """The graph's inputs, and why a sound can not be read."""
        return prepare(queries, self.sound, self.rate, self.samples)

    def respond(self, inputs: Table, call: Any) -> Table:
        """The answers."""
        return respond(call(inputs), self.names, self.quiet)

    def listen(self, chunks: Iterable[Any], rate: int, call: Any) -> Iterator[listening.Heard]:
        """The commands in a stream."""
        if self.least is None:
            raise DataError(f"{self.name}: an earlier version saved this folder; load and save it again.")
        pace = listening.Pace(self.rate, self.samples)
        return heard(chunks, rate, call, self.names, self.quiet, self.least, pace, self.name)
