"""The model in forms that other programs run, each opened again and compared before it counts."""

import os
import secrets
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from apptemplates.deploy.fast import differing, input_signature, plain_names, quiet_logger, table_answers
from apptemplates.deploy.folder import ArchiveError

FORMS = ("saved_model",)


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
        form: "saved_model" (TensorFlow, TF Serving) takes any number of rows; inputs and outputs have the graph's
            names, where TensorFlow does not take them written with letters, digits and `_`.
        quantize: no form there is takes it yet.
        max_drop: largest loss of the headline that quantising may cost.

    Returns:
        The path.

    Raises:
        ValueError: there is no such form, or it can not be quantised.
        ArchiveError: the place is taken or can not be written, or the exported graph answers differently.
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
        _write_saved_model(app.model_, made)
        wrong = differing(app.call_(app.golden_), _answers_of(made, app.model_, app.golden_))
        if wrong:
            raise ArchiveError(f"{name}: the exported graph answers {wrong[0]!r} differently, so it was not kept.")
        made.rename(target)
    except OSError as error:
        raise ArchiveError(f"{name}: {str(path)!r} could not be written ({error.strerror or error}).") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return Path(path)


def _write_saved_model(model: Any, folder: Path) -> None:
    import keras
    import tensorflow as tf

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


def _answers_of(folder: Path, model: Any, golden: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    import tensorflow as tf

    opened = tf.saved_model.load(str(folder))  # kept: its functions die with it
    serve, inputs, outputs = opened.signatures["serving_default"], plain_names(model.input), plain_names(model.output)
    answer = table_answers(model, lambda columns: serve(**{inputs[name]: column for name, column in columns.items()}))
    return {name: answer(golden)[plain] for name, plain in outputs.items()}
