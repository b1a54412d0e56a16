"""Files of tables, by their ending."""

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from apptemplates.data import interactions, values
from apptemplates.data.objects import from_frame, from_rows, refuse_twice
from apptemplates.data.schema import DataError
from apptemplates.data.table import Table

KNOWN = ".csv, .tsv, .parquet, .jsonl, .txt (each also .gz)"


def read(path: Path, names: Sequence[str] | None = None) -> Table:
    """The table in a file, read by its ending."""
    if not path.exists():
        near = sorted(other.name for other in path.parent.glob(f"{path.stem[:3]}*"))[:3] if path.parent.is_dir() else []
        raise DataError(
            f"{path}: there is no such file" + (f"; beside it are {', '.join(near)}." if near else "; check the path.")
        )
    if path.is_dir():
        inside = sorted(file.name for file in path.iterdir() if ending(file) in FILES)[:3]
        raise DataError(
            f"{path}: this is a folder; one file is expected"
            + (f", such as {inside[0]!r} in it." if inside else f", ending in {KNOWN}.")
        )
    if ending(path) not in FILES:
        raise DataError(f"{path}: the ending {path.suffix!r} is not known; known are {KNOWN}.")
    try:
        content = path.read_bytes()
        if path.suffix.lower() == ".gz":
            content = gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: this is no complete gzip file ({error}); copy or make it again.") from error
    except OSError as error:
        raise DataError(f"{path}: the file can not be read ({error.strerror}); check its permissions.") from error
    if not content.strip():
        raise DataError(f"{path}: the file is empty; a table with at least one row is expected.")
    if names is not None and ending(path) not in (".csv", ".tsv"):
        raise DataError(f"{path}: names are for csv and tsv files without a header; leave them out.")
    return FILES[ending(path)](path, content, names)


def ending(path: Path) -> str:
    """What a file's name ends in, without .gz."""
    return Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()


def from_csv(path: Path, content: bytes, names: Sequence[str] | None) -> Table:
    """The table in comma-separated text."""
    return from_separated(path, content, names, ",")


def from_tsv(path: Path, content: bytes, names: Sequence[str] | None) -> Table:
    """The table in tab-separated text."""
    return from_separated(path, content, names, "\t")


def from_separated(path: Path, content: bytes, names: Sequence[str] | None, separator: str) -> Table:
    """The table in separated text, every column typed as a whole."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    content = content.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    lines = readable_lines(path, content)
    try:
        first = [cell.strip() for cell in next(csv.reader(lines, delimiter=separator))]
    except csv.Error as error:
        raise DataError(f"{path}: the first line is no row of column names ({error}); save the file again.") from error
    if len(first) == 1 and names is None:
        column = first[0][:60]
        other = next((mark for mark in ",;\t|" if mark != separator and mark in first[0]), None)
        if other:
            raise DataError(
                f"{path}: there is one column, named {column!r}, separated by {other!r} it seems; a "
                f"{path.suffix} file must be separated by {separator!r}: save it so or "
                f"give pandas.read_csv(path, sep={other!r})."
            )
    headed = names is None
    if names is None:
        names = [name or f"unnamed_{place}" for place, name in enumerate(first)]
    elif len(names) != len(first):
        raise DataError(
            f"{path}: names= has {len(names)} names but the first line {len(first)} values; give one name a column."
        )
    ragged: list[Any] = []

    def note(row: Any) -> str:
        ragged.append(row)
        return "skip"

    if headed:
        refuse_headless(path, first, separator)
    refuse_twice(str(path), list(names))
    places = [str(place) for place in range(len(names))]
    try:
        arrow = arrow_csv.read_csv(
            pa.BufferReader(content),
            read_options=arrow_csv.ReadOptions(
                column_names=places, skip_rows_after_names=int(headed), use_threads=False
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=separator, newlines_in_values=True, invalid_row_handler=note
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types={str(place): pa.string() for place in range(len(names))},
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{path}: the file is no separated text ({str(error).splitlines()[0]}); save it again."
        ) from error
    if ragged:
        row = ragged[0]
        has = f"{row.actual_columns} value{'s' if row.actual_columns > 1 else ''}"
        more = f" (and {len(ragged) - 1:,} lines more)" if len(ragged) > 1 else ""
        raise DataError(
            f"{path}: line {row.number} has {has} but the first line has {row.expected_columns}{more}: "
            f"{row.text[:60]!r}; every row must have one value a column, and text "
            "that holds the separator must stand in quotes."
        )
    return {name: from_strings(arrow.column(place)) for place, name in enumerate(names)}


def readable_lines(path: Path, content: bytes) -> io.StringIO:
    """The text of a file, whose first lines say how it is built."""
    try:
        return io.StringIO(content.decode("utf-8"), newline="")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(f"{path}: line {line} is not UTF-8 text; save the file as UTF-8.") from error


def refuse_headless(path: Path, first: list[str], separator: str) -> None:
    """Refuses a first line that is a row of data: numbers in it that do not count up, as years or places would."""
    numbers = [cell for cell in first if re.fullmatch(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", cell)]
    whole = [int(cell) for cell in numbers if cell.isdigit()]
    counting = len(whole) == len(numbers) and all(a < b for a, b in pairwise(whole))
    if numbers and not counting:
        raise DataError(
            f"{path}: the first line ({separator.join(first)[:60]} ...) looks like a row of data, not like column "
            "names; add a header line or read it with at.read(path, names=[...])."
        )


def from_strings(column: Any) -> np.ndarray:
    """A column of text (a pyarrow array) as numbers where all of it is, else as str with None for missing."""
    import pyarrow as pa
    from pyarrow import compute

    column = compute.utf8_trim_whitespace(column)
    column = compute.if_else(
        compute.is_in(column, pa.array(sorted(values.MISSING))), pa.scalar(None, pa.string()), column
    )
    # codes: leading zeros, and more digits than float64 can tell apart
    code = compute.any(compute.match_substring_regex(column, r"^[+-]?(0\d|\d{16})")).as_py()
    if column.null_count < len(column) and not code:
        for kind in (pa.int64(), pa.float64()):
            try:
                return compute.cast(column, kind).to_numpy()
            except pa.ArrowInvalid:
                continue
    return column.to_numpy().astype(object) if len(column) else np.empty(0, object)


def from_jsonl(path: Path, content: bytes, names: Sequence[str] | None) -> Table:
    """The table in a file of one JSON object a line."""
    records = []
    for number, line in enumerate(readable_lines(path, content), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{path}: line {number} is not JSON ({error.msg}); every line must be one object."
            ) from error
        if not isinstance(record, dict):
            raise DataError(
                f"{path}: line {number} is a {type(record).__name__}; every line must be one object {{...}}."
            )
        records.append(record)
    return from_rows(records)


def from_parquet(path: Path, content: bytes, names: Sequence[str] | None) -> Table:
    """The table in a parquet file."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        arrow = parquet.read_table(pa.BufferReader(content))
        frame = arrow.to_pandas(ignore_metadata=True)
    except (pa.ArrowException, ValueError, OSError) as error:  # damaged bytes show up anywhere, in text and JSON too
        reason = str(error).splitlines()[0][:200]
        raise DataError(f"{path}: this is no complete parquet file ({reason}); make it again.") from error
    refuse_twice(str(path), arrow.column_names)
    return from_frame(frame)


Reader = Callable[[Path, bytes, Sequence[str] | None], Table]
FILES: dict[str, Reader] = {
    ".csv": from_csv,
    ".tsv": from_tsv,
    ".parquet": from_parquet,
    ".jsonl": from_jsonl,
    ".txt": interactions.from_lines,
}
