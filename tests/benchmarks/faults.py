"""Faults planted in real data: whether `check` names them, and what it says of the data as they are.

    APPTEMPLATES_DATA=... python tests/benchmarks/faults.py

Each fault is planted in a part of one real set; it counts as named where a finding has the code that is expected. Of
the sets as they are, findings of severity error are false, and the others are printed to be looked at.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

import apptemplates as at

sys.path.insert(0, str(Path(__file__).parents[2] / "saved_models" / "recipes"))
import fraud_detector
import medical_scan_classifier
import risk_scorer
import voice_command_recognizer

DATA = Path(os.environ["APPTEMPLATES_DATA"])
RANDOM = np.random.default_rng(0)
Table = dict[str, Any]


def columns(frame: pd.DataFrame) -> Table:
    """A DataFrame as a dict of columns."""
    return {name: frame[name].to_numpy() for name in frame}


def faces() -> Table:
    """ORL's 400 pictures."""
    files = sorted((DATA / "faces" / "orl").rglob("*.pgm"))
    pictures = np.stack([np.asarray(Image.open(file)) for file in files])
    return {"image": pictures, "person": np.array([file.parent.name for file in files], object)}


def text() -> Table:
    """Passages of tiny Shakespeare."""
    whole = (DATA / "text" / "tinyshakespeare" / "input.txt").read_text()[:200_000]
    return {"text": np.array(whole.split("\n\n"), object)}


def movies() -> Table:
    """ml-100k."""
    path = DATA / "recommend" / "ml-100k" / "u.data.gz"
    return columns(pd.read_csv(path, sep="\t", names=["user", "item", "rating", "time"]))


def sets() -> dict[str, tuple[Any, Table]]:
    """An unfitted template and a part of a real set, for each of seven."""
    payments = columns(fraud_detector.payments().iloc[-20_000:])
    roles = {"time": "TX_DATETIME", "amount": "TX_AMOUNT", "entities": ("CUSTOMER_ID", "TERMINAL_ID")}
    scans = {name: column[:1200] for name, column in medical_scan_classifier.scans("train").items()}
    clips = {name: np.asarray(column)[:400] for name, column in voice_command_recognizer.clips(DATA, "train").items()}
    return {
        "payments": (at.FraudDetector(label="TX_FRAUD", **roles), payments),
        "people": (
            at.RiskScorer(label="income", event=">50K", sensitive=("sex",)),
            columns(risk_scorer.people("train").iloc[:10_000]),
        ),
        "scans": (at.MedicalScanClassifier(patient=None), scans),
        "clips": (at.VoiceCommandRecognizer(speaker="speaker"), clips),
        "faces": (at.FaceVerifier(), faces()),
        "movies": (at.Recommender(time="time", rating="rating"), movies()),
        "text": (at.TextGenerator(), text()),
    }


def put(name: str, change: Callable[[Any], Any]) -> Callable[[Table], Table]:
    """A plant that changes one column (None: a column that is not there yet, made from the table)."""
    return lambda table: {**table, name: change(table[name].copy())}


def new(name: str, make: Callable[[Table], Any]) -> Callable[[Table], Table]:
    """A plant that adds a column."""
    return lambda table: {**table, name: make(table)}


def some(column: Any, value: Any, share: float = 0.05) -> Any:
    """The column with a value in a share of the rows."""
    column = column.astype(object) if not isinstance(value, np.ndarray) and not np.isscalar(value) else column
    rows = RANDOM.permutation(len(column))[: max(1, int(share * len(column)))]
    column[rows] = value
    return column


def again(share: float) -> Callable[[Table], Table]:
    """A plant that repeats a share of the rows."""

    def plant(table: Table) -> Table:
        count = len(next(iter(table.values())))
        rows = np.append(np.arange(count), RANDOM.permutation(count)[: int(share * count)])
        return {name: column[rows] for name, column in table.items()}

    return plant


