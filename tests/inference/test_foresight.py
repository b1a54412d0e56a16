"""What is foreseen window by window, and how a network and counted n-grams are mixed."""

import numpy as np

from apptemplates.inference import foresight
from apptemplates.inference.kneser_ney import KneserNey
from apptemplates.inference.text_generator import Shape

SHAPE = Shape(context=8, before=2, order=3, blocks=1, width=4, begin=2, ends=False)


def last_token(tokens):
    """A network that foresees the token it has just read."""
    return 20.0 * np.eye(12)[tokens[:, SHAPE.before :]]


def test_every_place_is_foreseen_once_from_half_a_context_or_more():
    counts = KneserNey.fit(np.array([2, 3, 2, 3]), 3, 12)
    streams = [np.arange(2, 12).repeat(4), np.array([5, 5, 6])]
    lines = [np.concatenate([np.zeros(SHAPE.lead, int), stream]) for stream in streams]
    seen = []

    def network(tokens):
        seen.append(tokens)
        return last_token(tokens)

    found = list(foresight.foresee(lines, [1, 2], network, counts, SHAPE))
    line, place, token = (np.concatenate([getattr(one, name) for one in found]) for name in ("line", "place", "token"))
    assert place[line == 0].tolist() == list(range(1, 40)) and place[line == 1].tolist() == [2]
    assert token[line == 0].tolist() == streams[0][1:].tolist() and token[line == 1].tolist() == [6]
    chance = np.concatenate([one.network[np.arange(len(one.token)), one.token] for one in found])
    assert (chance[line == 0] > 0.99).sum() == 30  # where the token is the one before
    assert np.concatenate(seen).shape == (10, 10)  # windows of 40 tokens that overlap by half, and one


def test_the_mix_favours_what_foresees_better_where_it_does():
    rng = np.random.default_rng(0)
    matched = rng.integers(0, 2, 4000)
    good, bad = rng.uniform(0.5, 0.9, 4000), rng.uniform(0.01, 0.1, 4000)
    share = foresight.shares(np.where(matched, good, bad), np.where(matched, bad, good), matched, 3)
    assert share[0] < 0.05 and share[1] > 0.95 and 0.4 < share[2] < 0.6  # of what was never met: the mean


def test_mixed_chances_add_up():
    counts = KneserNey.fit(np.tile([2, 3, 4, 5, 3], 30), 3, 12)
    line = np.concatenate([np.zeros(SHAPE.lead, int), [2, 3, 4, 5]])
    (one,) = foresight.foresee([line], [1], last_token, counts, SHAPE)
    np.testing.assert_allclose(one.mixed(np.array([0.2, 0.5, 0.9])).sum(axis=1), 1, rtol=1e-5)


def model(share):
    counts = KneserNey.fit(np.tile([2, 3, 4, 5, 3], 30), 3, 12)
    return foresight.Foresight(last_token, counts, SHAPE, np.array(share))


def test_nats_of_what_follows_are_added_up_by_both_or_one_alone():
    one = model([0.5, 0.5, 0.5])
    inputs = {
        "prompt": np.array([[2, 3, -1], [4, 4, 4]]),
        "reach": np.array([2, 3]),
        "then": np.array([[4, 5, -1], [4, 4, 4]]),
    }
    both, network, counted = one.nats(inputs), one.nats(inputs, 1.0), one.nats(inputs, 0.0)
    assert network[0] > 10 and network[1] < 0.01  # it foresees repetition alone
    assert counted[0] < 1 < counted[1] and (both <= network + 6 * np.log(2) + 1e-6).all()
    lines, told = foresight.lines_of(inputs, SHAPE)
    assert [line.tolist() for line in lines] == [[0, 0, 2, 3, 4, 5], [0, 0, 4, 4, 4, 4, 4, 4]] and told == [2, 3]


def test_places_are_counted_from_the_first_token_that_is_not_told():
    place, nats = model([1.0, 1.0, 1.0]).by_place(np.array([[5, 5, 6, -1], [3, -1, -1, -1], [4, 4, 4, 4]]))
    assert place.tolist() == [1, 2, 1, 2, 3] and (nats > 1).tolist() == [False, True, False, False, False]
    assert len(model([1.0, 1.0, 1.0]).by_place(np.zeros((0, 3), int))[0]) == 0


def test_what_follows_lines_of_any_length_is_foreseen():
    lines = [foresight.line_of(np.array(tokens), SHAPE) for tokens in ([5], [2, 3] * 9)]
    found = model([1.0, 1.0, 1.0]).after(lines)
    assert found.shape == (2, 12) and found.argmax(axis=1).tolist() == [5, 3]


def test_the_mix_surprises_less_than_either_side():
    stream = np.concatenate([np.tile([2, 3, 4, 5, 3], 20), np.full(60, 7)])
    one = model([0.5, 0.5, 0.5])
    share, nats = foresight.mix(last_token, one.counts, SHAPE, stream)
    assert list(nats) == ["network", "counted n-grams", "both"] and share.shape == (3,)
    assert nats["both"] < min(nats["network"], nats["counted n-grams"])
