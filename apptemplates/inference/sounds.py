"""Sounds of any kind as arrays of one rate and length, the same in training and in answering; NumPy only.

WAV is read here; flac, ogg and mp3 through soundfile, an extra.
"""

import functools
import math
import os
import struct
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np

from apptemplates.data.values import is_missing
from apptemplates.inference.media import Undecodable, in_parts, opened

LOWEST, HIGHEST = 1_000, 768_000  # samples a second that a sound may have
MOST_CHANNELS = 64
LONGEST = 600_000_000  # bytes of one file
WIDTH = 24  # zero crossings of the resampling filter on each side
ROLLOFF = 0.945  # of the lower rate's half that is kept
MOST_STEPS = 1024
BETA = 10.0  # of the filter's Kaiser window: 100 dB
STREAMED = 0x7FFFF000  # lengths in a header from here on mean that the writer did not know
TOGETHER = 32  # sounds decoded by a thread in one go
OTHERS = (b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"FORM")
READABLE = "wav can be read, and flac, ogg and mp3 with the extra 'sound'"


def decode(value: Any, rate: int, samples: int | None = None) -> np.ndarray:
    """One sound as samples of one rate, its channels mixed.

    Args:
        value: Path of a file, the bytes of one, an array (n,) or (n, channels) that has the rate already, or the array
            and its rate as a pair in either order. Integers are scaled by the range of their type, int64 as 16 bits.
        rate: Samples a second wanted.
        samples: How many: a shorter sound is put into the middle of silence, of a longer one the part with the highest
            energy is taken. All by default.

    Returns:
        (samples,) float32; 1 is full scale, and a sound that was recorded louder goes on beyond it.

    Raises:
        Undecodable: This is no sound, it is damaged, empty, or holds values that are none of a sound's.
    """
    name = "the sound"
    if isinstance(value, str | os.PathLike):
        name = os.fspath(value)
        found, own = from_bytes(file_content(name), name)
    elif isinstance(value, bytes | bytearray | memoryview | np.bytes_):
        found, own = from_bytes(bytes(value), name)
    else:
        given, own = with_rate(value, rate)
        found = mono(in_floats(given, name), name)
    if not LOWEST <= own <= HIGHEST:
        raise Undecodable(f"{name} has {own:,} samples a second; {LOWEST:,} to {HIGHEST:,} are expected.")
    if not len(found):
        raise Undecodable(f"{name} has no samples, it lasts 0 seconds; record it again or leave it out.")
    found = resampled(found, own, rate)
    return found if samples is None else windowed(found, samples)


