"""How a graph is written in each form, and how that is opened again in its own runtime."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from apptemplates.deploy import saved_graph
from apptemplates.deploy.fast import (
    LiteRT,
    Onnx,
    convert,
    input_signature,
    plain_names,
    quiet_logger,
    quiet_stderr,
    table_answers,
)
from apptemplates.deploy.folder import ArchiveError
from apptemplates.deploy.rows import Call, Table, parts


def write(app: Any, folder: Path, form: str, quantize: str | None, samples: Table | None) -> Call:
    """Writes a form into a folder and gives what the written files answer to prepared queries.

    Args:
        app: A fitted template.
        folder: An empty one.
        form: "saved_model", "litert" or "onnx".
        quantize: Of "litert"; see `export`.
        samples: Prepared queries, by which the ranges of "full_int8" are set.

    Raises:
        ArchiveError: The graph has no such form.
    """
    if form == "litert":
        return litert(app, folder, quantize, samples)
    return onnx(app, folder) if form == "onnx" else saved_model(app, folder)


def litert(app: Any, folder: Path, quantize: str | None, samples: Table | None) -> Call:
    """One file that takes one query."""
    from tensorflow.lite.python.convert_phase import ConverterError

    from apptemplates.layers.sound import in_float

    content = getattr(app, "fast_", None) and app.fast_.content if quantize is None else None
    try:
        with in_float() if quantize is not None else contextlib.nullcontext():
            content = content or convert(app.model_, **_options(app.model_, quantize, samples))
        call = LiteRT(content, app.model_.input, app.model_.output)
    except (ConverterError, RuntimeError, ValueError) as error:
        what = str(error).strip().split("\n")[0][:200]
        how = "LiteRT" if quantize is None else f"{quantize} LiteRT"
        raise ArchiveError(f"{type(app).__name__}: this graph has no {how} form ({what}).") from error
    (folder / "model.tflite").write_bytes(content)

    def answer(queries: Table) -> Table:
        try:
            return call(queries)
        except RuntimeError as error:  # such as a divisor that became 0 as a whole number
            what = str(error).strip().split("\n")[0][:200]
            raise ArchiveError(
                f"{type(app).__name__}: the {quantize or 'float'} form can not answer ({what})."
            ) from error

    return answer


def _options(model: Any, quantize: str | None, samples: Table | None) -> dict[str, Any]:
    """What the converter is told."""
    import tensorflow as tf

    if quantize is None:
        return {}
    told: dict[str, Any] = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    if quantize == "float16":
        told["target_spec"] = {"supported_types": [tf.float16]}
    if quantize == "full_int8":
        given, names = samples or {}, plain_names(model.input)
        kinds = {name: np.dtype(tensor.dtype) for name, tensor in model.input.items() if tensor.dtype != "string"}
        if len(kinds) < len(names):
            raise ValueError("words can not be calibrated")

        def ranges() -> Iterator[Table]:
            for row in parts(given):
                yield {names[name]: np.ascontiguousarray(row[name], kind) for name, kind in kinds.items()}

        told["representative_dataset"] = ranges
        told["target_spec"] = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]}
    return told


def onnx(app: Any, folder: Path) -> Call:
    """One file for onnxruntime."""
    try:
        import onnxruntime  # noqa: F401 (opens it)
        import tf2onnx  # noqa: F401 (Keras writes ONNX by it)
    except ImportError as error:
        raise ArchiveError(
            f"{type(app).__name__}: form 'onnx' needs {error.name}; install apptemplates[onnx]."
        ) from error
    import keras

    model, name = app.model_, type(app).__name__
    words = [column for column, tensor in model.input.items() if tensor.dtype == "string"]
    if words:
        raise ArchiveError(
            f"{name}: ONNX has no words, and this graph is asked {', '.join(map(repr, words[:3]))}; "
            "use form 'litert' or 'saved_model'."
        )
    serve, signature = served(model)
    entries = {name: keras.Input(spec.shape[1:], dtype=spec.dtype, name=name) for name, spec in signature.items()}
    whole = keras.Model(entries, serve(entries))
    path = folder / "model.onnx"
    with quiet_stderr(), quiet_logger():
        try:
            # an operation that ONNX lacks is written all the same, and refused only by who opens it
            whole.export(path, format="onnx", verbose=False, input_signature=[signature])
            return Onnx(path, model.input, model.output)
        except (ValueError, RuntimeError, KeyError) as error:
            what = str(error).strip().split("\n")[0][:200]
            raise ArchiveError(f"{name}: this graph has no ONNX form ({what}).") from error


def saved_model(app: Any, folder: Path) -> Call:
    """A folder for TensorFlow."""
    model = app.model_
    with quiet_logger():
        saved_graph.write(folder, model, *served(model))
    return _opened(folder, model)


def served(model: Any) -> tuple[Callable[[dict[str, Any]], dict[str, Any]], dict[str, Any]]:
    """The graph under the names an exported signature bears, and that signature, for any number of rows.

    Keras's own export runs random layers as in training.
    """
    import tensorflow as tf

    inputs, outputs = plain_names(model.input), plain_names(model.output)

    def serve(columns: dict[str, Any]) -> dict[str, Any]:
        answers = model({name: columns[plain] for name, plain in inputs.items()}, training=False)
        return {plain: answers[name] for name, plain in outputs.items()}

    return serve, {
        inputs[name]: tf.TensorSpec(spec.shape, spec.dtype, name=inputs[name])
        for name, spec in input_signature(model, rows=None).items()
    }


def _opened(folder: Path, model: Any) -> Call:
    """What a saved model answers to prepared queries."""
    import tensorflow as tf

    opened = tf.saved_model.load(str(folder))  # kept: its functions die with it
    serve, inputs, outputs = opened.signatures["serving_default"], plain_names(model.input), plain_names(model.output)
    answer = table_answers(model, lambda columns: serve(**{inputs[name]: column for name, column in columns.items()}))

    def call(queries: Table) -> Table:
        found, _ = answer(queries), opened
        return {name: found[plain] for name, plain in outputs.items()}

    return call
