"""Pictures of any kind as arrays of one size, the same in training and in answering; NumPy and Pillow only."""

import importlib
import os
import struct
import tempfile
import threading
import zlib
from collections.abc import Sequence
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from PIL import Image

from apptemplates.data.values import is_missing
from apptemplates.inference.media import Undecodable, in_parts, opened

Fit = Literal["pad", "stretch", "crop"]

MOST_PIXELS = 200_000_000  # held in memory for one picture, at most
LARGE = 20_000_000  # pixels from which on pictures are decoded one at a time
IN_MEMORY = 2**30  # bytes of decoded pictures, more go to a temporary file
TOGETHER = 64  # pictures decoded by a thread in one go

# by how a file begins, not by its name; imported for the first such file, and reads the header only
OPENERS = (
    (b"\xff\xd8\xff", "Jpeg"),
    (b"\x89PNG\r\n\x1a\n", "Png"),
    (b"GIF8", "Gif"),
    (b"BM", "Bmp"),
    *((b"P%d" % number, "Ppm") for number in range(1, 7)),
    (b"II*\0", "Tiff"),
    (b"MM\0*", "Tiff"),
    (b"RIFF", "WebP"),
)
READABLE = "png, jpeg, gif, bmp, pgm, tiff, webp and dicom can be read"
# what Pillow raises for files that are not what they seem
DAMAGED = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, MemoryError, struct.error,
    zlib.error, Image.DecompressionBombError,
)  # fmt: skip
SAMPLE, SMALL = 24, (32, 32)  # pictures that tell whether there are colours, and the size at which they are looked at
one_large = threading.Lock()


def decode(value: Any, size: tuple[int, int], channels: int = 3, fit: Fit = "pad") -> np.ndarray:
    """One picture as an array of the given size, upright as its EXIF data say.

    Args:
        value: Path of a file, the bytes of one, a PIL image, or an array (h, w) or (h, w, 1 | 3 | 4): uint8, bool,
            uint16 (0..65535), other integers 0..255, floats 0..1, or 0..255 where one is above 1. 16 bits are brought
            to 8 by their full range, transparent parts are white, of a film the first picture is taken.
        size: (height, width) wanted.
        channels: 1 for grey, 3 for colour.
        fit: "pad" keeps the whole picture and its proportions and fills with the mean of the edge, "crop" keeps
            the proportions and cuts off what is too long, "stretch" does not keep them.

    Returns:
        (height, width, channels) uint8.

    Raises:
        Undecodable: This is no picture, it is damaged, too large, or holds values that are none of a picture's. What
            counts as too large is known from the header: above 200 million pixels, of a JPEG after it was
            reduced while decoding (by up to 8 in each direction), which costs no memory.
    """
    if channels not in (1, 3) or fit not in ("pad", "stretch", "crop") or min(size) < 1:
        raise ValueError(
            "decode: size must be two numbers above 0, channels 1 or 3, fit 'pad', 'stretch' or 'crop'. "
            f"Received: {size}, {channels}, {fit!r}."
        )
    mode = "L" if channels == 1 else "RGB"
    if isinstance(value, str | os.PathLike):
        picture = from_path(os.fspath(value), size, mode)
    elif isinstance(value, bytes | bytearray | memoryview | np.bytes_):
        picture = from_stream(BytesIO(value), "the picture", size, mode)
    elif isinstance(value, Image.Image):
        picture = in_eight_bits(upright(value), "the picture", mode)
    else:
        picture = in_eight_bits(from_array(value), "the picture", mode)
    pixels = np.asarray(fitted(picture, size, fit))
    return pixels.reshape(*pixels.shape[:2], channels) if fit != "pad" else padded(pixels, size, channels)


