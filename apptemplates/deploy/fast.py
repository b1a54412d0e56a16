"""Answers in milliseconds: one item through LiteRT or one compiled function, many through one compiled function."""

import contextlib
import math
import os
import re
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from apptemplates.deploy import saved_graph
from apptemplates.deploy.rows import FEW, MANY, Table, asked, filled, parts, resized

CHUNK = 8192  # rows at a time, at most
BYTES = 4e6  # of inputs at a time, at most: what is made of more no longer fits into the caches of a CPU
TOLERANCE = 1e-4
NARROW = 256  # values in a row of all inputs: up to so many, one call for several rows beats as many calls
ONNX = {"float": "float32", "double": "float64"}  # what ONNX calls otherwise than NumPy


def plain_names(names: Iterable[str]) -> dict[str, str]:
    """The name each input or output has in an exported signature.

    TensorFlow takes column names such as `größe`, `a b`, `A` beside `a`, or `self` badly or not at all, so every name
    outside letters, digits and `_` is written with those. Names that are plain already stay as they are.

    Args:
        names: the graph's own names, in any order.

    Returns:
        own name -> name in the signature; the same for the same names, and all different, case ignored.
    """
    plain: dict[str, str] = {}
    taken = {"", "self"}
    for position, name in enumerate(sorted(names)):
        short = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")
        if short.lower() in taken:
            short = f"{short}_{position}".strip("_")
        while short.lower() in taken:
            short += "_"
        taken.add(short.lower())
        plain[name] = short
    return plain


def convert(model: Any, rows: int | None = 1, **options: Any) -> bytes:
    """The graph as a LiteRT file: float, strings included.

    Args:
        model: functional `keras.Model` with a dict of inputs and a dict of outputs.
        rows: how many queries it answers at a time; None: one unless it is resized, which not every graph stands.
        options: attributes of `tf.lite.TFLiteConverter`, such as how to quantise; `target_spec` is a dict of its own.

    Returns:
        The flatbuffer. Its signature names inputs and outputs as `plain_names` says.

    Raises:
        ConverterError: an operation has no LiteRT form.
        ValueError: the graph can not be built for such a batch.
        OSError: there is no room for temporary files.
    """
    import keras
    import tensorflow as tf

    inputs, outputs = plain_names(model.input), plain_names(model.output)
    ones = {
        name: keras.Input(batch_shape=(rows, *tensor.shape[1:]), dtype=tensor.dtype, name=inputs[name])
        for name, tensor in model.input.items()
    }
    answers = model(ones)
    one = keras.Model(
        {inputs[name]: tensor for name, tensor in ones.items()},
        {outputs[name]: tensor for name, tensor in answers.items()},
        name="g",
    )
    with tempfile.TemporaryDirectory() as folder, quiet_stderr(), quiet_logger(), called(model, "a"):
        saved_graph.write(folder, one, partial(one, training=False), input_signature(one, rows))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.experimental_enable_resource_variables = True
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
        for name, value in options.pop("target_spec", {}).items():
            setattr(converter.target_spec, name, value)
        for name, value in options.items():
            setattr(converter, name, value)
        return converter.convert()  # type: ignore[no-any-return]


@contextlib.contextmanager
def called(model: Any, name: str) -> Iterator[None]:
    """Meanwhile a model has this name, which stands in front of every name in a file that is made of it."""
    before, model.name = model.name, name
    try:
        yield
    finally:
        model.name = before


def input_signature(model: Any, rows: int | None) -> dict[str, Any]:
    """What a compiled graph accepts: a `tf.TensorSpec` for each input, with a batch of `rows` (None: any)."""
    import tensorflow as tf

    return {
        name: tf.TensorSpec((rows, *tensor.shape[1:]), tensor.dtype, name=name) for name, tensor in model.input.items()
    }


