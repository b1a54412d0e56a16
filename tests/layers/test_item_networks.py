"""Networks over sets of items, and the closed forms as layers."""

import numpy as np

from apptemplates.layers import item_networks


def test_unit_length_leaves_zeros():
    rows = item_networks.UnitLength()(np.array([[3.0, 4.0], [0.0, 0.0]])).numpy()
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0]], atol=1e-6)


def test_a_code_is_its_mean_after_learning_and_noisy_while():
    layer = item_networks.NoisyCode(strength=1.0, steps=1, seed=0)
    inputs = np.array([[1.0, 2.0, 0.0, 0.0]] * 500, "float32")
    assert layer(inputs, training=False).numpy()[0].tolist() == [1.0, 2.0] and not layer.losses
    drawn = layer(inputs, training=True).numpy()
    np.testing.assert_allclose([drawn.mean(axis=0), drawn.std(axis=0)], [[1, 2], [1, 1]], atol=0.15)
    np.testing.assert_allclose(float(layer.losses[0]), 2.5, atol=1e-5)  # half the squared means


def test_the_loss_is_the_cross_entropy_of_what_was_taken():
    target, logits = np.array([[1.0, 0.0, 1.0]]), np.array([[0.0, 1.0, 2.0]])
    chance = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(item_networks.taken_loss(target, logits), [-np.log(chance[0, [0, 2]]).sum()], rtol=1e-6)


def test_together_gives_sums_and_single_weights():
    layer = item_networks.Together()
    layer(np.zeros((1, 3), "float32"))
    weight = np.arange(9.0).reshape(3, 3).astype("float32")
    layer.set_weights([weight])
    assert layer(np.array([[1.0, 0.0, 1.0]])).numpy().tolist() == [[6.0, 8.0, 10.0]]
    between = layer([np.array([[1, 3]]), np.array([[2]])], between=True)
    assert between.numpy().tolist() == [[[1.0, 7.0]]]


def test_followers_give_sums_and_single_weights():
    layer = item_networks.Followers(4, 2, decay=0.5)
    layer(np.array([[1, 2]]))
    layer.set_weights(
        [
            np.array([[0, 0], [2, 3], [3, 4], [0, 0], [0, 0]], "int32"),
            np.array([[0, 0], [1, 2], [4, 8], [0, 0], [0, 0]], "float32"),
        ]
    )
    assert layer(np.array([[1, 2]])).numpy().tolist() == [[0.0, 0.5, 5.0, 8.0]]
    assert layer([np.array([[1, 2]]), np.array([[3, 1]])], between=True).numpy().tolist() == [[[1.0, 4.0], [0.0, 0.0]]]


def test_flags_of_histories():
    assert item_networks.flags([np.array([2, 2, 1]), np.array([], int)], 3).tolist() == [[1, 1, 0], [0, 0, 0]]


def test_a_wider_network_says_of_old_items_what_it_said():
    old, new = (item_networks.set_network(items, 6, 3, 10, 0) for items in (5, 7))
    item_networks.with_weights(new, old.get_weights())
    taken = np.zeros((1, 7), "uint8")
    taken[0, [1, 3]] = 1
    before, after = old.predict(taken[:, :5], verbose=0), new.predict(taken, verbose=0)
    np.testing.assert_allclose(before, after[:, :5], atol=1e-5)


def test_recalled_targets_are_half_of_what_was_known():
    teacher = item_networks.set_network(3, 4, 2, 10, 0)
    features = np.array([[1, 1, 0, 1]], "uint8")
    target = item_networks.recalled(teacher, features, features)
    logits = teacher.predict(features[:, :3].astype("float32"), verbose=0)
    chance = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(target, 0.5 * features + 0.5 * 3 * np.append(chance, [[0]], axis=1), rtol=1e-5)
