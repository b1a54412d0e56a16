"""Networks from a picture to a map of features, one parameter apart: our own small one, ImageNet's, or yours."""

import importlib
import inspect
import math
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers as kl

from apptemplates.policy import nearest

#: Sides for which ImageNet weights of these networks exist; the same weights then serve any other side.
SIDES = {"MobileNet": (128, 160, 192, 224), "MobileNetV2": (96, 128, 160, 192, 224)}
LAST = 8  # the side of the feature map that the small network ends at, about


def backbone(
    name: str, weights: str | None, shape: tuple[int, int, int], members: int = 1, width: int = 24
) -> keras.Model:
    """A network from pictures to a map of features.

    Args:
        name: "small", trained from scratch; a name of `keras.applications`, such as "MobileNet", of MobileNets with
            the width after a colon, as in "MobileNet:0.25"; or the path of a `.keras` file that gives a feature map.
        weights: "imagenet" (downloaded by Keras, or found in `KERAS_HOME`), the path of a weights file, or None.
        shape: (h, w, c) of the pictures, with 1 or 3 channels.
        members: Small networks side by side, which differ by where they start; of others there is one.
        width: Channels of the small network's first layer; each halving of the side doubles them.

    Returns:
        `keras.Model` named "backbone" from float32 0..255 (n, h, w, c) to a map (n, p, q, d), that of each member
        after the other.

    Raises:
        ValueError: There is no such network, or it can not take such pictures or weights.
    """
    pictures = keras.Input(shape)
    if name == "small":
        if weights is not None:
            raise ValueError(
                f"backbone 'small' learns from scratch and takes no weights. Received: weights={weights!r}."
            )
        maps = [small(pictures, width) for _ in range(members)]
        return keras.Model(pictures, maps[0] if members == 1 else kl.Concatenate()(maps), name="backbone")
    if name.endswith(".keras"):
        return keras.Model(pictures, given(Path(name), pictures), name="backbone")
    return keras.Model(pictures, imported(name, weights, pictures), name="backbone")


def as_floats(shape: tuple[int, ...]) -> keras.Model:
    """What stands before a network: pictures uint8 (n, h, w, c) as float32, nothing else; named "preprocessor"."""
    pictures = keras.Input(shape, dtype="uint8", name="image")
    return keras.Model({"image": pictures}, kl.Rescaling(1.0)(pictures), name="preprocessor")


def check_name(name: str) -> None:
    """Refuses what `backbone` would refuse, before anything is read or learned."""
    kind = name.partition(":")[0]
    known = sorted(n for n, entry in vars(keras.applications).items() if n[0].isupper() and callable(entry))
    if name != "small" and not name.endswith(".keras") and kind not in known:
        raise ValueError(
            f"there is no backbone {name!r}{nearest(name, ['small', *known])}; it takes 'small', the path of a .keras "
            f"file, or a name of keras.applications: {', '.join(known)}."
        )
    if name.endswith(".keras") and not Path(name).is_file():
        raise ValueError(f"backbone: there is no file {name!r}; check the path.")
    if ":" in name and not name.endswith(".keras"):
        width_of(name)


def width_of(name: str) -> dict[str, float]:
    """The width after the colon of a name, as `keras.applications` takes it; nothing where there is none."""
    kind, _, width = name.partition(":")
    if not width:
        return {}
    if "alpha" not in inspect.signature(getattr(keras.applications, kind)).parameters:
        raise ValueError(f"backbone {name!r}: {kind} has no width to choose; say {kind!r}.")
    try:
        alpha = float(width)
    except ValueError:
        alpha = 0.0
    if not 0 < alpha < math.inf:
        raise ValueError(
            f"backbone {name!r}: the width after the colon must be a number above 0, such as {kind + ':0.5'!r}."
        )
    return {"alpha": alpha}


