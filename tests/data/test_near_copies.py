"""Nearly the same pictures and sounds are found, others are not, and those that hold nothing are named."""

import numpy as np
import pytest

from apptemplates.data import near_copies

RANDOM = np.random.default_rng(0)
PICTURES = RANDOM.integers(0, 256, (60, 17, 17, 1)).repeat(2, axis=1).repeat(2, axis=2).astype("uint8")


def tones(n, seed=0):
    random = np.random.default_rng(seed)
    time = np.arange(8000) / 8000
    parts = random.uniform(100, 3500, (n, 6, 1)), random.uniform(0, 1, (n, 6, 1)), random.uniform(0.1, 0.4, (n, 6, 1))
    waves = np.sin(2 * np.pi * parts[0] * time) * np.exp(-(((time - parts[1]) / parts[2]) ** 2))
    return (0.15 * waves.sum(axis=1)).astype("float32")


def codes(media, labels=None, what="picture"):
    labels = np.array(["a"] * len(media), object) if labels is None else labels
    return {one.code: one for one in near_copies.found_in(media, labels, "label", what)}


def test_a_brighter_and_a_resaved_picture_are_near_copies():
    noise = np.random.default_rng(1).integers(-3, 4, PICTURES[:3].shape)
    again = np.clip(PICTURES[:3].astype(float) * 0.95 + 5 + noise, 0, 255).astype("uint8")
    found = codes(np.concatenate([PICTURES, again]))
    assert "3 pairs of pictures are nearly the same" in found["near-copies-of-pictures"].message
    assert "such as rows 0 and 60" in found["near-copies-of-pictures"].message
    labels = np.array(["a"] * 60 + ["b"] * 3, object)
    assert (
        "3 of them under two labels"
        in codes(np.concatenate([PICTURES, again]), labels)["near-copies-of-pictures"].message
    )


def test_other_pictures_and_exact_copies_are_not_told():
    assert codes(PICTURES) == {}
    assert codes(np.concatenate([PICTURES, PICTURES[:2]])) == {}  # exact copies are told of elsewhere


def test_sounds_a_little_louder_and_noisier_are_near_copies():
    sounds = tones(40)
    again = 0.8 * sounds[:4] + np.random.default_rng(2).normal(0, 1e-4, sounds[:4].shape).astype("float32")
    found = codes(np.concatenate([sounds, again.astype("float32")]), what="sound")
    assert "4 pairs of sounds are nearly the same" in found["near-copies-of-sounds"].message
    assert codes(sounds, what="sound") == {}


@pytest.mark.parametrize(("what", "media"), [("picture", PICTURES), ("sound", tones(10))])
def test_what_holds_nothing_is_named(what, media):
    spoilt = media.copy()
    spoilt[[4, 7]] = 7 if what == "picture" else 0
    finding = codes(spoilt, what=what)[f"empty-{what}"]
    assert finding.message.startswith("2 ") and "row 4" in finding.message


def test_clipped_sounds_are_named():
    sounds = tones(10)
    sounds[3] = np.clip(8 * sounds[3], -1, 1)
    assert (
        "1 of 10 sounds are cut off at their loudest, first the one in row 3"
        in codes(sounds, what="sound")["clipped-sounds"].message
    )


def test_cells_average_a_line_exactly():
    np.testing.assert_allclose(
        near_copies.cells(5, 2) @ np.arange(5.0), [(0 + 1 + 0.5 * 2) / 2.5, (0.5 * 2 + 3 + 4) / 2.5]
    )
    assert near_copies.coarse_pictures(np.full((2, 28, 31, 3), 9, "uint8")).shape == (2, 16, 17)
