"""One item and many items through the fast paths: the same answers as the Keras model."""

import os
import threading

import numpy as np
import pytest

from apptemplates.deploy import fast

keras = pytest.importorskip("keras")


def payments_graph(amount="amount", card="card"):
    """Numbers, strings and a vector in; a probability, a flag and a label out."""
    layers, ops = keras.layers, keras.ops
    inputs = {
        amount: keras.Input((), dtype="float32", name=amount.replace("/", "-")),
        card: keras.Input((), dtype="string", name=card.replace("/", "-")),
        "past": keras.Input((3,), dtype="float32", name="past"),
    }
    ids = layers.StringLookup(vocabulary=["gold", "grün", "blue"])(inputs[card])
    known = layers.Flatten()(layers.Embedding(4, 4)(layers.Reshape((1,))(ids)))
    features = layers.Concatenate()([layers.Reshape((1,))(inputs[amount]), known, inputs["past"]])
    logit = layers.Reshape(())(layers.Dense(1)(layers.Dense(8, activation="relu")(features)))
    label = layers.StringLookup(vocabulary=["gold", "grün", "blue"], invert=True)(ids)
    outputs = {"probability": ops.sigmoid(logit), "alarm": logit >= 0.0, "label": label}
    return keras.Model(inputs, outputs)


def payments(rows, seed=0, amount="amount", card="card"):
    random = np.random.default_rng(seed)
    return {
        amount: random.normal(size=rows),
        card: random.choice(np.array(["gold", "grün", "blue", "unseen", ""], object), rows),
        "past": random.normal(size=(rows, 3)).astype("float32"),
    }


def row(table, index):
    return {name: column[index : index + 1] for name, column in table.items()}


@pytest.fixture(scope="module")
def graph():
    keras.utils.set_random_seed(0)
    return payments_graph()


@pytest.fixture(scope="module")
def one(graph):
    return fast.Fast(graph, None, payments(8))


def test_litert_is_used_and_agrees_with_the_batch(graph, one):
    table = payments(50, seed=1)
    expected = fast.batch(graph)(table)
    assert one.form == "litert" and one.content
    for index in range(50):
        answer = one(row(table, index))
        assert list(answer) == list(graph.output)
        assert answer["probability"] == pytest.approx(expected["probability"][index : index + 1], abs=1e-5)
        assert answer["alarm"][0] == expected["alarm"][index]
        assert answer["label"][0] == expected["label"][index]
    assert isinstance(expected["label"][0], str)


def test_batch_equals_the_keras_model_whatever_the_rows(graph):
    answer_all = fast.batch(graph)
    table = payments(fast.CHUNK + 3)
    answers = answer_all(table)
    tensors = {
        name: keras.ops.convert_to_tensor(column[-5:], "float32") for name, column in table.items() if name != "card"
    }
    tensors["card"] = keras.ops.convert_to_tensor(list(table["card"][-5:]), "string")
    expected = graph(tensors, training=False)["probability"].numpy()
    np.testing.assert_allclose(answers["probability"][-5:], expected, atol=1e-6)
    assert len(answers["alarm"]) == fast.CHUNK + 3
    assert len(answer_all(payments(0))["probability"]) == 0


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
@pytest.mark.parametrize(("amount", "card"), [("A b/ü", "a b/ö"), ("self", "A"), ("_x", "9 %")])
def test_any_column_name_can_be_an_input(amount, card):
    model = payments_graph(amount, card)
    one = fast.Fast(model, None, payments(4, amount=amount, card=card))
    assert one.form == "litert"


def test_plain_names_are_all_different():
    names = ["a b", "a_b", "A B", "self", "é", "ü", "", "a_b_0", "TX_AMOUNT"]
    plain = fast.plain_names(names)
    assert len({short.lower() for short in plain.values()}) == len(names)
    assert plain["TX_AMOUNT"] == "TX_AMOUNT"
    assert plain == fast.plain_names(reversed(names))


def needs_flex():
    text = keras.Input((), dtype="string", name="text")
    return keras.Model({"text": text}, {"bucket": keras.layers.Hashing(7)(text)})


def has_no_litert_form():
    matrix = keras.Input((3, 3), name="text")
    return keras.Model({"text": matrix}, {"bucket": keras.ops.linalg.eigh(matrix)[0]})


