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

    The Fourier transform is two products with sines and cosines, which every runtime knows, with a turn between them:
    of size = r x s, r sums of s samples each, and s sums of those, by far smaller than all at once.

    Args:
        rate: Samples a second.
        bands: Number of bands.
        window: Seconds of a frame, a whole multiple of `hop`.
        hop: Seconds from one frame to the next.
        low, high: Pitch at which the bands begin and end, Hz; high is at most half the rate.

    Reference: Davis and Mermelstein, 1980, Comparison of Parametric Representations for Monosyllabic Word Recognition
    (the bands, on the scale of O'Shaughnessy, 1987); Cooley and Tukey, 1965, An Algorithm for the Machine Calculation
    of Complex Fourier Series.
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
        self.sums = transform(self.length)
        self.place, self.edges = scale(rate, bands, self.length, low, min(high, rate / 2))

    def call(self, samples: Any) -> Any:
        count = self.frames(samples.shape[1])
        steps = count + self.parts - 1
        blocks = ops.reshape(samples[:, : steps * self.step], (-1, steps, self.step))
        frames = ops.concatenate([blocks[:, part : part + count] for part in range(self.parts)], axis=-1)
        window, first, cosine, sine, second = map(ops.convert_to_tensor, self.sums)
        if FLOAT.get():
            nothing = NOTHING * ops.sum(samples[:, :1])
            first, second, place = first + nothing, second + nothing, ops.convert_to_tensor(self.place) + nothing
            mixture = ops.maximum(triangles(place, self.edges, ops.minimum), 0.0)
        else:
            mixture = ops.convert_to_tensor(np.maximum(triangles(self.place, self.edges, np.minimum), 0.0))
        turns, size = second.shape[0] // 2, len(self.place)
        padded = ops.pad(frames * window, ((0, 0), (0, 0), (0, turns * first.shape[0] - self.length)))
        grid = ops.transpose(ops.reshape(padded, (-1, count, first.shape[0], turns)), (0, 1, 3, 2))
        sums = ops.matmul(grid, first)  # (n, frames, s, real and imaginary parts of r / 2 + 1 sums)
        real, imaginary = ops.split(sums, 2, axis=-1)
        turned = ops.concatenate([real * cosine + imaginary * sine, imaginary * cosine - real * sine], axis=2)
        parts = ops.square(ops.matmul(ops.transpose(turned, (0, 1, 3, 2)), second))
        power = ops.reshape(parts[..., :turns] + parts[..., turns:], (-1, count, size))
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


def sides(length: int) -> tuple[int, int]:
    """Two numbers whose product is the size of the transform of a frame, to which zeros are added to it."""
    bits = int(np.ceil(np.log2(length)))  # low bands then hold a pitch each
    return 2 ** (bits - bits // 2), 2 ** (bits // 2)


def transform(length: int) -> tuple[np.ndarray, ...]:
    """What the transform of a frame (length,) is made of, float32.

    Returns:
        A Hann window (length,), cosines and sines of the first sums (r, 2 (r / 2 + 1)), those of the turn between them
        (s, r / 2 + 1) each, and of the second sums (2 s, 2 s). Half of the first sums mirror the others.
    """
    rows, columns = sides(length)
    kept, row, column = np.arange(rows // 2 + 1), np.arange(rows), np.arange(columns)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    angle = 2 * np.pi * row[:, None] * kept / rows
    turn = 2 * np.pi * column[:, None] * kept / (rows * columns)
    last = 2 * np.pi * column[:, None] * column / columns
    first = np.concatenate([np.cos(angle), -np.sin(angle)], axis=1)
    second = np.block([[np.cos(last), -np.sin(last)], [np.sin(last), np.cos(last)]])
    return tuple(one.astype("float32") for one in (window, first, np.cos(turn), np.sin(turn), second))


def scale(rate: int, bands: int, length: int, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Where the pitches lie on the mel scale, in the order of the transform (p, 1), and the ends of bands (bands + 2,).

    A pitch that is there a second time lies nowhere.
    """
    rows, columns = sides(length)
    size = rows * columns
    number = (np.arange(rows // 2 + 1)[:, None] + rows * np.arange(columns)).ravel()
    number = np.minimum(number, size - number)  # of real samples the upper half mirrors the lower
    place = mel(number * rate / size)
    again = np.ones(len(number), bool)
    again[np.unique(number, return_index=True)[1]] = False
    place[again] = -1e6
    return place[:, None].astype("float32"), np.linspace(mel(low), mel(high), bands + 2).astype("float32")


def triangles(place: Any, edges: np.ndarray, smaller: Any) -> Any:
    """How much of each pitch (p, 1) is in each band (p, bands); below 0 where nothing is."""
    rising, falling = 1 / np.diff(edges[:-1]), 1 / np.diff(edges[1:])
    return smaller((place - edges[:-2]) * rising, (edges[2:] - place) * falling)


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
