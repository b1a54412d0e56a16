"""Pretrained weights: unpacked as they were packed, taken only where they are the expected ones, else one sentence."""

import hashlib
import json
import urllib.error

import numpy as np
import pytest

from apptemplates.data import pretrained

NAME = "tiny_face_detector_model"


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Two tensors, one of them packed as bytes, in a folder of weights."""
    whole, packed = np.arange(6, dtype="float32").reshape(2, 3), np.array([0, 128, 255], "uint8")
    group = {
        "paths": [f"{NAME}.bin"],
        "weights": [
            {"name": "kernel", "shape": [2, 3], "dtype": "float32"},
            {"name": "bias", "shape": [3], "dtype": "float32",
             "quantization": {"dtype": "uint8", "scale": 0.5, "min": -2.0}},
        ],
    }  # fmt: skip
    folder = tmp_path / "face"
    folder.mkdir()
    (folder / f"{NAME}.bin").write_bytes(whole.tobytes() + packed.tobytes())
    (folder / f"{NAME}-weights_manifest.json").write_text(json.dumps([group]))
    known = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
    monkeypatch.setattr(pretrained, "FACE_FILES", known)
    monkeypatch.setenv("APPTEMPLATES_WEIGHTS", str(tmp_path))
    return folder


def test_tensors_are_unpacked(files):
    found = pretrained.face_weights(NAME)
    np.testing.assert_array_equal(found["kernel"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_allclose(found["bias"], [-2.0, 62.0, 125.5])
    assert all(tensor.dtype == "float32" for tensor in found.values())


def test_another_file_of_that_name_is_not_taken_and_a_network_that_is_not_there_is_told(files, tmp_path, monkeypatch):
    (files / f"{NAME}.bin").write_bytes(b"something else")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))

    def away(*given, **more):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(pretrained.urllib.request, "urlopen", away)
    with pytest.raises(pretrained.WeightsError) as told:
        pretrained.face_weights(NAME)
    assert f"{NAME}.bin is not on this machine and can not be downloaded (no route to host)" in str(told.value)
    assert "APPTEMPLATES_WEIGHTS names" in str(told.value)


def test_where_the_folder_is(tmp_path, monkeypatch):
    monkeypatch.setenv("APPTEMPLATES_WEIGHTS", str(tmp_path / "own"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "weights" / "keras_home"))
    assert pretrained.weights_folder() == tmp_path / "own"
    monkeypatch.delenv("APPTEMPLATES_WEIGHTS")
    assert pretrained.weights_folder() == tmp_path / "weights"
    monkeypatch.delenv("KERAS_HOME")
    assert pretrained.weights_folder() is None
