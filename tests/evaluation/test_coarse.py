"""Pictures as means of their parts."""

import numpy as np
import pytest

from apptemplates.evaluation.coarse import bands, coarse


@pytest.mark.parametrize(("high", "wide"), [(16, 16), (28, 28), (40, 33), (128, 64)])
def test_a_part_is_the_mean_of_its_pixels(high, wide):
    pictures = np.random.default_rng(0).integers(0, 256, (3, high, wide, 3), dtype=np.uint8)
    found = coarse(pictures)
    assert found.shape == (3, 256) and found.dtype == np.float32
    down, across = (np.linspace(0, side, 17).astype(int) for side in (high, wide))
    for row, column in ((0, 0), (7, 9), (15, 15)):
        part = pictures[:, down[row] : down[row + 1], across[column] : across[column + 1]]
        np.testing.assert_allclose(found[:, 16 * row + column], part.mean(axis=(1, 2, 3)) / 255, rtol=1e-5)


def test_white_is_one_and_there_may_be_none_or_very_many():
    assert (coarse(np.full((2000, 28, 28, 1), 255, np.uint8)) == 1).all()
    assert coarse(np.zeros((0, 28, 28, 1), np.uint8)).shape == (0, 256)


def test_bands_of_sound_have_a_mean_and_a_spread():
    pictures = np.random.default_rng(0).uniform(0, 255, (3, 40, 98, 1)).astype("float32")
    found = bands(pictures)
    assert found.shape == (3, 80)
    scaled = pictures[1, 7, :, 0] / 64 - 2
    np.testing.assert_allclose(found[1, [7, 47]], [scaled.mean(), scaled.std()], rtol=1e-4)
