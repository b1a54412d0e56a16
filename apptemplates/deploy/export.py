"""The model in forms that other programs run, each opened again and compared before it counts."""

import os
import secrets
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from apptemplates.deploy.fast import (
    LiteRT,
    convert,
    differing,
    input_signature,
    plain_names,
    quiet_logger,
    table_answers,
)
from apptemplates.deploy.folder import ArchiveError, write_json
from apptemplates.evaluation import cost

FORMS = ("saved_model", "litert")
RECEIPT = "receipt.json"


def export(
    app: Any,
    path: str | os.PathLike[str],
    form: str = "saved_model",
    quantize: str | None = None,
    max_drop: float = 0.01,
) -> Path:
    """Writes the graph from prepared query to raw answer in a form that other programs run.

    Args:
        app: a fitted template.
        path: a new place; nothing is overwritten.
        form: "saved_model" (TensorFlow, TF Serving) takes any number of rows; "litert" (phones, small computers) is
            one file, `model.tflite`, that takes one. Inputs and outputs have the graph's names, where TensorFlow does
            not take them written with letters, digits and `_`. Beside either lies `receipt.json`: the largest
            difference from the template on the golden queries, the size and the time of one answer.
        quantize: no form there is takes it yet.
        max_drop: largest loss of the headline that quantising may cost.

    Returns:
        The path.

    Raises:
        ValueError: there is no such form, or it can not be quantised.
        ArchiveError: the place is taken or can not be written, the graph has no such form, or it answers differently.
    """
    name, target = type(app).__name__, Path(path).absolute()
    if form not in FORMS:
        raise ValueError(f"{name}: form must be one of {', '.join(map(repr, FORMS))}. Received: {form!r}.")
    if quantize is not None:
        raise ValueError(
            f"{name}: form {form!r} is not quantised; leave quantize out. Received: quantize={quantize!r}."
        )
    if target.exists() or target.is_symlink():
        raise ArchiveError(f"{name}: {str(path)!r} is there already and export overwrites nothing; give a new place.")
    made = target.parent / f".{target.name}.{secrets.token_hex(4)}.saving"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        made.mkdir()
        call = (_write_litert if form == "litert" else _write_saved_model)(app, made)
        expected, found = app.call_(app.golden_), one_by_one(call, app.golden_)
        wrong = differing(expected, found)
        if wrong:
            raise ArchiveError(f"{name}: the exported graph answers {wrong[0]!r} differently, so it was not kept.")
        write_json(made / RECEIPT, receipt(name, form, made, call, app.golden_, expected, found))
        made.rename(target)
    except OSError as error:
        raise ArchiveError(f"{name}: {str(path)!r} could not be written ({error.strerror or error}).") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return Path(path)


def one_by_one(call: Any, queries: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The answers to queries, asked one after the other."""
    answers = [call(row) for row in single_rows(queries)]
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def single_rows(queries: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Each query as a table of its own."""
    count = len(next(iter(queries.values())))
    return [{name: column[row : row + 1] for name, column in queries.items()} for row in range(count)]


def receipt(
    name: str,
    form: str,
    folder: Path,
    call: Any,
    queries: dict[str, np.ndarray],
    expected: dict[str, np.ndarray],
    found: dict[str, np.ndarray],
) -> dict[str, Any]:
    """What was measured of an exported graph: how far it is from the template, how large and how fast it is."""
    far = {key: largest(expected[key], found[key]) for key in expected if expected[key].dtype.kind == "f"}
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {
        "template": name,
        "form": form,
        "queries": len(next(iter(queries.values()))),
        "largest difference": far,
        "megabytes": round(size / 1e6, 3),
        **{key: round(value, 4) for key, value in cost.latency(call, single_rows(queries), repeats=100).items()},
    }


def largest(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference of two arrays; 0 of empty ones."""
    return float(np.abs(one.astype("float64") - other).max(initial=0.0))


def _write_litert(app: Any, folder: Path) -> Any:
    from tensorflow.lite.python.convert_phase import ConverterError

    content = getattr(app, "fast_", None) and app.fast_.content
    try:
        content = content or convert(app.model_)
    except (ConverterError, RuntimeError, ValueError) as error:
        what = str(error).strip().split("\n")[0][:200]
        raise ArchiveError(f"{type(app).__name__}: this graph has no LiteRT form ({what}).") from error
    (folder / "model.tflite").write_bytes(content)
    return LiteRT(content, app.model_.input, app.model_.output)


def _write_saved_model(app: Any, folder: Path) -> Any:
    import keras
    import tensorflow as tf

    model = app.model_
    inputs, outputs = plain_names(model.input), plain_names(model.output)

    def serve(columns: dict[str, Any]) -> dict[str, Any]:
        # Keras's own export runs random layers as in training.
        answers = model({name: columns[plain] for name, plain in inputs.items()}, training=False)
        return {plain: answers[name] for name, plain in outputs.items()}

    signature = {
        inputs[name]: tf.TensorSpec(spec.shape, spec.dtype, name=inputs[name])
        for name, spec in input_signature(model, rows=None).items()
    }
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", serve, input_signature=[signature])
    try:
        with quiet_logger():
            archive.write_out(str(folder), verbose=False)
    except (tf.errors.ResourceExhaustedError, tf.errors.OutOfRangeError) as error:
        raise OSError(error.message) from error
    return _opened(folder, model)


def _opened(folder: Path, model: Any) -> Any:
    """What a saved model answers to prepared queries."""
    import tensorflow as tf

    opened = tf.saved_model.load(str(folder))  # kept: its functions die with it
    serve, inputs, outputs = opened.signatures["serving_default"], plain_names(model.input), plain_names(model.output)
    answer = table_answers(model, lambda columns: serve(**{inputs[name]: column for name, column in columns.items()}))

    def call(queries: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        found, _ = answer(queries), opened
        return {name: found[plain] for name, plain in outputs.items()}

    return call