def load(
    values: Sequence[Any] | np.ndarray, rate: int, samples: int, workers: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Many sounds as one array, decoded by several threads.

    Args:
        values: (n,) of what `decode` takes, or an array (n, samples) that has the rate already.
        rate, samples: As for `decode`.
        workers: Threads; one a core by default.

    Returns:
        (sounds, problems): float32 (good, samples) of those that can be read, in order; and for each of the n values ""
        or why it can not be read.
    """
    count = len(values)
    problems = np.full(count, "", dtype=object)
    sounds = np.empty((count, samples), np.float32)

    def fill(rows: range) -> None:
        for row in rows:
            try:
                sounds[row] = decode(values[row], rate, samples)
            except Undecodable as reason:
                problems[row] = str(reason)

    in_parts(count, TOGETHER, fill, workers)
    return sounds[problems == ""] if problems.any() else sounds, problems


# ---- files -------------------------------------------------------------------


def file_content(path: str) -> bytes:
    """The bytes of a file."""
    with opened(path, "sound") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > LONGEST:
            raise Undecodable(f"{path}: the file has {size:,} bytes; at most {LONGEST:,} are read: cut it.")
        return stream.read()


def from_bytes(content: bytes, name: str) -> tuple[np.ndarray, int]:
    """The samples (n,) of an encoded sound and their rate, by how it begins."""
    if not content:
        raise Undecodable(f"{name}: the file is empty; copy or make it again.")
    if content[:4] in (b"RIFF", b"RF64") and content[8:12] == b"WAVE":
        return from_wav(content, name)
    if content.startswith(OTHERS):
        return through_soundfile(content, name)
    raise Undecodable(f"{name}: this is no sound, it begins with {content[:8]!r}; {READABLE}.")


def from_wav(content: bytes, name: str) -> tuple[np.ndarray, int]:
    """The samples (n,) of a WAV file: 8 to 32 bits, floats, any number of channels."""
    form, start, data = None, 12, None
    while start + 8 <= len(content):
        kind, length = content[start : start + 4], int.from_bytes(content[start + 4 : start + 8], "little")
        body = content[start + 8 : start + 8 + length]
        if kind == b"fmt ":
            form = body
        elif kind == b"data":
            streamed = length == 0 and start + 8 < len(content)
            data = content[start + 8 :] if streamed or length >= STREAMED else body
            if len(data) < length < STREAMED:
                raise Undecodable(
                    f"{name}: the file is cut short, its header promises {length:,} bytes of sound and {len(data):,} "
                    "are there; copy or make it again."
                )
            break
        start += 8 + length + length % 2
    if form is None or len(form) < 16 or data is None:
        raise Undecodable(f"{name}: the wav file is damaged, its header is not complete; copy or make it again.")
    code, channels, rate, _, _, bits = struct.unpack("<HHIIHH", form[:16])
    if code == 0xFFFE and len(form) >= 26:
        code = int.from_bytes(form[24:26], "little")
    if not 1 <= channels <= MOST_CHANNELS:
        raise Undecodable(f"{name}: the header says {channels} channels; 1 to {MOST_CHANNELS} are expected.")
    if (code, bits) not in ((1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64)):
        return through_soundfile(content, name)
    width = bits // 8 * channels
    data = data[: len(data) // width * width]
    if bits == 24:
        raw = np.frombuffer(data, np.uint8).reshape(-1, 3)
        wide = np.zeros((len(raw), 4), np.uint8)
        wide[:, 1:] = raw
        samples: np.ndarray = wide.view("<i4")[:, 0]
    else:
        samples = np.frombuffer(data, {8: "<u1", 16: "<i2", 32: "<i4"}[bits] if code == 1 else f"<f{bits // 8}")
    return mono(in_floats(samples.reshape(-1, channels), name), name), rate


def through_soundfile(content: bytes, name: str) -> tuple[np.ndarray, int]:
    """The samples (n,) of a file in another form."""
    try:
        import soundfile
    except ImportError as error:
        raise Undecodable(f"{name}: {READABLE}, which is not installed: pip install 'apptemplates[sound]'.") from error
    try:
        samples, rate = soundfile.read(BytesIO(content), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:100]
        raise Undecodable(f"{name}: the sound is damaged or cut short ({reason}); copy or make it again.") from error
    return mono(in_floats(samples, name), name), int(rate)


# ---- arrays ------------------------------------------------------------------


def with_rate(value: Any, rate: int) -> tuple[Any, int]:
    """The array and the rate of a value, which may be a pair of both; else the rate is the one wanted."""
    if isinstance(value, tuple) and len(value) == 2:
        for number, other in (value, value[::-1]):
            if np.ndim(number) == 0 and np.ndim(other) > 0 and not is_missing(number):
                if not isinstance(number, int | float | np.number) or number != int(number):
                    break
                return other, int(number)
    return value, rate


def in_floats(value: Any, name: str, guess: bool = True) -> np.ndarray:
    """Samples (n,) or (n, channels) as float32 with 1 for full scale.

    Args:
        value: It.
        name: For the message of an error.
        guess: Whether floats far above 1 are taken for integers; not where a sound comes in parts.
    """
    try:
        samples = np.asarray(value)
    except (TypeError, ValueError):
        samples = np.empty(0, object)
    missing = is_missing(value)
    if missing or samples.dtype.kind not in "iuf" or samples.ndim not in (1, 2):
        what = "missing" if missing else f"a {type(value).__name__}"
        if samples.dtype.kind in "iuf" and not missing:
            what = f"an array of shape {samples.shape}"
        raise Undecodable(
            f"{name} is {what}; a path, the bytes of a file, or an array of samples (n,) or (n, channels) is expected."
        )
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) / 128
    if samples.dtype.kind in "iu":
        bits = 32 if samples.dtype == np.int32 else 16
        if samples.size and max(-int(samples.min()), int(samples.max())) > 2 ** (bits - 1):
            raise Undecodable(f"{name} has values up to {int(abs(samples).max()):,}; {bits} bits are expected.")
        return (samples / 2.0 ** (bits - 1)).astype(np.float32)
    wrong = int((~np.isfinite(samples)).sum())
    if wrong:
        raise Undecodable(f"{name} has {wrong:,} samples that are NaN or infinite; every sample must be a number.")
    if samples.size and abs(samples).max() > 2**15:
        raise Undecodable(f"{name} has samples up to {abs(samples).max():.6g}; floats of about -1..1 are expected.")
    scale = 2.0**15 if guess and samples.size and abs(samples).max() > 64 else 1.0  # integers that were made floats
    return (samples / scale).astype(np.float32)


def mono(samples: np.ndarray, name: str) -> np.ndarray:
    """The mean (n,) of channels (n, channels), or (channels, n) where those are fewer."""
    if samples.ndim == 1:
        return samples
    if samples.shape[0] < samples.shape[1] and samples.shape[0] <= MOST_CHANNELS < samples.shape[1]:
        samples = samples.T
    if samples.shape[1] > MOST_CHANNELS:
        raise Undecodable(f"{name} has {samples.shape[1]:,} channels; at most {MOST_CHANNELS} are expected.")
    return samples.mean(axis=1, dtype=np.float32) if samples.shape[1] else np.empty(0, np.float32)


def windowed(samples: np.ndarray, count: int) -> np.ndarray:
    """So many samples: silence around a short sound, the part of a long one with the highest energy."""
    if len(samples) <= count:
        before = (count - len(samples)) // 2
        return np.pad(samples, (before, count - len(samples) - before))
    energy = np.append(0.0, np.cumsum(np.square(samples, dtype=np.float64)))
    start = int(np.argmax(energy[count:] - energy[:-count]))
    return samples[start : start + count]


# ---- another rate ------------------------------------------------------------


def levelled(found: np.ndarray) -> np.ndarray:
    """Sounds (n, samples) without their mean, which cheap microphones add and nobody hears."""
    return found - found.mean(axis=1, keepdims=True)


def resampled(samples: np.ndarray, old: int, new: int) -> np.ndarray:
    """Samples (n,) of one rate at another, without aliases: what the new rate can not hold is filtered out.

    Args:
        samples: (n,) float32.
        old, new: Samples a second.

    Returns:
        (ceil(n new / old),) float32, the first sample at the same moment.

    Reference: Smith and Gossett, 1984, A Flexible Sampling-Rate Conversion Method.
    """
    if old == new or not len(samples):
        return samples
    common = math.gcd(old, new)
    up, down = new // common, old // common
    steps = up if up <= MOST_STEPS else MOST_STEPS  # rates with no common measure: places rounded to so many steps
    filters = phases(steps, min(1.0, new / old))
    half = filters.shape[1] // 2
    count = -(-len(samples) * up // down)
    whole, phase = np.divmod(np.arange(count, dtype=np.int64) * down * steps // up, steps)
    padded = np.pad(samples, (half - 1, half + 1))
    windows = np.lib.stride_tricks.sliding_window_view(padded, filters.shape[1])
    if steps == 1:
        return windows[whole] @ filters[0]
    found = np.empty(count, np.float32)
    for start in range(0, count, 4096):  # so that the windows stay small
        part = slice(start, start + 4096)
        found[part] = np.einsum("nt,nt->n", windows[whole[part]], filters[phase[part]])
    return found


@functools.lru_cache(maxsize=16)
def phases(steps: int, lower: float) -> np.ndarray:
    """The resampling filter at each of so many places between two samples: (steps, taps) float32.

    Args:
        steps: Places.
        lower: The lower rate by the old one.
    """
    cut = ROLLOFF * lower  # of half the old rate
    half = math.ceil(WIDTH / cut)
    places = np.arange(-half + 1, half + 1)[None] - np.arange(steps)[:, None] / steps  # in old samples
    window = np.i0(BETA * np.sqrt(np.clip(1 - (places / half) ** 2, 0, 1))) / np.i0(BETA)
    kernel = cut * np.sinc(cut * places) * window
    return (kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32)