class Fast:
    """The answer to one query, without the 70 ms of `model.predict`.

    LiteRT answers where the graph converts and its answers agree with the Keras model's on the golden queries; else one
    compiled function with a fixed signature does. Both may be called from several threads.

    Args:
        model: functional `keras.Model` with a dict of inputs and a dict of outputs.
        content: the LiteRT file made earlier; None converts now; empty means that the graph is known not to convert.
        golden: a few prepared queries, arrays of shape (n, ...).
        answers: what the model says to them, where that is known already.

    Attributes:
        form: "litert" or "compiled".
        content: the LiteRT file, or None where the compiled function answers.
    """

    def __init__(self, model: Any, content: bytes | None, golden: Table, answers: Table | None = None):
        self.form, self.content = "compiled", None
        if content is not None:
            ways: list[Callable[[], bytes]] = [lambda: content] if content else []
        else:
            ways = [partial(convert, model, rows) for rows in ((None, 1) if narrow(model) else (1,))]
        if ways and answers is None:
            answers = batch(model)(golden)
        for way in ways:
            found = _checked(model, way, golden, answers or {})
            if found is not None:
                self.form, (self.content, self._call) = "litert", found
                return
        self._call = _compiled(model, rows=1)

    def __call__(self, prepared: Table) -> Table:
        """The raw answer to one prepared query.

        Args:
            prepared: for each input of the graph an array of shape (1, ...).

        Returns:
            For each output of the graph an array of shape (1, ...); strings as `str`.

        Raises:
            ValueError: an input does not hold exactly one row.
        """
        return self._call(prepared)


def _checked(
    model: Any, make: Callable[[], bytes], golden: Table, expected: Table
) -> tuple[bytes, Callable[[Table], Table]] | None:
    """A LiteRT file and what asks it; None where it can not be made, or does not answer as expected."""
    from tensorflow.lite.python.convert_phase import ConverterError

    try:
        content = make()
        one = LiteRT(content, model.input, model.output)
        return None if wrong(one, golden, expected) else (content, one)
    except (ConverterError, ValueError, RuntimeError):
        # RuntimeError is what the interpreter raises for operations that would need TensorFlow beside it.
        return None


def narrow(model: Any) -> bool:
    """Whether the inputs of a graph are so small that its calls cost more than its arithmetic."""
    sizes = [tensor.shape[1:] for tensor in model.input.values()]
    return all(None not in size for size in sizes) and sum(math.prod(size) for size in sizes) <= NARROW


def batch(model: Any) -> Callable[[Table], Table]:
    """The answers to many queries: a function from a prepared table to raw answers.

    The graph is compiled by the first call, once for any number of rows, and run on at most 8,192 rows or 4 MB of
    inputs at a time, so memory stays bounded.

    Args:
        model: functional `keras.Model` with a dict of inputs and a dict of outputs.

    Returns:
        A function of a prepared table, arrays of shape (n, ...) where n may be 0, that returns arrays of shape
        (n, ...), strings as `str`.
    """
    lock, made = threading.Lock(), list[Callable[[Table], Table]]()

    def compiled(prepared: Table) -> Table:
        with lock:
            if not made:
                made.append(_compiled(model, rows=None))
        return made[0](prepared)

    return _in_parts(model, compiled)


def uncompiled(model: Any) -> Callable[[Table], Table]:
    """As `batch`, for few rows that are asked once or twice."""
    return _in_parts(model, table_answers(model, partial(model, training=False)))


def _in_parts(model: Any, call: Callable[[Table], Table]) -> Callable[[Table], Table]:
    names = list(model.input)

    def answer(prepared: Table) -> Table:
        rows = len(prepared[names[0]])
        size = sum(prepared[name].nbytes for name in names) / max(rows, 1)
        chunk = max(1, min(CHUNK, int(BYTES / max(size, 1))))
        starts = range(0, max(rows, 1), chunk)
        parts = [call({name: prepared[name][start : start + chunk] for name in names}) for start in starts]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    return answer


def values(inputs: dict[str, Any], output: Any, prepared: Table) -> np.ndarray:
    """What one tensor of a graph comes to for the rows of a prepared table.

    Args:
        inputs: symbolic inputs by name.
        output: symbolic tensor made from them.
        prepared: for each input an array of shape (n, ...).
    """
    import keras

    few = all(len(column) <= CHUNK for column in prepared.values())  # compiling would take longer than answering
    return (uncompiled if few else batch)(keras.Model(inputs, {"value": output}))(prepared)["value"]


