"""A fitted template as one folder, that opens on another machine and in a later version."""

import contextlib
import dataclasses
import importlib
import os
import platform
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from apptemplates import _catalogue
from apptemplates.deploy import folder as layout
from apptemplates.deploy.arrays import DAMAGE, UnsafeFile, check_zip, read_arrays, write_arrays
from apptemplates.deploy.folder import STATE, ArchiveError

Table = dict[str, np.ndarray]


# ---- saving ----------------------------------------------------------------


def save(app: Any, folder: str | os.PathLike[str], share: bool = False) -> Path:
    """Writes a fitted template to one folder that `load` opens, here or on another machine.

    The folder is written beside its place and moved there when it is complete and has been read back, so that whatever
    goes wrong, the folder that was there before still loads.

    Args:
        app: a fitted template.
        folder: is made, or replaced if it is a saved template or empty.
        share: leaves out the records in the state, so that the folder can be given away.

    Returns:
        The folder.

    Raises:
        ArchiveError: the place holds something else, can not be written, or the disk is full.
    """
    name, versions = type(app).__name__, _versions()
    with layout.written_whole(name, folder, f"apptemplates {versions['apptemplates']}") as made:
        _write(app, made, share, versions)
        # A graph that Keras writes but can not read again must be noticed now, not on the day it is needed.
        try:
            _open_model(made, versions)
        except ArchiveError as error:
            raise ArchiveError(f"{name}: the model was not saved, it could not be read back: {error}.") from error
    return Path(folder)


def _write(app: Any, folder: Path, share: bool, versions: dict[str, str]) -> None:
    from apptemplates.deploy.fast import Fast
    from apptemplates.deploy.model_card import model_card
    from apptemplates.evaluation.figures import RECORDS

    answers = app.call_(app.golden_)
    fast = app.fast_ or Fast(app.model_, None, app.golden_, answers)
    _save_model(app.model_, folder / "model.keras")
    if app.network_ is not None and _network_in(app, app.model_) is None:
        _save_model(app.network_, folder / "network.keras")
    if fast.content:
        (folder / "one.tflite").write_bytes(fast.content)
    try:
        write_arrays(folder / STATE, app.pack_state(share))
    except TypeError as error:
        raise ArchiveError(f"{type(app).__name__}: the state can not be saved: {error}") from error
    golden = {f"query/{key}": column for key, column in app.golden_.items()}
    write_arrays(folder / "golden.npz", golden | {f"answer/{key}": column for key, column in answers.items()})
    layout.write_json(
        folder / "template.json",
        {
            "class": type(app).__name__,
            "parameters": app.get_params(),
            "columns": app.columns_.to_json(),
            "query": app.query.to_json(),
            "answer": app.answer.to_json(),
            "one_item": fast.form,
            "versions": versions,
            "learned": app.learned_,
        },
    )
    report = app.report_
    if report is not None:
        if share:  # without the records in it
            figures = [figure for figure in report.figures if figure.get_gid() != RECORDS]
            report = dataclasses.replace(report, suspects=None, figures=figures)
        report.save(folder / "report.json")
        report.save(folder / "report.html")
    (folder / "README.md").write_text(model_card(app, versions), encoding="utf-8")


def _network_in(app: Any, model: Any) -> Any:
    """The network inside the graph, where the application says that the graph holds it as it is."""
    look = getattr(app, "network_in", None)
    return None if look is None else look(model)


def _save_model(model: Any, path: Path) -> None:
    """Writes a graph without what only its training needed, which would make the file three times as large."""
    import keras

    plain = keras.Model(model.input, model.output, name=model.name)
    with untrained(plain):
        plain.save(path)


@contextlib.contextmanager
def untrained(model: Any) -> Iterator[None]:
    """Meanwhile nothing is known of how a graph was trained, such as a loss that no file can name."""
    trained = [(part, part.optimizer) for part in (model, *_parts(model)) if part.compiled]
    try:
        for part, _ in trained:
            part.compiled, part.optimizer = False, None
        yield
    finally:
        for part, optimizer in trained:
            part.compiled, part.optimizer = True, optimizer


