"""Saved templates behind a server: opened without TensorFlow, asked together, exchanged while they answer."""

import asyncio
import base64
import binascii
import contextlib
import hashlib
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from apptemplates.data.schema import DataError
from apptemplates.deploy import runtime
from apptemplates.deploy.folder import ArchiveError
from apptemplates.deploy.journal import Journal

MEDIA = ("image", "sound")
MOMENT = 0.008  # seconds in which nobody misses the server
TOGETHER = 256  # queries that are answered in one go, at most


class Slot:
    """One saved template, by name.

    Requests that come while it answers are answered together when it is done, so that a busy server prepares many at
    once and an idle one lets nobody wait.

    Args:
        folder: Written by `save`.
        journal: Folder in which observations are written down; None keeps them in memory only.

    Raises:
        ArchiveError: The folder can not be opened, or the journal belongs to another model.
    """

    def __init__(self, folder: Path, journal: Path | None = None) -> None:
        self.folder, self.name = folder, folder.name
        self.journal: Journal | None = None
        self.problem = ""  # why a newer folder was not taken
        self._mark = seen(folder)
        self.app = runtime.load(folder)
        if journal is not None and self.app.observes:
            journal.mkdir(parents=True, exist_ok=True)
            self.journal = replayed(journal / f"{self.name}.jsonl", self.app)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=self.name)
        self._waiting: deque[tuple[list[Any], asyncio.Future]] = deque()
        self._draining: asyncio.Task | None = None
        self._pace = MOMENT  # seconds of a query, as it was lately

    @property
    def media(self) -> list[str]:
        """The columns that hold pictures or sounds."""
        return [name for name, field in self.app.query.items() if field.kind in MEDIA]

    async def ask(self, queries: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The answers, as `runtime.Runtime.predict` gives them."""
        told: asyncio.Future = asyncio.get_running_loop().create_future()
        self._waiting.append((queries, told))
        if self._draining is None or self._draining.done():
            self._draining = asyncio.create_task(self._drain())
        answers: list[dict[str, Any]] = await told
        return answers

    async def _drain(self) -> None:
        """Answers what waits until nothing does."""
        while self._waiting:
            taken = [self._waiting.popleft()]
            count = len(taken[0][0])
            while self._waiting and count + len(self._waiting[0][0]) <= TOGETHER:
                taken.append(self._waiting.popleft())
                count += len(taken[-1][0])
            answers = await self._answered([query for queries, _ in taken for query in queries])
            if isinstance(answers, BaseException) and len(taken) > 1:  # one of them is to blame: each by itself
                for queries, told in taken:
                    settle(told, await self._answered(queries))
                continue
            start = 0
            for queries, told in taken:
                settle(told, answers if isinstance(answers, BaseException) else answers[start : start + len(queries)])
                start += len(queries)

    async def _answered(self, queries: list[Mapping[str, Any]]) -> Any:
        """The answers, or the error that came instead; what takes but a moment is not worth a thread."""
        began = time.perf_counter()
        if self._pace * len(queries) < MOMENT:
            work: Any = self._here(queries)
        else:
            work = asyncio.get_running_loop().run_in_executor(self._pool, self.app.predict, queries)
        found = (await asyncio.gather(work, return_exceptions=True))[0]
        self._pace += 0.2 * ((time.perf_counter() - began) / len(queries) - self._pace)
        return found

    async def _here(self, queries: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return self.app.predict(queries)

    async def observe(self, records: list[Mapping[str, Any]]) -> None:
        """Adds records to the past; when this returns they are written down, where there is a journal.

        Raises:
            DataError: One can not be read; none of them counts.
            OSError: They could not be written down; none of them counts.
        """
        await asyncio.get_running_loop().run_in_executor(self._pool, self._observe, records)

    def _observe(self, records: list[Mapping[str, Any]]) -> None:
        for record in records:  # all or none
            self.app.check_record(record)
        if self.journal is not None:
            self.journal.add(records)
        for record in records:
            self.app.observe(record)

    def renew(self) -> bool:
        """Takes the folder anew where it has changed; what can not be opened leaves the old one answering.

        Returns:
            Whether it was taken.
        """
        mark = seen(self.folder)
        if mark == self._mark or not mark:
            return False
        self._mark = mark
        try:
            # in the one thread that observes: what comes meanwhile is observed by the new one
            self._pool.submit(self._take, runtime.load(self.folder)).result()
        except (ArchiveError, DataError) as error:
            self.problem = str(error)
            return False
        self.problem = ""
        return True

    def _take(self, fresh: runtime.Runtime) -> None:
        """Lets another one answer, which has observed all that this one has."""
        if self.journal is not None:
            if fresh.name != self.app.name:
                raise ArchiveError(f"it holds a {fresh.name}, and the journal is of a {self.app.name}")
            old = self.journal
            self.journal = replayed(old.path, fresh)
            old.close()
        self.app = fresh

    def close(self) -> None:
        """Lets what waits be answered, then ends."""
        self._pool.shutdown(wait=True)
        if self.journal is not None:
            self.journal.close()


def replayed(path: Path, app: runtime.Runtime) -> Journal:
    """The journal of an application, which has observed all that it holds; mostly old, it is made shorter."""
    journal = Journal(path, app.name)
    for record in journal.records:
        app.observe(record)
    lasting = app.lasting(journal.records)
    if len(lasting) < len(journal.records) / 2:
        with contextlib.suppress(OSError):  # then it stays as long as it is
            journal.keep(lasting)
    return journal


def settle(told: asyncio.Future, found: Any) -> None:
    """Hands answers, or an error, to who still waits for them."""
    if told.done():
        return
    if isinstance(found, BaseException):
        told.set_exception(found)
    else:
        told.set_result(found)


def seen(folder: Path) -> str:
    """What tells one making of a folder from another; "" while there is none."""
    try:
        return hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    except OSError:
        return ""


def decoded(query: Mapping[str, Any], media: list[str]) -> dict[str, Any]:
    """A query of JSON with its pictures and sounds as bytes; they come as base64, never as a place on this machine.

    Raises:
        DataError: A picture or a sound is no base64.
    """
    found = dict(query)
    for name in media:
        value = found.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            kind = type(value).__name__
            raise DataError(f"column {name!r} must be the content of a file as base64. Received: a {kind}.")
        try:
            found[name] = base64.b64decode(
                value.partition(",")[2] if value.startswith("data:") else value, validate=True
            )
        except (binascii.Error, ValueError):
            raise DataError(
                f"column {name!r} must be the content of a file as base64. Received: {value[:30]!r}."
            ) from None
    return found
