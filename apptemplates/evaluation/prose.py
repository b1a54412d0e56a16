"""How good a language model of text is: surprise, calibration, samples, and what of them is copied."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from apptemplates.evaluation import figures, metrics
from apptemplates.evaluation.diagnosis import Growing
from apptemplates.inference.foresight import Foresight, lines_of
from apptemplates.inference.kneser_ney import MOST, KneserNey
from apptemplates.inference.tokens import Tokens

SPAN = 50  # characters of a passage that counts as copied
HOT = (0.5, 0.8, 1.0)  # temperatures of the samples
SAMPLE = 300  # characters of a sample
LOOKED = 200  # passages that are looked at token by token, at most
PIECES = 256  # of a text, of which a learning curve draws some


def score(truth: Mapping[str, np.ndarray], answers: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Nats and bits a character.

    Args:
        truth: `characters` (n,) of each passage.
        answers: `nats` (n,) a character of it.
    """
    total = float(truth["characters"].sum())
    nats = float((answers["nats"] * truth["characters"]).sum() / total) if total else math.nan
    return {"nats a character": nats, "bits a character": nats / math.log(2)}


def spread(truth: Mapping[str, np.ndarray], answers: Mapping[str, np.ndarray]) -> Figure:
    """How nats a character differ from passage to passage."""
    figure, axes = figures.blank(
        "How well passages are foreseen",
        "How many passages have so many nats a character; fewer is better. A long tail on the right: names, verse or "
        "another language that the model has not learned.",
    )
    axes.hist(answers["nats"], bins=min(40, max(5, len(answers["nats"]) // 4)), color=figures.BLUE)
    axes.axvline(score(truth, answers)["nats a character"], **figures.CHANCE)
    axes.set(xlabel="nats a character", ylabel="passages")
    return figure


def distinct(text: str, size: int) -> float:
    """The share of runs of so many words that are different from every other run.

    Reference: Li et al., 2016, A Diversity-Promoting Objective Function for Neural Conversation Models,
    arXiv:1510.03055.
    """
    words = text.split()
    runs = [tuple(words[start : start + size]) for start in range(len(words) - size + 1)]
    return len(set(runs)) / len(runs) if runs else math.nan


def copied(text: str, source: str, span: int = SPAN) -> tuple[float, list[str]]:
    """The share of runs of so many characters that stand in a source word by word, and the longest such passages.

    Args:
        text: What was written.
        source: What was learned from.
        span: Characters of a run.

    Returns:
        The share, and up to three passages of any length that stand in the source, the longest first.

    Reference: Carlini et al., 2021, Extracting Training Data from Large Language Models, arXiv:2012.07805.
    """
    runs = range(len(text) - span + 1)
    share = sum(text[start : start + span] in source for start in runs) / len(runs) if runs else math.nan
    passages, end = [], 0
    for start in range(len(text)):
        before = end = max(end, start)
        while end < len(text) and text[start : end + 1] in source:
            end += 1
        if end > before:  # else it is a part of the passage before
            passages.append((start, end))
    longest = sorted(passages, key=lambda pair: pair[0] - pair[1])[:3]
    return share, [text[start:end] for start, end in longest]


def certainty(chances: np.ndarray, token: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each place (m,), the chance of the likeliest token, and whether it came."""
    best = chances.argmax(axis=-1)
    return chances[np.arange(len(best)), best], best == token


def next_character(sure: np.ndarray, right: np.ndarray) -> tuple[dict[str, float], Figure]:
    """How often the likeliest next token comes, how far its chance can be believed, and a picture of that."""
    numbers = {
        "next token right": float(right.mean()),
        "ECE of the next token": metrics.ece(right.astype(int), sure),
    }
    figure = figures.reliability(right.astype(int), sure)
    figure.set_label(
        "The next token: of all those foreseen with a chance of so much, how many came. On the diagonal the chance can "
        "be taken at its word; below it the model is too sure."
    )
    return numbers, figure


def by_place(place: np.ndarray, nats: np.ndarray, context: int) -> Figure:
    """How nats fall the more was read before."""
    figure, axes = figures.blank(
        "What reading more brings",
        "Mean nats a token by how many tokens of the passage stand before it. Where the line goes level, a longer "
        "context would bring nothing.",
    )
    edges = np.unique(np.round(np.geomspace(1, max(2, context), 16)).astype(int))
    part = np.digitize(place, edges)
    kept = [number for number in range(1, len(edges)) if (part == number).sum() >= 30]
    axes.plot([edges[n - 1] for n in kept], [nats[part == n].mean() for n in kept], **figures.OURS)
    axes.set(xlabel="tokens read before", ylabel="nats a token", xscale="log")
    return figure


def look_closer(report: Any, model: Foresight, inputs: Mapping[str, np.ndarray]) -> None:
    """Adds to a report how far the chance of the likeliest next token can be believed, and what reading more brings.

    Args:
        report: Gets numbers of calibration, and two figures.
        model: Judges.
        inputs: What `prepare` made of the trials, of which the first are looked at.
    """
    few = {name: column[:LOOKED] for name, column in inputs.items()}
    found = model.foresee(*lines_of(few, model.shape))
    sure, right = zip(*(certainty(one.mixed(model.share), one.token) for one in found), strict=True)
    numbers, picture = next_character(np.concatenate(sure), np.concatenate(right))
    report.calibration |= numbers
    context = model.shape.context
    report.figures += [picture, by_place(*model.by_place(few["then"][:, :context]), context)]


def samples(
    report: Any, write: Callable[[dict[str, list[Any]]], Iterable[str]], source: str | None, number: int = 3
) -> None:
    """Adds samples at several temperatures to a report: how varied they are, and how much of them is copied.

    Args:
        report: Gets a table and notes.
        write: From queries to a text of each.
        source: What was learned from; None where it is not kept.
        number: Of samples of each temperature.
    """
    import pandas as pd

    hot = [temperature for temperature in HOT for _ in range(number)]
    queries: dict[str, list[Any]] = {"prompt": [""] * len(hot), "temperature": hot, "seed": list(range(len(hot)))}
    found, written = [], list(write({**queries, "length": [SAMPLE] * len(hot)}))
    for place, temperature in enumerate(HOT):
        texts = written[place * number : (place + 1) * number]
        whole = "\n".join(texts)
        row: dict[str, Any] = {"temperature": temperature, "sample": texts[0]}
        row |= {f"distinct-{size}": round(distinct(whole, size), 3) for size in (1, 2, 3)}
        if source is not None:
            share, longest = copied(whole, source)
            row |= {f"copied runs of {SPAN}": round(share, 4), "longest copied": longest[0] if longest else ""}
            report.notes[f"longest copied at temperature {temperature}"] = [
                f"{len(passage)} characters: {passage!r}" for passage in longest
            ]
        found.append(row)
    if source is None:
        report.notes["copied"] = "not known: the text that was learned from is not kept in this folder"
    report.table = pd.DataFrame(found)


def growing(
    stream: np.ndarray, held_out: np.ndarray, coder: Tokens, order: int, piece: int, method: str, score: str
) -> Growing:
    """What counted n-grams learn from shares of a text, each drawn in pieces from all over it.

    Args:
        stream: (m,) its tokens.
        held_out: (k,) tokens that are to be foreseen.
        coder: Tokens to text.
        order: Tokens of the longest n-gram.
        piece: Tokens of a piece, at least.
        method: What such a model is called.
        score: What nats a character are called.
    """
    characters = len(coder.decode(held_out[1:].tolist()))
    stream = stream[:MOST]
    pieces = np.array_split(stream, max(1, min(PIECES, len(stream) // piece)))

    def learn(share: float, rng: np.random.Generator) -> tuple[int, float]:
        drawn = rng.permutation(len(pieces))[: max(1, round(share * len(pieces)))]
        some = np.concatenate([pieces[place] for place in np.sort(drawn)])
        counts = KneserNey.fit(some, order, coder.size)
        nats = counts.nats(held_out, 1) * (len(held_out) - 1) / max(1, characters)
        return len(coder.decode(some.tolist())), nats

    return Growing(learn, "characters", method, score)
