"""Networks from pictures to feature maps: of every size, of other makers, and heads that grow."""

import os
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers as kl

from apptemplates.layers import backbones


def pictures(n=3, side=28, channels=1):
    return np.random.default_rng(0).uniform(0, 255, (n, side, side, channels)).astype("float32")


@pytest.mark.parametrize(("side", "channels"), [(16, 1), (28, 1), (64, 3), (128, 1)])
def test_the_small_one_ends_at_about_eight_places_a_side(side, channels):
    network = backbones.backbone("small", None, (side, side, channels))
    assert network.name == "backbone" and network.count_params() < 1_000_000
    found = network(pictures(2, side, channels)).numpy()
    assert found.ndim == 4 and 4 <= found.shape[1] <= 12 and found.shape[1] == found.shape[2]
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("name", "weights", "text"),
    [
        ("smal", None, r"there is no backbone 'smal'; did you mean 'small'\?; it takes 'small', the path of a \.keras"),
        ("MobilNet", None, r"there is no backbone 'MobilNet'; did you mean 'MobileNet'\?; it takes"),
        ("small", "imagenet", r"backbone 'small' learns from scratch and takes no weights\. Received: weights='imagen"),
        ("DenseNet121:0.5", None, r"backbone 'DenseNet121:0\.5': DenseNet121 has no width to choose; say 'DenseNet121"),
        ("MobileNet:wide", None, r"backbone 'MobileNet:wide': the width after the colon must be a number above 0"),
    ],
)
def test_what_is_no_backbone(name, weights, text):
    with pytest.raises(ValueError, match=text):
        backbones.backbone(name, weights, (32, 32, 3))


def test_a_network_of_keras_applications_scales_pixels_itself_and_takes_grey():
    keras.utils.set_random_seed(0)
    network = backbones.backbone("MobileNet:0.25", None, (64, 64, 1))
    grey = pictures(2, 64)
    found = network(grey).numpy()
    assert found.shape == (2, 2, 2, 256)
    inner = next(layer for layer in network.layers if isinstance(layer, keras.Model))
    expected = inner(np.repeat(grey, 3, axis=-1) / 127.5 - 1).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_model_of_the_users_own(tmp_path):
    entry = keras.Input((None, None, 1))
    own = keras.Model(entry, kl.Conv2D(5, 3, strides=2)(entry))
    kept = backbones.kept(own)
    assert kept.endswith(".keras") and backbones.kept("small") == "small"
    backbones.check_name(kept)
    network = backbones.backbone(kept, None, (28, 28, 1))
    np.testing.assert_allclose(network(pictures()).numpy(), own(pictures()).numpy(), rtol=1e-5)
    with pytest.raises(
        ValueError, match=r"expected pictures \(None, 28, 28, 3\) in and a feature map \(n, h, w, d\) o"
    ):
        backbones.backbone(kept, None, (28, 28, 3))
    flat = keras.Model(entry, kl.GlobalAveragePooling2D()(entry))
    with pytest.raises(ValueError, match="a feature map"):
        backbones.backbone(backbones.kept(flat), None, (28, 28, 1))
    with pytest.raises(ValueError, match=r"there is no file '.*nothing\.keras'"):
        backbones.check_name(str(tmp_path / "nothing.keras"))


def test_members_stand_side_by_side_and_share_nothing():
    one = backbones.backbone("small", None, (28, 28, 1))
    body = backbones.backbone("small", None, (28, 28, 1), members=3)
    assert body.count_params() == 3 * one.count_params()
    network = backbones.joined(body, backbones.head(body.output_shape[1:], 2, 0.0, members=3))
    before = network(pictures()).numpy()
    assert before.shape == (3, 3, 2)
    last = network.get_layer("head").get_layer("logits")
    kernel, bias = last.get_weights()
    kernel[1] = 0
    last.set_weights([kernel, bias])
    after = network(pictures()).numpy()
    assert (after[:, 1] == 0).all()
    np.testing.assert_allclose(after[:, [0, 2]], before[:, [0, 2]], rtol=1e-5)
    depth = body.output_shape[-1] // 3
    features = body(pictures()).numpy()
    features[..., :depth] = 0
    changed = network.get_layer("head")(features).numpy()
    np.testing.assert_allclose(changed[:, 2], before[:, 2], rtol=1e-5)
    assert (changed[:, 0] != before[:, 0]).any()