def small(pictures: Any, width: int) -> Any:
    """The feature map of a small residual network of full convolutions, which CPUs run at full speed.

    Reference: He et al., 2016, Deep Residual Learning for Image Recognition, arXiv:1512.03385.
    """
    side = min(pictures.shape[1:3])
    large = side >= 6 * LAST
    x = kl.Rescaling(1 / 127.5, -1)(pictures)
    x = kl.ReLU()(normed(kl.Conv2D(width, 3, 2 if large else 1, padding="same", use_bias=False)(x)))
    halvings = max(1, round(math.log2(side / (2 if large else 1) / LAST)))
    for place in range(halvings):
        x = residual(x, min(width * 2 ** (place + 1), 8 * width), 2)
    return x


def residual(x: Any, width: int, stride: int) -> Any:
    """Two convolutions and what came in, added."""
    y = kl.ReLU()(normed(kl.Conv2D(width, 3, stride, padding="same", use_bias=False)(x)))
    y = normed(kl.Conv2D(width, 3, padding="same", use_bias=False)(y))
    if stride > 1:
        x = kl.AveragePooling2D(stride, padding="same")(x)
    if x.shape[-1] != width:
        x = normed(kl.Conv2D(width, 1, use_bias=False)(x))
    return kl.ReLU()(kl.Add()([x, y]))


def normed(x: Any) -> Any:
    """Batch normalization that is ready after few steps: with the usual momentum few steps leave it far off."""
    return kl.BatchNormalization(momentum=0.9)(x)


def imported(name: str, weights: str | None, pictures: Any) -> Any:
    """The feature map of a network of `keras.applications`, with the scaling of pixels that it was trained with."""
    check_name(name)
    kind = name.partition(":")[0]
    make = getattr(keras.applications, kind)
    module: Any = importlib.import_module(make.__module__)
    given_width = width_of(name)
    height, breadth = pictures.shape[1:3]
    shape = (height, breadth, 3)
    x = pictures if pictures.shape[-1] == 3 else kl.Concatenate()([pictures] * 3)
    x = module.preprocess_input(x)
    sides = SIDES.get(kind, ())
    if weights == "imagenet" and sides and not (height == breadth and height in sides):
        near = next((side for side in sides if side >= max(height, breadth)), sides[-1])
        source = make(include_top=False, weights=weights, input_shape=(near, near, 3), **given_width)
        network = make(include_top=False, weights=None, input_shape=shape, **given_width)
        network.set_weights(source.get_weights())
    else:
        network = make(include_top=False, weights=weights, input_shape=shape, **given_width)
    return network(x)


def given(file: Path, pictures: Any) -> Any:
    """The feature map of a network that the user saved."""
    network = keras.saving.load_model(file, compile=False, safe_mode=True)
    takes, gives = network.input_shape, network.output_shape
    fits = all(a in (None, b) for a, b in zip(takes[1:], pictures.shape[1:], strict=False)) and len(takes) == 4
    if not fits or len(gives) != 4:
        raise ValueError(
            f"backbone {file.name!r}: it goes from {takes} to {gives}; expected pictures {tuple(pictures.shape)} in "
            f"and a feature map (n, h, w, d) out."
        )
    return network(pictures)


def kept(model: Any) -> str:
    """A name for a `keras.Model`: the path of the file it is kept in, or what was given where that is no model.

    Choices of a template are plain values, so that they can be written down; a model is none.
    """
    if not isinstance(model, keras.Model):
        return model
    file = Path(tempfile.mkdtemp(prefix="apptemplates-")) / "backbone.keras"
    model.save(file)
    return str(file)


