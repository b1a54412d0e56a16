"""The model in forms that other programs run, each opened in its own runtime and measured before it counts."""

import os
import secrets
import shutil
from pathlib import Path
from typing import Any

from apptemplates import _catalogue
from apptemplates.deploy import eject, forms, receipts, rows
from apptemplates.deploy.arrays import write_arrays
from apptemplates.deploy.fast import differing, plain_names
from apptemplates.deploy.folder import ArchiveError, write_json

FORMS = ("saved_model", "litert", "onnx")
QUANTIZED = ("full_int8", "int8", "float16")  # the smallest first
RECEIPT = "receipt.json"
CALIBRATED = ("full_int8", "auto")
UNCALIBRATED = "needs calibration=, training records by which its ranges are set"
READING = """
`reader.py` goes from a query to what the graph takes, and from what it gives to the answer, by NumPy alone; with
`settings.json`, `state.npz` and `parts/`. It holds no record of anybody.

    python reader.py '{"column": "value"}'
"""
READS = (
    *(("data.schema", "Schema"), ("data.schema", "DataError"), ("deploy.arrays", "read_arrays")),
    *(("deploy.fast", "LiteRT"), ("deploy.fast", "Onnx"), ("inference.one", "asked"), ("inference.one", "told")),
)


def export(
    app: Any,
    path: str | os.PathLike[str],
    form: str = "saved_model",
    quantize: str | None = None,
    max_drop: float = 0.01,
    records: Any = None,
    calibration: Any = None,
) -> Path:
    """Writes the graph from prepared query to raw answer in a form that other programs run.

    Args:
        app: a fitted template.
        path: a new place; nothing is overwritten.
        form: "saved_model" (TensorFlow, TF Serving) and "onnx" (onnxruntime) take any number of rows; "litert" (phones,
            small computers) is one file, `model.tflite`, that takes one. Inputs and outputs have the graph's names,
            where TensorFlow does not take them written with letters, digits and `_`. Beside each lie `receipt.json`
            and README.md: what was measured of it; and `reader.py`, which goes from a query to the graph's inputs and
            from its outputs to the answer (`python reader.py '{"column": "value"}'`), with NumPy alone.
        quantize: of "litert": "int8" (weights), "full_int8" (what is computed, too), "float16", or "auto" for the
            smallest that loses no more than `max_drop`.
        max_drop: largest loss of the headline metric that a form may cost; of one above 1, such as an error in euros,
            as a share of it.
        records: held-out ones with their truth, by which the loss is measured. Where `fit` or `finetune` was called in
            this process, by default some of those that it held out; a loaded folder has none, and `quantize` needs
            them.
        calibration: training records, of which "full_int8" draws 200 to set the ranges of what is computed; by default
            some that `fit` learned from, with a loaded folder none, so that "auto" passes over it.

    Returns:
        The path.

    Raises:
        ValueError: there is no such form, or it can not be quantised so.
        ArchiveError: the place is taken or can not be written, the graph has no such form, it answers differently, or
            loses more than is allowed.
    """
    name, target = type(app).__name__, Path(path).absolute()
    check_choices(name, form, quantize, max_drop, records, calibration, app.kept_)
    records = app.kept_ if records is None else records
    if calibration is None and quantize in CALIBRATED:
        calibration = app.kept_
    if target.exists() or target.is_symlink():
        raise ArchiveError(f"{name}: {str(path)!r} is there already and export overwrites nothing; give a new place.")
    held_out = None if records is None else receipts.held_out(app, records)
    samples = None if calibration is None else receipts.samples(app, calibration)
    made = target.parent / f".{target.name}.{secrets.token_hex(4)}.saving"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        made.mkdir()
        ways = QUANTIZED if quantize == "auto" else (quantize,)
        tried = [
            _tried(app, made / str(way), form, way, max_drop, held_out, samples, quantize == "auto") for way in ways
        ]
        kept = [one for one in tried if "refused" not in one]
        if not kept:
            raise ArchiveError(f"{name}: {'; '.join(one['refused'] for one in tried)}")
        best = min(kept, key=lambda one: one["megabytes"])
        folder = made / str(best["quantize"])
        write_json(folder / RECEIPT, best if len(tried) == 1 else best | {"tried": tried})
        (folder / "README.md").write_text(receipts.page(app, tried, best), encoding="utf-8")
        _write_reader(app, folder)
        folder.rename(target)
        if app.report_ is not None:
            app.report_.notes |= receipts.notes(best)
    except OSError as error:
        raise ArchiveError(f"{name}: {str(path)!r} could not be written ({error.strerror or error}).") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return Path(path)