def _parts(model: Any) -> Iterator[Any]:
    """The models inside a model."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield layer
            yield from _parts(layer)


# ---- loading ---------------------------------------------------------------


def load(folder: str | os.PathLike[str], cls: type | None = None) -> Any:
    """The fitted template that a folder holds.

    Sizes and checksums come first, then the class is looked up in the written catalogue, then Keras opens the graph in
    its safe mode, and its answers to a few saved queries must be those it gave when it was saved. That guards against
    damage, and a folder can not name code to run; still, load only folders you trust.

    Args:
        folder: written by `save`; or the name of a folder in the project's own `saved_models`.
        cls: the class that must be in it; for a template of your own that is not in the catalogue.

    Returns:
        The template, ready to answer.

    Raises:
        ArchiveError: the folder is missing, damaged, changed, foreign, of a newer format, or answers differently here.
    """
    from apptemplates.evaluation.report import Report

    with _refusing(folder):
        place = layout.place_of(folder)
        layout.check(place)
        content = layout.read_json(place / "template.json")
        for key, kind in {"class": str, "parameters": dict, "columns": dict, "versions": dict, "learned": dict}.items():
            if not isinstance(content.get(key), kind):
                raise ArchiveError(f"template.json does not say {key!r}; copy the folder again from where it came")
        template = _find_class(content["class"], cls)
        columns = _schema(content["columns"])
        try:
            app = template(**content["parameters"])
        except (TypeError, ValueError) as error:
            raise ArchiveError(f"its parameters do not fit this version of {content['class']} ({error})") from error
        model, golden, answers = _open_model(place, content["versions"])
        separate = _has(place, "network.keras")
        network = _open_keras(place / "network.keras", content["versions"]) if separate else _network_in(app, model)
        # Empty: the graph is known not to convert, so nobody tries again.
        one = (place / "one.tflite").read_bytes() if _has(place, "one.tflite") else b""
        report = Report.from_dict(layout.read_json(place / "report.json")) if _has(place, "report.json") else None
        state = _arrays(place / STATE)
        try:
            app.unpack(columns, state, model, network, one, content["learned"], report, golden, answers)
        except (KeyError, ValueError) as error:
            raise ArchiveError(f"{STATE!r} does not fit the rest ({error}); copy the folder again") from error
        return app


@contextlib.contextmanager
def _refusing(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Names the folder in every refusal."""
    try:
        yield
    except ArchiveError as error:
        raise ArchiveError(f"load: {str(folder)!r}: {error}.") from error.__cause__
    except OSError as error:
        raise ArchiveError(f"load: {str(folder)!r}: it can not be read ({error.strerror or error}).") from error


def _has(place: Path, name: str) -> bool:
    return (place / name).is_file()


def _find_class(name: str, cls: type | None) -> Any:
    if cls is not None:
        if cls.__name__ != name:
            raise ArchiveError(f"it holds a {name}, not a {cls.__name__}; call {name}.load or apptemplates.load")
        return cls
    entry = _catalogue.find(name)
    if entry is None or entry.name != name:
        raise ArchiveError(
            f"it holds a {name!r}, which this version's catalogue does not have; "
            "update apptemplates, or call the `load` of your own class"
        )
    return getattr(importlib.import_module(f"apptemplates.templates.{entry.file}"), name)


def _schema(columns: dict[str, Any]) -> Any:
    from apptemplates.data.schema import Schema

    try:
        return Schema.from_json(columns)
    except (TypeError, ValueError, KeyError) as error:
        raise ArchiveError(f"the columns in template.json are not ones this version knows ({error})") from error


def _open_model(place: Path, versions: dict[str, str]) -> tuple[Any, Table, Table]:
    """The graph, the golden queries, and the answers to them, which it gives as it did when it was saved."""
    from apptemplates.deploy.fast import differing, uncompiled

    model = _open_keras(place / "model.keras", versions)
    queries, answers = _golden(place)
    try:
        wrong = differing(answers, uncompiled(model)(queries))
    except (KeyError, ValueError) as error:
        raise ArchiveError(f"golden.npz does not fit the graph in model.keras ({error})") from error
    if wrong:
        raise ArchiveError(
            f"the model does not answer as it did when it was saved, {wrong[0]!r} differs"
            f"{_other_versions(versions)}; install those versions or fit anew"
        )
    return model, queries, answers


def _open_keras(path: Path, versions: dict[str, str]) -> Any:
    import keras

    # Registers every layer that a saved graph may hold; Keras never imports a package by itself.
    importlib.import_module("apptemplates.layers")
    _safe(path, check_zip)
    try:
        return keras.saving.load_model(path, safe_mode=True, compile=False)
    except (*DAMAGE, AttributeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ArchiveError(f"Keras can not open {path.name!r} ({reason}){_other_versions(versions)}") from error


def _other_versions(saved: dict[str, str]) -> str:
    here = _versions()
    other = [
        f"{package} {saved[package]}, here {here[package]}"
        for package in here
        if saved.get(package, "") != here[package]
    ]
    return f"; it was saved with {'; '.join(other)}" if other else ""


def _golden(place: Path) -> tuple[Table, Table]:
    parts: tuple[Table, Table] = ({}, {})
    for key, column in _arrays(place / "golden.npz").items():
        side, _, name = key.partition("/")
        parts[side == "answer"][name] = column
    return parts


def _arrays(path: Path) -> Table:
    return _safe(path, read_arrays)


def _safe(path: Path, read: Callable[[Path], Any]) -> Any:
    try:
        return read(path)
    except UnsafeFile as error:
        raise ArchiveError(f"{path.name!r} is refused: {error}") from error


def _versions() -> dict[str, str]:
    import apptemplates

    packages = {name: metadata.version(name) for name in ("keras", "numpy")}
    import tensorflow as tf  # asked for itself, since tensorflow-cpu is another package of the same program

    return {
        "apptemplates": apptemplates.__version__,
        **packages,
        "tensorflow": tf.__version__,
        "python": platform.python_version(),
    }
