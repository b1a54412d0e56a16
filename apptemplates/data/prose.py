"""Text of any length: files and folders of it as passages that stay on disk until they are needed."""

import gzip
import hashlib
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from apptemplates.data import folders
from apptemplates.data.schema import DataError
from apptemplates.data.table import Table
from apptemplates.inference.tokens import BOUNDARY, Tokens

if TYPE_CHECKING:
    from apptemplates.data.preflight import Finding

PIECE = 16_384  # bytes of a passage of a file, at most
BLOCK = 2**20  # bytes read at a time
MANY = 20  # texts from which whole ones are held out, and where they begin and end is learned
STRETCH, STRETCHES = 1000, 40  # characters that are held out in one place, at least, and places at most
LITTLE = 20_000  # characters below which little can be learned
IN_MEMORY = 2**25  # tokens of a stream that are not kept in a file
TABLES = (".csv", ".tsv", ".parquet", ".jsonl")


@dataclass(frozen=True)
class Piece:
    """A passage of a text file, read when it is needed.

    Args:
        path: Of the file.
        start, stop: Its bytes.
        mark: By which the same passage is known again.
    """

    path: str
    start: int
    stop: int
    mark: str

    def read(self) -> str:
        """The passage.

        Raises:
            DataError: The file is gone or has changed.
        """
        try:
            with open(self.path, "rb") as stream:
                stream.seek(self.start)
                content = stream.read(self.stop - self.start)
        except OSError as error:
            raise DataError(f"{self.path}: the file can not be read any more ({error.strerror}).") from error
        if marked(content) != self.mark:
            raise DataError(f"{self.path}: the file has changed meanwhile; read it again.")
        return content.decode("utf-8")

    def __str__(self) -> str:
        return self.mark


def marked(content: bytes) -> str:
    """By what a passage is known again."""
    return hashlib.blake2b(content, digest_size=12).hexdigest()


def text_of(passage: Any) -> str:
    """The characters of a passage."""
    return passage.read() if isinstance(passage, Piece) else str(passage)


def is_prose(path: Path) -> bool:
    """Whether a path is read as text: a folder without tables or media, or a file that is no table."""
    if path.is_dir():
        found = list(folders.below(path))
        return bool(found) and not any(file.suffix.lower() in (*TABLES, *folders.MEDIA) for file in found)
    inner = Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    return path.is_file() and inner not in TABLES


def read(path: Path, column: str) -> Table:
    """The passages of a text file, or of all files in and below a folder, in the order of their names.

    Args:
        path: Of UTF-8 text, also .gz.
        column: Name of the column they go to.

    Raises:
        DataError: A file is empty, no UTF-8, or holds NUL characters.
    """
    files = list(folders.below(path)) if path.is_dir() else [path]
    passages = [passage for file in files for passage in pieces(file)]
    found = np.empty(len(passages), object)
    found[:] = passages
    return {column: found}


def pieces(file: Path) -> Iterator[Any]:
    """The passages of one file, cut at the ends of lines where there are some; a megabyte in memory at a time."""
    packed = file.suffix.lower() == ".gz"
    held, start, line, empty = b"", 0, 1, True
    try:
        with gzip.open(file) if packed else open(file, "rb") as stream:
            while True:
                block = stream.read(BLOCK)
                if not start and not held and block.startswith(b"\xef\xbb\xbf"):
                    block, start = block[3:], 3
                held += block
                begin = 0
                while len(held) - begin > (PIECE if block else 0):
                    content = held[begin : cut_at(held, begin)]
                    check(file, content, line)
                    empty = empty and not content.strip()
                    mark = marked(content)
                    yield content.decode() if packed else Piece(str(file), start, start + len(content), mark)
                    begin, start, line = begin + len(content), start + len(content), line + content.count(b"\n")
                held = held[begin:]
                if not block:
                    break
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{file}: this is no complete gzip file ({error}); copy or make it again.") from error
    except OSError as error:
        raise DataError(f"{file}: the file can not be read ({error.strerror}); check its permissions.") from error
    if empty:
        raise DataError(f"{file}: the file is empty; text is expected, so fill it or leave it out.")


