"""Words spoken by nobody: vowels and hisses made of formulas, by speakers who do not exist."""

import numpy as np

from apptemplates.data.synthetic import numbered
from apptemplates.data.table import Table

RATE = 16_000
# each command is a few sounds in turn: the two lowest resonances of a vowel in Hz, or None for a hiss
WORDS: dict[str, tuple[tuple[float, float] | None, ...]] = {
    "go": ((450, 1500), (400, 800)),
    "left": ((550, 1800), None, (300, 1700)),
    "stop": (None, (730, 1090), (300, 900)),
    "yes": ((300, 2300), (530, 1840), None),
}
OTHERS: tuple[tuple[tuple[float, float] | None, ...], ...] = (
    ((730, 1090), (300, 2300)),
    ((300, 870), None, (660, 1720), (300, 2300)),
    (None, (300, 2300), None),
    ((570, 840), (570, 840), (270, 2290)),
)


def commands(n: int = 400, seed: int = 0, seconds: float = 1.0) -> Table:
    """Words of about n / 12 speakers: four commands, and one in five another word, `_unknown_`.

    Every speaker has an own pitch, throat and pace; every clip an own loudness, place and noise.

    Args:
        n: Number of clips.
        seed: Of the draw.
        seconds: Length of a clip.

    Returns:
        A table: sound float32 (n, 16000 seconds), command, speaker.

    Example:
        >>> commands(3)["sound"].shape
        (3, 16000)
    """
    rng = np.random.default_rng(seed)
    length = round(RATE * seconds)
    speakers = max(2, n // 12)
    voice = rng.normal(0, 1, (speakers, 3))
    speaker = rng.integers(0, speakers, n)
    names = [*WORDS, "_unknown_"]
    word = np.array(names, object)[rng.integers(0, len(names), n)]
    sound = np.zeros((n, length), np.float32)
    for row in range(n):
        pitch, throat, pace = voice[speaker[row]]
        parts = WORDS.get(word[row]) or OTHERS[rng.integers(len(OTHERS))]
        spoken = say(parts, 140 * np.exp(0.3 * pitch), 1 + 0.08 * throat, 0.45 * np.exp(0.12 * pace), rng)
        spoken = spoken[:length]
        start = rng.integers(0, length - len(spoken) + 1)
        sound[row, start : start + len(spoken)] = np.exp(0.5 * rng.normal()) * spoken
    sound += rng.uniform(0.001, 0.01, (n, 1)) * rng.normal(0, 1, sound.shape)
    return {"sound": np.clip(sound, -1, 1), "command": word, "speaker": numbered("speaker", speakers)[speaker]}


def say(
    parts: tuple[tuple[float, float] | None, ...], pitch: float, throat: float, seconds: float, rng: np.random.Generator
) -> np.ndarray:
    """One word (m,) in -1..1: overtones of a pitch, louder near the resonances of each part, or a hiss."""
    length = round(RATE * seconds)
    time = np.arange(length) / RATE
    at = np.linspace(0, len(parts) - 1, length)
    glide = pitch * (1.05 - 0.15 * np.linspace(0, 1, length)) * (1 + 0.01 * rng.normal())
    phase = 2 * np.pi * np.cumsum(glide) / RATE
    low, high = (np.interp(at, range(len(parts)), [(part or (1500, 2500))[k] for part in parts]) for k in (0, 1))
    voiced = np.interp(at, range(len(parts)), [0.0 if part is None else 1.0 for part in parts])
    found = np.zeros(length)
    for overtone in range(1, 24):
        tone = overtone * glide
        loud = sum(weight / (1 + ((tone - throat * peak) / 110) ** 2) for peak, weight in ((low, 1.0), (high, 0.6)))
        found += loud * np.sin(overtone * phase) * (tone < RATE / 2.2)
    hiss = np.diff(rng.normal(0, 1, length + 1))
    envelope = np.sin(np.pi * np.clip(time / seconds, 0, 1)) ** 0.5
    return (0.3 * envelope * (voiced * found / 2 + 0.35 * (1 - voiced) * hiss)).astype(np.float32)


def noises(seed: int = 0, seconds: float = 5.0) -> list[np.ndarray]:
    """Three long recordings (m,) of 16,000 samples a second without a word: a hiss, a rumble and a hum."""
    rng = np.random.default_rng(seed)
    length = round(RATE * seconds)
    white = rng.normal(0, 0.05, length)
    rumble = np.convolve(rng.normal(0, 0.3, length), np.ones(40) / 40, "same")
    hum = 0.05 * np.sin(2 * np.pi * 100 * np.arange(length) / RATE) + rng.normal(0, 0.005, length)
    return [noise.astype(np.float32) for noise in (white, rumble, hum)]
