"""From histories to ranked lists inside the graph: what counts, what may be shown, and because of what."""

import keras
import numpy as np
import pytest

from apptemplates.layers import item_networks, ranking

FAR = -1e8


def run(layer, *inputs, **words):
    given = [np.asarray(one) for one in inputs]
    return layer(given[0] if len(given) == 1 else given, **words)


def test_taken_counts_each_item_once_and_old_ones_less():
    rows = np.array([[0, 0, 2, 3], [4, -1, 1, 1]])
    assert run(ranking.Taken(4), rows).numpy().tolist() == [[0, 1, 1, 0], [1, 0, 0, 1]]
    np.testing.assert_allclose(run(ranking.Taken(4, decay=0.5), rows), [[0, 0.5, 1, 0], [1, 0, 0, 0.125]])


def test_recent_keeps_the_last_and_hides_what_was_not_liked():
    assert run(ranking.Recent(2), np.array([[5, 3, -2]])).numpy().tolist() == [[3, 0]]


def test_blend_weighs_standard_scores_and_gives_strangers_what_is_popular():
    blend = ranking.Blend()
    history, one, two = np.array([[1], [0]]), np.array([[1.0, 3.0]] * 2), np.array([[50.0, 10.0]] * 2)
    blend([history, one, two])
    blend.set_weights([np.float32(0.75), np.array([7.0, 9.0], "float32")])
    np.testing.assert_allclose(run(blend, history, one, two), [[-0.5, 0.5], [7, 9]], atol=1e-5)


def test_allowed_leaves_out_what_was_taken_excluded_or_not_asked_for():
    scores = np.zeros((4, 4), "float32")
    history = np.array([[1, -2]] * 4)
    again = np.array([0.0, 1.0, 0.0, 1.0])
    exclude, candidates = np.array([[3], [3], [0], [0]]), np.array([[0, 0], [0, 0], [3, 1], [3, 1]])
    shown = run(ranking.Allowed(), scores, history, again, exclude, candidates).numpy() > FAR
    assert shown.tolist() == [
        [False, False, False, True],
        [True, True, False, True],
        [False, False, True, False],
        [True, False, True, False],
    ]


def test_best_gives_rows_from_one_and_none_beyond_what_is_allowed():
    rows, values = ranking.Best(3)(np.array([[0.5, -1e9, 2.0]], "float32"))
    assert rows.numpy().tolist() == [[3, 1, 0]] and values.numpy().tolist() == [[2.0, 0.5, 0.0]]


def test_names_of_rows_of_any_text():
    names = ranking.Names(["tea", "größe\n", "日本"])
    assert [one.decode() for one in names(np.array([2, 0, 3])).numpy()] == ["größe\n", "", "日本"]


def test_because_names_what_speaks_most_and_nothing_that_speaks_against():
    taken, rows = np.array([[0, 5, 6, 7]], "int32"), np.array([[1, 0]], "int32")
    speaks = np.array([[[9, 0.2, 0.7, -1], [1, 1, 1, 1]]], "float32")
    assert run(ranking.Because(2), taken, rows, speaks).numpy().tolist() == [[[6, 5], [0, 0]]]


def test_new_items_borrow_from_what_they_are_like_and_stand_for_it():
    borrowed = ranking.Borrowed(2, 2)
    scores = np.array([[1.0, 3.0]])
    borrowed(scores)
    borrowed.set_weights([np.array([[0, 1], [0, 0]], "int32"), np.array([[0.5, 0.5], [0, 0]], "float32")])
    assert borrowed(scores).numpy().tolist() == [[1.0, 3.0, 2.0, ranking.LAST]]
    stand_in = ranking.StandIn(3)
    stand_in(np.array([[1]], "int32"))
    stand_in.set_weights([np.array([0, 1, 2, 1], "int32")])
    assert stand_in(np.array([[3, -3, 2, 0]], "int32")).numpy().tolist() == [[1, -1, 2, 0]]


@pytest.mark.parametrize("closed", ["EASE", "item-kNN"])
def test_the_whole_graph_ranks_as_numpy_does(closed, tmp_path):
    random = np.random.default_rng(0)
    items, places = 12, 6
    history = keras.Input((places,), dtype="int32", name="history")
    preprocessor = keras.Model({"history": history}, ranking.Taken(items)(history), name="preprocessor")
    network = item_networks.set_network(items, 8, 4, 10, 0)
    weights = random.normal(size=(items, items)).astype("float32")
    simple = ranking.Simple(item_networks.Together(name="closed"), (weights,), 0, 0.5)
    if closed == "item-kNN":
        rows = random.integers(1, items + 1, (items + 1, 3)).astype("int32")
        weights = random.random((items + 1, 3)).astype("float32")
        simple = ranking.Simple(item_networks.Followers(items, 3, 0.5, name="closed"), (rows, weights), 4)
    names = [f"item {row}" for row in range(items)]
    model = ranking.answer_graph(preprocessor, network, simple, names, None, np.zeros(items, "float32"), 0.3, places, 5)
    inputs = {"history": np.array([[0, 0, 3, 1, 7, 2]], "int32"), "again": np.zeros(1, "float32")}
    inputs |= {name: np.zeros((1, 256), "int32") for name in ("exclude", "candidates")}
    taken = np.zeros((1, items), "float32")
    taken[0, [2, 0, 6, 1]] = 0.125, 0.25, 0.5, 1
    if closed == "EASE":
        said = taken @ weights
    else:
        said = np.zeros((1, items))
        for row, age in ((3, 3), (1, 2), (7, 1), (2, 0)):
            np.add.at(said[0], rows[row] - 1, 0.5**age * weights[row])

    def standard(scores):
        return (scores - scores.mean()) / scores.std()

    blended = 0.3 * standard(network.predict(np.ceil(taken), verbose=0)) + 0.7 * standard(said)
    blended[0, [2, 0, 6, 1]] = -np.inf
    order = np.argsort(-blended[0])[:5]
    keras.saving.save_model(model, tmp_path / "model.keras")
    for one in (model, keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)):
        answers = one({name: keras.ops.convert_to_tensor(column) for name, column in inputs.items()})
        assert [name.decode() for name in answers["items"].numpy()[0]] == [names[row] for row in order]
        np.testing.assert_allclose(answers["scores"].numpy()[0], blended[0, order], atol=1e-4)
