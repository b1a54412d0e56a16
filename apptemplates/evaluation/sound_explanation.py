"""When and at which pitch sounds were heard, as one Report."""

from collections.abc import Mapping, Sequence
from functools import partial

import keras
import numpy as np

from apptemplates.deploy import fast
from apptemplates.evaluation import heat_maps, picture_explanation, sound_figures, words
from apptemplates.evaluation.report import Report
from apptemplates.layers.sound import LogMel

PITCHES = (200, 1000, 4000)  # Hz that are marked in a picture of sound


def explain(
    title: str,
    network: keras.Model,
    after: Sequence[keras.layers.Layer],
    bands: LogMel,
    pictures: np.ndarray,
    places: np.ndarray,
    said: Mapping[str, np.ndarray],
    seed: int,
    seconds: float,
) -> Report:
    """Heat maps of every answer over its picture of sound, and how far to trust them.

    Args:
        title: Of the application.
        network: From pictures to logits (n, members, k), its parts named "backbone" and "head".
        after: The layers from those to chances (n, k), the first of which takes the members together.
        bands: What the pictures were made by.
        pictures: (n, bands, frames, 1) of about 0..255, high pitches on top.
        places: (n,) which class the maps are of.
        said: Columns of the table that come first: what was answered.
        seed: Of the random orders.
        seconds: Length of each sound.

    Returns:
        A Report: `table` has a row a sound with the pitch and the moment that spoke most for the answer.
    """
    return picture_explanation.explain(
        title,
        *halves(network, after),
        through(network, after),
        np.rint(pictures).clip(0, 255).astype("uint8"),
        places,
        said,
        seed,
        lambda maps: words.places_heard(maps, seconds),
        "The answers were heard mostly in {}",
        partial(sound_figures.heat_maps, seconds=seconds, pitches=rows_of(PITCHES, bands)),
    )


def halves(network: keras.Model, after: Sequence[keras.layers.Layer]) -> tuple[keras.Model, keras.Model]:
    """From pictures to a feature map, and from that to logits (n, k)."""
    return network.get_layer("backbone"), keras.Sequential([network.get_layer("head"), after[0]])


def through(network: keras.Model, after: Sequence[keras.layers.Layer]) -> heat_maps.Ask:
    """From pictures (n, h, w, c) to chances (n, k): a network and the layers after it."""
    entry = keras.Input(network.input_shape[1:], name="picture")
    out = network(entry)
    for layer in after:
        out = layer(out)
    ask = fast.batch(keras.Model({"picture": entry}, {"chances": out}))
    return lambda pictures: ask({"picture": pictures.astype("float32")})["chances"]


def rows_of(pitches: Sequence[int], bands: LogMel) -> dict[int, float]:
    """At which row of a picture each pitch (Hz) lies, of those that it shows."""
    return {pitch: bands.bands - 0.5 - bands.band(pitch) for pitch in pitches if pitch < bands.rate / 2}
