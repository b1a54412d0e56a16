"""Errors of a verifier: rates at every threshold, the threshold for so many strangers, and how sure that is."""

import numpy as np
import pytest

from apptemplates.evaluation import eigenfaces, verification

RNG = np.random.default_rng(0)
SAME = np.array([1, 1, 1, 1, 0, 0, 0, 0])
ALIKE = np.array([0.9, 0.8, 0.6, 0.3, 0.7, 0.2, 0.1, 0.0])


def bells(n=4000, apart=2.0):
    same = np.repeat([1, 0], n)
    return same, RNG.normal(same * apart, 1.0)


def test_rates_at_every_threshold():
    accepts, rejects = verification.error_rates(SAME, ALIKE)
    np.testing.assert_allclose(accepts, [0, 0, 0, 0.25, 0.25, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(rejects, [1, 0.75, 0.5, 0.5, 0.25, 0, 0, 0, 0])
    assert verification.equal_error_rate(SAME, ALIKE) == pytest.approx(0.25)
    assert verification.equal_error_rate(SAME, SAME) == 0 and verification.equal_error_rate(SAME, -SAME) == 1


def test_equal_error_rate_of_two_bells():
    same, alike = bells()
    assert verification.equal_error_rate(same, alike) == pytest.approx(0.1587, abs=0.01)  # a bell beyond one spread


def test_without_one_kind_nothing_is_told():
    for kind in (np.ones(5), np.zeros(5)):
        assert np.isnan(verification.equal_error_rate(kind, np.arange(5.0)))
        assert np.isnan(verification.true_accepts(kind, np.arange(5.0), 0.1))
        assert verification.pictures(kind, np.arange(5.0), None) == []


def test_true_accepts_at_a_rate_of_strangers():
    assert verification.true_accepts(SAME, ALIKE, 0.25) == 1.0
    assert np.isnan(verification.true_accepts(SAME, ALIKE, 0.1))  # one stranger alone would exceed it
    same, alike = bells()
    assert verification.true_accepts(same, alike, 0.01) == pytest.approx(0.372, abs=0.04)


def test_numbers_of_a_decision():
    found = verification.score(SAME, ALIKE, ALIKE >= 0.65)
    assert found["false accept rate"] == 0.25 and found["false reject rate"] == 0.5
    assert found["balanced accuracy"] == pytest.approx(0.625)


def scale(people=60, each=4, seed=0):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(people * each, 32))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    person = np.repeat(np.arange(people), each)
    alike, first, second = verification.all_strangers(vectors, person)
    return alike, verification.stranger_scale(alike, first, second)


def test_strangers_are_all_pairs_of_two_people():
    alike, known = scale()
    assert len(alike) == int(known["pairs"][0]) == 240 * 239 // 2 - 60 * 6
    assert int(known["people"][0]) == 60


@pytest.mark.parametrize("allowed", [0.2, 0.01, 0.001])
def test_the_threshold_accepts_at_most_the_allowed_share(allowed):
    alike, known = scale()
    threshold, counted = verification.threshold_at(known, allowed)
    got = (alike.astype("float32") >= np.float32(threshold)).mean()
    assert counted and got <= allowed and got > 0.7 * allowed
    rate = verification.rate_at(known, threshold)
    assert rate.value == pytest.approx(got, abs=0.1 * allowed + 1e-4) and rate.low <= rate.value < rate.high


def test_beyond_what_can_be_counted_the_tail_is_carried_on():
    alike, known = scale()
    rare, counted = verification.threshold_at(known, 1e-7)
    assert not counted and alike.max() * 0.9 < rare <= 1
    assert rare > verification.threshold_at(known, 1e-3)[0]
    none = verification.rate_at(known, 2.0)
    assert none.value == 0 and none.high == pytest.approx(3 / len(alike))


def test_without_strangers_only_the_same_picture_matches():
    empty = verification.stranger_scale(np.empty(0), np.empty(0, int), np.empty(0, int))
    assert verification.threshold_at(empty, 0.01) == (1.0, False)
    assert np.isnan(verification.rate_at(empty, 0.5).value)


def test_many_strangers_are_kept_as_a_scale():
    alike = RNG.normal(0, 0.2, 50_000)
    first, second = RNG.integers(0, 300, (2, 50_000))
    known = verification.stranger_scale(alike, first, second, draws=20, most=500)
    assert len(known["threshold"]) <= 500 and (np.diff(known["threshold"]) < 0).all()
    for allowed in (0.1, 0.01):
        threshold, _ = verification.threshold_at(known, allowed)
        assert 0.8 * allowed < (alike >= threshold).mean() <= allowed


def test_the_worst_pairs_are_drawn_and_marked_as_records():
    rows = verification.worst_rows(SAME, ALIKE, most=2)
    assert rows.tolist() == [4, 5, 3, 2]
    faces = RNG.integers(0, 256, (4, 8, 8, 1), np.uint8)
    figure = verification.worst_pairs(SAME[rows] > 0, ALIKE[rows], faces, faces)
    assert figure.get_gid() == "shows records" and len(figure.axes) == 4
    drawn = verification.pictures(SAME, ALIKE, 0.5)
    assert len(drawn) == 3 and all(one.get_label() for one in drawn)


def people(count, each, seed):
    rng = np.random.default_rng(seed)
    faces = rng.integers(60, 200, (count, 16, 16, 1))
    varied = np.repeat(faces, each, axis=0) + rng.normal(0, 12, (count * each, 16, 16, 1))
    return varied.clip(0, 255).astype("uint8"), np.repeat(np.arange(count), each)


def test_eigenfaces_tell_people_apart_they_did_not_learn_from():
    state = eigenfaces.fit(*people(30, 4, 0), allowed=0.01, seed=0)
    assert state["axes"].shape[1] <= eigenfaces.MOST_AXES and state["mean"].shape == (256,)
    faces, person = people(10, 4, 1)
    first, second = np.triu_indices(40, 1)
    answers = eigenfaces.answer(state, faces[first], faces[second])
    same = person[first] == person[second]
    assert verification.equal_error_rate(same, answers["similarity"]) < 0.05
    # of others more are accepted than of those learned from
    assert answers["match"][~same].mean() < 0.3 and answers["match"][same].mean() > 0.95


def test_eigenfaces_of_one_person_match_nobody():
    faces, _ = people(1, 6, 0)
    state = eigenfaces.fit(faces, np.zeros(6, int), allowed=0.01, seed=0)
    assert state["threshold"][0] == 1 and not eigenfaces.answer(state, faces[:3], faces[3:])["match"].any()


def test_the_share_that_tells_pairs_apart_best():
    random = np.random.default_rng(0)
    same = np.repeat([1.0, 0.0], 200)
    good, noise = same + random.normal(size=400) * 0.3, random.normal(size=400)
    assert verification.best_share(same, noise, good) == 0.75
    assert verification.best_share(same, good, noise) == 0.0
    assert verification.best_share(same, good, good) == 0.5
