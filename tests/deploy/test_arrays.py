"""Arrays on disk, damaged in any way: they are read, or refused in one sentence, and nothing else happens."""

import struct
import zipfile

import numpy as np
import pytest

from apptemplates.deploy.arrays import UnsafeFile, read_arrays, write_arrays

COLUMNS = {"amount": np.arange(50.0), "word": np.array(["a", "b", "ä"] * 20, object), "flag": np.ones((4, 3), bool)}


@pytest.fixture
def file(tmp_path):
    write_arrays(tmp_path / "state.npz", COLUMNS)
    return tmp_path / "state.npz"


def mutated(content, random):
    spot, kind = int(random.integers(len(content))), random.integers(4)
    if kind == 0:
        for _ in range(random.choice([1, 8, 64])):
            content[int(random.integers(len(content)))] ^= 1 << int(random.integers(8))
    elif kind == 1:
        del content[spot:]
    elif kind == 2:
        content[spot:spot] = random.bytes(int(random.integers(1, 100)))
    else:
        content[spot : spot + 40] = bytes(len(content[spot : spot + 40]))
    return bytes(content)


def test_two_thousand_mutations_are_read_or_refused(file):
    good, random, refused = file.read_bytes(), np.random.default_rng(0), 0
    for _ in range(2_000):
        file.write_bytes(mutated(bytearray(good), random))
        try:
            read_arrays(file)
        except UnsafeFile:
            refused += 1
    assert refused > 1_000


@pytest.mark.parametrize("header", [b"", b"{'descr': '<f8', (\n", b"{'descr': '<f8'", bytes(80)])
def test_a_header_that_is_none_is_refused(file, header):
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("names.npy", member)
    with pytest.raises(UnsafeFile, match="its arrays can not be read"):
        read_arrays(file)


@pytest.mark.parametrize(("place", "value", "words"), [(6, 1, "packed in a way"), (8, 12, "packed in a way")])
def test_other_ways_of_packing_are_refused(file, place, value, words):
    content = bytearray(file.read_bytes())
    for signature, shift in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):  # in the members and in the directory
        at = content.find(signature)
        while at >= 0:
            content[at + place + shift] = value
            at = content.find(signature, at + 4)
    file.write_bytes(content)
    with pytest.raises(UnsafeFile, match=words):
        read_arrays(file)
