"""What comes next: nothing is seen of the future or of other people in a row, and the loss counts what follows."""

import numpy as np

from apptemplates.layers import sequence


def test_items_are_vectors_and_back():
    table = sequence.ItemTable(3, 4)
    vectors = table(np.array([[0, 2]])).numpy()
    assert (vectors[0, 0] == 0).all() and vectors[0, 1].any()
    table.bias.assign([1.0, 0.0, 0.0])
    np.testing.assert_allclose(
        table(vectors[:, 1], reverse=True), vectors[:, 1] @ np.asarray(table.vectors).T + [1, 0, 0], rtol=1e-5
    )


def test_neither_the_future_nor_other_people_are_seen():
    network = sequence.next_item_network(9, 6, 8)
    rows = np.array([[1, 2, 0, 4, 5, 6]])
    said = network.predict(rows, verbose=0)
    future = network.predict(np.array([[1, 2, 0, 4, 7, 8]]), verbose=0)
    np.testing.assert_allclose(said[0, :4], future[0, :4], atol=1e-5)
    assert np.abs(said[0, 4:] - future[0, 4:]).max() > 1e-3
    other = network.predict(np.array([[3, 8, 0, 4, 5, 6]]), verbose=0)
    np.testing.assert_allclose(said[0, 3:], other[0, 3:], atol=1e-5)


def test_an_empty_front_changes_nothing():
    network = sequence.next_item_network(9, 6, 8)
    score = sequence.next_item(network)
    short = score.predict(np.array([[0, 0, 0, 0, 3, 4]]), verbose=0)
    behind = score.predict(np.array([[7, 8, 9, 0, 3, 4]]), verbose=0)
    np.testing.assert_allclose(short, behind, atol=1e-5)


def test_the_loss_is_the_mean_cross_entropy_of_what_follows():
    table = sequence.ItemTable(4, 3)
    vectors = np.random.default_rng(0).normal(size=(2, 3, 3)).astype("float32")
    target = np.array([[2, 0, 4], [0, 0, 1]])
    logits = np.asarray(table(vectors, reverse=True))
    chance = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    right = -np.log([chance[0, 0, 1], chance[0, 2, 3], chance[1, 2, 0]])
    losses = sequence.next_item_loss(table, 0, 0)(target, vectors)
    np.testing.assert_allclose(np.mean(losses), right.mean(), rtol=1e-5)


def test_a_sample_of_wrong_items_comes_near_the_whole_loss():
    table = sequence.ItemTable(300, 8)
    random = np.random.default_rng(0)
    vectors = random.normal(size=(20, 5, 8)).astype("float32")
    target = random.integers(1, 301, (20, 5))
    whole = np.mean(sequence.next_item_loss(table, 0, 0)(target, vectors))
    loss = sequence.next_item_loss(table, 200, 0)
    assert abs(np.mean([np.mean(loss(target, vectors)) for _ in range(20)]) - whole) < 0.1
