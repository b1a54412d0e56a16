"""Pretrained networks of faces: what makes a face itself, where faces are, and where their features are."""

from typing import Any

import keras
import numpy as np
from keras import layers

from apptemplates.data.pretrained import face_weights

FACE = 150  # width and height in pixels of the aligned face that the descriptor takes
SIGHT = 416  # of the picture that the detector takes
FEATURES = 112  # of the face that the landmark network takes


def descriptor() -> keras.Model:
    """128 numbers of an aligned face, about as close for two pictures of one person as dlib's ResNet puts them.

    Two pictures show the same person where their numbers lie closer than about 0.6 (Euclidean).

    Returns:
        A `keras.Model` named "descriptor" from (n, 150, 150, 3), RGB in 0..255, to (n, 128), float32, not normalised.

    Raises:
        WeightsError: The pretrained weights are not to be had.

    Reference: King, 2017, dlib_face_recognition_resnet_model_v1; He et al., 2016, Deep Residual Learning.
    """
    weights = face_weights("face_recognition_model")

    def convolve(x: Any, name: str, stride: int = 1, padding: str = "same") -> Any:
        kernel, bias = weights[f"{name}/conv/filters"], weights[f"{name}/conv/bias"]
        # the scale that follows each convolution is folded into it
        scale, shift = weights[f"{name}/scale/weights"], weights[f"{name}/scale/biases"]
        return conv(x, name.replace("/", "_"), kernel * scale, bias * scale + shift, stride, padding)

    def block(x: Any, name: str) -> Any:
        change = convolve(layers.ReLU()(convolve(x, f"{name}/conv1")), f"{name}/conv2")
        return layers.ReLU()(layers.Add()([change, x]))

    def halving_block(x: Any, name: str) -> Any:
        change = convolve(layers.ReLU()(convolve(x, f"{name}/conv1", 2, "valid")), f"{name}/conv2")
        kept = layers.AveragePooling2D(2)(x)
        if change.shape[1] < kept.shape[1]:
            change = layers.ZeroPadding2D(((0, 1), (0, 1)))(change)
        if wider := change.shape[3] - kept.shape[3]:
            # said to stand first, the channels are the rows: this pads the last two axes, width (by 0) and channels
            kept = layers.ZeroPadding2D(((0, 0), (0, wider)), data_format="channels_first")(kept)
        return layers.ReLU()(layers.Add()([change, kept]))

    entry = keras.Input((FACE, FACE, 3), name="face")
    x = centered(entry, (122.782, 117.001, 104.298), 256)
    x = layers.MaxPooling2D(3, 2)(layers.ReLU()(convolve(x, "conv32_down", 2, "valid")))  # (n, 35, 35, 32)
    for name in ("conv32_1", "conv32_2", "conv32_3"):
        x = block(x, name)
    for width, repeats in ((64, 3), (128, 2), (256, 2)):  # (n, 17, 17, 64), (n, 8, 8, 128), (n, 4, 4, 256)
        x = halving_block(x, f"conv{width}_down")
        for number in range(1, repeats + 1):
            x = block(x, f"conv{width}_{number}")
    x = layers.GlobalAveragePooling2D()(halving_block(x, "conv256_down_out"))  # (n, 2, 2, 256) before the mean
    x = given(layers.Dense(128, use_bias=False, name="numbers"), x, [weights["fc"]])
    return keras.Model(entry, x, name="descriptor")


