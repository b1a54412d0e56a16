"""Any source to a table: files, folders of media, frames, dicts, arrays, tf.data and TFDS."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apptemplates.data import files, folders, tfds
from apptemplates.data import prose as texts
from apptemplates.data.objects import from_frame, from_media, from_rows, from_values
from apptemplates.data.schema import DataError
from apptemplates.data.table import Table, rows


def read(
    source: Any,
    labels: Any = None,
    label: str = "label",
    *,
    names: Sequence[str] | None = None,
    media: str | None = None,
    prose: str | None = None,
) -> Table:
    """The table in a source.

    Args:
        source: A path ending in .csv, .tsv, .parquet or .jsonl (or that and .gz), "tfds:name/config:split", a
            pandas.DataFrame, a dict of columns (of single values: one row), a list of dicts, (features, labels), an
            array (n, d), whose columns become x0, x1, ..., or a tf.data.Dataset of dicts, (dict, label) or (x, label).
            Of media also: a folder with a subfolder for each label, or with an index file in it or beside it,
            "scans.npz" or "scans.npz:train", a picture's file, an array (n, h, w) or (n, h, w, c), a list of paths,
            bytes, arrays or PIL images; or a table of any form with a column of those.
        labels: Values for the column `label` that the source lacks, one a row.
        label: Name of the column that labels go to.
        names: Column names of a csv or tsv file without a header line.
        media: Name of the column that pictures or sounds go to, where there are some. A column called "path", "file"
            or the like is taken for it; relative paths count from the folder of the table's file.
        prose: Name of the column that text goes to, where it is learned from as such: of a text file, of all files in
            a folder, or of a list of strings.

    Returns:
        A dict of equal-length columns: numbers, booleans and datetime64 where the source is typed so, else object
        arrays of str with None for missing. In text files "", "?", "NA", "NaN", "N/A" and "null" are missing; codes
        with leading zeros and numbers too long for float64 stay strings.

    Raises:
        DataError: if the source can not be read, or has no rows.

    Example:
        >>> read([{"amount": 9.5, "shop": "bakery"}])
        {'amount': array([9.5]), 'shop': array(['bakery'], dtype=object)}
    """
    if isinstance(source, str) and source.startswith("tfds:"):
        who, table = source, from_dataset(*tfds.load(source, encoded=media is not None), label, media)
    elif isinstance(source, str | os.PathLike):
        who, table = str(source), from_path(os.fspath(source), names, label, media, prose)
    else:
        who, table = f"the {type(source).__name__}", from_memory(source, label, media or prose)
    if media:
        table = folders.named_media(table, media)
    if labels is not None:
        if label in table:
            raise DataError(
                f"{who}: there is a column {label!r} already, and labels were given too; "
                "leave one of the two out, or name another column for the labels."
            )
        table = {**table, label: from_values(labels)}
    lengths = {name: len(column) for name, column in table.items()}
    if len(set(lengths.values())) > 1:
        (first, count), *others = lengths.items()
        other, wrong = next((name, length) for name, length in others if length != count)
        raise DataError(
            f"{who}: column {other!r} has {wrong:,} rows but {first!r} has {count:,}; "
            "every column must have one value a row."
        )
    if not rows(table):
        raise DataError(f"{who}: there are no rows; at least one is needed.")
    return table


def from_path(
    source: str, names: Sequence[str] | None, label: str, media: str | None, prose: str | None = None
) -> Table:
    """The table in a file or a folder."""
    path = Path(source).expanduser()
    if prose and texts.is_prose(path):
        return texts.read(path, prose)
    archive = folders.npz_part(source)
    if archive:
        return folders.from_npz(*archive, media or "image", label)
    if path.is_dir() and (media or folders.holds_media(path)):
        return folders.from_folder(path, media or "path", label)
    if media and path.suffix.lower() in folders.MEDIA:
        return {media: from_media([str(path)])}
    table = files.read(path, names)
    return folders.from_index(path, table, media) if media and folders.path_column(table, media) else table


def from_memory(source: Any, label: str, media: str | None) -> Table:
    """The table in a Python object."""
    if hasattr(source, "element_spec"):  # a tf.data.Dataset, known without importing TensorFlow
        return from_dataset(source, {}, label, media)
    if hasattr(source, "columns") and hasattr(source, "iloc"):
        table = from_frame(source)
        return {**table, media: from_media(source[media])} if media and media in source.columns else table
    if isinstance(source, Mapping):
        if source and all(is_single(value) for value in source.values()):
            source = {name: [value] for name, value in source.items()}
        return {str(name): (from_media if name == media else from_values)(column) for name, column in source.items()}
    if isinstance(source, tuple) and len(source) == 2:
        return with_label(source[0], source[1], label, media)
    if media and (isinstance(source, bytes) or hasattr(source, "getbands")):  # an encoded picture; one of PIL
        return {media: from_media([source])}
    if isinstance(source, np.ndarray):
        return {media: from_media(source)} if media and not source.dtype.names else from_array(source)
    if isinstance(source, list | tuple) and source and all(isinstance(row, Mapping) for row in source):
        table = from_rows(source)
        return {**table, media: from_media([row.get(media) for row in source])} if media in table else table
    if isinstance(source, list | tuple) and (media or not source):
        return {media or "x": from_media(source)}
    raise DataError(
        f"the source is a {type(source).__name__}; a path, a 'tfds:' name, a DataFrame, a dict of columns, a list of "
        "dicts, (features, labels), an array or a tf.data.Dataset is expected."
    )


def is_single(value: Any) -> bool:
    """Whether a value is no column: a word, a number, a date."""
    return isinstance(value, str | bytes) or not (isinstance(value, list | tuple) or np.ndim(value))


def with_label(features: Any, labels: Any, label: str, media: str | None) -> Table:
    """The table of (features, labels)."""
    table = from_memory(features, label, media)
    if label in table:
        raise DataError(
            f"(features, labels): there is a column {label!r} already among the features; name another for the labels."
        )
    return {**table, label: from_values(labels)}


def from_array(array: np.ndarray) -> Table:
    """Columns x0, x1, ... of an array (n, d); the fields of a structured array; one column x of any other."""
    if array.dtype.names:
        return {name: from_values(array[name]) for name in array.dtype.names}
    if array.ndim == 2:
        return {f"x{place}": from_values(array[:, place]) for place in range(array.shape[1])}
    return {"x": from_values(array)}


def from_dataset(dataset: Any, words: Mapping[str, Sequence[str]], label: str, media: str | None) -> Table:
    """The table of a tf.data.Dataset, batched or not.

    Args:
        dataset: It.
        words: The names of numbered classes, by column.
        label, media: As for `read`.
    """
    if int(dataset.cardinality()) == -1:
        raise DataError("the tf.data.Dataset repeats for ever; remove repeat() or end it with take(n).")
    spec = dataset.element_spec
    if isinstance(spec, tuple) and len(spec) > 2:
        raise DataError(
            f"the tf.data.Dataset gives {len(spec)} things an element; a dict, (dict, label) or (x, label) is "
            "expected, weights go to sample_weight."
        )
    shapes = [part.shape for part in flat(spec, label).values()]
    single = any(shape.rank == 0 for shape in shapes) or len({shape[0] for shape in shapes}) > 1
    single = single or bool(media and len(shapes) == 1 and shapes[0].rank == 3)  # one picture (h, w, c)
    ragged = single and any(None in shape for shape in shapes)
    elements = dataset.batch(1024) if single and not ragged else dataset
    parts = [flat(element, label) for element in elements.as_numpy_iterator()]
    table: Table = {}
    for name in parts[0] if parts else ():
        column = [part[name] for part in parts] if ragged else np.concatenate([part[name] for part in parts])
        if name == media or (media and name in folders.PATHS):
            table[name] = from_media(column)
        elif name == "x" and np.ndim(column) == 2:
            table.update(from_array(np.asarray(column)))
        else:
            table[name] = from_values(column)
            if media and name in words and table[name].dtype.kind in "iu":
                table[name] = from_values([words[name][place] if place >= 0 else None for place in table[name]])
    return table


def flat(element: Any, label: str) -> dict[str, Any]:
    """The parts of a dataset's element by column; inner dicts as outer/inner."""
    if isinstance(element, tuple):
        features = flat(element[0], label)
        return {**features, **({label: element[1]} if len(element) > 1 else {})}
    if isinstance(element, Mapping):
        parts: dict[str, Any] = {}
        for name, value in element.items():
            inner = flat(value, label) if isinstance(value, Mapping) else {"": value}
            parts.update({f"{name}/{key}" if key else str(name): part for key, part in inner.items()})
        return parts
    return {"x": element}