class LiteRT:
    """A LiteRT file as a function of one prepared query; may be called from several threads.

    It sets, runs and gets by the places of tensors: LiteRT's own signature runner resizes every input and allocates
    anew on each call, which takes up to four times as long as the graph.

    Args:
        content: what `convert` wrote.
        inputs: the graph's own names of its inputs; others may be among them.
        outputs: and of its outputs, in the order in which answers have them.
        rows: how many queries it is asked at a time; others than one need a file that was made for any number.

    Attributes:
        any_rows: whether the file was made for any number of rows.

    Raises:
        ValueError: the file has other inputs or outputs.
    """

    def __init__(self, content: bytes, inputs: Iterable[str], outputs: Iterable[str], rows: int = 1):
        from ai_edge_litert.interpreter import Interpreter

        self._lock, self._rows, outputs = threading.Lock(), rows, list(outputs)
        with quiet_stderr():
            interpreter = Interpreter(model_content=content, num_threads=1)
            interpreter.allocate_tensors()
            runner = interpreter.get_signature_runner()
        details, told = runner.get_input_details(), runner.get_output_details()
        del runner  # while one is there the interpreter does not run
        self._interpreter = interpreter
        given = {name: plain for name, plain in plain_names(inputs).items() if plain in details}
        names = plain_names(outputs)
        if set(details) != set(given.values()) or set(told) != set(names.values()):
            raise ValueError("the LiteRT file has other inputs or outputs than the graph")
        kinds = {plain: np.dtype(detail["dtype"]) for plain, detail in details.items()}
        kinds = {plain: np.dtype(object) if kind.kind in "SO" else kind for plain, kind in kinds.items()}
        self._inputs = [(name, details[plain]["index"], kinds[plain]) for name, plain in given.items()]
        self._outputs = [(name, told[names[name]]["index"]) for name in outputs]
        self._shapes = {details[plain]["index"]: tuple(details[plain]["shape"]) for plain in given.values()}
        self.any_rows = all(detail["shape_signature"].tolist()[:1] == [-1] for detail in details.values())
        # a second one, since another number of rows needs room anew, which takes longer than an answer
        self._many = LiteRT(content, given, outputs, MANY) if self.any_rows and rows == 1 else None

    def __call__(self, prepared: Table) -> Table:
        columns = []
        for name, place, dtype in self._inputs:
            _check_rows(name, prepared[name], self._rows)
            columns.append((place, np.ascontiguousarray(prepared[name], dtype)))
        run = self._interpreter
        with self._lock:
            self._fit({place: column.shape for place, column in columns})
            for place, column in columns:
                run.set_tensor(place, column)
            run.invoke()
            answers = [run.get_tensor(place) for _, place in self._outputs]
        return {name: _text(answer) for (name, _), answer in zip(self._outputs, answers, strict=True)}

    def each(self, prepared: Table) -> Table:
        """The answers to any number of prepared queries."""
        if self._many is None or len(next(iter(prepared.values()))) <= FEW:
            return asked(self, prepared)
        return asked(partial(filled, self._many, MANY), prepared, MANY)

    def _fit(self, shapes: dict[int, tuple[int, ...]]) -> None:
        """Makes room for inputs of other shapes than those asked last."""
        if shapes == self._shapes:
            return
        self._shapes = {}  # known again only when all of this went well
        for place, shape in shapes.items():
            self._interpreter.resize_tensor_input(place, shape)
        self._interpreter.allocate_tensors()
        self._shapes = shapes


