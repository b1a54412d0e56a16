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
