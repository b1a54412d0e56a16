"""A saved template that answers without TensorFlow: NumPy and LiteRT, with Pillow and soundfile for media.

pip install --no-deps apptemplates
pip install numpy ai-edge-litert          # and pillow for pictures, soundfile for flac, ogg and mp3

from apptemplates.deploy import runtime

fraud = runtime.load("fraud")             # a tenth of a second and some 50 MB
fraud.predict_one({...})                  # what the template's own predict_one answers
"""

import importlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apptemplates import _catalogue
from apptemplates.data.schema import DataError, Schema
from apptemplates.deploy import folder as layout
from apptemplates.deploy.arrays import UnsafeFile, read_arrays
from apptemplates.deploy.fast import LiteRT, Onnx, wrong
from apptemplates.deploy.folder import STATE, ArchiveError
from apptemplates.inference import one


class Runtime:
    """A saved template, ready to answer.

    Attributes:
        name: The class of the template.
        query: The schema of what it is asked.
        answer: The schema of what it says.
    """

    def __init__(self, name: str, saved: Mapping[str, Any], answering: Any, call: LiteRT | Onnx) -> None:
        self.name, self._answering, self._call = name, answering, call
        self.query, self.answer = Schema.from_json(saved["query"]), Schema.from_json(saved["answer"])
        self._lock = threading.Lock()

    def predict_one(self, query: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one query; safe to call from many threads.

        Args:
            query: Values by column name.

        Returns:
            A dict with the columns of `answer`, as the template's own `predict_one` gives it.

        Raises:
            DataError: The query can not be answered; one sentence says why.
        """
        inputs = dict(self._answering.prepare(one.asked(self.name, self.query, query)))
        problem = inputs.pop("problem", [""])[0]
        if problem:
            raise DataError(f"{self.name}: {problem}")
        return one.told(self._answering.respond(inputs, self._call))

    def predict(self, queries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The answers to many queries, each as if it alone was asked; safe to call from many threads.

        Args:
            queries: Values by column name, each as for `predict_one`.

        Returns:
            A dict a query in the order given; one that can not be answered has None in every column of `answer` and
            the reason in `problem`.
        """
        checked: list[dict[str, Any] | None] = []
        problems: list[str] = []
        for query in queries:
            try:
                checked.append(self.query.check_one(self.name, query))
                problems.append("")
            except DataError as error:
                checked.append(None)
                problems.append(str(error).removeprefix(f"{self.name}: "))
        good = [row for row, problem in enumerate(problems) if not problem]
        found: dict[str, np.ndarray] = {}
        if good:
            known = [query for query in checked if query is not None]
            table = {name: stacked(field.kind, [query[name] for query in known]) for name, field in self.query.items()}
            inputs = dict(self._answering.prepare(table))
            unread = inputs.pop("problem", np.full(len(good), "", object))
            for row, problem in zip(good, unread, strict=True):
                problems[row] = problem
            good = [row for row in good if not problems[row]]
            found = self._answering.respond(inputs, self._call.each) if good else {}
        nothing = dict.fromkeys((name for name in self.answer if name != "problem"), None)
        answers = [{**nothing, "problem": problem} for problem in problems]
        for place, row in enumerate(good):
            answers[row] |= {name: one.plain(column[place]) for name, column in found.items()}
        return answers

    @property
    def observes(self) -> bool:
        """Whether it keeps a past, to which `observe` adds."""
        return hasattr(self._answering, "observe")

    def observe(self, record: Mapping[str, Any]) -> None:
        """Adds what happened to the past that answers rest on, such as a payment to the history of its card.

        Raises:
            DataError: The record can not be read, or this application keeps no past.
        """
        self.check_record(record)
        with self._lock:
            self._answering.observe(record)

    def check_record(self, record: Mapping[str, Any]) -> None:
        """Raises DataError where `observe` would, and adds nothing."""
        if not self.observes:
            raise DataError(f"{self.name} keeps no past, so there is nothing to observe; just ask it.")
        self._answering.read(record)

    def lasting(self, records: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """Those observed records that can still matter to an answer."""
        return self._answering.lasting(records)

    def enrol(self, name: str, images: Any) -> None:
        """Adds pictures of a person to the gallery, as the template's own `enrol` does; it is kept in memory.

        Raises:
            DataError: A picture can not be used, the name is none, or this application keeps no gallery.
        """
        keeper = self._gallery()
        with self._lock:
            keeper.enrol(name, images, self._call)

    def forget(self, name: str) -> None:
        """Takes a person out of the gallery.

        Raises:
            DataError: Nobody of this name is enrolled, or this application keeps no gallery.
        """
        keeper = self._gallery()
        with self._lock:
            keeper.forget(name)

    def identify(self, images: Any, k: int = 1) -> list[dict[str, Any]]:
        """Who of the gallery each picture shows: the rows of the template's own `identify`, each a dict.

        Raises:
            DataError: The gallery is empty, k is below 1, or this application keeps no gallery.
        """
        columns = self._gallery().identify(images, k, self._call)
        return [dict(zip(columns, map(one.plain, row), strict=True)) for row in zip(*columns.values(), strict=True)]

    def _gallery(self) -> Any:
        if not hasattr(self._answering, "identify"):
            raise DataError(f"{self.name} keeps no gallery; load a folder of a FaceVerifier.")
        return self._answering

    def listen(self, chunks: Iterable[Any], rate: int) -> Iterator[Any]:
        """The commands in a stream, as the template's own `listen` gives them.

        Raises:
            DataError: A chunk holds no samples, or this application does not listen.
        """
        if not hasattr(self._answering, "listen"):
            raise DataError(f"{self.name} does not listen; load a folder of a VoiceCommandRecognizer.")
        yield from self._answering.listen(chunks, rate, self._call)

    def __repr__(self) -> str:
        return f"Runtime({self.name}: {', '.join(self.query)} -> {', '.join(self.answer)})"


def load(folder: str | Path, onnx: str | Path | None = None) -> Runtime:
    """The saved template of a folder, without TensorFlow.

    Its checksums are verified before anything in it is parsed, and its answers to a few saved queries must be those it
    gave when it was saved.

    Args:
        folder: Written by `save`; or the name of one of the project's own `saved_models`.
        onnx: The same model's `model.onnx`, written by `export(form="onnx")`, which answers by onnxruntime then, where
            there is no LiteRT.

    Raises:
        ArchiveError: The folder is missing, damaged, changed, foreign, of a newer format, or has no LiteRT form; or the
            ONNX file is another model's.
    """
    try:
        return opened(layout.place_of(folder), onnx)
    except ArchiveError as error:
        raise ArchiveError(f"runtime.load: {str(folder)!r}: {error}.") from error.__cause__
    except OSError as error:
        raise ArchiveError(f"runtime.load: {str(folder)!r}: it can not be read ({error.strerror or error}).") from error


def opened(place: Path, onnx: str | Path | None = None) -> Runtime:
    """The saved template at a place; errors do not name it."""
    if not place.exists():
        layout.find(place)
    layout.check(place)
    saved = layout.read_json(place / "template.json")
    entry = _catalogue.find(str(saved.get("class")))
    if entry is None or entry.name != saved["class"]:
        raise ArchiveError(f"it holds a {saved.get('class')!r}, which this version's catalogue does not have")
    if onnx is not None and not Path(onnx).is_file():
        raise ArchiveError(f"there is no file {str(onnx)!r} beside it; give the model.onnx that export wrote")
    if onnx is None and not (place / "one.tflite").is_file():
        raise ArchiveError("its graph has no LiteRT form, which answers here; use apptemplates.load")
    try:
        state, golden = read_arrays(place / STATE), read_arrays(place / "golden.npz")
    except UnsafeFile as error:
        raise ArchiveError(f"its arrays are refused: {error}") from error
    queries, answers, own = part(golden, "query/"), part(golden, "answer/"), part(state, "state/")
    module = importlib.import_module(f"apptemplates.inference.{entry.file}")
    try:
        call = graph(place, onnx, queries, answers)
        if differs := wrong(call, queries, answers):
            raise ArchiveError(f"it does not answer as it did when it was saved, {differs!r} differs")
        return Runtime(entry.name, saved, module.Answering(entry.name, saved, own), call)
    except ArchiveError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ArchiveError(f"its parts do not fit together ({error}); copy the folder again") from error


def graph(place: Path, onnx: str | Path | None, queries: Any, answers: Any) -> Any:
    """What answers: LiteRT, or onnxruntime where a file of it is given.

    Raises:
        ArchiveError: The runtime is not installed.
        ValueError: It can not open the file, or the file is another graph's.
    """
    try:
        if onnx is None:
            return LiteRT((place / "one.tflite").read_bytes(), queries, answers)
        return Onnx(onnx, queries, answers)
    except ModuleNotFoundError as error:
        needed = "ai-edge-litert (or give onnx=)" if onnx is None else "onnxruntime"
        raise ArchiveError(f"this needs {needed}; install it") from error


def stacked(kind: str, values: list[Any]) -> np.ndarray:
    """Canonical values of one field as a column; pictures and sounds may differ in size."""
    if kind not in ("image", "sound") and isinstance(values[0], np.ndarray | np.generic | float):
        return np.array(values)
    column = np.empty(len(values), object)
    column[:] = values
    return column


def part(arrays: Mapping[str, np.ndarray], side: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin so, by the rest of their names."""
    return {name.removeprefix(side): column for name, column in arrays.items() if name.startswith(side)}
