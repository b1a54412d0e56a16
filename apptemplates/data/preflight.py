"""What may spoil learning from a table, found before an hour is spent on it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from apptemplates.data import near_texts, prose
from apptemplates.data.columns import READ, Fault, as_column, column_sentence
from apptemplates.data.schema import Field
from apptemplates.data.table import Table

LEAK = 0.995  # AUC of one column alone
MEDIA = ("vector", "image", "sound", "passage")
SAMPLE = 20_000  # rows looked at for leaks
MANY = 1_000  # categories
FEWEST, FEW, RARE = 10, 200, 20  # rows in all: error, warning; rows of one class
STRINGS = ("category", "id", "text")

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing found in the data.

    Args:
        code: Its name, "leaking-column".
        severity: "error" where fit refuses or learning would be meaningless, "warning", or "note".
        place: The column, or "table".
        message: One sentence with numbers.
        fix: What to do.
    """

    code: str
    severity: Severity
    place: str
    message: str
    fix: str


def inspect(
    table: Mapping[str, np.ndarray], fields: Mapping[str, Field], *, label: str | None = None, time: str | None = None
) -> list[Finding]:
    """What is found in the columns that `fields` describe, errors first.

    Args:
        table: Columns as `read` gives them, or canonical ones.
        fields: Kinds by column; columns that are not in the table are passed over.
        label: Name of the column to learn, where there is one; the same checks apply to numbers and names.
        time: Name of the column that orders the rows.
    """
    findings: list[Finding] = []
    columns: Table = {}
    for name, field in fields.items():
        if name not in table:
            continue
        raw = as_column(table[name])
        columns[name], faults = READ[field.kind](field, raw)
        findings += [
            bad_values(name, field, raw, fault) for fault in faults if fault.bad.any() and fault.tail != "missing"
        ]
    flat = {name: column for name, column in columns.items() if column.ndim == 1 and fields[name].kind not in MEDIA}
    count = max(map(len, columns.values()), default=0)
    passages = [name for name in columns if fields[name].kind == "passage"]
    for name in passages:
        findings += [*prose.findings(name, columns[name]), *near_texts.findings(name, columns[name])]
    findings += [] if passages else few_rows(count)
    for name, column in flat.items():
        findings += one_column(name, fields[name], column, is_label=name == label)
    if time in flat:
        findings += times(time, flat[time])
    if label in flat:
        findings += classes(label, fields[label], flat[label])
        findings += leaks(flat, fields, label)
    if len(flat) == len(columns):  # rows that look alike may hold different pictures
        findings += duplicates(flat, count)
    return in_order(findings)


def in_order(findings: list[Finding]) -> list[Finding]:
    """Findings with errors first and notes last."""
    return sorted(findings, key=lambda finding: ("error", "warning", "note").index(finding.severity))


def left_out(why: list[str], shown: int = 5) -> Finding:
    """Records whose pictures or sounds could not be read, each with its reason in `why`."""
    more = f" ... and {len(why) - shown:,} more" if len(why) > shown else ""
    return Finding(
        "unreadable-records", "warning", f"{len(why):,} records",
        f"{len(why):,} records could not be read and were left out: {' '.join(why[:shown])}{more}",
        "Replace or remove those files.",
    )  # fmt: skip


def bad_values(name: str, field: Field, raw: np.ndarray, fault: Fault) -> Finding:
    """Values that fit will refuse."""
    code = "long-strings" if fault.tail.startswith("longer") else "bad-values"
    code = "infinite-values" if fault.tail == "infinite" else code
    return Finding(
        code, "error", name, column_sentence(name, field, raw, fault), "Correct these values or leave the rows out."
    )


def few_rows(count: int) -> Iterator[Finding]:
    """Too few rows to learn from."""
    if count < FEW:
        yield Finding(
            "few-rows", "error" if count < FEWEST else "warning", "table",
            f"There are {count:,} rows; what is learned from fewer than {FEW} is hardly more than chance.",
            "Give more records.",
        )  # fmt: skip


def one_column(name: str, field: Field, column: np.ndarray, *, is_label: bool) -> Iterator[Finding]:
    """What one column shows on its own."""
    missing = nothing(field, column)
    count, absent = len(column), int(missing.sum())
    if count and absent == count:
        yield Finding(
            "empty-column", "error" if is_label else "warning", name,
            f"Column {name!r} has no value in any row.",
            "Name another column as label." if is_label else "Leave it out, or find out why it is empty.",
        )  # fmt: skip
        return
    if absent:
        share = absent / count
        severity: Severity = "warning" if share > 0.5 else "note"
        severity = "error" if is_label and not field.missing else severity
        yield Finding(
            "missing-values", severity, name,
            f"Column {name!r} has {absent:,} missing values ({share:.1%} of the rows).",
            "Leave the rows without a label out." if is_label else "Nothing: what is missing is learned from, too.",
        )  # fmt: skip
    if is_label:
        return
    distinct = len(pd.unique(column[~missing]))
    if distinct == 1 and not absent and count > 1:
        yield Finding(
            "constant-column", "warning", name, f"Column {name!r} has the same value in all {count:,} rows.",
            "Leave it out: it says nothing about any row.",
        )  # fmt: skip
    present = count - absent
    if field.role or field.named:  # on purpose, such as a card whose history counts
        return
    if field.kind == "id" or (field.kind == "category" and present >= 100 and distinct > 0.95 * present):
        yield Finding(
            "id-like-column", "warning", name,
            f"Column {name!r} looks like an identity: {distinct:,} different values in {present:,} rows.",
            "Leave it out, or name it as an entity if it stands for the same card, person or thing again and again.",
        )  # fmt: skip
    elif field.kind == "category" and distinct > MANY:
        yield Finding(
            "many-categories", "warning", name, f"Column {name!r} has {distinct:,} different categories.",
            "Group the rare ones, or name it as an entity whose history counts.",
        )  # fmt: skip


