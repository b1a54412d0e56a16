"""Batches: every row once a pass, in a new order in training, rows that stay together."""

import numpy as np
import pytest
import tensorflow as tf

from apptemplates.data import batches
from apptemplates.data.batches import shuffled, with_swaps


def table(n):
    """Rows whose columns all name the row."""
    rows = np.arange(n, dtype="float32")
    return np.stack([rows, -rows], axis=1), 10 * rows[:, None], rows + 0.5


def passes(made, times=2):
    return [[tuple(part.numpy() for part in batch) for batch in made] for _ in range(times)]


def joined(made, part=0):
    return np.concatenate([batch[part] for batch in made])


def test_training_draws_a_new_order_on_each_pass_and_keeps_rows_together():
    features, target, weight = table(1000)
    made = shuffled(features, target, 64, weight=weight, training=True, seed=3)
    assert int(made.cardinality()) == 16  # known before it runs, for the progress line and the learning rate
    first, second = passes(made)
    assert [len(batch[0]) for batch in first] == [64] * 15 + [40]
    for drawn in (first, second):
        rows = joined(drawn)[:, 0]
        assert sorted(rows) == list(range(1000)) and not (rows == np.arange(1000)).all()
        np.testing.assert_array_equal(joined(drawn)[:, 1], -rows)
        np.testing.assert_array_equal(joined(drawn, 1)[:, 0], 10 * rows)
        np.testing.assert_array_equal(joined(drawn, 2), rows + 0.5)
    assert (joined(first) != joined(second)).any()
    again = shuffled(features, target, 64, weight=weight, training=True, seed=3)
    np.testing.assert_array_equal(joined(passes(again)[1]), joined(second))
    other = shuffled(features, target, 64, weight=weight, training=True, seed=4)
    assert (joined(passes(other)[0]) != joined(first)).any()


def test_shuffling_reaches_the_whole_table():
    features, target, _ = table(4000)
    rows = joined(passes(shuffled(features, target, 100, training=True, seed=0), 1)[0])[:, 0]
    assert abs(rows[:1000].mean() - 2000) < 200  # not only from a buffer at the start


def test_otherwise_the_order_is_kept_in_larger_batches():
    features, target, _ = table(1000)
    first, second = passes(shuffled(features, target, 64, training=False, seed=0))
    assert [len(batch[0]) for batch in first] == [512, 488] and len(first[0]) == 2
    for drawn in (first, second):
        np.testing.assert_array_equal(joined(drawn), features)
        np.testing.assert_array_equal(joined(drawn, 1), target)


@pytest.mark.parametrize("where", ["memory", "file", "large"])
def test_pictures_stay_where_they_are(tmp_path, monkeypatch, where):
    pictures = np.random.default_rng(0).integers(0, 256, (100, 6, 5, 3), dtype=np.uint8)
    given = pictures
    if where == "file":
        given = np.memmap(tmp_path / "pictures", np.uint8, mode="w+", shape=pictures.shape)
        given[:] = pictures
    elif where == "large":
        monkeypatch.setattr(batches, "COPIED", 100)
    number = np.arange(100, dtype="float32")
    made = shuffled(given, number, 16, training=True, seed=1)
    assert made.element_spec[0].shape == (None, 6, 5, 3) and made.element_spec[0].dtype == tf.uint8
    assert int(made.cardinality()) == 7
    first, second = passes(made)
    for drawn in (first, second):
        rows = joined(drawn, 1).astype(int)
        assert sorted(rows) == list(range(100))
        np.testing.assert_array_equal(joined(drawn), pictures[rows])
    assert (joined(first, 1) != joined(second, 1)).any()
    kept = passes(shuffled(given, number, 16, training=False, seed=1), 1)[0]
    assert [len(batch[0]) for batch in kept] == [16] * 6 + [4]  # activations of pictures are large
    np.testing.assert_array_equal(joined(kept), pictures)


@pytest.mark.parametrize("share", [0.0, 0.15, 1.0])
@pytest.mark.parametrize("global_seed", [None, 0])
def test_swaps_take_values_of_the_same_column_from_other_rows(share, global_seed):
    tf.random.set_seed(global_seed)  # as `fit` does
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2000, 5)).astype("float32") + 100 * np.arange(5, dtype="float32")
    clean = shuffled(features, features, 200, training=False, seed=0)
    made = with_swaps(clean, share)
    assert int(made.cardinality()) == int(clean.cardinality()) == 2
    first, second = passes(made)
    found = joined(first)
    np.testing.assert_array_equal(joined(first, 1), features)  # what is to be restored stays
    assert abs((found != features).mean() - share) < 0.02
    for column in range(5):
        assert np.isin(found[:, column], features[:, column]).all()
    assert (joined(second) != found).any() == (share > 0)
