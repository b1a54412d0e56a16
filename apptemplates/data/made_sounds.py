"""What is no command, made from what there is: silence, other words, and a stream of both."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from apptemplates.data import folders, synthetic_sounds
from apptemplates.data.schema import DataError
from apptemplates.inference import sounds
from apptemplates.inference.media import Undecodable


def background(places: Sequence[str] | None, rate: int, samples: int, owner: str) -> np.ndarray:
    """Recordings of background (m,) one after the other, or noise made by formulas.

    Args:
        places: Files and folders; None for made noise.
        rate: Samples a second wanted.
        samples: How long a clip is; more than two of them are needed.
        owner: Asks, for the message of an error.

    Raises:
        DataError: A file can not be read, or they are too short together.
    """
    if places is None:
        made = np.concatenate(synthetic_sounds.noises())
        return sounds.resampled(made, synthetic_sounds.RATE, rate)
    files = [
        file
        for place in map(Path, places)
        for file in (sorted(folders.below(place)) if place.is_dir() else [place])
        if not place.is_dir() or file.suffix.lower() in folders.SOUNDS
    ]
    try:
        found = [sounds.decode(file, rate) for file in files]
    except Undecodable as error:
        raise DataError(f"{owner}: background {error}") from None
    if sum(map(len, found)) <= 2 * samples:
        raise DataError(
            f"{owner}: background holds {sum(map(len, found)) / rate:.1f} seconds of sound; at least "
            f"{2 * samples / rate:g} are needed: name a file or a folder of recordings without a command."
        )
    return np.concatenate(found)


def completed(
    clips: np.ndarray,
    spoken: np.ndarray,
    weight: np.ndarray | None,
    missing: Sequence[str],
    quiet: tuple[str, str],
    count: int,
    noise: Callable[[], np.ndarray],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Clips, words and weights, and behind them those of made clips for the words that are missing.

    Args:
        clips: (n, samples) float32.
        spoken: (n,) what is said in each.
        weight: (n,) or None; a made clip weighs as the others do on average.
        missing: Those of `quiet` that clips are made for.
        quiet: The word for other words, and the one for silence.
        count: Clips made for each.
        noise: Gives background (m,); called where silence is made.
        rng: For the draws.
    """
    if not missing:
        return clips, spoken, weight
    more = []
    for word in missing:
        silent = word == quiet[1]
        made = (
            silences(count, noise(), clips.shape[1], rng)
            if silent
            else others(count, clips[~np.isin(spoken, quiet)], rng)
        )
        more.append(sounds.levelled(made))
    names = np.repeat(np.array(missing, object), count)
    weight = None if weight is None else np.concatenate([weight, np.full(len(names), weight.mean())])
    return np.concatenate([clips, *more]), np.concatenate([spoken, names]), weight


def silences(count: int, noise: np.ndarray, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Clips (count, samples) of background (m,) at all loudnesses, some of nothing at all."""
    start = rng.integers(0, max(1, len(noise) - samples), count)
    loud = np.exp(rng.uniform(-4, 0.5, (count, 1))) * (rng.random((count, 1)) > 0.1)
    clips = np.array([np.resize(noise[first : first + samples], samples) for first in start])
    return (loud * clips.reshape(count, samples)).astype(np.float32)


def others(count: int, sounds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Clips (count, samples) of words that are none: commands backwards, and halves of two put together.

    Args:
        count: Of clips.
        sounds: (n, samples) of commands.
        rng: For the draws.
    """
    n, samples = sounds.shape
    first, second = sounds[rng.integers(0, n, count)], sounds[rng.integers(0, n, count)]
    cut = (samples * rng.uniform(0.35, 0.65, (count, 1))).astype(int)
    fade = np.clip((np.arange(samples)[None] - cut) / (0.02 * samples) + 0.5, 0, 1)
    # the second half of one before the first half of the other, so that neither word is whole
    half = np.roll(first, samples // 2, axis=1) * (1 - fade) + np.roll(second, samples // 2, axis=1) * fade
    backwards = rng.random((count, 1)) < 0.5
    return np.where(backwards, first[:, ::-1], half).astype(np.float32)


def stream(seconds: float, rate: int, words: np.ndarray, noise: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Samples (m,) of words one after the other, at all loudnesses and a little faster or slower, over background.

    Args:
        seconds: How long.
        rate: Samples a second.
        words: Clips (n, k) that are no commands; without them the stream is background alone.
        noise: (n,) float32 background.
        rng: For the draws.
    """
    length = round(seconds * rate)
    found = np.empty(length, np.float32)
    done = 0
    while done < length:  # pieces of background, each with a loudness of its own
        size = min(length - done, round(rate * rng.uniform(3, 8)))
        start = rng.integers(0, max(1, len(noise) - size))
        found[done : done + size] = np.exp(rng.uniform(-4, 0.7)) * np.resize(noise[start : start + size], size)
        done += size
    at = 0
    while len(words):
        clip = words[rng.integers(len(words))]
        speed = np.exp(rng.uniform(-0.15, 0.15))
        clip = np.interp(np.arange(0, len(clip) - 1, speed), np.arange(len(clip)), clip)
        at += round(rate * rng.exponential(0.7))
        if at + len(clip) > length:
            break
        found[at : at + len(clip)] += np.exp(rng.uniform(-1.5, 0.5)) * clip
        at += len(clip)
    return np.clip(found, -1, 1)
