"""The end of model.py: how weights come in, and how the model is asked."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

HERE = Path(__file__).parent


def places(whole: keras.Model, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every variable of a model by its place: the layer, and in parts of the model the layer in them."""
    for layer in whole.layers:
        if isinstance(layer, keras.Model):
            yield from places(layer, f"{before}{layer.name}/")
        else:
            for number, variable in enumerate(layer.weights):
                yield f"{before}{layer.name}/{number} {variable.name}", variable


def load(path: str | os.PathLike[str] | None = None, fresh: bool = False) -> keras.Model:
    """The model with its weights.

    Args:
        path: Of the weights; by default those that came with this folder.
        fresh: Leave what is learned as it was drawn, and load the rest: scales, calibration, thresholds.
    """
    whole = build()  # type: ignore[name-defined]  # noqa: F821
    with np.load(HERE / "weights.npz" if path is None else path) as weights:
        for place, variable in places(whole):
            if not (fresh and variable.trainable):
                variable.assign(weights[place])
    return whole


def save(whole: keras.Model, path: str | os.PathLike[str]) -> None:
    """Writes the weights; what was there before stays until all is written."""
    made = Path(f"{path}.part.npz")
    np.savez_compressed(made, **{place: variable.numpy() for place, variable in places(whole)})
    made.replace(path)


def caller(whole: keras.Model) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """The model as a function of arrays, compiled once."""
    step = tf.function(lambda inputs: whole(inputs, training=False), reduce_retracing=True)

    def call(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = step({name: tf.constant(inputs[name], tensor.dtype) for name, tensor in whole.input.items()})
        arrays = {name: value.numpy() for name, value in found.items()}
        return {
            name: np.array([word.decode() for word in value.ravel()], object).reshape(value.shape)
            if value.dtype == object
            else value
            for name, value in arrays.items()
        }

    return call


def by_parts(part: keras.Model, inputs: dict[str, np.ndarray], at_once: int = 1024) -> np.ndarray:
    """What a part of the model makes of arrays, some rows at a time."""
    entries = part.input if isinstance(part.input, dict) else {part.input.name: part.input}
    step = tf.function(lambda given: part(given if isinstance(part.input, dict) else next(iter(given.values()))))
    count, found = len(next(iter(inputs.values()))), []
    for start in range(0, count, at_once):
        rows = {n: tf.constant(inputs[n][start : start + at_once], tensor.dtype) for n, tensor in entries.items()}
        found.append(step(rows).numpy())
    return np.concatenate(found)
