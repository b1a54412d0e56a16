"""Pretrained weights of the face networks: found on this machine or downloaded, checked, and read."""

import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import numpy as np

SOURCE = "https://raw.githubusercontent.com/vladmandic/face-api/master/model"
PATIENCE = 15.0  # seconds without an answer after which a download has failed
FACE_FILES = {  # SHA-256
    "face_recognition_model-weights_manifest.json": "cbaffa501b0b9275a12b63357a6843e7e30c054e1c9151e1a5f879b26e32986b",
    "face_recognition_model.bin": "b413e420d6840b2775fba32008db6f3cddb07d485967fb42cfcf379c16a8c589",
    "tiny_face_detector_model-weights_manifest.json": (
        "5d1af4849ac48d5b985f4a9b16010c512353ddd6fcc63d50fd0bc9e9e64296e5"
    ),
    "tiny_face_detector_model.bin": "b7503ce7df31039b1c43316a9b865cab6a70dd748cc602d3fa28b551503c3871",
    "face_landmark_68_tiny_model-weights_manifest.json": (
        "9a1a5dd19fd814fd5095c3cb58f8e0d3193b8c5b9a6715b30a69d559aea31ad4"
    ),
    "face_landmark_68_tiny_model.bin": "b98e9f2f7da76f8a6dda9741a36ed485b224b889d552de2b2c1bb16217f67bfc",
}
FACE_LICENCE = (
    "The weights of the pretrained face networks come from face-api (MIT License). The descriptor among them is "
    "dlib's, in the public domain as far as is known; it was trained on photographs of people that were collected from "
    "the web without asking them, mostly of public figures, so it may err more on people who look unlike them."
)


class WeightsError(OSError):
    """Pretrained weights are neither on this machine nor to be had."""


def face_weights(name: str) -> dict[str, np.ndarray]:
    """The weights of a pretrained face network by the name of each tensor, float32.

    A file is looked for in three places and used where its SHA-256 is the expected one:
    1. `face/` in the folder that the variable APPTEMPLATES_WEIGHTS names, and where that is not set and KERAS_HOME is,
       `face/` beside the folder that KERAS_HOME names;
    2. Keras's cache, `KERAS_HOME` or `~/.keras`, in `apptemplates/face/`;
    3. the network, once: `keras.utils.get_file` downloads it into that cache.

    Args:
        name: "face_recognition_model", "tiny_face_detector_model" or "face_landmark_68_tiny_model".

    Raises:
        WeightsError: A file is on this machine nowhere and can not be downloaded; the text says what to do.
    """
    manifest = json.loads(_file(f"{name}-weights_manifest.json").read_text(encoding="utf-8"))
    return {key: value for group in manifest for key, value in read_group(group).items()}


def read_group(group: dict) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    """The tensors of one group of a manifest: end to end in files, as small integers with a scale and a least value."""
    content = b"".join(_file(file).read_bytes() for file in group["paths"])
    found, start = {}, 0
    for tensor in group["weights"]:
        steps = tensor.get("quantization", {"dtype": tensor["dtype"], "scale": 1, "min": 0})
        packed = np.frombuffer(content, steps["dtype"], int(np.prod(tensor["shape"])), start)
        start += packed.nbytes
        values = packed * np.float32(steps["scale"]) + np.float32(steps["min"])
        found[tensor["name"]] = values.reshape(tensor["shape"])
    return found


def _file(file: str) -> Path:
    beside = weights_folder()
    for place in [beside / "face"] if beside else []:
        if (place / file).is_file() and _digest(place / file) == FACE_FILES[file]:
            return place / file
    import keras

    cache = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()  # as Keras itself finds it
    kept = cache / "apptemplates" / "face" / file
    if kept.is_file() and _digest(kept) == FACE_FILES[file]:
        return kept
    origin = f"{SOURCE}/{file}"
    advice = (
        f"put it (from {origin}) into {kept.parent}, or into a folder face/ in a folder that the variable "
        "APPTEMPLATES_WEIGHTS names."
    )
    with _patience():
        try:  # get_file would wait for minutes, and raises a bare Exception
            urllib.request.urlopen(urllib.request.Request(origin, method="HEAD"), timeout=PATIENCE).close()
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise WeightsError(
                f"pretrained weights: {file} is not on this machine and can not be downloaded ({reason}); {advice}"
            ) from error
        try:
            path = keras.utils.get_file(
                file, origin, cache_subdir="apptemplates/face", file_hash=FACE_FILES[file], hash_algorithm="sha256"
            )
        except ValueError as error:
            raise WeightsError(
                f"pretrained weights: what {origin} gives is not the file {file} that is expected; try again, "
                f"or {advice}"
            ) from error
    return Path(path)


def weights_folder() -> Path | None:
    """The folder that holds pretrained weights for use without a network, if one is named."""
    if named := os.environ.get("APPTEMPLATES_WEIGHTS"):
        return Path(named)
    if home := os.environ.get("KERAS_HOME"):
        return Path(home).parent
    return None


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


@contextmanager
def _patience() -> Iterator[None]:
    usual = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(usual)
