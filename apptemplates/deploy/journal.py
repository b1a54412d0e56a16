"""What was observed, kept on disk before it is acknowledged, so that a kill loses nothing that was."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from apptemplates.deploy.folder import ArchiveError, flush_folder


class Journal:
    """A file to which records are added, a line each, and from which they are read when a server starts again.

    Args:
        path: Of the file; made where it is not there.
        mark: What the records belong to; a journal of another model is refused.

    Attributes:
        records: What it held when it was opened; a last line that was not written to its end is left out.

    Raises:
        ArchiveError: The file belongs to another model, is damaged before its last line, or can not be written.
    """

    def __init__(self, path: Path, mark: str) -> None:
        self.path, self._mark = path, mark
        try:
            self.records = self._read(mark)
            self._file = path.open("ab")
            if not self._file.tell():
                self._write([json.dumps({"model": mark})])
        except OSError as error:
            raise ArchiveError(f"journal {str(path)!r} can not be written ({error.strerror or error}).") from error

    def _read(self, mark: str) -> list[dict[str, Any]]:
        content = self.path.read_bytes() if self.path.exists() else b""
        whole = content.rfind(b"\n") + 1
        if whole < len(content):  # never acknowledged
            with self.path.open("r+b") as file:
                file.truncate(whole)
        damaged = f"journal {str(self.path)!r} is damaged; move it away to start anew."
        try:
            lines = [json.loads(line) for line in content[:whole].splitlines()]
        except ValueError as error:
            raise ArchiveError(damaged) from error
        if not all(isinstance(line, dict) for line in lines):
            raise ArchiveError(damaged)
        if lines and lines[0].get("model") != mark:
            raise ArchiveError(
                f"journal {str(self.path)!r} belongs to another model; give this one a place of its own."
            )
        return lines[1:]

    def add(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Writes records down; when this returns they are on the disk.

        Raises:
            OSError: They could not be written; nothing of them counts.
        """
        self._write([json.dumps(record, ensure_ascii=False) for record in records])

    def keep(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Holds these records alone; whenever it is killed, the file is the old one or the new one.

        Raises:
            OSError: The new one could not be written; the old one is as it was.
        """
        fresh, old = self.path.with_name(f"{self.path.name}.new"), self._file
        fresh.unlink(missing_ok=True)
        self._file = fresh.open("ab")
        try:
            self._write([json.dumps({"model": self._mark}), *(json.dumps(one, ensure_ascii=False) for one in records)])
            fresh.replace(self.path)
        except OSError:
            self._file.close()
            self._file = old
            raise
        flush_folder(self.path.parent)
        old.close()
        self.records = [dict(one) for one in records]

    def _write(self, lines: list[str]) -> None:
        place = self._file.tell()
        try:
            self._file.write("".join(f"{line}\n" for line in lines).encode("utf-8"))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(place)
            raise

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
