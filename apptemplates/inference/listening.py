"""From a stream of samples to the commands in it, the same however the stream is cut into chunks; NumPy only."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from apptemplates.inference import sounds
from apptemplates.inference.media import Undecodable


class Heard(NamedTuple):
    """A command that was heard.

    Args:
        command: It.
        time: Seconds from the beginning of the stream to the middle of the word.
        probability: How likely it is, the mean of the moments around.
    """

    command: str
    time: float
    probability: float


class Pace(NamedTuple):
    """How a stream is listened to.

    Args:
        rate: Samples a second that the network takes.
        samples: Of them that it looks at together.
        hop: Seconds from one look to the next.
        smooth: Looks whose mean decides, so that one alone does not.
        rest: Seconds after a command in which no other is heard; a word is longer than a hop.
    """

    rate: int
    samples: int
    hop: float = 0.125
    smooth: int = 3
    rest: float = 0.75


class Decider:
    """From the chances of every look to commands."""

    def __init__(self, names: Sequence[str], quiet: Sequence[int], threshold: float, pace: Pace) -> None:
        self.names, self.quiet, self.threshold, self.pace = list(names), list(quiet), threshold, pace
        self.looks: list[np.ndarray] = []
        self.count, self.rested = 0, -1
        self.best: Heard | None = None

    def look(self, chances: np.ndarray) -> Heard | None:
        """Takes the chances (c,) of the next look, and gives the command that is now certain, if one is.

        A command is told when its mean chance has passed its peak, so that its time and its probability are those of
        the peak.
        """
        self.looks = [*self.looks, chances][-self.pace.smooth :]
        mean = np.mean(self.looks, axis=0)
        mean[self.quiet] = 0.0
        place = int(mean.argmax())
        # the middle of the looks that were averaged, less half of what each looks at
        middle = (self.count - (len(self.looks) - 1) / 2 + 1) * self.pace.hop - self.pace.samples / self.pace.rate / 2
        self.count += 1
        rising = self.count > self.rested and mean[place] >= self.threshold and len(self.looks) == self.pace.smooth
        told = None
        if self.best and not (rising and mean[place] > self.best.probability):
            told = self.end()
        elif rising:
            self.best = Heard(self.names[place], max(0.0, round(middle, 3)), float(mean[place]))
        return told

    def end(self) -> Heard | None:
        """The command that would be told by the next look."""
        told, self.best = self.best, None
        if told:
            self.rested = self.count + round(self.pace.rest / self.pace.hop)
        return told


def listen(
    chunks: Iterable[Any], rate: int, look: Callable[[np.ndarray], np.ndarray], decider: Decider, who: str
) -> Iterator[Heard]:
    """The commands in a stream, each as soon as it is certain.

    Args:
        chunks: Samples (n,) or (n, channels), any number of them each: integers by the range of their type, or floats
            of -1..1.
        rate: Samples a second of the stream.
        look: From samples (1, m) at the network's rate to chances (c,).
        decider: A fresh one.
        who: Asks, for the message of an error.

    Yields:
        `Heard`, in order.

    Raises:
        Undecodable: A chunk holds no samples; what was heard before it has been given. What the chunks themselves raise
            comes through in the same way.
    """
    pace = decider.pace
    if not sounds.LOWEST <= rate <= sounds.HIGHEST:
        raise Undecodable(f"{who}: rate must be {sounds.LOWEST:,} to {sounds.HIGHEST:,} samples a second, not {rate}.")
    stream = Stream(rate, pace)
    dropped = False

    def heard(samples: np.ndarray) -> Iterator[Heard]:
        for window in stream.windows(samples):
            told = decider.look(look(window[None]))
            if told:
                yield told

    try:
        for number, chunk in enumerate(chunks):
            name = f"{who}: chunk {number}"
            yield from heard(sounds.mono(sounds.in_floats(chunk, name, guess=False), name))
    except GeneratorExit:  # nobody listens any more
        dropped = True
        raise
    finally:  # also when the stream breaks: what it gave before is still heard
        if not dropped:
            # half a look of silence brings the last word into the middle
            rest = pace.samples / pace.rate / 2 + pace.hop * (pace.smooth + 1)
            yield from heard(np.zeros(round(rest * rate), np.float32))
            last = decider.end()
            if last:
                yield last


class Stream:
    """Samples as they come, and the windows that are complete; where chunks end makes no difference.

    Args:
        rate: Samples a second that come.
        pace: How often it is looked, and at what.
    """

    def __init__(self, rate: int, pace: Pace) -> None:
        self.rate, self.pace = rate, pace
        self.length = round(pace.samples * rate / pace.rate)  # of a look, in samples of the stream
        self.kept = np.zeros(self.length, np.float32)  # silence before, then the samples up to `seen`
        self.waiting: list[np.ndarray] = []  # those after it, joined when they are needed
        self.seen = self.there = self.looks = 0

    def windows(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """The windows (m,) at the network's rate that these samples (n,) complete."""
        self.waiting.append(samples)
        self.there += len(samples)
        while (end := round((self.looks + 1) * self.pace.hop * self.rate)) <= self.there:
            if end > self.seen:
                self.kept = np.concatenate([self.kept[-self.length :], *self.waiting])
                self.seen = self.there
                self.waiting.clear()
            stop = len(self.kept) - (self.seen - end)
            part = sounds.resampled(self.kept[stop - self.length : stop], self.rate, self.pace.rate)
            self.looks += 1
            yield sounds.windowed(part[: self.pace.samples], self.pace.samples)
