"""One raw column to its canonical form by kind, and the faults found in it. NumPy only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from apptemplates.data import values

if TYPE_CHECKING:
    from apptemplates.data.schema import Field

LONGEST = {"category": 1_000, "id": 1_000, "text": 9_999}
MISSING_VALUE = {
    "number": np.nan, "flag": np.nan, "vector": np.nan, "time": values.NOTHING, "category": "", "id": "", "text": "",
    "passage": "",
}  # fmt: skip
LARGEST = float(np.finfo(np.float32).max)  # a graph's numbers are float32


class Fault(NamedTuple):
    """Rows of one column that hold what the field does not allow."""

    tail: str  # ends "has 3 values ...": "below 0"
    expected: str  # ends "amount paid must be ...": ">= 0"
    bad: np.ndarray  # (n,) bool


def as_column(column: Any) -> np.ndarray:
    """A column as an array with one entry a row."""
    if isinstance(column, np.ndarray):
        return column if column.ndim else column.reshape(1)
    if hasattr(column, "dtype"):  # pandas
        if getattr(column.dtype, "tz", None) is not None:
            column = getattr(column, "dt", column).tz_convert(None)
        return np.asarray(column)
    if isinstance(column, str | bytes) or not hasattr(column, "__len__"):
        column = [column]
    if len(column) and isinstance(column[0], np.ndarray | list | tuple):
        try:
            return np.asarray(column)
        except ValueError:  # of unequal shapes
            pass
    return objects(list(column))


def empty_column(field: Field, count: int) -> np.ndarray:
    """A canonical column of missing values."""
    if field.kind == "vector":
        return np.full((count, *(size or 0 for size in field.shape)), np.nan, dtype=np.float32)
    missing = MISSING_VALUE.get(field.kind)
    return np.full(count, missing, dtype=object if missing in ("", None) else None)


def each(read: Callable[[Any], Any], column: np.ndarray, missing: Any, expected: str) -> tuple[list, list[Fault]]:
    """Every value read on its own; what is unreadable becomes missing and a fault."""
    found: list = []
    unreadable: dict[str, list[int]] = {}
    for row, value in enumerate(column):
        try:
            found.append(read(value))
        except values.Unreadable as reason:
            found.append(missing)
            unreadable.setdefault(str(reason), []).append(row)
    return found, [Fault(reason, expected, at(bad, len(column))) for reason, bad in unreadable.items()]


def objects(values: list) -> np.ndarray:
    """A list as an array of objects (n,), whatever its entries are."""
    answer = np.empty(len(values), dtype=object)
    answer[:] = values
    return answer


def at(rows: list[int], count: int) -> np.ndarray:
    """One boolean a row, true for the named rows."""
    answer = np.zeros(count, bool)
    answer[rows] = True
    return answer


def read_numbers(field: Field, column: np.ndarray) -> tuple[np.ndarray, list[Fault]]:
    """Numbers as float64, missing as NaN."""
    if column.dtype.kind in "biuf" and column.ndim == 1:
        numbers = column.astype(np.float64)
        faults: list[Fault] = []
    else:
        found, faults = each(values.number, column, np.nan, "a number")
        numbers = np.array(found, dtype=np.float64)
    faults += absent(field, np.isnan(numbers), faults)
    faults.append(Fault("infinite", "a finite number", np.abs(numbers) > LARGEST))
    if field.low is not None:
        faults.append(Fault(f"below {field.low:g}", span(field), numbers < field.low))
    if field.high is not None:
        faults.append(Fault(f"above {field.high:g}", span(field), numbers > field.high))
    return numbers, faults


def read_flags(field: Field, column: np.ndarray) -> tuple[np.ndarray, list[Fault]]:
    """Flags as float64 0 and 1, missing as NaN."""
    if column.dtype.kind in "biuf" and column.ndim == 1:
        flags = column.astype(np.float64)
        wrong = ~np.isnan(flags) & (flags != 0) & (flags != 1)
        flags[wrong] = np.nan
        faults = [Fault("other than 0 and 1", "0 or 1", wrong)]
    else:
        found, faults = each(values.flag, column, np.nan, "0 or 1")
        flags = np.array(found, dtype=np.float64)
    return flags, faults + absent(field, np.isnan(flags), faults)


def read_words(field: Field, column: np.ndarray) -> tuple[np.ndarray, list[Fault]]:
    """Categories, ids and texts as objects of str, missing as ""."""
    read = word_reader(field)
    if column.dtype.kind in "biuf" and column.ndim == 1:  # read every number once, there are far fewer than rows
        distinct, place = np.unique(column, return_inverse=True)
        found = list(map(str, distinct.tolist()) if column.dtype.kind in "iu" else map(read, distinct))
        words = objects(found)[place]
        return words, absent(field, words == "", [])
    found, faults = each(read, column, "", "one string")
    words = objects(found)
    blank = np.fromiter((not value or value.isspace() for value in words), bool, len(words))
    words[blank] = ""
    longest = longest_of(field)
    long = np.fromiter((len(value) > longest for value in words), bool, len(words))
    faults += absent(field, blank, faults)
    faults.append(Fault(f"longer than {longest:,} characters", f"at most {longest:,} characters", long))
    return words, faults


def read_passages(field: Field, column: np.ndarray) -> tuple[np.ndarray, list[Fault]]:
    """Passages as objects, every character as it came: str, or what stays on disk until it is read; missing as ""."""
    found, nothing, nul = objects([""] * len(column)), np.zeros(len(column), bool), np.zeros(len(column), bool)
    unreadable: dict[str, list[int]] = {}
    for row, value in enumerate(column):
        nothing[row] = values.is_missing(value)
        try:
            found[row] = value if hasattr(value, "read") else values.text(value)
        except values.Unreadable as reason:
            unreadable.setdefault(str(reason), []).append(row)
        nul[row] = isinstance(found[row], str) and "\0" in found[row]
    faults = [Fault(reason, "text", at(bad, len(column))) for reason, bad in unreadable.items()]
    faults += absent(field, nothing, faults)
    return found, [*faults, Fault("with NUL characters", "text without them", nul)]


def word_reader(field: Field) -> Callable[[Any], str]:
    """How one value of a category, id or text is read."""
    if field.kind == "text":
        return values.text
    if field.ordered:
        return values.listed
    return values.words if field.several else values.word


def read_times(field: Field, column: np.ndarray) -> tuple[np.ndarray, list[Fault]]:
    """Times as datetime64[us] in UTC, missing as NaT."""
    expected = "a time such as 2018-07-25 12:30:00"
    if column.dtype.kind == "M" and column.ndim == 1:
        times, faults = column.astype("datetime64[us]"), []
    elif column.dtype.kind in "iuf" and column.ndim == 1:
        seconds = column.astype(np.float64)
        with np.errstate(invalid="ignore"):
            wrong = ~np.isnan(seconds) & ~((seconds >= values.EARLIEST) & (seconds < values.LATEST))
        nothing = np.isnan(seconds) | wrong
        times = np.round(np.where(nothing, 0, seconds) * 1e6).astype(np.int64).view("datetime64[us]")
        times[nothing] = values.NOTHING
        faults = [Fault("unreadable as a time in seconds since 1970", expected, wrong)]
    else:
        found, faults = each(values.moment, column, (None, ""), expected)
        found, faults = retry_other_formats(column, found, faults, expected)
        times = np.array([time for time, _ in found], dtype="datetime64[us]")
        faults += mixed_zones(column, found)
    return times, faults + absent(field, np.isnat(times), faults)


def retry_other_formats(
    column: np.ndarray, found: list, faults: list[Fault], expected: str
) -> tuple[list, list[Fault]]:
    """What is not ISO 8601 is read once more, all in one other format."""
    rows = [row for fault in faults for row in np.flatnonzero(fault.bad).tolist() if isinstance(column[row], str)]
    if not rows:
        return found, faults
    answers = values.other_moments([column[row].strip() for row in rows])
    unreadable: dict[str, list[int]] = {}
    for row, (time, reason) in zip(rows, answers, strict=True):
        found[row] = (time, "")
        if time is None:
            unreadable.setdefault(reason, []).append(row)
    left = [fault._replace(bad=fault.bad & ~at(rows, len(column))) for fault in faults]
    return found, left + [Fault(reason, expected, at(bad, len(column))) for reason, bad in unreadable.items()]


def mixed_zones(column: np.ndarray, found: list) -> list[Fault]:
    """A fault where times in different zones, or with and without one, stand in one column."""
    zones: dict[str, list[int]] = {}
    for row, (time, zone) in enumerate(found):
        if time is not None:
            zones.setdefault(zone, []).append(row)
    if len(zones) < 2:
        return []
    usual = max(zones, key=lambda zone: len(zones[zone]))
    other = at([row for zone, rows in zones.items() if zone != usual for row in rows], len(column))
    first = zones[usual][0]
    tail = f"in another time zone than row {first} ({shown(column[first])})"
    return [Fault(tail, "all in one time zone or all without one", other)]


def read_vectors(field: Field, column: np.ndarray) -> tuple[np.ndarray, list[Fault]]:
    """Vectors as float32 (n, ...), missing as NaN."""
    expected = f"{' x '.join(str(size or '?') for size in field.shape) or 'a list of'} finite numbers"
    found, shape = [], field.shape
    wrong, nothing = np.zeros(len(column), bool), np.zeros(len(column), bool)
    for row, value in enumerate(column):
        try:
            vector = np.asarray([] if value is None else value, dtype=np.float32)
        except (TypeError, ValueError):
            vector = np.zeros(0, np.float32)
        nothing[row] = value is None
        if not shape or None in shape:
            shape = vector.shape if vector.ndim and vector.size else shape
        wrong[row] = (not nothing[row] and vector.shape != shape) or not np.isfinite(vector).all()
        found.append(None if vector.shape != shape else vector)
    blank = np.full([size or 0 for size in shape], np.nan, np.float32)
    vectors = np.array([blank if vector is None else vector for vector in found], np.float32)
    vectors = vectors.reshape(len(column), *blank.shape)
    return vectors, [Fault("of another shape or not finite", expected, wrong), *absent(field, nothing, [])]


def read_media(field: Field, column: np.ndarray) -> tuple[np.ndarray, list[Fault]]:
    """Images and sounds as they came."""
    nothing = np.zeros(len(column), bool)
    if column.dtype == object and column.ndim == 1:
        nothing = np.fromiter((values.is_missing(value) for value in column), bool, len(column))
    return column, absent(field, nothing, [])


def absent(field: Field, nothing: np.ndarray, others: list[Fault]) -> list[Fault]:
    """A fault where values are missing that must not be, those left out that another fault made missing."""
    if field.missing:
        return []
    for fault in others:
        nothing = nothing & ~fault.bad
    return [Fault("missing", "given", nothing)]


READ: dict[str, Callable[[Field, np.ndarray], tuple[np.ndarray, list[Fault]]]] = {
    "number": read_numbers, "flag": read_flags, "category": read_words, "id": read_words, "text": read_words,
    "time": read_times, "vector": read_vectors, "image": read_media, "sound": read_media,
    "passage": read_passages,
}  # fmt: skip


def longest_of(field: Field) -> int:
    """Most characters that a string of this field may have."""
    return LONGEST[field.kind] if field.longest is None else field.longest


def span(field: Field) -> str:
    """The allowed numbers: ">= 0", "<= 1" or "from 0 to 1", with the unit."""
    unit = f" {field.unit}" if field.unit else ""
    if field.high is None:
        return f">= {field.low:g}{unit}"
    if field.low is None:
        return f"<= {field.high:g}{unit}"
    return f"from {field.low:g} to {field.high:g}{unit}"


def shown(value: Any) -> str:
    """A value as a message shows it: short, strings in quotes."""
    if isinstance(value, np.datetime64 | np.str_):
        value = str(value)
    content = " ".join(repr(value.item() if isinstance(value, np.generic) else value).split("\n"))
    return content if len(content) <= 60 else f"{content[:56]} ..."


def column_sentence(name: str, field: Field, column: np.ndarray, fault: Fault) -> str:
    """What is wrong with a column, for all its rows."""
    rows = np.flatnonzero(fault.bad)
    count = f"{len(rows):,} value{'s' if len(rows) > 1 else ''}"
    where = f"{'first ' if len(rows) > 1 else ''}in row {rows[0]} ({shown(column[rows[0]])})"
    return f"column {name!r} has {count} {fault.tail}, {where}; {field.meaning} must be {fault.expected}."


def value_sentence(name: str, field: Field, value: Any, fault: Fault) -> str:
    """What is wrong with one value."""
    if fault.tail == "missing":
        return f"column {name!r} is missing ({shown(value)}); {field.meaning} must be given."
    return f"column {name!r} is {shown(value)}, {fault.tail}; {field.meaning} must be {fault.expected}."
