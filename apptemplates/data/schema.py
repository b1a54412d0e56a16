"""What a table must hold: named fields with a kind, a unit and a range; and the one error for data that do not."""

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from apptemplates.data import values
from apptemplates.data.columns import (
    LARGEST,
    LONGEST,
    MISSING_VALUE,
    READ,
    as_column,
    column_sentence,
    empty_column,
    longest_of,
    read_media,
    value_sentence,
    word_reader,
)

KINDS = ("number", "flag", "category", "time", "text", "id", "vector", "image", "sound", "passage")


class DataError(ValueError):
    """The user's data can not be used as they are; the message says where and what to do."""


@dataclass(frozen=True)
class Field:
    """One column: what it means and which values it may hold.

    Args:
        meaning: What stands in it, as it would be said to a reader: "amount paid".
        kind: One of `KINDS`.
        shape: Shape of a single value, () but for vectors, images and sounds.
        unit: Unit of a number, "EUR".
        low, high: Smallest and largest allowed number, both included.
        required: Whether the column must be there; one that need not be and is absent counts as all missing.
        missing: Whether single values may be missing.
        sensitive: Whether it is for the audit by group only, never a feature.
        longest: Most characters in a string; None is 1,000 for category and id, 9,999 for text.
        lenient: Whether a value that can not be read counts as missing, without a word.
        several: Whether a category may be a list of words; they are joined by "|".
        ordered: Whether such a list keeps its order, and may be empty ("|").
        role: The argument of a template that names this column, where that argument may be None.
        named: Whether an argument names this column that may not be None.
    """

    meaning: str
    kind: str = "number"
    shape: tuple[int | None, ...] = ()
    unit: str = ""
    low: float | None = None
    high: float | None = None
    required: bool = True
    missing: bool = False
    sensitive: bool = False
    longest: int | None = None
    lenient: bool = False
    several: bool = False
    ordered: bool = False
    role: str = ""
    named: bool = False

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"Field: kind must be one of {', '.join(KINDS)}. Received: {self.kind!r}")

    @property
    def dtype(self) -> str:
        """Data type of this field as an input of a graph: "string" or "float32"."""
        return "string" if self.kind in (*LONGEST, "passage") else "float32"

    def to_json(self) -> dict[str, Any]:
        """This field as a dict of plain values."""
        return asdict(self) | {"shape": list(self.shape)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Field":
        """The field that `to_json` described."""
        return cls(**{**content, "shape": tuple(content["shape"])})


class Schema(dict[str, Field]):
    """Column names to fields, in the order they are shown to a reader.

    Example:
        >>> payment = Schema(amount=Field("amount paid", unit="EUR", low=0), shop=Field("kind of shop", "category"))
        >>> columns, problems = payment.check("FraudDetector", {"amount": ["9.5"], "shop": [12.0]})
        >>> columns["amount"], columns["shop"]
        (array([9.5]), array(['12'], dtype=object))
    """

    def __init__(self, /, **fields: Field):
        super().__init__(fields)

    @classmethod
    def of(cls, fields: Mapping[str, Field]) -> "Schema":
        """The schema of a mapping whose keys may be any strings."""
        return cls(**fields)

    def to_json(self) -> dict[str, dict[str, Any]]:
        """This schema as nested dicts of plain values, in order."""
        return {name: field.to_json() for name, field in self.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Mapping[str, Any]]) -> "Schema":
        """The schema that `to_json` described."""
        return cls.of({name: Field.from_json(field) for name, field in content.items()})

    def check(
        self, owner: str, table: Mapping[str, Any], *, rows: str = "refuse"
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The table's columns in canonical form, and what is wrong with each row.

        Args:
            owner: Who asks, for the message: "FraudDetector".
            table: Columns of equal length; those the schema does not name are left out.
            rows: "refuse" raises at the first bad column; "mark" notes the row's problem and makes the value missing.

        Returns:
            (columns, problems): number and flag float64 with NaN, category, id and text object arrays of str with "",
            time datetime64[us] in UTC with NaT, vector float32 (n, d), image and sound as they came;
            problems is an object array (n,) of "" or a sentence.

        Raises:
            DataError: for a missing column, columns of unequal length, and, with rows="refuse", a bad value.
        """
        if rows not in ("refuse", "mark"):
            raise ValueError(f"Schema.check: rows must be 'refuse' or 'mark'. Received: {rows!r}")
        self._refuse_absent(owner, table)
        raw = {name: as_column(table[name]) for name in self if name in table}
        count = self._one_length(owner, raw, table)
        problems = np.full(count, "", dtype=object)
        columns = {}
        for name, field in self.items():
            if name not in raw:
                columns[name] = empty_column(field, count)
                continue
            columns[name], faults = READ[field.kind](field, raw[name])
            for fault in faults:
                if not fault.bad.any():
                    continue
                if field.lenient:
                    columns[name][fault.bad] = MISSING_VALUE[field.kind]
                    continue
                if rows == "refuse":
                    raise DataError(f"{owner}: {column_sentence(name, field, raw[name], fault)}")
                for row in np.flatnonzero(fault.bad):
                    sentence = value_sentence(name, field, raw[name][row], fault)
                    problems[row] = f"{problems[row]} {sentence}".lstrip()
                if field.kind in MISSING_VALUE:
                    columns[name][fault.bad] = MISSING_VALUE[field.kind]
        return columns, problems

    def check_one(self, owner: str, query: Mapping[str, Any]) -> dict[str, Any]:
        """One query in canonical form: float, str, numpy.datetime64 or array by name; unknown names are left out.

        Raises:
            DataError: if a value is absent or not what its field allows, as `check` of a table of this one row would.
        """
        answer: dict[str, Any] = {}
        for name, field in self.items():
            try:
                value = query[name]
            except KeyError:
                if field.required:
                    self._refuse_absent(owner, query)
                answer[name] = empty_column(field, 1)[0]
                continue
            answer[name] = read_one(owner, name, field, value)
        return answer

    def _refuse_absent(self, owner: str, table: Mapping[str, Any]) -> None:
        absent = [name for name, field in self.items() if field.required and name not in table]
        if not absent:
            return
        have = [str(name) for name in table]
        shown = ", ".join(map(repr, have[:20])) + (f" and {len(have) - 20} more" if len(have) > 20 else "")
        lower = {name.lower(): name for name in have}
        near = [lower[found] for found in difflib.get_close_matches(absent[0].lower(), lower, n=1)]
        meaning = self[absent[0]].meaning
        which = f"column {absent[0]!r} {f'({meaning}) ' if meaning != absent[0] else ''}is missing"
        if len(absent) > 1:
            which = f"columns {', '.join(map(repr, absent))} are missing"
        none = " and ".join(f"{self[name].role}=None" for name in absent if self[name].role)
        raise DataError(
            f"{owner}: {which}; there "
            + (f"are {shown}" if have else "are no columns at all")
            + (f"; did you mean {near[0]!r}{'' if none else '?'}" if near else "")
            + (f"; name another column, or say {none} where there is none." if none else "")
            + ("" if near or none else "; add it or name another column.")
        )

    def _one_length(self, owner: str, raw: Mapping[str, np.ndarray], table: Mapping[str, Any]) -> int:
        lengths = {name: len(column) for name, column in raw.items()}
        if not lengths:
            return max((len(as_column(column)) for column in table.values()), default=0)
        first, count = next(iter(lengths.items()))
        for name, length in lengths.items():
            if length != count:
                raise DataError(
                    f"{owner}: column {name!r} has {length:,} rows but {first!r} has {count:,}; "
                    "every column must have one value a row."
                )
        return count


def read_one(owner: str, name: str, field: Field, value: Any) -> Any:
    """One value in canonical form; anything unusual is left to the column's reader, so both always agree."""
    try:
        if field.kind == "number":
            number = values.number(value)
            low, high = field.low, field.high
            if abs(number) <= LARGEST and (low is None or number >= low) and (high is None or number <= high):
                return number
        elif field.kind == "flag":
            flag = values.flag(value)
            if flag == flag:
                return flag
        elif field.kind == "time":
            time, _ = values.moment(value)
            if time is not None:
                return np.datetime64(time, "us")
        elif field.kind in LONGEST:
            word = word_reader(field)(value)
            if word and len(word) <= longest_of(field) and not word.isspace():
                return word
    except values.Unreadable:
        pass
    raw = np.empty(1, dtype=object)
    raw[0] = value
    if field.kind in ("image", "sound"):
        _, faults = read_media(field, raw)
        answer = value
    else:
        column, faults = READ[field.kind](field, raw)
        answer = column[0] if column.dtype.kind in "OM" or column.ndim > 1 else float(column[0])
    for fault in faults:
        if fault.bad.any() and field.lenient:
            return MISSING_VALUE[field.kind]
        if fault.bad.any():
            raise DataError(f"{owner}: {value_sentence(name, field, value, fault)}")
    return answer