def cut_at(content: bytes, begin: int) -> int:
    """Where a passage that begins there ends: after a line, or between two characters."""
    end = begin + PIECE
    if end >= len(content):
        return len(content)
    line = content.rfind(b"\n", begin + PIECE // 2, end) + 1
    if line:
        return line
    while end > begin + PIECE - 4 and content[end] & 0xC0 == 0x80:
        end -= 1
    return end


def check(file: Path, content: bytes, line: int) -> None:
    """Refuses what is no text."""
    place = content.find(b"\0")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{file}: this is UTF-16 text, it seems; save the file as UTF-8.")
    if place >= 0:
        where = line + content[:place].count(b"\n")
        raise DataError(f"{file}: line {where} holds a NUL character; text is expected, so give another file.")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        where = line + content[: error.start].count(b"\n")
        raise DataError(f"{file}: line {where} is not UTF-8 text; save the file as UTF-8.") from error


def texts(column: np.ndarray) -> Iterator[str]:
    """The passages one after the other, each read when its turn comes."""
    return map(text_of, column)


def documents(column: np.ndarray) -> np.ndarray:
    """The number (n,) of the text that each passage belongs to: pieces of a file that follow each other are of one."""
    fresh = np.ones(len(column), bool)
    for place in range(1, len(column)):
        one, other = column[place - 1], column[place]
        if isinstance(one, Piece) and isinstance(other, Piece):
            fresh[place] = one.path != other.path or one.stop != other.start
    return np.cumsum(fresh) - 1 if len(column) else np.zeros(0, int)


def hold_out(column: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Passages to learn from, and others: some whole texts where there are many, else stretches from all over them.

    The end of a single text would not do: it is about something that was hardly learned then, and what follows it, too.
    """
    number = documents(column)
    count = int(number.max(initial=-1)) + 1
    rng = np.random.default_rng(seed)
    if count >= MANY:
        chosen = rng.permutation(count)[: max(1, round(share * count))]
        later = np.isin(number, chosen)
        return column[~later], column[later]
    sides: tuple[list[Any], list[Any]] = ([], [])
    for text in range(count):
        own = list(column[number == text])
        total = sum(map(size_of, own))
        stretches = int(np.clip(share * total // STRETCH, 1, STRETCHES))
        each, size = total / stretches, share * total / stretches
        for place in range(stretches):  # one from each of as many parts of the text
            begin = place * each + rng.random() * (each - size)
            before, own = parted(own, begin - (total - sum(map(size_of, own))))
            held, own = parted(own, size)
            sides[0].extend(before)
            sides[1].extend(held)
        sides[0].extend(own)
    halves = tuple(np.empty(len(side), object) for side in sides)
    for half, side in zip(halves, sides, strict=True):
        half[:] = side
    return halves  # type: ignore[return-value]


def refuse_short(what: str, number: int, unit: str, least: int, context: int) -> None:
    """Refuses text that is too short for a context.

    Args:
        what: Who asks, and of what text, as the error begins.
        number: How much there is of it.
        unit: In which that is counted.
        least: How much is needed.
        context: Tokens that a model looks back.

    Raises:
        DataError: There is less.
    """
    if number < least:
        raise DataError(
            f"{what} has {number:,} {unit}, at least {least:,} are needed with context={context}; give more text, or "
            "choose a smaller context."
        )


def portion(column: np.ndarray, most: int, seed: int) -> tuple[np.ndarray, float]:
    """Passages that are like all of them, of about so many characters at most, and the share that they are."""
    share = most / max(1, sum(map(size_of, column)))
    return (column, 1.0) if share >= 1 else (hold_out(column, share, seed)[1], share)


def parted(passages: list[Any], size: float) -> tuple[list[Any], list[Any]]:
    """Passages of one text up to so many characters, and those after; at the end of a line where one is near."""
    first: list[Any] = []
    rest = list(passages)
    while rest and size > 0:
        if size_of(rest[0]) <= size:
            size -= size_of(rest[0])
            first.append(rest.pop(0))
            continue
        one, other = halved(rest.pop(0), size)
        first += filter(size_of, [one])
        rest = [*filter(size_of, [other]), *rest]
        break
    return first, rest


def size_of(passage: Any) -> int:
    """Characters of a passage; of a file's, its bytes."""
    return passage.stop - passage.start if isinstance(passage, Piece) else len(passage)


def halved(passage: Any, size: float) -> tuple[Any, Any]:
    """A passage as two, after so many characters (of a file's: bytes), at the end of a line where one is near."""
    text = text_of(passage)
    place = round(size / max(1, size_of(passage)) * len(text))
    line = text.rfind("\n", max(0, place - 200), place) + 1
    first, second = text[: line or place], text[line or place :]
    if not isinstance(passage, Piece):
        return first, second
    content = first.encode("utf-8"), second.encode("utf-8")
    middle = passage.start + len(content[0])
    return (
        Piece(passage.path, passage.start, middle, marked(content[0])),
        Piece(passage.path, middle, passage.stop, marked(content[1])),
    )


def stream(column: np.ndarray, coder: Tokens) -> np.ndarray:
    """All passages as one row of tokens (m,) uint16, a boundary between texts; in a file where there are very many."""
    number = documents(column)
    room = sum(4 * len(p) if isinstance(p, str) else size_of(p) for p in column) + len(column) + 1
    if room <= IN_MEMORY:
        found: Any = np.empty(room, np.uint16)
    else:
        with tempfile.TemporaryFile() as file:
            found = np.memmap(file, np.uint16, "w+", shape=(room,))
    end = 0
    for place, text in enumerate(texts(column)):
        if place and number[place] != number[place - 1]:
            found[end] = BOUNDARY
            end += 1
        tokens = coder.encode(text)
        found[end : end + len(tokens)] = tokens
        end += len(tokens)
    return found[:end] if room > IN_MEMORY else found[:end].copy()  # type: ignore[no-any-return]


def findings(name: str, column: np.ndarray) -> "Iterator[Finding]":
    """What text shows before anything is learned from it."""
    from apptemplates.data.preflight import Finding

    sizes = np.array([size_of(passage) for passage in column])
    letters: set[str] = set()
    for text in texts(column[sizes > 0]):
        letters |= set(text[:PIECE])
        if len(letters) > 1:
            break
    total = int(sizes.sum())
    if not letters:
        fix = "Give text."
        yield Finding("no-text", "error", name, f"Column {name!r} holds no character at all.", fix)
    elif len(letters) == 1:
        yield Finding(
            "one-character", "error", name,
            f"Column {name!r} holds one character only, {next(iter(letters))!r}, {total:,} times.",
            "Give text with more than one.",
        )  # fmt: skip
    elif total < LITTLE:
        yield Finding(
            "little-text", "warning", name,
            f"There are {total:,} characters; what is learned from fewer than {LITTLE:,} repeats them.",
            "Give more text, or fine-tune a template that learned from another.",
        )  # fmt: skip
    marks = [str(passage) for passage in column[sizes > 40]]
    copies = len(marks) - len(set(marks))
    if copies > 0.01 * len(column):
        yield Finding(
            "repeated-passages", "warning", name,
            f"{copies:,} of {len(column):,} passages are exact copies of an earlier one.",
            "Leave the copies out, lest the same text is learned from and judged by.",
        )  # fmt: skip