def load(
    values: Sequence[Any] | np.ndarray,
    size: tuple[int, int],
    channels: int = 3,
    fit: Fit = "pad",
    workers: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Many pictures as one array, decoded by several threads.

    Args:
        values: (n,) of what `decode` takes, or an array (n, h, w) or (n, h, w, c).
        size, channels, fit: As for `decode`.
        workers: Threads; one a core by default.

    Returns:
        (pictures, problems): uint8 (good, height, width, channels) of those that can be read, in order, beyond
        1 GB kept in a temporary file instead of memory; and for each of the n values "" or why it can not be read.
    """
    count = len(values)
    problems = np.full(count, "", dtype=object)
    if isinstance(values, np.ndarray) and values.dtype == np.uint8 and values.shape[1:3] == tuple(size):
        if values.ndim == 3 and channels == 1:
            return values[..., None], problems
        if values.ndim == 4 and values.shape[3] == channels:
            return values, problems
    pictures = room((count, *size, channels))

    def fill(rows: range) -> None:
        for row in rows:
            try:
                pictures[row] = decode(values[row], size, channels, fit)
            except Undecodable as reason:
                problems[row] = str(reason)

    in_parts(count, TOGETHER, fill, workers)
    good = np.flatnonzero(problems == "")
    if len(good) < count:
        for place, row in enumerate(good):
            if place != row:
                pictures[place] = pictures[row]
    return pictures[: len(good)], problems


def channels(pictures: np.ndarray) -> int:
    """1 where a sample of these pictures is grey, else 3."""
    if pictures.ndim == 3 or (pictures.ndim == 4 and pictures.shape[-1] == 1):
        return 1
    some = np.unique(np.linspace(0, len(pictures) - 1, min(len(pictures), SAMPLE)).astype(int))
    seen, _ = load(pictures[some], SMALL, 3)
    return 1 if (seen == seen[..., :1]).all() else 3


def room(shape: tuple[int, ...]) -> np.ndarray:
    """An empty uint8 array, in a temporary file that goes away with it where it is large."""
    if np.prod(shape, dtype=np.int64) <= IN_MEMORY:
        return np.empty(shape, np.uint8)
    return np.memmap(tempfile.TemporaryFile(), np.uint8, mode="w+", shape=shape)


def from_path(path: str, size: tuple[int, int], mode: str) -> Image.Image:
    """The picture in a file."""
    with opened(path, "picture") as stream:
        return from_stream(stream, path, size, mode)


def from_stream(stream: BinaryIO, name: str, size: tuple[int, int], mode: str) -> Image.Image:
    """The picture in an open file, by how the file begins."""
    head = stream.read(132)
    stream.seek(0)
    if not head:
        raise Undecodable(f"{name}: the file is empty; copy or make it again.")
    if head[128:] == b"DICM" or Path(name).suffix.lower() in (".dcm", ".dicom"):
        from apptemplates.inference import dicom

        return dicom.read(stream, name).convert(mode)
    kind = next((kind for magic, kind in OPENERS if head.startswith(magic)), None)
    if kind is None:
        raise Undecodable(f"{name}: this is no picture, it begins with {head[:8]!r}; {READABLE}.")
    try:
        plugin = importlib.import_module(f"PIL.{kind}ImagePlugin")
        picture = getattr(plugin, f"{kind}ImageFile")(stream)
        whole = picture.width * picture.height
        # twice the size wanted: enough for a good reduction, a fraction of the work
        picture.draft(mode, (2 * size[1], 2 * size[0]))
        held = whole if picture.info.get("progressive") else picture.width * picture.height
        refuse_large(held, whole, name)
        with one_large if held > LARGE else nullcontext():
            picture.load()
            return in_eight_bits(upright(picture), name, mode)
    except Undecodable:
        raise
    except DAMAGED as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise Undecodable(f"{name}: the picture is damaged or cut short ({reason}); copy or make it again.") from error


def refuse_large(held: int, whole: int, name: str) -> None:
    """Refuses a picture that would take too much memory, before it does."""
    if held > MOST_PIXELS:
        raise Undecodable(
            f"{name}: the picture has {whole:,} pixels; at most {MOST_PIXELS:,} are read: make it smaller."
        )


def upright(picture: Image.Image) -> Image.Image:
    """The picture turned as its EXIF data say; as it is where they say nothing that can be read."""
    if "exif" not in picture.info and picture.format not in ("TIFF", "MPO"):
        return picture
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(picture)
    except (SyntaxError, ValueError, TypeError, LookupError, OSError, struct.error):
        return picture


def in_eight_bits(picture: Image.Image, name: str, mode: str) -> Image.Image:
    """The picture in mode "L" or "RGB", transparent parts white."""
    if picture.mode == "F" or picture.mode.startswith("I"):
        pixels = np.asarray(picture)
        if picture.mode == "I" and pixels.size and pixels.min() >= 0 and pixels.max() < 2**16:
            pixels = pixels.astype(np.uint16)  # Pillow's form of 16-bit pgm and png
        picture = from_array(pixels, name)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        background = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(background, picture)
    return picture if picture.mode == mode else picture.convert(mode)


def from_array(value: Any, name: str = "the picture") -> Image.Image:
    """The picture in an array (h, w) or (h, w, 1 | 3 | 4), or in nested lists."""
    try:
        pixels = np.asarray(value)
        if pixels.dtype == object and pixels.ndim > 1:  # numbers kept as Python objects, as where a column lacks some
            pixels = np.asarray(pixels.tolist())
    except (TypeError, ValueError):
        pixels = np.empty(0, object)
    missing = is_missing(value)
    if missing or pixels.dtype.kind not in "biuf":
        what = "missing" if missing else f"a {type(value).__name__}"
        raise Undecodable(f"{name} is {what}; a path, the bytes of a file, an array or a PIL image is expected.")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))) or not pixels.size:
        raise Undecodable(
            f"{name} is an array of shape {np.shape(value)}; (height, width) or (height, width, 1, 3 or 4) is expected."
        )
    refuse_large(pixels.shape[0] * pixels.shape[1], pixels.shape[0] * pixels.shape[1], name)
    return Image.fromarray(np.ascontiguousarray(as_bytes(pixels, name)))


def as_bytes(pixels: np.ndarray, name: str) -> np.ndarray:
    """Pixel values as uint8."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * 255
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    wrong = int((~np.isfinite(pixels)).sum())
    if wrong:
        raise Undecodable(f"{name} has {wrong:,} values that are NaN or infinite; every pixel must have a value.")
    low, high = pixels.min(), pixels.max()
    if low < 0 or high > 255:
        allowed = "0..1 or 0..255" if pixels.dtype.kind == "f" else "0..255, or any of uint16"
        raise Undecodable(f"{name} has values from {low:.6g} to {high:.6g}; {allowed} is expected.")
    if pixels.dtype.kind == "f" and high <= 1:
        pixels = pixels * 255.0
    return np.rint(pixels).astype(np.uint8)


def fitted(picture: Image.Image, size: tuple[int, int], fit: Fit) -> Image.Image:
    """The picture resized: to the size, or for "pad" to what fits into it."""
    (high, wide), (width, height) = size, picture.size
    box: tuple[float, float, float, float] = (0, 0, width, height)
    if fit == "pad":
        factor = min(high / height, wide / width)
        high, wide = max(1, round(factor * height)), max(1, round(factor * width))
    elif fit == "crop":
        factor = max(high / height, wide / width)
        left, top = (width - wide / factor) / 2, (height - high / factor) / 2
        box = (max(left, 0.0), max(top, 0.0), min(width - left, width), min(height - top, height))
    return picture.resize((wide, high), Image.Resampling.BILINEAR, box, reducing_gap=2.0)


def padded(pixels: np.ndarray, size: tuple[int, int], channels: int) -> np.ndarray:
    """The picture in the middle of one of the size wanted, filled with the mean of the edges that need it."""
    height, width = pixels.shape[:2]
    pixels = pixels.reshape(height, width, channels)
    if (height, width) == tuple(size):
        return pixels
    edges = np.concatenate([pixels[0], pixels[-1]] if height < size[0] else [pixels[:, 0], pixels[:, -1]])
    whole = np.empty((*size, channels), np.uint8)
    whole[:] = np.rint(edges.mean(axis=0))
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    whole[top : top + height, left : left + width] = pixels
    return whole
