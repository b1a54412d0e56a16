"""How good a recognizer of spoken commands is: in clips, and in noise."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from apptemplates.data.preflight import Finding
from apptemplates.data.words import to_flags
from apptemplates.evaluation import calibration, figures, metrics, picture_figures
from apptemplates.evaluation.figures import BLUE, OURS, blank, height_of
from apptemplates.evaluation.intervals import Metric
from apptemplates.inference import sounds

SNR = (20, 10, 5, 0)  # dB that a word is louder than the noise


def score(truth: np.ndarray, answers: Mapping[str, np.ndarray], known: Sequence[str], quiet: Sequence[str]) -> dict:  # type: ignore[type-arg]
    """The numbers, by name.

    Args:
        truth: (n,) words.
        answers: Columns command, probability, accepted.
        known: All words it knows.
        quiet: Those that are no commands.
    """
    truth, said = truth.astype(str), answers["command"].astype(str)
    right, accepted = truth == said, answers["accepted"] > 0
    command = ~np.isin(truth, list(quiet))
    recalls = {word: share(right[truth == word]) for word in known}
    there = [value for value in recalls.values() if not np.isnan(value)]
    return {
        "accuracy": share(right),
        "balanced accuracy": float(np.mean(there)) if there else float("nan"),
        "commands accepted": share((right & accepted)[command]),
        "commands mistaken for another": share((~right & accepted)[command]),
        "other clips accepted": share(accepted[~command]),
        "ECE": metrics.ece(right.astype(int), answers["probability"].astype("float64")),
        **{f"recall of {word}": value for word, value in recalls.items()},
    }


def never_learned(spoken: np.ndarray, column: str, known: Sequence[str], unknown: str) -> list[Finding]:
    """Words (n,) of clips to be judged that nobody taught it."""
    strange = spoken.astype(str)[~np.isin(spoken.astype(str), list(known))]
    if not len(strange):
        return []
    names = sorted(set(strange.tolist()))
    return [
        Finding(
            "words-never-learned", "warning", column,
            f"{len(strange):,} clips are of words that it never learned ({', '.join(map(repr, names[:5]))}"
            f"{' ...' * (len(names) > 5)}); {unknown!r} is taken for the right answer to them.",
            "Teach it these words by finetune, or leave the clips out.",
        )
    ]  # fmt: skip


def share(of: np.ndarray) -> float:
    """How many of these are true, 0..1; NaN of none."""
    return float(np.mean(of)) if len(of) else float("nan")


def in_noise(clips: np.ndarray, noise: np.ndarray, louder: float, rng: np.random.Generator) -> np.ndarray:
    """Clips (n, m) with a piece of background (k,) under each, so many dB softer than the clip."""
    start = rng.integers(0, max(1, len(noise) - clips.shape[1]), len(clips))
    hiss = np.stack([np.resize(noise[first : first + clips.shape[1]], clips.shape[1]) for first in start])
    power = [np.mean(np.square(x, dtype="float64"), axis=1, keepdims=True) + 1e-10 for x in (clips, hiss)]
    return (clips + hiss * np.sqrt(power[0] / power[1] * 10 ** (-louder / 10))).astype(np.float32)


def add_noise(
    report: Any,
    answer: Callable[[np.ndarray], np.ndarray],
    clips: np.ndarray,
    truth: np.ndarray,
    noise: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Adds to a report how many clips are answered rightly in ever louder background, with 95 % intervals (Wilson).

    Args:
        report: Holds the accuracy without it.
        answer: From clips (n, m) float32 to words (n,).
        clips: (n, m) float32.
        truth: (n,) what should be answered.
        noise: (k,) background.
        rng: For the pieces of it.
    """
    rows = {}
    for louder in SNR:
        right = (answer(sounds.levelled(in_noise(clips, noise, louder, rng))) == truth).astype(float)
        low, high = calibration.wilson(right.mean(), np.array(len(right)))
        rows[f"{louder} dB"] = Metric(float(right.mean()), float(low), float(high))
    report.figures.append(in_noise_figure({"clean": report.metrics["accuracy"], **rows}))
    report.notes |= {f"accuracy, {name}": metric for name, metric in rows.items()}


