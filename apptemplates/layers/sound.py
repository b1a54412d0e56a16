"""From samples to pictures of sound: how much of each pitch there is at each moment."""

from typing import Any

import keras
import numpy as np
from keras import ops

from apptemplates.layers.tabular import PACKAGE

FLOOR = 1e-6  # added to the power, which says how soft a sound may be before it is silence
SCALE = 11.0  # grey levels for a step of 1 in the logarithm


@keras.saving.register_keras_serializable(package=PACKAGE)
class LogMel(keras.layers.Layer):
    """Logarithm of the power in mel bands, a picture (n, frames, bands) of samples (n, s) in -1..1.

    The Fourier transform is a convolution with sines and cosines, which every runtime knows.

    Args:
        rate: Samples a second.
        bands: Number of bands.
        window: Seconds of a frame.
        hop: Seconds from one frame to the next.
        low, high: Pitch at which the bands begin and end, Hz; high is at most half the rate.

    Reference: Davis and Mermelstein, 1980, Comparison of Parametric Representations for Monosyllabic Word Recognition
    (the bands, on the scale of O'Shaughnessy, 1987).
    """

    def __init__(
        self,
        rate: int = 16_000,
        bands: int = 40,
        window: float = 0.03,
        hop: float = 0.01,
        low: float = 40.0,
        high: float = 7600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rate, self.bands, self.window, self.hop, self.low, self.high = rate, bands, window, hop, low, high
        self.length, self.step = round(rate * window), round(rate * hop)
        self.waves, self.mixture = transform(rate, bands, self.length, low, min(high, rate / 2))

    def call(self, samples: Any) -> Any:
        waves = ops.convert_to_tensor(self.waves)  # (length, 1, 2 pitches)
        found = ops.conv(ops.expand_dims(samples, -1), waves, strides=self.step, padding="valid")
        pitches = self.waves.shape[-1] // 2
        power = ops.square(found[..., :pitches]) + ops.square(found[..., pitches:])  # (n, frames, pitches)
        return ops.log(ops.matmul(power, ops.convert_to_tensor(self.mixture)) + FLOOR)

    def frames(self, samples: int) -> int:
        """How many frames so many samples give."""
        return max(0, 1 + (samples - self.length) // self.step)

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0], None if shape[1] is None else self.frames(shape[1]), self.bands)

    def get_config(self) -> dict[str, Any]:
        names = ("rate", "bands", "window", "hop", "low", "high")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def transform(rate: int, bands: int, length: int, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Windowed cosines and sines (length, 1, 2 p) of the pitches that matter, and how bands mix them (p, bands)."""
    size = 2 ** int(np.ceil(np.log2(length)))  # zeros are added up to it, so that low bands hold a pitch each
    pitch = np.arange(size // 2 + 1) * rate / size
    edges = np.linspace(mel(low), mel(high), bands + 2)
    place = mel(pitch)[:, None]
    rising = (place - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - place) / (edges[2:] - edges[1:-1])
    mixture = np.clip(np.minimum(rising, falling), 0, None)  # (pitches, bands) triangles
    kept = np.flatnonzero(mixture.any(axis=1))
    time = np.arange(length)[:, None]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * time / length)  # Hann
    angle = 2 * np.pi * time * kept / size
    waves = np.concatenate([window * np.cos(angle), window * np.sin(angle)], axis=1)
    return waves[:, None].astype("float32"), mixture[kept].astype("float32")


def mel(pitch: Any) -> Any:
    """Pitches in Hz on the mel scale."""
    return 1127.0 * np.log1p(np.asarray(pitch, dtype="float64") / 700.0)


@keras.saving.register_keras_serializable(package=PACKAGE)
class SoundPicture(keras.layers.Layer):
    """Log-mel values (n, frames, bands) as pictures (n, bands, frames, 1) of about 0..255, high pitches on top."""

    def call(self, values: Any) -> Any:
        picture = ops.flip(ops.transpose(values, (0, 2, 1)), axis=1)
        # 0 is silence, 255 a tone at full scale
        return ops.expand_dims((picture - float(np.log(FLOOR))) * SCALE, -1)

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0], shape[2], shape[1], 1)
