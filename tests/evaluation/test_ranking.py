"""Ranking metrics against independent implementations, ties included; the simple methods against their definitions."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score

from apptemplates.evaluation import ranking


def tied(seed, rows=40, items=30):
    random = np.random.default_rng(seed)
    relevant = random.random((rows, items)) < 0.2
    relevant[:, 0] |= ~relevant.any(axis=1)
    return relevant, random.integers(0, 6, (rows, items)).astype(float)


@pytest.mark.parametrize("k", [1, 5, 20, 30])
def test_ndcg_is_that_of_scikit_learn_with_ties(k):
    for seed in range(5):
        relevant, scores = tied(seed)
        ours = ranking.of_scores(relevant, scores, k)[f"NDCG@{k}"]
        theirs = [ndcg_score(row[None], score[None], k=k) for row, score in zip(relevant, scores, strict=True)]
        np.testing.assert_allclose(ours, theirs, atol=1e-9, rtol=0)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_all_numbers_are_the_means_over_every_order_of_the_ties(k):
    relevant, scores = tied(1, rows=6, items=12)
    ours = ranking.of_scores(relevant, scores, k)
    random, total = np.random.default_rng(0), {}
    draws = 20_000
    for row in range(6):
        order = np.argsort(-(scores[row] + random.random((draws, 12)) * 0.5), axis=1)[:, :k]
        hits = relevant[row][order]
        discount = 1 / np.log2(np.arange(2, k + 2))
        first = np.where(hits.any(axis=1), 1 / (hits.argmax(axis=1) + 1), 0)
        total = {
            "NDCG": (hits * discount).sum(axis=1) / discount[: relevant[row].sum()].sum(),
            "recall": hits.sum(axis=1) / relevant[row].sum(),
            "hit rate": hits.any(axis=1),
            "MRR": first,
        }
        for name, values in total.items():
            assert abs(ours[f"{name}@{k}"][row] - values.mean()) < 0.015, name


def test_mrr_of_one_right_item_is_that_of_scikit_learn():
    random = np.random.default_rng(3)
    scores = random.permuted(np.tile(np.arange(25.0), (30, 1)), axis=1)
    relevant = np.eye(25, dtype=bool)[random.integers(0, 25, 30)]
    ours = ranking.of_scores(relevant, scores, 25)["MRR@25"].mean()
    assert abs(ours - label_ranking_average_precision_score(relevant, scores)) < 1e-9


def test_lists_agree_with_scores():
    relevant, scores = tied(7)
    scores += np.random.default_rng(0).random(scores.shape) * 0.5  # no ties
    names = np.array([f"item {place}" for place in range(30)])
    lists = [names[np.argsort(-row)].tolist() for row in scores]
    taken = [tuple(names[row]) for row in relevant]
    ours = ranking.score(taken, lists, 10)
    for name, values in ranking.of_scores(relevant, scores, 10).items():
        assert abs(ours[name] - values.mean()) < 1e-12


def test_items_left_out_are_never_ranked():
    relevant = np.array([[True, False, True]])
    found = ranking.of_scores(relevant, np.array([[-np.inf, 1.0, 0.0]]), 3)
    assert found["recall@3"] == 0.5 and found["MRR@3"] == 0.5


def test_nobody_took_anything():
    found = ranking.of_scores(np.zeros((1, 3), bool), np.zeros((1, 3)), 2)
    assert np.isnan(found["NDCG@2"]).all()


def test_what_lists_do_to_the_catalogue():
    popularity = {"a": 0.5, "b": 0.25, "c": 0.25}
    found = ranking.score([("b",), ("c",)], [["a"], ["a"]], 1, popularity, catalogue=4)
    assert found["coverage"] == 0.25 and found["novelty"] == 1.0 and found["popularity bias"] == 2.0


def test_ease_minimises_what_it_says():
    random = np.random.default_rng(0)
    taken = (random.random((60, 8)) < 0.4).astype(float)
    weights = ranking.ease(sparse.csr_matrix(taken), 3.0).astype(float)
    for item in range(8):  # a ridge regression of each item on the others
        others = np.delete(np.arange(8), item)
        design = taken[:, others]
        exact = np.linalg.solve(design.T @ design + 3.0 * np.eye(7), design.T @ taken[:, item])
        np.testing.assert_allclose(weights[others, item], exact, atol=1e-5)
    assert (np.diag(weights) == 0).all()


def test_ease_with_dropout_is_the_mean_over_what_may_be_dropped():
    random = np.random.default_rng(0)
    taken = (random.random((60, 6)) < 0.5).astype(float)
    weights = ranking.ease_of_gram(ranking.gram(taken), 0.0, dropout=0.4).astype(float)
    dropped = np.concatenate([taken * (random.random(taken.shape) >= 0.4) / 0.6 for _ in range(4000)])
    whole = np.tile(taken, (4000, 1))
    for item in range(2):
        others = np.delete(np.arange(6), item)
        exact = np.linalg.lstsq(dropped[:, others], whole[:, item], rcond=None)[0]
        np.testing.assert_allclose(weights[others, item], exact, atol=0.01)


def test_neighbours_are_the_most_alike():
    random = np.random.default_rng(1)
    taken = sparse.csr_matrix((random.random((50, 1500)) < 0.1).astype(float))
    rows, weights = ranking.neighbours(taken, 5, shrink=2.0)
    dense = taken.toarray()
    length = np.sqrt((dense**2).sum(axis=0))
    alike = dense.T @ dense / (np.outer(length, length) + 2.0)
    np.fill_diagonal(alike, 0)
    np.testing.assert_allclose(weights, -np.sort(-alike, axis=1)[:, :5], atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(alike, rows, axis=1), weights, atol=1e-6)


def test_lists_of_one_length_stay_lists():
    lists = ranking.as_lists(np.array([["a", "b"], ["c", "d"]], object))
    assert lists.shape == (2,) and lists.tolist() == [["a", "b"], ["c", "d"]]


def test_top_rows_are_in_order():
    scores = np.array([[1.0, 3.0, 2.0, 3.0]])
    assert ranking.top_rows(scores, 3).tolist() == [[1, 3, 2]]
    assert ranking.top_rows(scores, 9).tolist() == [[1, 3, 2, 0]]
