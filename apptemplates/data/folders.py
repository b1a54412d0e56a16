"""Pictures and sounds in folders, beside index files and in npz archives, as a table of paths or arrays."""

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from apptemplates.data import files
from apptemplates.data.objects import from_media, from_values
from apptemplates.data.schema import DataError
from apptemplates.data.table import Table

PICTURES = (
    ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".pgm", ".ppm", ".pbm", ".pnm", ".tif", ".tiff", ".webp", ".dcm", ".dicom",
)  # fmt: skip
SOUNDS = (".wav", ".flac", ".ogg", ".mp3")
MEDIA = PICTURES + SOUNDS
INDEXES = ("index", "labels", "metadata")  # how an index file is called
PATHS = (  # how a column with paths, or with the media themselves, is called
    "path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "picture", "sound",
    "audio", "x", "images", "pictures", "sounds",
)  # fmt: skip
PARTS = ("train", "training", "val", "valid", "validation", "dev", "test", "testing")
JUNK = ("thumbs.db", "desktop.ini")


def holds_media(folder: Path) -> bool:
    """Whether there is a picture or a sound anywhere in a folder, by the names of its files."""
    return any(file.suffix.lower() in MEDIA for file in below(folder))


def from_folder(folder: Path, media: str, label: str) -> Table:
    """The table of a folder: of its index file, or with a label for every subfolder.

    An index file is a table in the folder, or beside it under the folder's name, with a column of paths. Without one
    every subfolder is a label, and all files in and below it are records; hidden files are left out, and so are other
    files than media beside the subfolders. A folder that holds media only, and no subfolder, has no labels.

    Args:
        folder: It, or one with nothing but it inside.
        media: Name of the column that paths go to.
        label: Name of the column that labels go to.

    Raises:
        DataError: It is empty, can not be read, or has labels for some media only.
    """
    index = index_of(folder)
    if index is not None:
        return from_index(index, files.read(index), media)
    folder = innermost(folder)
    found = list(below(folder))
    if not found:
        raise DataError(f"{folder}: there is no file in this folder; a subfolder of files for each label is expected.")
    inside = [file for file in found if file.parent != folder]
    loose = [file for file in found if file.parent == folder and (not inside or file.suffix.lower() in MEDIA)]
    if not inside:
        return {media: from_media([str(file) for file in loose])}
    if loose:
        raise DataError(
            f"{folder}: {len(loose):,} file{'s' if len(loose) > 1 else ''}, first {loose[0].name!r}, "
            f"{'lie' if len(loose) > 1 else 'lies'} beside the subfolders of labels; every file must lie in the "
            "subfolder of its label."
        )
    labels = [file.relative_to(folder).parts[0] for file in inside]
    if {name.lower() for name in labels} <= set(PARTS):
        names = sorted(set(labels))
        raise DataError(
            f"{folder}: the subfolders {', '.join(map(repr, names))} are parts of a data set, not labels; give one of "
            f"them, such as {str(folder / names[-1])!r}."
        )
    return {media: from_media([str(file) for file in inside]), label: from_values(labels)}


