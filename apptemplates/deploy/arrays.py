"""Arrays on disk without pickle: numbers as NumPy keeps them, strings as one block of UTF-8, any names."""

import json
import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

LARGEST_ZIP = 2 << 30  # bytes, everything in it unpacked
LARGEST_EXPANDING = 64 << 20  # bytes of one member that may unpack to any multiple of its packed size
MOST_EXPANSION = 200
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 1  # bit of a member's flags
# what unpacking and NumPy raise of damaged bytes
DAMAGE = (
    zipfile.BadZipFile, zlib.error, OSError, EOFError, LookupError, TypeError, ValueError, SyntaxError, RuntimeError,
    tokenize.TokenError, ArithmeticError,
)  # fmt: skip


class UnsafeFile(ValueError):
    """A file that should not be unpacked or parsed."""


def check_zip(path: str | os.PathLike[str]) -> None:
    """Refuses a zip that would unpack to more than is sane, or outside its own folder, before anything is unpacked.

    Raises:
        UnsafeFile: it is no zip, is larger than 2 GiB unpacked, or has a member beyond 64 MiB that unpacks to more than
            200 times its packed size, or one whose name is absolute or climbs.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, RuntimeError, ValueError) as error:
        raise UnsafeFile(f"it can not be opened as a zip ({error})") from error
    for member in members:
        if member.compress_type not in PACKED or member.flag_bits & ENCRYPTED:
            raise UnsafeFile(f"its member {member.filename!r} is packed in a way that is not used here")
        if member.filename.startswith(("/", "\\")) or ":" in member.filename or ".." in Path(member.filename).parts:
            raise UnsafeFile(f"its member {member.filename!r} points outside of it")
        if member.file_size > max(LARGEST_EXPANDING, MOST_EXPANSION * member.compress_size):
            raise UnsafeFile(f"its member {member.filename!r} unpacks to {member.file_size:,} bytes, far too many")
    total = sum(member.file_size for member in members)
    if total > LARGEST_ZIP:
        raise UnsafeFile(f"it unpacks to {total:,} bytes, more than {LARGEST_ZIP:,}")


def write_arrays(path: str | os.PathLike[str], columns: Mapping[str, np.ndarray]) -> None:
    """Writes arrays to an `.npz`.

    Args:
        path: ends in `.npz`.
        columns: numbers, flags, times and fixed-length strings of any shape; object arrays hold `str` only.

    Raises:
        TypeError: an object array holds something else than strings.
    """
    content = {"names": np.frombuffer(json.dumps(list(columns)).encode(), np.uint8)}
    # Numbered members, because a column may have a name that no zip member should have.
    for position, (name, column) in enumerate(columns.items()):
        column = np.asarray(column)
        if column.dtype.kind == "U":
            column = column.astype(object)
        if column.dtype != object:
            content[str(position)] = column
            continue
        if not all(isinstance(word, str) for word in column.ravel()):
            raise TypeError(
                f"write_arrays: {name!r} holds Python objects; only numbers, times and strings can be saved."
            )
        words = [word.encode("utf-8", "surrogatepass") for word in column.ravel()]
        content[f"{position}_text"] = np.frombuffer(b"".join(words), np.uint8)
        content[f"{position}_ends"] = np.cumsum([len(word) for word in words], dtype=np.int64)
        content[f"{position}_shape"] = np.array(column.shape, np.int64)
    with open(path, "wb") as file:
        np.savez_compressed(file, **content)  # type: ignore[arg-type]


def read_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays that `write_arrays` wrote, in the same order.

    Raises:
        UnsafeFile: the file is damaged, or was not written by `write_arrays`.
    """
    check_zip(path)
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                _check_header(archive, member)
        with np.load(path, allow_pickle=False) as content:
            names = json.loads(content["names"].tobytes())
            return {str(name): _column(content, position) for position, name in enumerate(names)}
    except DAMAGE as error:
        if isinstance(error, UnsafeFile):
            raise
        raise UnsafeFile(f"its arrays can not be read ({error})") from error


def _column(content: Mapping[str, np.ndarray], position: int) -> np.ndarray:
    if str(position) in content:
        return content[str(position)]
    text, ends = content[f"{position}_text"].tobytes(), content[f"{position}_ends"].tolist()
    words = np.empty(len(ends), dtype=object)
    words[:] = [
        text[start:end].decode("utf-8", "surrogatepass") for start, end in zip([0, *ends][:-1], ends, strict=True)
    ]
    return words.reshape(tuple(content[f"{position}_shape"]))


def _check_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    # NumPy allocates what a header promises before it reads the data.
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
        if dtype.hasobject or math.prod(shape) * dtype.itemsize != member.file_size - file.tell():
            raise UnsafeFile(f"the array {member.filename!r} does not hold what it promises")
