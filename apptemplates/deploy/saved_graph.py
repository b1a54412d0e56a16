"""A graph as TensorFlow's SavedModel, which it serves from and which LiteRT is made of."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def write(folder: str | Path, model: Any, serve: Callable[[dict[str, Any]], Any], signature: dict[str, Any]) -> None:
    """Writes what a function of a model's graph gives.

    Args:
        folder: An empty one.
        model: `keras.Model` whose layers the function uses.
        serve: From tensors by name to tensors by name.
        signature: A `tf.TensorSpec` for each of its inputs.

    Raises:
        OSError: The disk is full.
    """
    import keras
    import tensorflow as tf

    archive = keras.export.ExportArchive()
    # Its variables are found by themselves, its tables of words are not. They hang on layers; models are passed over,
    # since all that was ever traced of them would be traced again, which took half of the time.
    for layer in {id(layer): layer for layer in parts(model)}.values():
        archive.track(layer)
    archive.add_endpoint("serve", serve, input_signature=[signature])
    try:
        archive.write_out(str(folder), verbose=False)
    except (tf.errors.ResourceExhaustedError, tf.errors.OutOfRangeError) as error:
        raise OSError(f"the disk is full: {error.message}") from error


def parts(model: Any) -> Iterator[Any]:
    """The layers of a model that are no models, also those in models within it."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from parts(layer)
        else:
            yield layer
