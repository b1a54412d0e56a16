"""From samples to pictures of sound: how much of each pitch there is at each moment."""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from apptemplates.layers.tabular import PACKAGE

FLOOR = 1e-6  # added to the power, which says how soft a sound may be before it is silence
SCALE = 11.0  # grey levels for a step of 1 in the logarithm
NOTHING = 1e-30  # of a sample: adds nothing to numbers of a transform
FLOAT = contextvars.ContextVar("float", default=False)


@contextlib.contextmanager
def in_float() -> Iterator[None]:
    """The transform is not rounded to eight bits by a converter meanwhile, which it does not bear.

    A converter rounds constants only; one to which next to nothing of the input is added is none.
    """
    before = FLOAT.set(True)
    try:
        yield
    finally:
        FLOAT.reset(before)


@keras.saving.register_keras_serializable(package=PACKAGE)
class LogMel(keras.layers.Layer):
    """Logarithm of the power in mel bands, a picture (n, frames, bands) of samples (n, s) in -1..1.

    The Fourier transform is a product with sines and cosines, which every runtime knows. About the middle of a frame
    cosines are even and sines odd, so that half of each is enough.

    Args:
        rate: Samples a second.
        bands: Number of bands.
        window: Seconds of a frame, a whole multiple of `hop`.
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
        self.parts = round(window / hop)
        if abs(window / hop - self.parts) > 1e-6:
            raise ValueError(f"LogMel: window must be a multiple of hop={hop:g}. Received: window={window:g}.")
        self.step = round(rate * hop)
        self.length = self.parts * self.step
        self.even, self.odd, self.mixture = transform(rate, bands, self.length, low, min(high, rate / 2))

    def call(self, samples: Any) -> Any:
        count, half = self.frames(samples.shape[1]), self.length // 2
        steps = count + self.parts - 1
        blocks = ops.reshape(samples[:, : steps * self.step], (-1, steps, self.step))
        frames = ops.concatenate([blocks[:, part : part + count] for part in range(self.parts)], axis=-1)
        after, before = frames[..., self.length - half :], ops.flip(frames[..., 1 : half + 1], axis=-1)
        even, odd, mixture = map(ops.convert_to_tensor, (self.even, self.odd, self.mixture))
        if FLOAT.get():
            nothing = NOTHING * ops.sum(samples[:, :1])
            even, odd, mixture = even + nothing, odd + nothing, mixture + nothing
        real, imaginary = ops.matmul(after + before, even), ops.matmul(after - before, odd)
        power = ops.square(real) + ops.square(imaginary)  # (n, frames, pitches)
        return ops.log(ops.matmul(power, mixture) + FLOOR)

    def frames(self, samples: int) -> int:
        """How many frames so many samples give."""
        return max(0, 1 + (samples - self.length) // self.step)

    def band(self, pitch: float) -> float:
        """The number of the band, whole or between two, at which a pitch in Hz lies."""
        low, high = mel(self.low), mel(min(self.high, self.rate / 2))
        return float((mel(pitch) - low) / (high - low) * (self.bands + 1) - 1)

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0], None if shape[1] is None else self.frames(shape[1]), self.bands)

    def get_config(self) -> dict[str, Any]:
        names = ("rate", "bands", "window", "hop", "low", "high")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def transform(rate: int, bands: int, length: int, low: float, high: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windowed cosines and sines (length / 2, p) of the pitches that matter, and how bands mix them (p, bands).

    Those of the half frame from its middle on; the other half mirrors it, and the first sample has weight 0.
    """
    size = 2 ** int(np.ceil(np.log2(length)))  # zeros are added up to it, so that low bands hold a pitch each
    pitch = np.arange(size // 2 + 1) * rate / size
    edges = np.linspace(mel(low), mel(high), bands + 2)
    place = mel(pitch)[:, None]
    rising = (place - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - place) / (edges[2:] - edges[1:-1])
    mixture = np.clip(np.minimum(rising, falling), 0, None)  # (pitches, bands) triangles
    kept = np.flatnonzero(mixture.any(axis=1))
    time = np.arange(length - length // 2, length)[:, None] - length / 2
    window = 0.5 + 0.5 * np.cos(2 * np.pi * time / length)  # Hann
    window = np.where(time == 0, 0.5, 1.0) * window  # the middle is its own mirror
    angle = 2 * np.pi * time * kept / size
    even, odd = window * np.cos(angle), window * np.sin(angle)
    return even.astype("float32"), odd.astype("float32"), mixture[kept].astype("float32")


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