def under_another(label: str) -> Callable[[Table], Table]:
    """A plant that repeats rows under another label."""

    def plant(table: Table) -> Table:
        labels = table[label].astype(object)
        others = [next(word for word in labels if word != one) for one in labels[:12]]
        return {n: np.concatenate([c, np.array(others, object) if n == label else c[:12]]) for n, c in table.items()}

    return plant


def brighter(table: Table) -> Table:
    """Pictures that are there again, a little brighter."""
    more = np.clip(table["image"][:40].astype(float) * 1.03 + 2, 0, 255).astype("uint8")
    return {n: np.concatenate([c, more if n == "image" else c[:40]]) for n, c in table.items()}


def sounds(change: Callable[[np.ndarray], np.ndarray], added: bool = False) -> Callable[[Table], Table]:
    """A plant that gives twelve clips as changed arrays, instead of or beside themselves."""

    def plant(table: Table) -> Table:
        import soundfile

        clips = list(table["sound"])
        for row in range(12):
            samples, rate = soundfile.read(clips[row], dtype="float32")
            changed = (change(samples), rate)
            clips = [*clips, changed] if added else [changed if i == row else clip for i, clip in enumerate(clips)]
        column = np.empty(len(clips), object)
        column[:] = clips
        rows = np.append(np.arange(len(table["sound"])), np.arange(12) if added else np.arange(0))
        return {name: column if name == "sound" else c[rows] for name, c in table.items()}

    return plant


def bot(table: Table) -> Table:
    """One user who takes every film four times over."""
    items = np.tile(np.unique(table["item"]), 4)
    more = {"user": np.full(len(items), 9999), "item": items, "rating": np.full(len(items), 3)}
    more["time"] = table["time"].min() + np.arange(len(items))
    return {name: np.concatenate([column, more[name]]) for name, column in table.items()}


def leak(table: Table) -> Any:
    """What was written down after the fact."""
    return np.where(table["TX_FRAUD"] > 0, RANDOM.integers(1, 4, len(table["TX_FRAUD"])), 0)


def filled(name: str, value: Any) -> Callable[[Table], Table]:
    """A plant that adds a column of one value."""
    return lambda table: {**table, name: np.full(len(next(iter(table.values()))), value)}


def numbered(name: str, word: str, each: int) -> Callable[[Table], Table]:
    """A plant that adds a column of words with a number, each for so many rows."""
    return lambda table: {
        **table, name: np.array([f"{word} {i // each}" for i in range(len(next(iter(table.values()))))], object)
    }  # fmt: skip


def tax(table: Table) -> Any:
    """What is paid once the income is known."""
    return np.where(table["income"] == ">50K", 9.0, 1.0) + RANDOM.random(len(table["income"]))


def shoe(table: Table) -> Any:
    """Known of one in five."""
    size = 40.0 + RANDOM.random(len(table["income"]))
    return np.where(RANDOM.random(len(size)) < 0.8, np.nan, size)


def first(name: str, number: int, value: Any) -> Callable[[Table], Table]:
    """A plant that gives the first rows of a column another value."""

    def change(column: Any) -> Any:
        column = column if column.dtype.kind in "ui" else column.astype(object)
        column[:number] = value
        return column

    return put(name, change)


