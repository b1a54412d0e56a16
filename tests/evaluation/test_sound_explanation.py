"""Where a sound was heard: from its picture to chances, and at which row a pitch lies."""

import keras
import numpy as np
import pytest
from keras import layers as kl

from apptemplates.evaluation import sound_explanation
from apptemplates.layers import backbones, sound_networks
from apptemplates.layers.sound import LogMel

BANDS = LogMel(rate=8000, bands=40)


def test_rows_of_pitches_that_a_picture_shows():
    rows = sound_explanation.rows_of((200, 1000, 4000), BANDS)
    assert list(rows) == [200, 1000]  # half the rate is 4,000 Hz
    assert rows[200] > rows[1000] > 0  # high pitches on top
    assert rows[200] == pytest.approx(39.5 - BANDS.band(200))


def test_the_report_says_when_and_how_high():
    keras.utils.set_random_seed(0)
    before = sound_networks.preprocessor(8000, 8000)
    body = sound_networks.listener(before.output_shape[1:], 4, 2)
    network = backbones.joined(body, backbones.head(body.output_shape[1:], 3, 0.0, 2))
    model = sound_networks.decision(before, network)
    after = [model.get_layer(name) for name in sound_networks.AFTER]
    clips = np.random.default_rng(0).normal(0, 0.1, (3, 8000)).astype("float32")
    pictures, chances = before({"sound": clips}).numpy(), model({"sound": clips})["chances"].numpy()
    np.testing.assert_allclose(sound_explanation.through(network, after)(pictures), chances, atol=1e-5)
    said = {"command": np.array(["go", "stop", "go"], object)}
    given = network, after, before.get_layer("log_mel"), pictures, np.array([0, 1, 0]), said, 0, 1.0
    report = sound_explanation.explain("Voice", *given)
    assert list(report.table) == ["command", "where"]
    assert report.table["where"].str.contains(r"pitches around \d\.\d s").all()
    assert report.verdict[0].startswith("The answers were heard mostly in ")
    assert isinstance(after[1], kl.Layer) and "Where it was heard" in report.figures[0].get_label()
