"""From records and queries to the inputs of the model, and from what it gives to answers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from parts.data.schema import DataError, Schema
from parts.data.table import Table, rows, take
from parts.deploy.arrays import read_arrays
from parts.inference import answering as own

HERE = Path(__file__).parent
SETTINGS: dict[str, Any] = json.loads((HERE / "settings.json").read_text(encoding="utf-8"))
NAME: str = SETTINGS["class"]
RECORD, QUERY, ANSWER = (Schema.from_json(SETTINGS[name]) for name in ("record", "query", "answer"))
MEDIA = next((name for name, field in RECORD.items() if field.kind in ("image", "sound")), None)
PROSE = next((name for name, field in RECORD.items() if field.kind == "passage"), None)
ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".pgm", ".dcm", ".wav", ".flac", ".ogg", ".mp3")
AT_ONCE = 1024  # pictures or sounds


def read(source: str | Path) -> Table:
    """The columns of a file or folder.

    Args:
        source: A .csv, .tsv, .parquet or .jsonl (or .gz of one). Of pictures and sounds also a file, or a folder with
            index.csv (whose column `path` names the files) or with a subfolder for each label. Of text a file or a
            folder of files.
    """
    place = Path(source)
    if not place.exists():
        raise DataError(f"{NAME}: there is no {str(source)!r}; check the path.")
    index = place / "index.csv"
    if PROSE is not None and not place.name.endswith((".csv", ".csv.gz", ".tsv", ".parquet", ".jsonl")):
        files = sorted(one for one in place.rglob("*") if one.is_file()) if place.is_dir() else [place]
        return {PROSE: column([one.read_text(encoding="utf-8") for one in files])}
    if MEDIA is not None and place.is_dir() and index.is_file():
        table = separated(index, ",")
        return {MEDIA: column([str(place / path) for path in table.pop("path")]), **table}
    if MEDIA is not None and (place.is_dir() or place.suffix.lower() in ENDINGS):
        files = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.suffix.lower() in ENDINGS)
        label = next((name for name in RECORD if name != MEDIA and name not in QUERY), "label")
        return {MEDIA: column([str(one) for one in files]), label: column([one.parent.name for one in files])}
    if place.name.endswith((".jsonl", ".jsonl.gz")):
        return columns(pd.read_json(place, lines=True))
    if place.suffix == ".parquet":
        return columns(pd.read_parquet(place))
    return separated(place, "\t" if ".tsv" in place.name else ",")


def separated(place: Path, mark: str) -> Table:
    """The columns of separated text, each value as it is written, without spaces around it."""
    frame = pd.read_csv(place, sep=mark, dtype=str, keep_default_na=False)
    return columns(frame.apply(lambda one: one.str.strip()))


def column(values: list[Any]) -> np.ndarray:
    """A column of any values."""
    found = np.empty(len(values), object)
    found[:] = values
    return found


def columns(frame: pd.DataFrame) -> Table:
    """The columns of a frame."""
    return {str(name): frame[name].to_numpy() for name in frame}


def records(source: str | Path) -> Table:
    """Records to learn from, checked; one that can not be read is an error that says which and why."""
    return RECORD.check(NAME, read(source))[0]


def answering() -> Any:
    """What prepares queries and words answers, with what it has to remember for it."""
    return own.Answering(NAME, SETTINGS, read_arrays(HERE / "state.npz"))


def prepared(ready: Any, table: Table) -> Table:
    """The inputs of the model of checked rows; of payments each knows those before it."""
    if hasattr(ready, "history"):
        return dict(own.prepare(table, ready.history, ready.roles, ready.columns, ready.group))
    return dict(ready.prepare(table))


def answers(table: Table, call: Callable[[Table], Table]) -> pd.DataFrame:
    """The answers to queries, a row each; one that can not be answered has the reason in the column `problem`.

    Args:
        table: Columns.
        call: The model as a function of arrays, see `model.caller`.
    """
    ready, parts = answering(), []
    together = rows(table) if MEDIA is None else AT_ONCE
    for start in range(0, rows(table), together):
        queries, problems = QUERY.check(NAME, take(table, slice(start, start + together)), rows="mark")
        good = np.flatnonzero(problems == "")
        found: Table = {}
        if len(good):
            inputs = prepared(ready, take(queries, good))
            problems[good] = inputs.pop("problem", np.full(len(good), "", object))
            good = np.flatnonzero(problems == "")
        if len(good):
            found = ready.respond(inputs, call)
        frame = pd.DataFrame({name: list(found.get(name, [])) for name in ANSWER if name != "problem"}, index=good)
        parts.append(frame.reindex(range(len(problems))).assign(problem=problems))
    return pd.concat(parts, ignore_index=True)