def head(shape: tuple[int, ...], outputs: int, dropout: float, members: int = 1) -> keras.Model:
    """From the feature maps (p, q, members x d) to logits (members, outputs), each member's from its own map.

    Mean and maximum over the places, and a linear layer called "logits".
    """
    features = keras.Input(shape)
    each = (members, shape[-1] // members)
    pooled = [pool()(features) for pool in (kl.GlobalAveragePooling2D, kl.GlobalMaxPooling2D)]  # (n, members x d)
    both = kl.Concatenate()([kl.Reshape(each)(one) for one in pooled])  # (n, members, 2 d)
    logits = kl.EinsumDense("nmd,mdc->nmc", (members, outputs), bias_axes="mc", name="logits")
    return keras.Model(features, logits(kl.Dropout(dropout)(both)), name="head")


def grown(old: keras.Model, outputs: int, dropout: float) -> keras.Model:
    """A head with more outputs, that gives the same logits for the old ones and low ones for the new."""
    kernel, bias = old.get_layer("logits").get_weights()  # (members, 2 d, c), (members, c)
    more = outputs - bias.shape[1]
    new = head(old.input_shape[1:], outputs, dropout, len(bias))
    low = np.repeat(bias.min(axis=1, keepdims=True), more, axis=1)
    new.get_layer("logits").set_weights([np.pad(kernel, ((0, 0), (0, 0), (0, more))), np.append(bias, low, axis=1)])
    return new


def moved(old: keras.Model, new: keras.Model) -> keras.Model:
    """A new network, for pictures of another size, with the weights of an old one.

    Args:
        old: Of `joined`.
        new: Of `joined`, made by the same choices but the size.

    Raises:
        ValueError: At its size the network has other layers.
    """
    if [weight.shape for weight in old.weights] != [weight.shape for weight in new.weights]:
        raise ValueError(
            f"at {new.input_shape[1]} pixels a side the network has other layers than at {old.input_shape[1]}"
        )
    new.set_weights(old.get_weights())
    return new


def resizing(network: keras.Model, shape: tuple[int, ...]) -> keras.Model:
    """A network that takes pictures (h, w, c) of another size and brings them to its own."""
    pictures = keras.Input(shape)
    height, width = network.input_shape[1:3]
    smaller = height * width < shape[0] * shape[1]
    return keras.Model(pictures, network(kl.Resizing(height, width, antialias=smaller)(pictures)), name="teacher")


def with_last_layer(network: keras.Model, kernel: np.ndarray, bias: np.ndarray, dropout: float) -> keras.Model:
    """A network of `joined` with another last layer, in which all else is held as it is while that goes on learning.

    Args:
        network: From `joined`.
        kernel: (members, 2 d, outputs).
        bias: (members, outputs).
        dropout: Before the last layer.
    """
    body = network.get_layer("backbone")
    members, outputs = bias.shape
    top = head(body.output_shape[1:], outputs, dropout, members)
    top.get_layer("logits").set_weights([kernel, bias])
    still(body)
    return joined(body, top)


def joined(body: keras.Model, top: keras.Model) -> keras.Model:
    """Backbone and head as one network from pictures to logits (n, members, outputs)."""
    pictures = keras.Input(body.input_shape[1:])
    return keras.Model(pictures, top(body(pictures)), name="network")


def embedding(network: keras.Model) -> keras.Model:
    """The part of a network of `joined` up to its last layer: pictures to what that is given (n, members, d)."""
    top, pictures = network.get_layer("head"), keras.Input(network.input_shape[1:])
    return keras.Model(
        pictures, keras.Model(top.input, top.get_layer("logits").input)(network.get_layer("backbone")(pictures))
    )


def seen(network: keras.Model, pictures: np.ndarray, rows: int = 256) -> np.ndarray:
    """What the last layer of a network is given for pictures (n, h, w, c), so many at a time: (n, members, d)."""
    embed = embedding(network)
    parts = [pictures[start : start + rows] for start in range(0, len(pictures), rows)]
    return np.concatenate([np.asarray(embed(part, training=False)) for part in parts])


def freeze(network: keras.Model) -> None:
    """Leaves the backbone of a network as it is while the head learns."""
    network.get_layer("backbone").trainable = False


def thaw(network: keras.Model) -> None:
    """Lets the backbone of a network learn, too; its batch statistics stay, since few pictures would spoil them."""
    network.get_layer("backbone").trainable = True
    still(network.get_layer("backbone"))


def still(body: keras.Model) -> None:
    """Holds every batch normalization of a network, and of the networks in it, as it is."""
    for layer in body.layers:
        if isinstance(layer, keras.Model):
            still(layer)
        elif isinstance(layer, kl.BatchNormalization):
            layer.trainable = False
