"""What stands around the exported graph: from a query to what it takes, and from what it gives to the answer.

    python reader.py '{"column": "value", ...}'

    from reader import Reader

    reader = Reader()                  # opens the graph beside it by its runtime
    reader.predict_one({"column": "value"})

The graph is asked by LiteRT, onnxruntime or TensorFlow, whichever form lies here. Who asks it otherwise takes
`reader.inputs(query)`, named by `SETTINGS["inputs"]` in the graph, and `reader.answer(inputs, call)`.
"""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from parts.data.schema import DataError, Schema
from parts.deploy.arrays import read_arrays
from parts.deploy.fast import LiteRT, Onnx
from parts.inference import answering as own
from parts.inference import one

HERE = Path(__file__).parent
SETTINGS: dict[str, Any] = json.loads((HERE / "settings.json").read_text(encoding="utf-8"))
Arrays = dict[str, np.ndarray]


class Reader:
    """Answers one query at a time.

    Args:
        call: From the graph's inputs of one query to its outputs, each an array with one row; by default the graph that
            lies here.
    """

    def __init__(self, call: Callable[[Arrays], Arrays] | None = None) -> None:
        self.query = Schema.from_json(SETTINGS["query"])
        self._own = own.Answering(SETTINGS["class"], SETTINGS, read_arrays(HERE / "state.npz"))
        self._call = call

    def inputs(self, query: Mapping[str, Any]) -> Arrays:
        """What the graph takes for a query.

        Raises:
            DataError: It can not be answered; one sentence says why.
        """
        inputs = dict(self._own.prepare(one.asked(SETTINGS["class"], self.query, query)))
        problem = inputs.pop("problem", [""])[0]
        if problem:
            raise DataError(f"{SETTINGS['class']}: {problem}")
        return inputs

    def answer(self, inputs: Arrays, call: Callable[[Arrays], Arrays]) -> dict[str, Any]:
        """The answer, with the graph asked by `call`."""
        return one.told(self._own.respond(inputs, call))

    def predict_one(self, query: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a query.

        Raises:
            DataError: It can not be answered; one sentence says why.
        """
        inputs = self.inputs(query)
        if self._call is None:
            self._call = graph()
        return self.answer(inputs, self._call)


def graph() -> Callable[[Arrays], Arrays]:
    """The graph that lies here."""
    inputs, outputs = SETTINGS["inputs"], SETTINGS["outputs"]
    if (HERE / "model.tflite").is_file():
        return LiteRT((HERE / "model.tflite").read_bytes(), inputs, outputs)
    if (HERE / "model.onnx").is_file():
        return Onnx(HERE / "model.onnx", inputs, outputs)
    import tensorflow as tf

    opened = tf.saved_model.load(str(HERE))
    serve = opened.signatures["serving_default"]
    kinds = {name: tensor.dtype for name, tensor in serve.structured_input_signature[1].items()}

    def call(arrays: Arrays) -> Arrays:
        given = {plain: tf.constant(arrays[name].tolist(), kinds[plain]) for name, plain in inputs.items()}
        found, _ = serve(**given), opened  # kept: its functions die with it
        return {name: words(found[plain].numpy()) for name, plain in outputs.items()}

    return call


def words(values: np.ndarray) -> np.ndarray:
    """Words as TensorFlow gives them, as words."""
    if values.dtype != object:
        return values
    return np.array([word.decode() for word in values.ravel()], object).reshape(values.shape)


if __name__ == "__main__":
    try:
        print(json.dumps(Reader().predict_one(json.loads(sys.argv[1])), ensure_ascii=False))
    except (DataError, json.JSONDecodeError, IndexError) as error:
        sys.exit(str(error) if isinstance(error, DataError) else __doc__)