# ---- pictures ----------------------------------------------------------------


def pictures(
    truth: np.ndarray, answers: Mapping[str, np.ndarray], known: Sequence[str], quiet: Sequence[str]
) -> list[Figure]:
    """Confusion, recall of each word, detection."""
    said = to_flags(answers["command"], known)
    right = truth.astype(str) == answers["command"].astype(str)
    return [
        picture_figures.confusion(known, to_flags(truth, known), said),
        recalls(truth.astype(str), right, known),
        detection(truth.astype(str), answers, quiet),
    ]


def recalls(truth: np.ndarray, right: np.ndarray, known: Sequence[str]) -> Figure:
    """The recall of each word with its interval."""
    there = [word for word in known if (truth == word).any()]
    figure, axes = blank(
        "How often each word is recognized",
        "Share of the clips of each word that got the right answer; the line is the 95 % interval (Wilson).",
        height_of(len(there)),
    )
    value = np.array([right[truth == word].mean() for word in there])
    low, high = calibration.wilson(value, np.array([(truth == word).sum() for word in there]))
    places = np.arange(len(there))[::-1]
    axes.barh(places, value, height=0.55, color=BLUE)
    axes.hlines(places, low, high, color="black", linewidth=1.5)
    axes.set_yticks(places, there)
    axes.set_xlim(0, 1)
    axes.set(xlabel="recall")
    axes.grid(visible=False, axis="y")
    return figure


def detection(truth: np.ndarray, answers: Mapping[str, np.ndarray], quiet: Sequence[str]) -> Figure:
    """Commands found against other clips accepted, at every threshold."""
    figure, axes = blank(
        "Commands found and other clips accepted",
        "Each point is a threshold: the share of commands recognized and accepted against the share of other words and "
        "of silence that is taken for a command.",
    )
    command, spoken = ~np.isin(truth, list(quiet)), ~np.isin(answers["command"].astype(str), list(quiet))
    chance = np.where(spoken, answers["probability"], 0.0)
    right = truth == answers["command"].astype(str)
    steps = np.append(np.unique(chance)[::-1], 0.0)
    found = [share((right & (chance >= step) & (chance > 0))[command]) for step in steps]
    wrong = [share(((chance >= step) & (chance > 0))[~command]) for step in steps]
    axes.plot(wrong, found, **OURS)
    figures.percent_axes(axes, "other clips accepted", "commands recognized")
    return figure


def in_noise_figure(rows: Mapping[str, Metric]) -> Figure:
    """Accuracy in clean clips and in ever louder noise."""
    figure, axes = blank(
        "Accuracy in noise",
        "Clips with background under them, by how many dB the clip is louder; the line is the 95 % interval.",
    )
    places = np.arange(len(rows))
    axes.plot(places, [metric.value for metric in rows.values()], marker="o", **OURS)
    axes.vlines(places, [m.low for m in rows.values()], [m.high for m in rows.values()], color=BLUE)
    axes.set_xticks(places, list(rows))
    axes.set_ylim(0, 1)
    axes.set(xlabel="louder than the noise by", ylabel="accuracy")
    return figure


def places_heard(maps: np.ndarray, seconds: float) -> list[str]:
    """When and how high a map (n, bands, frames), high pitches on top, has its centre."""
    bands, frames = maps.shape[1:]
    whole = np.maximum(maps.sum(axis=(1, 2)), 1e-9)
    when = (maps.sum(axis=1) @ (np.arange(frames) + 0.5)) / whole / frames * seconds
    high = (maps.sum(axis=2) @ (np.arange(bands) + 0.5)) / whole / bands
    word = np.array(["high", "middle", "low"])[np.minimum((3 * high).astype(int), 2)]
    return [f"{pitch} pitches around {round(5 * moment) / 5:.1f} s" for pitch, moment in zip(word, when, strict=True)]