@pytest.mark.parametrize(
    ("build", "column"),
    [(needs_flex, np.array(["a", "b"], object)), (has_no_litert_form, np.stack([np.eye(3), 2 * np.eye(3)]))],
)
def test_a_graph_litert_can_not_run_is_compiled(build, column, capfd):
    model = build()
    one = fast.Fast(model, None, {"text": column})
    assert one.form == "compiled" and one.content is None
    expected = fast.batch(model)({"text": column})["bucket"]
    np.testing.assert_allclose(one({"text": column[1:]})["bucket"], expected[1:])
    assert fast.Fast(model, b"", {"text": column}).form == "compiled"
    said = capfd.readouterr()
    assert said.out == "" and said.err == ""


def test_conversion_says_nothing(graph, capfd):
    fast.Fast(graph, None, payments(2))(payments(1))
    said = capfd.readouterr()
    assert said.out == "" and said.err == ""


def test_a_file_of_another_graph_is_not_used(one):
    other = payments_graph()
    again = fast.Fast(other, one.content, payments(8))
    assert again.form == "compiled"
    assert fast.Fast(other, b"not a flatbuffer", payments(8)).form == "compiled"


def test_two_rows_are_refused(graph, one):
    for call in (one, fast.Fast(graph, b"", payments(2))):
        with pytest.raises(ValueError, match="has 2 rows; give one row at a time"):
            call(payments(2))


def counted(lite, monkeypatch):
    """How many rows each call of LiteRT has."""
    rows, run = [], fast.LiteRT.__call__
    monkeypatch.setattr(
        fast.LiteRT, "__call__", lambda self, table: rows.append(len(next(iter(table.values())))) or run(self, table)
    )
    return rows


@pytest.mark.parametrize(("n", "calls"), [(3, [1] * 3), (60, [64]), (64, [64]), (130, [64] * 3)])
def test_a_narrow_graph_is_asked_for_many_rows_at_a_time(graph, one, monkeypatch, n, calls):
    table, lite = payments(n, seed=3), one._call
    rows = counted(lite, monkeypatch)
    found = lite.each(table)
    assert rows == calls
    expected = fast.batch(graph)(table)
    assert list(found) == list(expected) and fast.differing(expected, found) == []


def test_a_wide_graph_is_asked_row_by_row(monkeypatch):
    inputs = {"picture": keras.Input((32, 32, 1), name="picture")}
    model = keras.Model(inputs, {"mean": keras.ops.mean(inputs["picture"], axis=(1, 2, 3))})
    table = {"picture": np.random.default_rng(0).random((20, 32, 32, 1), "float32")}
    lite = fast.Fast(model, None, {"picture": table["picture"][:4]})._call
    rows = counted(lite, monkeypatch)
    np.testing.assert_allclose(lite.each(table)["mean"], table["picture"].mean((1, 2, 3)), atol=1e-5)
    assert rows == [1] * 20 and not lite.any_rows


def test_a_narrow_graph_that_takes_one_row_only_is_asked_row_by_row():
    inputs = {"values": keras.Input((4,), name="values")}
    one_row = keras.layers.Lambda(lambda values: keras.ops.reshape(values, (1, 2, 2)), output_shape=(2, 2))
    model = keras.Model(inputs, {"sums": keras.ops.sum(one_row(inputs["values"]), axis=2)})
    table = {"values": np.random.default_rng(0).random((12, 4), "float32")}
    expected = table["values"].reshape(12, 2, 2).sum(2)
    one = fast.Fast(model, None, {"values": table["values"][:1]}, {"sums": expected[:1]})
    assert one.form == "litert" and not one._call.any_rows
    np.testing.assert_allclose(one._call.each(table)["sums"], expected, atol=1e-6)


def test_inputs_of_another_shape_are_refused_and_the_next_answer_is_right(one):
    lite, asked = one._call, row(payments(8), 0)
    expected = lite(asked)
    for wrong in (np.zeros((1, 4), "float32"), np.zeros((1,), "float32"), np.zeros((1, 3, 1), "float32")):
        with pytest.raises((ValueError, RuntimeError)):
            lite({**asked, "past": wrong})
    assert fast.differing(expected, lite(asked)) == []


def test_many_threads_get_their_own_answers(graph, one):
    table = payments(200, seed=2)
    expected = fast.batch(graph)(table)["probability"]
    wrong = []

    def ask(indexes):
        for index in indexes:
            if abs(one(row(table, index))["probability"][0] - expected[index]) > 1e-5:
                wrong.append(index)

    threads = [threading.Thread(target=ask, args=(range(start, 200, 8),)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc to see memory")
@pytest.mark.parametrize("content", [None, b""])
def test_5000_calls_do_not_grow_memory(graph, content):
    one = fast.Fast(graph, content, payments(4))
    table = payments(100)
    for index in range(500):
        one(row(table, index % 100))
    before = resident_mb()
    for index in range(5000):
        one(row(table, index % 100))
    assert resident_mb() - before < 10