@pytest.mark.parametrize("members", [1, 2])
def test_a_head_grows_and_says_the_same_of_what_it_knew(members):
    body = backbones.backbone("small", None, (28, 28, 1), members)
    old = backbones.head(body.output_shape[1:], 2, 0.3, members)
    old.get_layer("logits").bias.assign([[0.4, -0.3]] * members)
    new = backbones.grown(old, 4, 0.3)
    before, after = (backbones.joined(body, top)(pictures()).numpy() for top in (old, new))
    np.testing.assert_allclose(after[..., :2], before, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(after[..., 2:], -0.3, atol=1e-6)


def test_what_the_last_layer_is_given():
    body = backbones.backbone("small", None, (16, 16, 1), 2)
    network = backbones.joined(body, backbones.head(body.output_shape[1:], 3, 0.3, 2))
    kernel, bias = network.get_layer("head").get_layer("logits").get_weights()
    seen = backbones.seen(network, pictures(5, 16), rows=2)
    logits = np.einsum("nmd,mdc->nmc", seen, kernel) + bias
    np.testing.assert_allclose(logits, network(pictures(5, 16)).numpy(), rtol=1e-4, atol=1e-4)


def test_freeze_and_thaw():
    body = backbones.backbone("MobileNet:0.25", None, (32, 32, 3))
    network = backbones.joined(body, backbones.head(body.output_shape[1:], 2, 0.3))
    backbones.freeze(network)
    assert len(network.trainable_variables) == 2
    backbones.thaw(network)
    learns = {variable.path.split("/")[-1] for variable in network.trainable_variables}
    assert "kernel" in learns and not learns & {"gamma", "beta"}
    # batch statistics stay: training on other pictures moves none of them
    network.compile("sgd", "mse")
    before = [w for v, w in zip(network.weights, network.get_weights(), strict=True) if "moving" in v.path]
    network.fit(pictures(8, 32, 3), np.zeros((8, 1, 2)), verbose=0)
    after = [w for v, w in zip(network.weights, network.get_weights(), strict=True) if "moving" in v.path]
    assert before and all((one == other).all() for one, other in zip(before, after, strict=True))


def test_imagenet_weights_serve_other_sides():
    file = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models" / "mobilenet_2_5_128_tf_no_top.h5"
    if not file.exists():
        pytest.skip("KERAS_HOME holds no weights of MobileNet:0.25")
    exact = backbones.backbone("MobileNet:0.25", "imagenet", (128, 128, 3))
    other = backbones.backbone("MobileNet:0.25", "imagenet", (96, 96, 1))
    for one, two in zip(exact.get_weights(), other.get_weights(), strict=True):
        assert (one == two).all()


def test_another_last_layer_leaves_what_comes_before_it():
    body = backbones.backbone("small", None, (28, 28, 1), members=2)
    network = backbones.joined(body, backbones.head(body.output_shape[1:], 3, 0.1, 2))
    kernel, bias = network.get_layer("head").get_layer("logits").get_weights()
    wider = np.pad(kernel, ((0, 0), (0, 0), (0, 1))), np.pad(bias, ((0, 0), (0, 1)), constant_values=-5.0)
    grown = backbones.with_last_layer(network, *wider, 0.1)
    before, after = network(pictures()).numpy(), grown(pictures()).numpy()
    np.testing.assert_allclose(after[..., :3], before, atol=1e-5)
    assert (after[..., 3] == -5.0).all() and grown.get_layer("backbone") is body
    kinds = [layer for layer in body.layers if isinstance(layer, kl.BatchNormalization)]
    assert kinds and not any(layer.trainable for layer in kinds)
