"""From the picture of a face to a direction that is much the same for every picture of that person."""

import math

import keras
import numpy as np
from keras import layers as kl

from apptemplates.layers.backbones import normed, residual
from apptemplates.layers.similarity import ClassCosines, Direction, EvenLight, Mirror

NUMBERS = 128  # in a direction
SMALL = 40  # pixels a side below which a face has so little to tell that a smaller network does
WIDTHS = ((64, 2), (64, 1), (128, 2), (128, 1), (192, 1))  # channels and stride of each residual block


def embedder(shape: tuple[int, ...], dropout: float = 0.4) -> keras.Model:
    """A small residual network of full convolutions, from scratch, with every place of the face in its last layer.

    Args:
        shape: (h, w, c) of the pictures, 0..255.
        dropout: Share of the last map's numbers that is left out while learning.

    Returns:
        `keras.Model` named "embedder" from (n, h, w, c) float32 to directions (n, 128).

    Reference: He et al., 2016, Deep Residual Learning, arXiv:1512.03385; Deng et al., 2019, ArcFace, arXiv:1801.07698
    (the last layers).
    """
    pictures = keras.Input(shape)
    part, widths = (1, WIDTHS) if min(shape[:2]) >= SMALL else (2, WIDTHS[:-1])
    x = kl.ReLU()(normed(kl.Conv2D(32 // part, 5, 2, padding="same", use_bias=False)(EvenLight()(pictures))))
    for width, stride in widths:
        x = residual(x, width // part, stride)
    vectors = kl.Dense(NUMBERS, use_bias=False)(kl.Dropout(dropout)(kl.Flatten()(x)))
    return keras.Model(pictures, Direction()(normed(vectors)), name="embedder")


def moved(old: keras.Model, shape: tuple[int, ...]) -> keras.Model:
    """An `embedder` of pictures of another size with the weights of an old one.

    Those of its last layer, which weighs every place of the map, are spread over the places there are now.

    Raises:
        ValueError: At that size an embedder has other layers.
    """
    new, weights = embedder(shape), old.get_weights()
    place, before = last_kernel(old)
    _, after = last_kernel(new)
    kernel = weights[place].reshape(1, *before[:2], -1)
    spread = keras.ops.image.resize(kernel, after[:2], "bilinear") * (math.prod(before[:2]) / math.prod(after[:2]))
    weights[place] = np.asarray(spread).reshape(-1, NUMBERS)
    if [weight.shape for weight in weights] != [weight.shape for weight in new.weights]:
        raise ValueError(f"at {shape[0]} pixels a side the network has other layers than at {old.input_shape[1]}")
    new.set_weights(weights)
    return new


def last_kernel(body: keras.Model) -> tuple[int, tuple[int, int, int]]:
    """Of an `embedder`: which of its weights those of the last layer are, and the map (h, w, c) that they weigh."""
    [flat] = [layer for layer in body.layers if isinstance(layer, kl.Flatten)]
    [dense] = [layer for layer in body.layers if isinstance(layer, kl.Dense)]
    return next(place for place, weight in enumerate(body.weights) if weight is dense.kernel), flat.input.shape[1:]


def as_given(size: int) -> keras.Model:
    """The counterpart of `embedder` for features (n, size) that tell people apart already."""
    features = keras.Input((size,))
    return keras.Model(features, Direction()(features), name="embedder")


def with_people(body: keras.Model, people: int) -> keras.Model:
    """An embedder and the cosines to one learned direction for each person, which only learning needs."""
    features = keras.Input(body.input_shape[1:])
    return keras.Model(features, ClassCosines(people, name="people")(body(features)), name="network")


def both_ways(body: keras.Model, edges: keras.Model | None = None, share: float = 0.5) -> keras.Model:
    """What looks at pictures as they are and mirrored; at features as they are.

    Args:
        body: From pictures or features to directions; what was learned.
        edges: The same by the edges of pictures, or None.
        share: Of every cosine that is that of the edges.

    Returns:
        `keras.Model` named "embedding" from pictures or features to directions (n, d).
    """
    features = keras.Input(body.input_shape[1:])
    if len(features.shape) != 4:
        return keras.Model(features, body(features), name="embedding")
    mirrored = Mirror()(features)
    ways = [Direction()(kl.Add()([one(features), one(mirrored)])) for one in (body, edges) if one is not None]
    if edges is not None:
        weights = (1 - share) ** 0.5, share**0.5
        ways = [kl.Concatenate()([kl.Rescaling(w)(way) for w, way in zip(weights, ways, strict=True)])]
    return keras.Model(features, ways[0], name="embedding")
