"""How good listening to a stream is: what is heard in it, and how often something is where no command is said."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.special import gammaincinv

from apptemplates.data import made_sounds
from apptemplates.evaluation.figures import BLUE, GREY, OURS, blank
from apptemplates.inference import listening, sounds

TAIL = 20  # of the surest false alarms, from which rarer ones are extrapolated
LONGEST = 3600.0  # seconds without a command that are listened to, at most


def heard_in(
    call: Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]],
    samples: np.ndarray,
    known: Sequence[str],
    quiet: Sequence[str],
    pace: listening.Pace,
    threshold: float,
) -> list[listening.Heard]:
    """The commands that `listening.listen` hears in a whole recording, many looks at a time.

    Args:
        call: The graph: from {"sound": (n, m)} to {"chances": (n, c)}.
        samples: (k,) float32 at the network's rate.
        known: Words in the order of the chances.
        quiet: Those that are no commands.
        pace: Of the listening.
        threshold: Mean chance from which a command is heard.
    """
    padded = np.pad(samples, (pace.samples, 0))
    ends = [round((look + 1) * pace.hop * pace.rate) for look in range(int(len(samples) / pace.rate / pace.hop))]
    windows = np.lib.stride_tricks.sliding_window_view(padded, pace.samples)
    decider = listening.Decider(known, [known.index(word) for word in quiet if word in known], threshold, pace)
    heard = []
    for start in range(0, len(ends), 256):
        some = sounds.levelled(windows[ends[start : start + 256]])
        chances = call({"sound": some.astype(np.float32)})["chances"]
        heard += [told for told in map(decider.look, chances) if told]
    return [*heard, *filter(None, [decider.end()])]


def hours_for(clips: int, seconds: float) -> float:
    """How many hours of what is no command to listen to, where there are so many clips of so many seconds each."""
    return min(LONGEST, max(30.0, 6 * seconds * clips)) / 3600


def peaks_in(
    call: Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]],
    clips: np.ndarray,
    noise: np.ndarray,
    hours: float,
    known: Sequence[str],
    quiet: Sequence[str],
    pace: listening.Pace,
    threshold: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Chances (m,), highest first, of the commands that would be heard in a stream in which none is said.

    Args:
        call: The graph, as for `heard_in`.
        clips: (n, k) that are no commands; the stream is made of them.
        noise: (m,) background that they lie over.
        hours: How long the stream is.
        known: Words in the order of the chances.
        quiet: Those that are no commands.
        pace: Of the listening.
        threshold: Mean chance from which a command is heard.
        rng: For the draws of the stream.
    """
    samples = made_sounds.stream(3600 * hours, pace.rate, clips, noise, rng)
    found = heard_in(call, samples, known, quiet, pace, threshold)
    return np.sort([one.probability for one in found])[::-1]


def least_chance(peaks: np.ndarray, hours: float, allowed: float) -> float:
    """The chance from which a command may be accepted, so that not more are heard where none is said.

    Args:
        peaks: Chances (m,) of what would be heard, highest first.
        hours: How long the recording is that they were heard in.
        allowed: Of them an hour. Fewer than `TAIL` in the recording are not counted but extrapolated: the tail of the
            log odds is taken for an exponential one, also where it seems to end: then the same few clips were heard
            again and again, and others may lie beyond.

    Reference: Pickands, 1975, Statistical Inference Using Extreme Order Statistics.
    """
    wanted = allowed * hours
    if not len(peaks) or wanted >= len(peaks):
        return 0.0
    tail = min(TAIL, len(peaks) - 1)
    if wanted >= tail or not tail:
        return float(peaks[int(wanted)]) + 1e-6
    odds = -np.log(1 / np.clip(peaks[: tail + 1].astype("float64"), 1e-9, 1 - 1e-9) - 1)
    scale = float(np.mean(odds[:-1] - odds[-1]))
    far = odds[-1] + scale * np.log(tail / max(wanted, 1e-6))
    return float(1 / (1 + np.exp(-far)))


def false_accepts(peaks: np.ndarray, least: float, hours: float) -> dict[str, Any]:
    """How often a command is heard where none is said: an hour, with the upper end of its 95 % interval.

    Args:
        peaks: Chances (m,) of what would be heard, however unsure.
        least: The chance from which a command is accepted.
        hours: How long the recording is.
    """
    count = int((peaks >= least).sum())
    return {
        "hours listened to where no command is said": round(hours, 3),
        "false accepts in them": count,
        "false accepts an hour, at most (95 %, Poisson)": round(float(most_an_hour(count, hours)), 2),
    }


def most_an_hour(count: Any, hours: float) -> Any:
    """The upper end of the 95 % interval of events an hour, so many having been counted in so many hours (Poisson)."""
    return gammaincinv(np.asarray(count) + 1, 0.95) / hours


def add(report: Any, found: np.ndarray, peaks: np.ndarray, hours: float, least: float) -> None:
    """Adds to a report how often something is heard where no command is said, and how that goes with what is found.

    Args:
        report: It.
        found, peaks, hours, least: As for `detection`.
    """
    report.figures.append(detection(found, peaks, hours, least))
    report.notes |= false_accepts(peaks, least, hours)


def detection(found: np.ndarray, peaks: np.ndarray, hours: float, least: float) -> Figure:
    """Commands accepted against false accepts an hour, at every threshold.

    Args:
        found: Chance (n,) of each command that was said; 0 where another word was heard.
        peaks: Chances (m,) of what would be heard where no command is said, highest first.
        hours: How long that is.
        least: The threshold in use.
    """
    figure, axes = blank(
        "Commands accepted and false accepts an hour",
        "Each point is a threshold: the share of commands recognized and accepted against how often one is heard where "
        f"none is said, counted in {hours:.2g} hours of other words over background (a synthetic mix); thin: the upper "
        "end of the 95 % interval of that (Poisson). The dot is the threshold in use.",
    )
    steps = np.append(np.unique(np.append(peaks, found[found > 0]))[::-1], least)
    share = np.array([np.mean((found >= step) & (found > 0)) for step in steps])
    count = np.array([(peaks >= step).sum() for step in steps])
    axes.plot(count[:-1] / hours, share[:-1], **OURS)
    axes.plot(most_an_hour(count[:-1], hours), share[:-1], color=GREY, linewidth=1)
    axes.plot(count[-1] / hours, share[-1], "o", color=BLUE)
    axes.set_xscale("symlog", linthresh=1.0)
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1.02)
    axes.set(xlabel="false accepts an hour", ylabel="commands accepted")
    return figure
