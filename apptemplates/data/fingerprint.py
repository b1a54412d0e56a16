"""What data a model was made of, in a few numbers that hold no record."""

import hashlib
import json
from typing import Any

import numpy as np

from apptemplates.data.table import Table, rows

ROOM = 300_000  # bytes that made-up inputs may take in a saved folder
FEWEST_SAMPLES = 200  # of the shortest sound; other numbers are never as many in one column


def fingerprint(choices: dict[str, Any], *tables: Table) -> str:
    """SHA-256 of choices and of every value of the tables."""
    digest = hashlib.sha256(json.dumps(choices, sort_keys=True).encode())
    for table in tables:
        for name, column in table.items():
            digest.update(f"{name} {column.dtype.kind} {column.shape}".encode())
            digest.update(
                "\x00".join(map(str, column.tolist())).encode() if column.dtype == object else column.tobytes()
            )
    return digest.hexdigest()


def describe(train: Table, valid: Table) -> dict[str, Any]:
    """Rows and fingerprint of the data that were learned from and judged by."""
    return {"rows": rows(train), "validation rows": rows(valid), "fingerprint": fingerprint({}, train, valid)}


def imagined(inputs: Table, seed: int) -> Table:
    """Made-up graph inputs in the range of the real ones, which hold no real record.

    Numbers are drawn around each column's mean with its spread, words from those that stand in at least ten rows,
    pictures (uint8) are noise, and sounds noise as loud as they are.
    """
    rng, made = np.random.default_rng(seed), {}
    size = sum(column[:1].nbytes for column in inputs.values())
    number = max(2, min(12, ROOM // max(1, size)))
    for name, column in inputs.items():
        if column.dtype == np.uint8:
            made[name] = rng.integers(0, 256, (number, *column.shape[1:]), dtype=np.uint8)
        elif column.dtype == object:
            words, counts = np.unique(column.astype(str), return_counts=True)
            common = words[counts >= min(10, counts.max())]
            made[name] = rng.choice(common, (number, *column.shape[1:])).astype(object)
        else:
            real = np.where(np.isfinite(column), column, 0).astype("float64")
            drawn = rng.normal(size=(number, *column.shape[1:])) * real.std(axis=0) + real.mean(axis=0)
            drawn = np.clip(drawn, real.min(axis=0), real.max(axis=0))
            # of sounds only steps that are heard, which pack well
            made[name] = (np.round(drawn, 2) if is_media(column) else drawn).astype(column.dtype)
    return made


def row_marks(records: Table, inputs: Table, most: int = 100_000) -> np.ndarray:
    """A number for each record (of a sample, if there are very many) by which it can be known again, but not read.

    Records that hold pictures or sounds are known by these alone, wherever the file lies and however it is labelled.
    """
    marks = np.unique(_marks(records, inputs))
    return np.sort(np.random.default_rng(0).permutation(marks)[:most])


def seen_before(records: Table, inputs: Table, marks: np.ndarray | None) -> np.ndarray | None:
    """Which records (n,) were learned from (at least, where only a sample was marked); None where not known."""
    return None if marks is None else np.asarray(np.isin(_marks(records, inputs), marks).any(axis=1))


def _marks(records: Table, inputs: Table) -> np.ndarray:
    """Marks (n, k) of records: one of each picture or sound, or one of the whole row."""
    import pandas as pd

    media = [column for column in inputs.values() if is_media(column)]
    if media:
        return np.array([[marked(one) for one in row] for row in zip(*media, strict=True)], np.uint64)
    frame = pd.DataFrame({name: column for name, column in records.items() if column.ndim == 1})
    return pd.util.hash_pandas_object(frame, index=False).to_numpy("uint64")[:, None]


def is_media(column: np.ndarray) -> bool:
    """Whether a column of the graph's inputs holds pictures (n, h, w, c) uint8 or sounds (n, samples) float32."""
    picture = column.dtype == np.uint8 and column.ndim > 2
    return picture or (column.dtype == np.float32 and column.ndim == 2 and column.shape[1] >= FEWEST_SAMPLES)


def marked(one: np.ndarray) -> np.uint64:
    """A number that tells pictures, or sounds, apart."""
    return np.frombuffer(hashlib.blake2b(one.tobytes(), digest_size=8).digest(), np.uint64)[0]