def face_detector(size: int = SIGHT) -> keras.Model:
    """Boxes of faces in a picture, cell by cell and anchor by anchor; `inference.face_finder` reads them.

    Args:
        size: Width and height of the picture, a multiple of 32.

    Returns:
        A `keras.Model` named "face_detector" from {"picture": (n, size, size, 3)}, RGB in 0..255, to {"boxes": (n,
        size / 32, size / 32, 25)}: for each of the reader's anchors the logits of x and y within the cell, the
        logarithms of width and height relative to the anchor, and the logit that there is a face.

    Raises:
        WeightsError: The pretrained weights are not to be had.

    Reference: Redmon and Farhadi, 2017, YOLO9000, arXiv:1612.08242.
    """
    weights = face_weights("tiny_face_detector_model")
    entry = keras.Input((size, size, 3), name="picture")
    x = centered(entry, (117.001, 114.697, 97.404), 256)
    x = conv(x, "conv0", weights["conv0/filters"], weights["conv0/bias"], 1, "valid")
    x = layers.MaxPooling2D(2, padding="same")(layers.LeakyReLU(0.1)(x))
    for number in range(1, 6):
        x = layers.LeakyReLU(0.1)(separable(x, f"conv{number}", weights))
        x = layers.MaxPooling2D(2, strides=2 if number < 5 else 1, padding="same")(x)
    x = conv(x, "conv8", weights["conv8/filters"], weights["conv8/bias"], 1, "valid")
    return keras.Model({"picture": entry}, {"boxes": x}, name="face_detector")


def face_landmarks() -> keras.Model:
    """The 68 points of a face: jaw, brows, nose, eyes and mouth, in the usual order of the iBUG 300-W data.

    Returns:
        A `keras.Model` named "face_landmarks" from {"face": (n, 112, 112, 3)}, RGB in 0..255, to {"points": (n, 136)}:
        x and y of each point in turn, in 0..1 of the picture.

    Raises:
        WeightsError: The pretrained weights are not to be had.

    Reference: Sagonas et al., 2013, 300 Faces in-the-Wild Challenge (the points); Huang et al., 2017, arXiv:1608.06993.
    """
    weights = face_weights("face_landmark_68_tiny_model")
    entry = keras.Input((FEATURES, FEATURES, 3), name="face")
    x = centered(entry, (122.782, 117.001, 104.298), 255)
    for name in ("dense0", "dense1", "dense2"):
        if name == "dense0":
            kernel, bias = weights[f"{name}/conv0/filters"], weights[f"{name}/conv0/bias"]
            x = layers.ReLU()(conv(x, f"{name}_conv0", kernel, bias, 2))
        else:
            x = layers.ReLU()(separable(x, f"{name}/conv0", weights, 2))
        second = separable(x, f"{name}/conv1", weights)
        third = separable(layers.ReLU()(layers.Add()([x, second])), f"{name}/conv2", weights)
        x = layers.ReLU()(layers.Add()([x, second, third]))
    x = layers.Flatten()(layers.GlobalAveragePooling2D()(x))  # (n, 14, 14, 128) before the mean
    x = given(layers.Dense(136, name="points"), x, [weights["fc/weights"], weights["fc/bias"]])
    return keras.Model({"face": entry}, {"points": x}, name="face_landmarks")


def centered(x: Any, mean: tuple[float, float, float], scale: float) -> Any:
    """A picture in 0..255 less the mean colour, divided by a scale."""
    return layers.Rescaling(1 / scale, offset=[-value / scale for value in mean])(x)


def conv(x: Any, name: str, kernel: np.ndarray, bias: np.ndarray, stride: int = 1, padding: str = "same") -> Any:
    """A convolution with these weights."""
    layer = layers.Conv2D(kernel.shape[3], kernel.shape[:2], strides=stride, padding=padding, name=name)
    return given(layer, x, [kernel, bias])


def separable(x: Any, name: str, weights: dict[str, np.ndarray], stride: int = 1) -> Any:
    """A separable convolution with the weights under this name."""
    found = [weights[f"{name}/{part}"] for part in ("depthwise_filter", "pointwise_filter", "bias")]
    layer = layers.SeparableConv2D(
        found[1].shape[3], found[0].shape[:2], strides=stride, padding="same", name=name.replace("/", "_")
    )
    return given(layer, x, found)


def given(layer: keras.layers.Layer, x: Any, weights: list[np.ndarray]) -> Any:
    """What a layer with these weights makes of x."""
    x = layer(x)
    layer.set_weights(weights)
    return x
