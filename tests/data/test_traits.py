"""Rows of another kind than those learned from are told, and others are not."""

import numpy as np
import pytest

from apptemplates.data import traits
from apptemplates.data.schema import Field

FIELDS = {"x": Field("a number"), "w": Field("a word", "category"), "who": Field("an id", "id")}


def rows(seed, shift=0.0, share=0.5, n=2000):
    random = np.random.default_rng(seed)
    return {
        "x": np.where(random.random(n) < 0.1, np.nan, random.normal(shift, 1, n)),
        "w": np.where(random.random(n) < share, "a", "b").astype(object),
        "who": np.arange(n).astype(str).astype(object),
    }


@pytest.fixture(scope="module")
def known():
    return traits.profile(traits.of_rows(rows(0), {}, FIELDS))


def test_rows_of_the_same_kind_are_not_told(known):
    found = traits.drift(known, traits.of_rows(rows(1), {}, FIELDS))
    assert set(found) == {"x", "w"} and max(found.values()) < 0.02 and not traits.drifted(found)


@pytest.mark.parametrize(("change", "name"), [({"shift": 1.5}, "x"), ({"share": 0.95}, "w")])
def test_rows_of_another_kind_are_told(known, change, name):
    found = traits.drift(known, traits.of_rows(rows(1, **change), {}, FIELDS))
    assert next(iter(found)) == name
    (finding,) = traits.drifted(found)
    assert finding.code == "drift" and finding.place == name and f"{found[name]:.2f}" in finding.message


def test_the_index_is_that_of_its_formula():
    was = {"w": {"words": {"a": 0.5, "b": 0.3}}}
    column = np.repeat(np.array(["a", "b", "c"], object), [100, 100, 200])
    before, now = np.array([0.5, 0.3, 0.2]), np.array([0.25, 0.25, 0.5])
    expected = np.sum((now - before) * np.log(now / before))
    assert traits.drift(was, {"w": column})["w"] == pytest.approx(expected)


def test_too_few_rows_say_nothing(known):
    assert traits.drift(known, traits.of_rows(rows(1, shift=9, n=100), {}, FIELDS)) == {}


def test_pictures_have_brightness_and_sounds_loudness():
    pictures = {"image": np.full((3, 8, 8, 1), 51, np.uint8)}
    found = traits.of_rows({}, pictures, {})
    np.testing.assert_allclose(found["brightness"], 0.2)
    np.testing.assert_allclose(found["contrast"], 0.0)
    sound = {"sound": np.full((2, 400), 0.1, np.float32)}
    np.testing.assert_allclose(traits.of_rows({}, sound, {})["loudness in dB"], -20.0, atol=1e-4)