def times(name: str, column: np.ndarray) -> Iterator[Finding]:
    """What the times of the rows show."""
    present = column[~np.isnat(column)] if column.dtype.kind == "M" else column
    if not len(present):
        return
    if present.min() == present.max() and len(present) > 1:
        yield Finding(
            "one-instant", "error", name, f"All rows of column {name!r} are at one moment ({present[0]}).",
            "Give times with their hours and days, or say time=None if there are none.",
        )  # fmt: skip
    elif (present[1:] < present[:-1]).any():
        back = int((present[1:] < present[:-1]).sum())
        yield Finding(
            "unsorted-times", "note", name, f"Column {name!r} goes back in time {back:,} times.",
            "Nothing: rows are learned in the order of time and answered in the order given.",
        )  # fmt: skip
    if present.dtype.kind == "M" and present.max() < np.datetime64("1980-01-01"):
        yield Finding(
            "times-near-1970", "warning", name,
            f"Column {name!r} ends on {str(present.max())[:10]}: its numbers were read as seconds since 1970.",
            "Write dates as 2018-07-25; if they count from another start, this is fine.",
        )  # fmt: skip


def classes(name: str, field: Field, column: np.ndarray) -> Iterator[Finding]:
    """What the label's classes show."""
    if field.kind not in ("flag", "category"):
        return
    names, counts = np.unique(column[~nothing(field, column)], return_counts=True)
    if len(names) == 1:
        yield Finding(
            "one-class", "error", name, f"Label {name!r} is {shown(field, names[0])} in all {counts[0]:,} rows.",
            "Give records of every class.",
        )  # fmt: skip
        return
    rare = [f"{shown(field, value)} ({count:,})" for value, count in zip(names, counts, strict=True) if count < RARE]
    if rare:
        yield Finding(
            "rare-class", "warning", name,
            f"Label {name!r} has classes of fewer than {RARE} rows: {', '.join(rare[:5])}{' ...' * (len(rare) > 5)}.",
            f"Give at least {RARE} records of every class, or join classes.",
        )  # fmt: skip


def leaks(columns: Table, fields: Mapping[str, Field], label: str) -> Iterator[Finding]:
    """Columns that know the label by themselves, as what was written down after the fact does."""
    field, truth = fields[label], columns[label]
    if field.kind not in ("flag", "category"):
        return
    known = np.flatnonzero(~nothing(field, truth))
    rng = np.random.default_rng(0)
    rows = rng.permutation(known)[:SAMPLE]
    names, place, counts = np.unique(truth[rows], return_inverse=True, return_counts=True)
    judged = [index for index in np.argsort(-counts)[:10] if FEWEST <= counts[index] <= len(rows) - FEWEST]
    if len(names) == 2:
        judged = judged[:1]
    if not judged:
        return
    for name, column in columns.items():
        if name == label or fields[name].kind in ("id", "text"):
            continue
        auc = float(np.mean([alone(fields[name], column[rows], place == index) for index in judged]))
        if auc >= LEAK:
            yield Finding(
                "leaking-column", "warning", name,
                f"Column {name!r} alone predicts {label!r} almost perfectly (AUC {auc:.3f}).",
                "Leave it out if it is known only after the label is (ignore=); keep it if it is known before.",
            )  # fmt: skip


def alone(field: Field, column: np.ndarray, truth: np.ndarray) -> float:
    """The AUC with which one column separates the true rows from the others, either way round."""
    missing = nothing(field, column)
    scores = [missing.astype(float)]
    distinct, place = np.unique(column, return_inverse=True)
    if field.kind not in STRINGS:
        scores += [np.where(missing, -1, place), np.where(missing, len(distinct), place)]
    if field.kind in STRINGS or len(distinct) <= 50:
        scores.append(shares(place, truth))
    return max(max(auc, 1 - auc) for auc in (area(score, truth) for score in scores))


def shares(place: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The share of true rows of each row's category, counted in the other half of the rows only."""
    half = np.arange(len(place)) % 2 == 0
    score = np.zeros(len(place))
    for here in (half, ~half):
        total = np.bincount(place[~here], minlength=place.max() + 1)
        true = np.bincount(place[~here], weights=truth[~here], minlength=place.max() + 1)
        score[here] = ((true + truth.mean()) / (total + 1))[place[here]]
    return score


def area(score: np.ndarray, truth: np.ndarray) -> float:
    """Area under the ROC curve, ties counted half."""
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[place]
    true = int(truth.sum())
    return float((rank[truth].sum() - true * (true + 1) / 2) / (true * (len(truth) - true)))


def duplicates(columns: Table, count: int) -> Iterator[Finding]:
    """Rows that are there more than once."""
    if not columns:
        return
    repeated = int(pd.DataFrame(columns).duplicated().sum())
    if repeated:
        yield Finding(
            "duplicate-rows", "warning" if repeated > 0.01 * count else "note", "table",
            f"{repeated:,} of {count:,} rows are exact copies of an earlier row.",
            "Leave the copies out, lest the same record is learned from and judged by.",
        )  # fmt: skip


def nothing(field: Field, column: np.ndarray) -> np.ndarray:
    """Which rows of a canonical column are missing."""
    if field.kind in STRINGS:
        return column == ""
    return np.isnat(column) if column.dtype.kind == "M" else np.isnan(column)


def shown(field: Field, value: object) -> str:
    """A label's value as a message shows it."""
    return f"{value:g}" if field.kind == "flag" else repr(value)