Plant = Callable[[Table], Table]
FAULTS: dict[str, list[tuple[str, Plant, str]]] = {
    "payments": [
        ("a column that knows the label", new("scenario", leak), "leaking-column"),
        ("a column of one value", filled("bank", "x"), "constant-column"),
        ("an empty column", filled("note", None), "empty-column"),
        ("a number of its own for each row", numbered("code", "n", 1), "id-like-column"),
        ("rows that are there twice", again(0.05), "duplicate-rows"),
        ("amounts below nothing", put("TX_AMOUNT", lambda c: some(c, -5.0)), "bad-values"),
        ("infinite amounts", put("TX_AMOUNT", lambda c: some(c, np.inf)), "bad-values"),
        ("all at one moment", put("TX_DATETIME", lambda c: np.full(len(c), c[0])), "one-instant"),
        ("a clock that starts elsewhere", put("TX_DATETIME", lambda c: np.arange(len(c))), "times-near-1970"),
        ("times out of order", put("TX_DATETIME", lambda c: RANDOM.permutation(c)), "unsorted-times"),
        ("no fraud at all", put("TX_FRAUD", lambda c: c * 0), "one-class"),
        ("labels that are missing", put("TX_FRAUD", lambda c: some(c.astype(float), np.nan)), "bad-values"),
        ("a handful of rows", lambda t: {n: c[:8] for n, c in t.items()}, "few-rows"),
    ],
    "people": [
        ("a column that knows the label", new("tax", tax), "leaking-column"),
        ("a column mostly missing", new("shoe", shoe), "missing-values"),
        ("thousands of words in a column", numbered("street", "street", 3), "many-categories"),
        ("a class of a few rows", first("income", 9, "unknown"), "rare-class"),
        ("rows that are there twice", again(0.2), "duplicate-rows"),
    ],
    "scans": [
        ("one scan under two findings", under_another("finding"), "two-labels"),
        ("scans that are there twice", again(0.05), "same-picture"),
        ("scans that are there again, brighter", brighter, "near-copies-of-pictures"),
        ("black scans", first("image", 9, 0), "empty-picture"),
        ("a finding seen a few times", first("finding", 5, "cyst"), "rare-class"),
        ("one finding alone", first("finding", 10_000, "normal"), "one-class"),
    ],
    "clips": [
        ("silent clips", sounds(np.zeros_like), "empty-sound"),
        ("clips recorded too loud", sounds(lambda s: np.clip(60 * s, -1, 1)), "clipped-sounds"),
        ("clips again, a little softer", sounds(lambda s: 0.8 * s, added=True), "near-copies-of-sounds"),
        ("clips that are there twice", again(0.1), "same-sound"),
        ("one clip under two words", under_another("command"), "two-labels"),
        ("files that are no sound", first("sound", 9, __file__), "unreadable-records"),
    ],
    "faces": [
        ("one picture under two names", under_another("person"), "two-labels"),
        ("pictures that are there twice", again(0.1), "same-picture"),
        ("pictures of one brightness", first("image", 9, 90), "empty-picture"),
        ("pictures again, brighter", brighter, "near-copies-of-pictures"),
    ],
    "movies": [
        ("one user is a program", bot, "odd-user"),
        ("ratings off the scale", put("rating", lambda c: some(c, 11)), "bad-values"),
        ("interactions told twice", again(0.05), "duplicate-rows"),
        ("times out of order", put("time", lambda c: RANDOM.permutation(c)), "unsorted-times"),
    ],
    "text": [
        ("passages told again and again", again(0.3), "repeated-passages"),
        ("one character", put("text", lambda c: np.array(["a" * 5000], object)), "one-character"),
        ("next to no text", put("text", lambda c: c[:3]), "little-text"),
    ],
}


def main() -> None:
    """Prints what was named and what was not."""
    known = sets()
    false = 0
    for name, (app, table) in known.items():
        began = time.perf_counter()
        findings = app.clone().check(table, probe=False).findings
        false += sum(one.severity == "error" for one in findings)
        said = ", ".join(f"{one.code} ({one.severity})" for one in findings) or "nothing"
        print(f"{name} as they are, {time.perf_counter() - began:.1f} s: {said}", flush=True)
    named = []
    for name, faults in FAULTS.items():
        app, table = known[name]
        for what, plant, code in faults:
            codes = [one.code for one in app.clone().check(plant(dict(table)), probe=False).findings]
            named.append(code in codes)
            if code not in codes:
                print(f"not named: {name}, {what} ({code}); said {', '.join(codes) or 'nothing'}", flush=True)
    print(f"{sum(named)} of {len(named)} kinds of fault named; {false} false errors on {len(known)} sets as they are")


if __name__ == "__main__":
    main()
