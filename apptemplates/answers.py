"""Answers written as lines of csv or jsonl while they come, and queries taken from a pipe line by line."""

import csv
import io
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO

import numpy as np

from apptemplates.contract import Answers
from apptemplates.data import folders, values
from apptemplates.data.schema import DataError
from apptemplates.inference.one import plain

Row = dict[str, Any]


def answered(app: Any, data: Sequence[str]) -> Iterator[list[Row]]:
    """The answers to a file, or to several of media, each with its name then; some rows at a time."""
    start = 0
    for part in app._parts(data if len(data) > 1 else data[0]):
        rows = as_rows(app, part)
        if len(data) > 1:
            rows = [{"file": file, **row} for file, row in zip(data[start:], rows, strict=False)]
        start += len(rows)
        yield rows


def as_rows(app: Any, answers: Answers) -> list[Row]:
    """Columns of answers as rows of plain values; what is missing is None, or "" of words."""
    columns = [[_value(app, name, value) for value in column] for name, column in answers.items()]
    return [dict(zip(answers, row, strict=True)) for row in zip(*columns, strict=True)]


def _value(app: Any, name: str, value: Any) -> Any:
    """A value of a column of answers; a flag among missing ones was a number."""
    value = value.tolist() if isinstance(value, np.ndarray) else plain(value)
    if value is None or (isinstance(value, float) and value != value):
        return None
    return bool(value) if name in app.answer and app.answer[name].kind == "flag" else value


def piped(app: Any, lines: Iterable[bytes]) -> Iterator[list[Row]]:
    """The answer to each line of a pipe as soon as it has come; what it tells is the past of later lines.

    Args:
        app: A fitted template.
        lines: Of objects of JSON, or of csv with a header.

    Raises:
        DataError: There is no line, a line is no text, or a column is missing in the header.
    """
    nothing = dict.fromkeys(app.answer)
    for query, problem in queries(app, lines):
        try:
            if problem:
                raise DataError(problem)
            row = app.predict_one(query)
            if hasattr(app, "observe"):
                app.observe(query)
        except DataError as error:
            row = nothing | {"problem": str(error).removeprefix(f"{app.name}: ")}
        yield [{name: _value(app, name, row[name]) for name in app.answer}]


def queries(app: Any, lines: Iterable[bytes]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Each query of a pipe, and why a line is none ("" where it is one)."""
    texts = decoded(lines)
    first = next((text for text in texts if text.strip()), None)
    if first is None:
        raise DataError("predict: standard input is empty; give a JSON object a line, or csv with a header.")
    texts = itertools.chain([first], texts)
    for query, problem in from_jsonl(texts) if first.lstrip().startswith("{") else from_csv(app, texts):
        name = folders.path_column(query, app._media) if app._media else None
        yield ({app._media if key == name else key: value for key, value in query.items()}, problem)


def decoded(lines: Iterable[bytes]) -> Iterator[str]:
    """Lines as text."""
    for number, line in enumerate(lines, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"predict: line {number} of standard input is not UTF-8 text; send it as UTF-8.") from error


def from_jsonl(texts: Iterable[str]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """A query a line."""
    for text in texts:
        if not text.strip():
            continue
        try:
            query = json.loads(text)
        except json.JSONDecodeError as error:
            yield {}, f"the line is not JSON ({error.msg}); every line must be one object."
            continue
        whole = isinstance(query, dict)
        yield (query, "") if whole else ({}, f"the line is a {type(query).__name__}; every line must be one object.")


def from_csv(app: Any, texts: Iterable[str]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """A query a row below the header."""
    rows = csv.reader(texts)
    header = [cell.strip() for cell in next(rows)]
    known = folders.path_column(dict.fromkeys(header), app._media) if app._media else None
    absent = [name for name, field in app.query.items() if field.required and name not in header]
    if absent and not (known and absent == [app._media]):
        raise DataError(
            f"predict: the first line of standard input lacks {', '.join(map(repr, absent[:5]))}; it must name the "
            "columns, or every line must be a JSON object."
        )
    for row in rows:
        if len(row) == len(header):
            cells = (cell.strip() for cell in row)
            yield {name: None if cell in values.MISSING else cell for name, cell in zip(header, cells, strict=True)}, ""
        elif row:
            yield {}, f"the line has {len(row)} values but the first line {len(header)}; give one value a column."


class Writer:
    """Writes rows to a file as they come.

    Args:
        form: ".csv" or ".jsonl".
        file: Where to.

    Attributes:
        count: Rows written.
        problems: Those of them with a problem.
    """

    def __init__(self, form: str, file: TextIO) -> None:
        self.form, self.file = form, file
        self.count = self.problems = 0

    def write(self, rows: list[Row]) -> None:
        """Adds rows, which are in the file when this returns."""
        text = io.StringIO()
        if self.form == ".jsonl":
            text.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        else:
            lines = csv.writer(text, lineterminator="\n")
            if rows and not self.count:
                lines.writerow(rows[0])
            lines.writerows([_cell(value) for value in row.values()] for row in rows)
        self.file.write(text.getvalue())
        self.file.flush()
        self.count += len(rows)
        self.problems += sum(row["problem"] != "" for row in rows)


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