class Onnx:
    """An ONNX file as a function of prepared queries, any number of rows; may be called from several threads.

    Args:
        path: of the file.
        inputs: the graph's own names of its inputs; others may be among them.
        outputs: and of its outputs, in the order in which answers have them.

    Raises:
        ValueError: the file can not be opened, or has other inputs or outputs.
    """

    def __init__(self, path: str | os.PathLike[str], inputs: Iterable[str], outputs: Iterable[str]):
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as state

        names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented", "RuntimeException")
        try:
            session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
        except tuple(getattr(state, name) for name in names) as error:
            raise ValueError(f"the ONNX file can not be opened: {str(error).strip().splitlines()[0][:200]}") from error
        self._run = session.run
        kinds = {one.name: one.type.removeprefix("tensor(").rstrip(")") for one in session.get_inputs()}
        given = {name: plain for name, plain in plain_names(inputs).items() if plain in kinds}
        told = plain_names(outputs := list(outputs))
        if set(kinds) != set(given.values()) or {one.name for one in session.get_outputs()} != set(told.values()):
            raise ValueError("the ONNX file has other inputs or outputs than the graph")
        self._inputs = [(name, plain, np.dtype(ONNX.get(kinds[plain], kinds[plain]))) for name, plain in given.items()]
        self._outputs = [(name, told[name]) for name in outputs]
        self.any_rows, self.each = True, self.__call__

    def __call__(self, prepared: Table) -> Table:
        columns = {plain: np.ascontiguousarray(prepared[name], dtype) for name, plain, dtype in self._inputs}
        found = self._run([plain for _, plain in self._outputs], columns)
        return {name: answer for (name, _), answer in zip(self._outputs, found, strict=True)}


def table_answers(model: Any, graph: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Table], Table]:
    """A graph's function of tensors as one of a prepared table: arrays in, arrays out, strings as `str`."""
    import tensorflow as tf

    inputs = [(name, _dtype(tensor)) for name, tensor in model.input.items()]

    def answer(prepared: Table) -> Table:
        columns = {
            name: tf.convert_to_tensor(np.asarray(prepared[name], dtype), tf.string if dtype is object else None)
            for name, dtype in inputs
        }
        return {name: _text(tensor.numpy()) for name, tensor in graph(columns).items()}

    return answer


def _compiled(model: Any, rows: int | None) -> Callable[[Table], Table]:
    import tensorflow as tf

    graph = tf.function(lambda columns: model(columns, training=False))
    # Traced once here: called as a tf.function, it would warn that its code was traced for other models before.
    answer = table_answers(model, graph.get_concrete_function(input_signature(model, rows)))
    names = list(model.input)

    def answer_one(prepared: Table) -> Table:
        for name in names:
            _check_rows(name, prepared[name], 1)
        return answer(prepared)

    return answer if rows is None else answer_one


def _check_rows(name: str, column: np.ndarray, rows: int) -> None:
    if len(column) != rows:
        how = "one row" if rows == 1 else f"{rows} rows"
        raise ValueError(f"Fast: input {name!r} has {len(column)} rows; give {how} at a time.")


def wrong(call: "LiteRT | Onnx", golden: Table, expected: Table) -> str:
    """The first output that is not as expected, of golden queries asked one by one, and together; "" for none."""
    for query, answer in zip(parts(golden), parts(expected), strict=True):
        for name in differing(answer, call(query)):
            return name
    if call.any_rows:
        for name in differing(resized(expected, MANY), call.each(resized(golden, MANY))):
            return name
    return ""


def differing(expected: Table, found: Table) -> list[str]:
    """The outputs that differ: floats by more than 1e-4, absolutely and relatively, all else at all."""
    return [name for name, values in expected.items() if name not in found or not _same(values, found[name])]


def _same(expected: np.ndarray, found: np.ndarray) -> bool:
    if expected.shape != found.shape:
        return False
    if expected.dtype.kind == "f":
        return np.allclose(expected, found, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    return np.array_equal(expected, found)


def _dtype(tensor: Any) -> Any:
    return object if tensor.dtype == "string" else np.dtype(tensor.dtype)


def _text(answers: np.ndarray) -> np.ndarray:
    if answers.dtype.kind not in "SO":
        return answers
    words = [word.decode() if isinstance(word, bytes) else word for word in answers.ravel()]
    return np.array(words, dtype=object).reshape(answers.shape)


@contextlib.contextmanager
def quiet_logger() -> Iterator[None]:
    """No lines of TensorFlow's Python logger meanwhile, which in a notebook tells where temporary files are.

    Nor what its own parts warn each other of, such as an interpreter that is to be moved.
    """
    import tensorflow as tf

    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Nothing on standard error meanwhile: TensorFlow's C++ code writes there past Python and its log levels."""
    try:
        kept = os.dup(2)
    except OSError:  # no standard error, nothing to silence
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
