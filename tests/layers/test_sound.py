import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from apptemplates.deploy import fast
from apptemplates.layers.sound import FLOOR, LogMel, SoundPicture, in_float

RNG = np.random.default_rng(0)


def reference(samples, rate, bands, length, step, size, low, high):
    """Log-mel by NumPy's Fourier transform and a loop over bands, on the HTK mel scale."""
    frames = 1 + (len(samples) - length) // step
    window = 0.5 * (1 - np.cos(2 * np.pi * np.arange(length) / length))
    cut = np.stack([samples[k * step : k * step + length] * window for k in range(frames)])
    power = np.abs(np.fft.rfft(cut, size)) ** 2

    def to_mel(hz):
        return 2595 * np.log10(1 + hz / 700)

    edges = np.linspace(to_mel(low), to_mel(high), bands + 2)
    pitch = to_mel(np.fft.rfftfreq(size, 1 / rate))
    found = np.zeros((frames, bands))
    for band in range(bands):
        weight = np.interp(pitch, edges[band : band + 3], [0, 1, 0], left=0, right=0)
        found[:, band] = power @ weight
    return np.log(found + FLOOR)


@pytest.mark.parametrize(
    ("rate", "size", "high"), [(16_000, 512, 7600.0), (8_000, 256, 4000.0), (11_025, 512, 5512.5), (1_100, 64, 550.0)]
)
def test_log_mel_is_that_of_a_reference_implementation(rate, size, high):
    samples = RNG.normal(0, 0.1, (2, rate)).astype("float32")
    layer = LogMel(rate=rate, high=7600.0)
    found = np.asarray(layer(samples))
    expected = [
        reference(one.astype("float64"), rate, 40, layer.length, layer.step, size, 40.0, high) for one in samples
    ]
    assert np.abs(found - expected).max() < 1e-4
    assert found.shape == layer.compute_output_shape(samples.shape)


def test_log_mel_is_that_of_tensorflow():
    import tensorflow as tf

    samples = RNG.normal(0, 0.1, (1, 16_000)).astype("float32")
    spectrum = tf.abs(tf.signal.stft(samples, 480, 160, 512)) ** 2
    mixture = tf.signal.linear_to_mel_weight_matrix(40, 257, 16_000, 40.0, 7600.0)
    expected = tf.math.log(spectrum @ mixture + FLOOR)
    assert np.abs(np.asarray(LogMel()(samples)) - expected).max() < 2e-3  # theirs leaves the lowest pitch out


def test_a_window_that_is_no_multiple_of_its_hop():
    with pytest.raises(ValueError, match=r"LogMel: window must be a multiple of hop=0\.01\. Received: window=0\.025"):
        LogMel(window=0.025)


def test_a_tone_is_loudest_in_its_band():
    layer = LogMel(rate=8000)
    for pitch in (300, 1000, 3000):
        tone = np.sin(2 * np.pi * pitch * np.arange(8000) / 8000)[None].astype("float32")
        assert abs(np.asarray(layer(tone))[0].mean(axis=0).argmax() - layer.band(pitch)) < 1


def test_silence_has_a_floor():
    assert np.allclose(LogMel()(np.zeros((1, 16_000), "float32")), np.log(FLOOR))


def test_a_model_with_it_is_saved_and_converted(tmp_path):
    entry = keras.Input((4000,), name="sound")
    model = keras.Model({"sound": entry}, {"picture": SoundPicture()(LogMel(bands=20)(entry))})
    model.save(tmp_path / "a.keras")
    sound = {"sound": RNG.normal(0, 0.1, (1, 4000)).astype("float32")}
    expected = np.asarray(model(sound)["picture"])
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    assert np.abs(np.asarray(loaded(sound)["picture"]) - expected).max() < 1e-6
    assert (tmp_path / "a.keras").stat().st_size < 50_000
    one = Interpreter(model_content=fast.convert(model)).get_signature_runner()
    assert np.abs(one(sound=sound["sound"])["picture"] - expected).max() < 1e-3


def test_a_picture_has_time_to_the_right_and_pitch_upwards():
    time = np.arange(16_000) / 16_000
    high_then_silence = np.where(time < 0.5, np.sin(2 * np.pi * 5000 * time), 0)[None].astype("float32")
    picture = np.asarray(SoundPicture()(LogMel()(high_then_silence)))[0, :, :, 0]
    assert picture.shape == (40, 98)
    assert picture[:10, :40].max() > 200
    assert abs(picture[:, 60:]).max() < 1e-3
    assert picture.mean(axis=1).argmax() < 12


def test_a_converter_that_rounds_leaves_the_transform_in_float():
    import tensorflow as tf

    entry = keras.Input((4000,))
    model = keras.Model({"sound": entry}, {"picture": LogMel(rate=8000, high=3800.0)(entry)})
    sounds = RNG.normal(0, 0.1, (1, 4000)).astype("float32")
    exact = model({"sound": sounds})["picture"]

    def rounded():
        content = fast.convert(model, optimizations=[tf.lite.Optimize.DEFAULT])
        return fast.LiteRT(content, ["sound"], ["picture"])({"sound": sounds})["picture"]

    assert np.abs(rounded() - exact).max() > 0.05
    with in_float():
        np.testing.assert_allclose(model({"sound": sounds})["picture"], exact, atol=1e-5)
        np.testing.assert_allclose(rounded(), exact, atol=1e-4)
