"""A language model written in two ways answers the same in both, sees nothing of what comes, and converts."""

import keras
import numpy as np
import pytest

from apptemplates.deploy import fast
from apptemplates.layers import text

TOKENS, WIDTH, CONTEXT, BEFORE = 11, 16, 12, 2


@pytest.fixture(scope="module")
def models():
    keras.utils.set_random_seed(0)
    entry = keras.Input((None,), dtype="int32", name="tokens")
    hashed = text.HashedNgrams((2, 3), 31, BEFORE)(entry)
    preprocessor = keras.Model(entry, hashed, name="preprocessor")
    parts = text.text_parts(TOKENS, WIDTH, 2, 2, 2, 31, 8, 0.1)
    network = text.whole(parts, 3)
    for weight in network.trainable_variables:  # some begin at zero, which would hide mistakes
        weight.assign(np.random.default_rng(len(weight.path)).normal(0, 0.3, weight.shape))
    return preprocessor, network, text.step(parts, preprocessor, BEFORE, CONTEXT, 4)


def stepped(model, tokens: np.ndarray) -> np.ndarray:
    """Chances of the next token after each place (n, t, v), one place at a time."""
    padded = np.pad(tokens, ((0, 0), (BEFORE, 0)))
    caches = {name: np.zeros((len(tokens), CONTEXT, 2 * WIDTH), "float32") for name in ("cache0", "cache1")}
    found = []
    for place in range(tokens.shape[1]):
        answer = model(
            {
                "tokens": padded[:, place : place + BEFORE + 1],
                "place": np.full(len(tokens), place, "int32"),
                "counted": np.zeros((len(tokens), TOKENS), "float32"),
                "matched": np.zeros(len(tokens), "int32"),
                **caches,
            }
        )
        for block in range(2):
            caches[f"cache{block}"][:, place] = answer[f"keep{block}"][:, 0]
        found.append(np.asarray(answer["chances"]))
    return np.stack(found, axis=1)


def test_one_place_at_a_time_equals_all_at_once(models):
    preprocessor, network, step = models
    tokens = np.random.default_rng(0).integers(0, TOKENS, (3, CONTEXT)).astype("int32")
    whole = keras.ops.softmax(network(preprocessor(np.pad(tokens, ((0, 0), (BEFORE, 0))))))
    np.testing.assert_allclose(stepped(step, tokens), whole, atol=1e-5)


def test_nothing_of_what_comes_is_seen(models):
    preprocessor, network, _ = models
    tokens = np.random.default_rng(1).integers(0, TOKENS, (1, BEFORE + 10)).astype("int32")
    other = tokens.copy()
    other[0, BEFORE + 6 :] = (other[0, BEFORE + 6 :] + 1) % TOKENS
    one, two = network(preprocessor(tokens)), network(preprocessor(other))
    np.testing.assert_allclose(one[:, :6], two[:, :6], atol=1e-6)
    assert np.abs(one[:, 6:] - two[:, 6:]).max() > 1e-3


def test_ngrams_end_at_their_place_and_one_order_never_counts_as_another():
    layer = text.HashedNgrams((2, 4), 16381, 3)
    tokens = np.array([[0, 0, 0, 5, 6, 7, 8, 5, 6, 7, 8]], "int32")
    rows = np.asarray(layer(tokens))[0]
    assert rows[:, 0].tolist() == tokens[0, 3:].tolist() and rows.shape == (8, 3)
    assert rows[3].tolist() == rows[7].tolist()  # 8 after 5 6 7, twice
    assert rows[1, 1] == rows[5, 1] and rows[1, 2] != rows[5, 2]  # what stood three before differs
    assert rows.min() >= 0 and rows.max() < 16381


def test_saved_in_safe_mode_and_converted_it_answers_the_same(models, tmp_path):
    _, network, step = models
    rng = np.random.default_rng(2)
    golden = {
        "tokens": rng.integers(0, TOKENS, (3, BEFORE + 1)).astype("int32"),
        "place": np.array([0, 3, CONTEXT], "int32"),
        "counted": rng.dirichlet(np.ones(TOKENS), 3).astype("float32"),
        "matched": np.array([0, 1, 3], "int32"),
        **{f"cache{block}": rng.normal(size=(3, CONTEXT, 2 * WIDTH)).astype("float32") for block in range(2)},
    }
    step.get_layer("chances").share.assign([1.0, 0.7, 0.5, 0.2])
    answers = fast.batch(step)(golden)
    np.testing.assert_allclose(answers["chances"].sum(axis=1), 1, atol=1e-5)
    step.save(tmp_path / "step.keras")
    again = keras.saving.load_model(tmp_path / "step.keras", safe_mode=True)
    np.testing.assert_allclose(fast.batch(again)(golden)["chances"], answers["chances"], atol=1e-6)
    assert fast.Fast(step, None, golden).form == "litert"
    network.save(tmp_path / "network.keras")
    keras.saving.load_model(tmp_path / "network.keras", safe_mode=True)
    rebuilt = text.whole(text.parts_of(again), 3)
    features = rng.integers(0, 11, (2, 5, 3)).astype("int32")
    np.testing.assert_allclose(rebuilt(features), network(features), atol=1e-5)


def test_the_mix_is_by_how_much_of_the_context_was_counted():
    layer = text.NextChances(2)
    logits = np.log([[[0.5, 0.5]], [[0.5, 0.5]]]).astype("float32")
    counted = np.array([[0.9, 0.1], [0.9, 0.1]], "float32")
    layer.build([(2, 1, 2), (2, 2), (2,)])
    layer.share.assign([1.0, 0.25])
    found = np.asarray(layer([logits, counted, np.array([0, 1])]))
    np.testing.assert_allclose(found, [[0.5, 0.5], [0.8, 0.2]], atol=1e-6)


def test_attention_refuses_heads_that_do_not_divide():
    with pytest.raises(ValueError, match="18 must be a multiple of 2 x 4 heads"):
        text.CausalAttention(4).build((None, None, 18))
