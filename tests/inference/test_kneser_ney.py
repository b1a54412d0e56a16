"""Counted n-grams give the chances that the textbook says, quickly, from arrays that can be saved."""

import time

import numpy as np
import pytest

from apptemplates.inference import kneser_ney
from apptemplates.inference.kneser_ney import KneserNey, discounts


def stream_of(text: str) -> tuple[np.ndarray, int]:
    letters = sorted(set(text))
    return np.array([letters.index(letter) + 1 for letter in text]), len(letters) + 1


@pytest.fixture(scope="module")
def words() -> tuple[np.ndarray, int]:
    rng = np.random.default_rng(0)
    return stream_of(" ".join(rng.choice(["the cat", "sat on", "a mat", "and ran", "home"], 3000)))


def test_chances_add_up_to_one_after_seen_and_unseen_contexts(words):
    stream, tokens = words
    model = KneserNey.fit(stream, 5, tokens)
    rng = np.random.default_rng(1)
    history = rng.integers(0, tokens, (500, 4))
    history[:200] = np.lib.stride_tricks.sliding_window_view(stream, 4)[:200]
    chances, matched = model.chances(history)
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-4)
    assert (chances[:, 1:] > 0).all() and (chances[:, 0] == 0).all()
    assert (matched[:200] == 4).all() and matched[200:].min() < 4


def test_bigrams_by_hand():
    stream, tokens = stream_of("abacab")
    model = KneserNey.fit(stream, 2, tokens)
    # after a: b twice, c once; off 0.75 and 0.5; unigrams count what stood before: a after b, c; b after a; c after a
    low = np.array([0, 1.5 / 4, 0.5 / 4, 0.5 / 4])
    off = np.array([2, 1, 1]).clip(max=3)
    low[1:] = (off - np.array([0.75, 0.5, 0.5])) / 4
    low[1:] += 1.75 / 4 / 3
    expected = low * (0.75 + 0.5) / 3
    expected[2] += 1.25 / 3
    expected[3] += 0.5 / 3
    np.testing.assert_allclose(model.chances(np.array([[1]]))[0][0], expected, atol=1e-6)


def test_discounts_are_those_of_chen_and_goodman():
    counts = np.repeat([1, 2, 3, 4, 9], [100, 40, 20, 10, 5])
    share = 100 / 180
    expected = [0, 1 - 2 * share * 0.4, 2 - 3 * share * 0.5, 3 - 4 * share * 0.5]
    np.testing.assert_allclose(discounts(counts), expected)


def test_arrays_make_the_same_model_again_also_with_hashed_keys(words):
    stream, _ = words
    for tokens in (40, 60_000):  # 60,000 ** 5 does not fit into a key
        model = KneserNey.fit(stream, 6, tokens)
        again = KneserNey.of(model.arrays())
        history = np.lib.stride_tricks.sliding_window_view(stream, 5)[:50]
        for ours, theirs in zip(model.chances(history), again.chances(history), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert all(column.dtype != object for column in model.arrays().values())


def test_longer_contexts_help(words):
    stream, tokens = words
    learned, rest = stream[:12_000], stream[12_000:]
    nats = [KneserNey.fit(learned, order, tokens).nats(rest) for order in (1, 2, 4)]
    assert nats[0] > nats[1] + 0.3 > nats[2] + 0.4


def test_short_and_empty_streams():
    for stream in ([], [1], [1, 2, 1]):
        model = KneserNey.fit(np.array(stream, int), 4, 3)
        np.testing.assert_allclose(model.chances(np.array([[0, 1, 2]]))[0].sum(), 1, atol=1e-5)


def test_tiny_shakespeare_within_a_minute_and_two_hundredths(real_data):
    text = (real_data / "text" / "tinyshakespeare" / "input.txt").read_text()
    stream, tokens = stream_of(text)
    learned = int(0.9 * len(stream))
    began = time.perf_counter()
    model = KneserNey.fit(stream[:learned], 6, tokens)
    nats = model.nats(stream, learned)
    assert time.perf_counter() - began < 60
    assert 1.50 < nats < 1.545  # 1.5385 with one discount of 0.75
    one = stream[None, 100:105]
    began = time.perf_counter()
    for _ in range(200):
        model.chances(one)
    assert (time.perf_counter() - began) / 200 < 0.002


def test_two_models_are_blended_as_held_out_tokens_ask_for():
    rng = np.random.default_rng(0)
    old, new = rng.integers(2, 6, 4000), np.tile([6, 7, 8], 300)
    both = KneserNey.fit(np.concatenate([old, new]), 3, 9)
    blend = kneser_ney.blended(KneserNey.fit(new, 3, 9), both, np.tile([6, 7, 8], 20))
    assert blend.share in kneser_ney.SHARES
    assert kneser_ney.blended(both, KneserNey.fit(old, 3, 9), np.tile([6, 7, 8], 20)).share == 0.8
    history = np.array([[6, 7], [2, 3], [0, 0]])
    chances, matched = blend.chances(history)
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-4)
    assert matched.tolist() == both.chances(history)[1].tolist()
    again = kneser_ney.opened(blend.arrays())
    np.testing.assert_allclose(again.chances(history)[0], chances)
    np.testing.assert_allclose(blend.widened(12).chances(history)[0][:, :9], chances, atol=0.02)
