"""One raw value to its canonical form: a number, a flag, a word, a text, a moment. NumPy only."""

import re
import warnings
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

# Words that files write where there is no value.
MISSING = frozenset({"", "?", "NA", "N/A", "NaN", "nan", "NULL", "null"})
TRUE = frozenset({"1", "true", "yes", "y", "t", "on"})
FALSE = frozenset({"0", "false", "no", "n", "f", "off"})
NOTHING = np.datetime64("NaT", "us")
EPOCH = datetime(1970, 1, 1)
# Seconds beyond these are no plausible moment: before year 1, after 2286 (milliseconds taken for seconds land there).
EARLIEST, LATEST = -62_135_596_800.0, 1e10


class Unreadable(ValueError):
    """A value is not of its kind; the message says so after "has 3 values ..."."""


def is_missing(value: Any) -> bool:
    """Whether a single value stands for "no value" in Python, NumPy or pandas (strings are not looked at)."""
    if value is None:
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    if isinstance(value, float | np.floating):
        return bool(value != value)
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    return type(value).__name__ in ("NAType", "NaTType")


def number(value: Any) -> float:
    """The number a value stands for; NaN where it is missing.

    Raises:
        Unreadable: for text that is no number, dates, lists.
    """
    kind = type(value)
    if kind is float:
        return value
    if kind is bytes:
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        text = value.strip()
        if text in MISSING:
            return float("nan")
        try:
            if "_" not in text:  # Python reads 1_000, people do not write it
                return float(text)
        except ValueError:
            pass
        raise Unreadable("unreadable as a number")
    if is_missing(value):
        return float("nan")
    if isinstance(value, int | float | Decimal | np.integer | np.floating | np.bool_):
        try:
            return float(value)
        except OverflowError:  # an int of more than 308 digits
            return float("inf")
    raise Unreadable("unreadable as a number")


def flag(value: Any) -> float:
    """1.0 or 0.0 for true or false, 1 or 0, yes or no; NaN where the value is missing.

    Raises:
        Unreadable: for any other value.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        text = value.strip().lower()
        if text in TRUE:
            return 1.0
        if text in FALSE:
            return 0.0
    try:
        truth = number(value)
    except Unreadable:
        truth = 2.0
    if truth in (0.0, 1.0) or truth != truth:
        return truth
    raise Unreadable("other than 0 and 1")


def text(value: Any) -> str:
    """The characters of a value, as written; "" where it is missing. 12 and 12.0 are both "12".

    Raises:
        Unreadable: for lists, dicts and arrays.
    """
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if is_missing(value):
        return ""
    if isinstance(value, float | np.floating | Decimal) and abs(float(value)) < 1e16 and value == int(value):
        return str(int(value))
    if isinstance(value, list | tuple | dict | set | np.ndarray):
        raise Unreadable("unreadable as one value")
    return str(value)


def word(value: Any) -> str:
    """The name a value stands for: its characters without blanks around them; "" where it is missing."""
    return (value if type(value) is str else text(value)).strip()


def words(value: Any) -> str:
    """The name of one class, or those of a list of classes joined by "|"."""
    if isinstance(value, list | tuple | set | frozenset | np.ndarray):
        return "|".join(sorted(word(part) for part in value))
    return word(value)


def listed(value: Any) -> str:
    """The names of a list in its order, joined by "|", which alone stands for an empty list; "" where it is missing.

    Raises:
        Unreadable: for a list with a missing name, and for names that hold "|".
    """
    if not isinstance(value, list | tuple | np.ndarray):
        return word(value)
    names = [word(part) for part in value]
    for place, name in enumerate(names):
        if not name or "|" in name:
            raise Unreadable(f"a list with {'a missing name' if not name else repr(name)} in place {place}")
    return "|".join(names) or "|"


def moment(value: Any) -> tuple[datetime | None, str]:
    """The moment a value stands for, in UTC, and the zone it was given in ("" where none was).

    Args:
        value: A date, a datetime (with a zone: turned to UTC), an ISO 8601 string, seconds since 1970.

    Returns:
        (moment or None where the value is missing, zone).

    Raises:
        Unreadable: if it is none of these; `other_moments` may still know the format.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        written = value.strip()
        if written in MISSING:
            return None, ""
        try:
            if written[4:5] == "-":
                return without_zone(datetime.fromisoformat(written))
            return since_1970(number(written)), ""
        except ValueError:
            raise Unreadable("unreadable as a time") from None
    if is_missing(value):
        return None, ""
    if isinstance(value, datetime):
        return without_zone(value)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day), ""
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
        if isinstance(value, datetime):
            return value, ""
        raise Unreadable("unreadable as a time")
    if isinstance(value, int | float | np.integer | np.floating | Decimal) and not isinstance(value, bool):
        return since_1970(float(value)), ""
    raise Unreadable("unreadable as a time")


def without_zone(value: datetime) -> tuple[datetime, str]:
    """A datetime in UTC without its zone, and the name of the zone it had."""
    offset = value.utcoffset()
    if type(value) is not datetime:  # pandas' own timestamps carry nanoseconds, which a datetime drops
        value = datetime(*value.timetuple()[:6], value.microsecond, tzinfo=value.tzinfo)
    if offset is None:
        return value, ""
    try:
        return value.replace(tzinfo=None) - offset, str(value.tzinfo)
    except OverflowError:
        raise Unreadable("unreadable as a time") from None


def since_1970(seconds: float) -> datetime:
    """The moment so many seconds after the start of 1970."""
    if not EARLIEST <= seconds < LATEST:
        raise Unreadable("unreadable as a time in seconds since 1970")
    return EPOCH + timedelta(microseconds=round(seconds * 1e6))


# A year of four digits or three groups of digits: without them pandas would fill in today's date.
DATED = re.compile(r"\d{4}\D.*\d|\d.*\D\d{4}|\d\D+\d+\D+\d")


def other_moments(texts: list[str]) -> list[tuple[datetime | None, str]]:
    """Moments from strings in formats other than ISO, all taken to be in the same format.

    Returns:
        For each string (moment, "") or (None, why not). Where day and month could be either way round
        and no other row decides it, the answer is None: a guess would silently move payments by months.
    """
    refused: list[tuple[datetime | None, str]] = [(None, "unreadable as a time")] * len(texts)
    try:
        import pandas
    except ImportError:
        return refused

    dated = [found if DATED.search(found) else None for found in texts]
    readings = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for day_first in (False, True):
            try:
                reading = pandas.to_datetime(pandas.Series(dated, dtype=object), errors="coerce", dayfirst=day_first)
            except (ValueError, OverflowError):  # pandas refuses a column of several zones
                return refused
            if reading.dtype.kind != "M":
                return refused
            if getattr(reading.dt, "tz", None) is not None:
                reading = reading.dt.tz_convert(None)
            readings.append(reading.to_numpy().astype("datetime64[us]"))
    month_first, day_first = readings
    failed_month, failed_day = int(np.isnat(month_first).sum()), int(np.isnat(day_first).sum())
    chosen = day_first if failed_day < failed_month else month_first
    answers: list[tuple[datetime | None, str]] = []
    for index, found in enumerate(chosen.tolist()):
        if found is None or not isinstance(found, datetime):
            answers.append((None, "unreadable as a time"))
        elif failed_day == failed_month and month_first[index] != day_first[index]:
            answers.append((None, "unreadable as a time, as day and month could be either way round"))
        else:
            answers.append((found, ""))
    return answers
