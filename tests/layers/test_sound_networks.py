"""The graphs of sound."""

import numpy as np

from apptemplates.layers import backbones, sound_networks


def test_listeners_decide_together_and_are_unsure_below_the_least_chance():
    before = sound_networks.preprocessor(8000, 8000)
    body = sound_networks.listener(before.output_shape[1:], 4, 2)
    network = backbones.joined(body, backbones.head(body.output_shape[1:], 3, 0.0, 2))
    model = sound_networks.decision(before, network)
    clips = np.random.default_rng(0).normal(0, 0.1, (4, 8000)).astype("float32")
    logits = network(before({"sound": clips})).numpy()
    assert before.name == "preprocessor" and logits.shape == (4, 2, 3)
    model.get_layer("temperature").temperature.assign(2.0)
    wanted = np.exp(logits.mean(axis=1) / 2)
    wanted /= wanted.sum(axis=1, keepdims=True)
    found = model({"sound": clips})
    np.testing.assert_allclose(found["chances"], wanted, atol=1e-5)
    assert not np.asarray(found["unsure"]).any()
    model.get_layer("unsure").least.assign(float(np.sort(wanted.max(axis=1))[1:3].mean()))
    assert np.asarray(model({"sound": clips})["unsure"]).sum() == 2
