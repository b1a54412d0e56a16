"""What rows are like, in columns of one value each, and whether new rows are like those that were learned from."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from apptemplates.data.fingerprint import is_media
from apptemplates.data.preflight import Finding
from apptemplates.data.schema import Field
from apptemplates.data.table import Table

BINS, WORDS, MANY = 10, 30, 200  # parts of a number; words that count alone; words beyond which a column is no trait
FEWEST = 200  # rows below which nothing is said of drift
LARGE = 0.25  # population stability index from which a column counts as another
LEAST = 1e-4


def of_rows(records: Mapping[str, np.ndarray], inputs: Mapping[str, np.ndarray], fields: Mapping[str, Field]) -> Table:
    """Traits (n,) of rows: numbers and words as they are, brightness and contrast of pictures, loudness of sounds.

    Args:
        records: Canonical columns.
        inputs: The graph's inputs made of them.
        fields: The columns that count as traits, where they hold a number, a flag or a word.
    """
    found: Table = {}
    for name, field in fields.items():
        if field.kind in ("number", "flag", "category") and not field.several and name in records:
            found[name] = records[name]
    media = [column for column in inputs.values() if is_media(column)]
    pictures = [column for column in media if column.dtype == np.uint8]
    sounds = [column for column in media if column.dtype != np.uint8]
    if pictures:
        axes = tuple(range(1, pictures[0].ndim))
        found["brightness"] = np.mean([one.mean(axis=axes) / 255 for one in pictures], axis=0)
        found["contrast"] = np.mean([one.std(axis=axes) / 255 for one in pictures], axis=0)
    if sounds:
        power = np.mean([np.square(one, dtype="float64").mean(axis=1) for one in sounds], axis=0)
        found["loudness in dB"] = 10 * np.log10(power + 1e-10)
    return found


def profile(traits: Table) -> dict[str, Any]:
    """How the rows that were learned from are spread over each trait, in plain values that hold no row."""
    found: dict[str, Any] = {}
    for name, column in traits.items():
        if column.dtype == object:
            words, counts = np.unique(column.astype(str), return_counts=True)
            if 1 < len(words) <= MANY:
                order = np.argsort(-counts, kind="stable")[:WORDS]
                found[name] = {"words": {str(words[i]): float(counts[i] / len(column)) for i in order}}
            continue
        known = column[np.isfinite(column)].astype("float64")
        if len(known):
            edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1]))
            found[name] = {"edges": [float(edge) for edge in edges], "shares": of_numbers(column, edges).tolist()}
    return found


def of_numbers(column: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The shares of a number's rows in each part between edges, and last of those without a number."""
    known = np.isfinite(column)
    place = np.where(known, np.searchsorted(edges, np.where(known, column, 0), side="right"), len(edges) + 1)
    return np.bincount(place, minlength=len(edges) + 2) / max(len(column), 1)


def drift(known: Mapping[str, Any], traits: Table) -> dict[str, float]:
    """The population stability index of each trait against its profile, the largest first.

    Below 0.1 counts as the same, above 0.25 as another population.

    Reference: Siddiqi, 2006, Credit Risk Scorecards (population stability index).
    """
    found = {}
    for name, was in known.items():
        if name not in traits or len(traits[name]) < FEWEST:
            continue
        column = traits[name]
        if "words" in was:
            words = list(was["words"])
            now = np.array([float((column == word).mean()) for word in words])
            before = np.array([was["words"][word] for word in words])
            before, now = np.append(before, 1 - before.sum()), np.append(now, 1 - now.sum())
        else:
            before, now = np.array(was["shares"]), of_numbers(column.astype("float64"), np.array(was["edges"]))
        before, now = np.maximum(before, LEAST), np.maximum(now, LEAST)
        found[name] = float(np.sum((now - before) * np.log(now / before)))
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def drifted(indices: Mapping[str, float]) -> list[Finding]:
    """One warning where columns are of another population than what was learned from."""
    large = {name: index for name, index in indices.items() if index > LARGE}
    if not large:
        return []
    named = ", ".join(f"{name!r} ({index:.2f})" for name, index in list(large.items())[:5])
    more = f" and {len(large) - 5} more" if len(large) > 5 else ""
    return [
        Finding(
            "drift", "warning", next(iter(large)),
            f"These records are unlike those that were learned from in {named}{more}: a population stability index "
            f"above {LARGE}.",
            "Do not rely on earlier numbers here: judge on labelled records of this kind, and finetune or fit on them.",
        )
    ]  # fmt: skip
