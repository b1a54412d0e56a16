"""One report on where pictures decided, which says how far it can be relied on."""

import keras
import numpy as np
from keras import layers as kl

from apptemplates.evaluation import picture_explanation


def test_a_report_that_says_how_far_it_can_be_relied_on():
    rng = np.random.default_rng(0)
    pictures = rng.integers(90, 110, (30, 32, 32, 1)).astype("uint8")
    for number, picture in enumerate(pictures):
        row, column = divmod(number % 4, 4)
        picture[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 250
    entry = keras.Input((32, 32, 1))
    body = keras.Model(entry, kl.ReLU()(kl.AveragePooling2D(4)(entry) - 150.0))
    features = keras.Input((8, 8, 1))
    top = keras.Model(features, kl.Dense(2)(kl.GlobalAveragePooling2D()(features)))
    top.layers[-1].set_weights([np.array([[-1.0, 1.0]]), np.array([3.0, -3.0])])
    whole = keras.Model(entry, kl.Softmax()(top(body(entry))))
    said = {"finding": np.array(["spot"] * 30, object)}
    report = picture_explanation.explain(
        "Spots", body, top, lambda some: whole(some).numpy(), pictures, np.ones(30, int), said, 0
    )
    assert report.kind == "explanation" and list(report.table) == ["finding", "where"] and len(report.table) == 30
    assert report.table["where"].str.contains("upper").all()
    assert report.verdict[0] == "The answers were seen mostly in the upper left part of the pictures (16 of 30)."
    assert report.verdict[1].startswith("Grad-CAM (gradient at the feature map) can be relied on here")
    assert len(report.verdict) == 3 and len(report.figures) == 2
    assert report.notes["deletion, Grad-CAM better than random by"].low > 0


def test_maps_that_say_nothing_are_not_to_be_relied_on():
    pictures = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 3), dtype=np.uint8)
    entry = keras.Input((28, 28, 3))
    body = keras.Model(entry, kl.AveragePooling2D(4)(entry))
    features = keras.Input((7, 7, 3))
    top = keras.Model(features, kl.Dense(2, kernel_initializer="zeros")(kl.GlobalAveragePooling2D()(features)))
    said = {"finding": np.array(["a"] * 4, object)}
    report = picture_explanation.explain(
        "Nothing", body, top, lambda some: np.full((len(some), 2), 0.5), pictures, np.zeros(4, int), said, 0
    )
    assert report.table["where"].tolist() == ["nowhere"] * 4
    assert report.verdict[1].startswith("Do not rely on Grad-CAM") and "Do not rely on occlusion" in report.verdict[2]