def _write_reader(app: Any, folder: Path) -> None:
    """What stands around the graph: from a query to its inputs, from its outputs to the answer; nothing of records."""
    entry = _catalogue.find(type(app).__name__)
    if entry is None or entry.name != type(app).__name__:
        return  # how a class of one's own prepares queries is not known here
    inputs, outputs = plain_names(app.model_.input), plain_names(app.model_.output)
    eject.write_slices(READS, ("reader",), entry.file, folder)
    write_arrays(folder / "state.npz", app.close_state(app.state_, share=True))
    write_json(folder / "settings.json", eject.settings(app) | {"inputs": inputs, "outputs": outputs})
    with (folder / "README.md").open("a", encoding="utf-8") as page:
        page.write(READING)


def check_choices(
    name: str, form: str, quantize: str | None, max_drop: float, records: Any, calibration: Any, kept: Any = None
) -> None:
    """Raises ValueError where the choices of `export` do not go together, before anything is written."""
    if form not in FORMS:
        raise ValueError(f"{name}: form must be one of {', '.join(map(repr, FORMS))}. Received: {form!r}.")
    if quantize is not None and quantize not in (*QUANTIZED, "auto"):
        known = ", ".join(map(repr, (*QUANTIZED, "auto")))
        raise ValueError(f"{name}: quantize must be one of {known}, or None. Received: {quantize!r}.")
    if quantize is not None and form != "litert":
        raise ValueError(f"{name}: form {form!r} is not quantised; give form='litert', or leave quantize out.")
    if quantize is not None and records is None and kept is None:
        raise ValueError(
            f"{name}: quantize needs records= with their truth, held out of learning, by which its loss is measured; a "
            "folder keeps none."
        )
    if quantize == "full_int8" and calibration is None and kept is None:
        raise ValueError(f"{name}: quantize='full_int8' {UNCALIBRATED}.")
    if quantize not in CALIBRATED and calibration is not None:
        raise ValueError(f"{name}: calibration= is for quantize='full_int8' or 'auto'; leave it out.")
    if not max_drop >= 0:
        raise ValueError(f"{name}: max_drop must be a number of at least 0. Received: {max_drop!r}.")


def _tried(
    app: Any,
    folder: Path,
    form: str,
    quantize: str | None,
    max_drop: float,
    held_out: Any,
    samples: Any,
    several: bool,
) -> dict[str, Any]:
    """The receipt of one form; where it is one of several and refused, that with the reason in `refused`."""
    name = type(app).__name__
    try:
        if quantize == "full_int8" and samples is None:
            raise ArchiveError(f"{name}: it {UNCALIBRATED}")
        folder.mkdir()
        call = forms.write(app, folder, form, quantize, samples)
        expected, found = app.call_(app.golden_), rows.asked(call, app.golden_)
        wrong = differing(expected, found) if quantize is None else []
        if wrong:
            raise ArchiveError(f"{name}: the exported graph answers {wrong[0]!r} differently, so it was not kept.")
        told = receipts.receipt(app, form, quantize, folder, call, expected, found, held_out)
        head = told.get("headline")
        if head and not head["lost"] <= max_drop * max(1.0, abs(head["template"])):
            lost = f"{head['lost']:.4f} of {head['name']} on {head['records']:,} records"
            less = "use another form" if quantize is None else "quantise less"
            raise ArchiveError(
                f"{name}: {quantize or form} costs {lost}, more than max_drop={max_drop:g} allows, so it was not kept; "
                f"allow more, or {less}."
            )
    except ArchiveError as error:
        if not several:
            raise
        return {"quantize": quantize, "refused": str(error).removeprefix(f"{name}: ")}
    return told