def below(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """All files in and below a folder, sorted by name; links are followed, but not back up."""
    try:
        real = folder.resolve()
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: the folder can not be read ({error.strerror}); check its permissions.") from error
    if real in above:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name.lower() in JUNK:
            continue
        if entry.is_dir():
            yield from below(entry, (*above, real))
        else:
            yield entry


def innermost(folder: Path) -> Path:
    """The folder with the subfolders of labels, where others hold nothing but it."""
    while True:
        inside = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
        if len(inside) != 1 or not inside[0].is_dir():
            return folder
        deeper = [entry for entry in inside[0].iterdir() if not entry.name.startswith(".")]
        if not any(entry.is_dir() for entry in deeper) or any(entry.suffix.lower() in MEDIA for entry in deeper):
            return folder
        folder = inside[0]


def index_of(folder: Path) -> Path | None:
    """The index file in a folder or beside it, if there is one."""
    tables = sorted(entry for entry in folder.iterdir() if entry.is_file() and files.ending(entry) in files.FILES)
    named = [file for file in tables if stem(file) in INDEXES]
    if len(named) == 1:
        return named[0]
    if len(tables) > 1 and not any(entry.is_dir() for entry in folder.iterdir()):
        raise DataError(
            f"{folder}: there are {len(tables)} tables, {', '.join(repr(file.name) for file in tables[:3])}; give the "
            "one that lists the files, or call it 'index.csv'."
        )
    if len(tables) == 1 and path_column(files.read(tables[0]), None):
        return tables[0]
    if any(entry.is_dir() for entry in folder.iterdir()):
        return None
    beside = [file for file in folder.parent.glob(f"{folder.name}.*") if files.ending(file) in files.FILES]
    return beside[0] if len(beside) == 1 else None


def stem(file: Path) -> str:
    """The name of a table's file in lower case, without its endings."""
    return file.name.lower().removesuffix(".gz").rsplit(".", 1)[0]


def from_index(file: Path, table: Table, media: str) -> Table:
    """The table of an index file, its paths made good: they count from the folder of the file."""
    name = path_column(table, media)
    if name is None:
        raise DataError(
            f"{file}: no column names the files; there are {', '.join(map(repr, table))}: call it {media!r} or 'path'."
        )
    column = table[name]
    beside = (
        file.parent,
        file.parent / stem(file),
    )  # index.csv lists what lies in its folder, scans.csv what in scans/

    def found(value: object) -> object:
        if not isinstance(value, str):
            return value
        places = (folder / Path(value).expanduser() for folder in beside)
        return str(next((place for place in places if place.exists()), file.parent / value))

    paths = column if column.dtype != object else from_media([found(value) for value in column])
    return {media if key == name else key: paths if key == name else table[key] for key in table}


def path_column(table: Mapping[str, Any], media: str | None) -> str | None:
    """The column with media or with their paths, by its name."""
    if media in table:
        return media
    return next((name for wanted in PATHS for name in table if name.lower() == wanted), None)


def named_media(table: Table, media: str) -> Table:
    """A table whose column of media has the name it is asked for by."""
    name = path_column(table, media)
    return table if name in (None, media) else {media if key == name else key: table[key] for key in table}


def npz_part(source: str) -> tuple[Path, str | None] | None:
    """The file and the part that "scans.npz" or "scans.npz:train" name."""
    found = re.fullmatch(r"(.+\.npz)(?::(\w+))?", source, flags=re.IGNORECASE)
    return (Path(found[1]).expanduser(), found[2]) if found else None


def from_npz(file: Path, part: str | None, media: str, label: str) -> Table:
    """The table in one part of a NumPy archive, such as `train_images` and `train_labels`, or `x_train` and `y_train`.

    Args:
        file: Of arrays of equal length; none of objects.
        part: "train" for those whose name begins or ends with it; None where there is one part.
        media: Name of the column that the array of pictures goes to.
        label: Name of the column that the array of labels goes to.

    Raises:
        DataError: There is no such file or part, or it is damaged.
    """
    if not file.is_file():
        raise DataError(f"{file}: there is no such file; check the path.")
    try:
        with np.load(file, allow_pickle=False) as archive:
            places = {name: part_of(name) for name in archive.files}
            parts = list(dict.fromkeys(where for where, _ in places.values()))
            if part is None and len(parts) > 1:
                raise DataError(
                    f"{file}: there are {len(parts)} parts, {', '.join(filter(None, parts))}; name one, as in "
                    f"'{file.name}:{next(filter(None, parts))}'."
                )
            part = part if part is not None else parts[0] if parts else ""
            if part not in parts:
                known = ", ".join(filter(None, parts)) or "no parts at all"
                raise DataError(f"{file}: there is no part {part!r}; there are {known}.")
            arrays = {rest: archive[name] for name, (where, rest) in places.items() if where == part}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file}: this is no complete npz archive of plain arrays ({error}); make it again.") from error
    return npz_columns(arrays, media, label)


def part_of(name: str) -> tuple[str, str]:
    """The part and the rest of an array's name: "train_images" and "x_train" are of "train"."""
    first, _, rest = name.partition("_")
    if rest and first.lower() in PARTS:
        return first, rest
    rest, _, last = name.rpartition("_")
    return (last, rest) if rest and last.lower() in PARTS else ("", name)


def npz_columns(arrays: dict[str, np.ndarray], media: str, label: str) -> Table:
    """The columns of arrays: the one array of pictures as media, what is called labels as label."""
    large = [name for name, array in arrays.items() if array.ndim > 2]
    table: Table = {}
    for name, array in arrays.items():
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]  # MedMNIST's labels
        if name == media or large == [name]:
            table[media] = array
        elif name.lower() in ("labels", "label", "y", "targets", "target"):
            table[label] = from_values(array)
        else:
            table[name] = from_values(array)
    return table
