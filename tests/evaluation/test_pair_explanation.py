"""What makes two pictures alike: the place that does is named, and a map that says nothing is called out."""

import numpy as np
import pytest

from apptemplates.evaluation import pair_explanation

RNG = np.random.default_rng(0)


def pictures(n=30, side=24):
    return RNG.integers(40, 216, (n, side, side, 1)).astype("uint8")


def corner(first):
    """Alike by the upper left quarter alone: how far the pictures are from grey there."""
    part = first[:, :12, :12].astype("float64") - first.mean(axis=(1, 2, 3), keepdims=True)
    return np.tanh(np.abs(part).mean(axis=(1, 2, 3)) / 60)


def test_the_place_that_counts_is_named():
    first = pictures()
    inputs = {"first": first, "second": pictures()}
    answers = {"similarity": corner(first), "match": np.ones(30, bool)}
    report = pair_explanation.explain("Faces", lambda second: corner, inputs, answers, seed=0)
    assert report.kind == "explanation" and len(report.table) == 30
    named = report.table["where"][report.table["where"] != ""]
    assert len(named) == pair_explanation.CHECKED and named.str.contains("upper left").mean() > 0.8
    assert "can be relied on" in report.verdict[1] and "upper left" in report.verdict[0]
    assert report.figures and all(figure.get_label() for figure in report.figures)


def test_a_similarity_that_sees_nothing_is_called_out():
    inputs = {"first": pictures(6), "second": pictures(6)}

    answers = {"similarity": np.full(6, 0.5), "match": np.zeros(6, bool)}
    looked_at = []

    def blind(second):
        looked_at.append(second)
        return lambda first: np.full(len(first), 0.5)

    report = pair_explanation.explain("Faces", blind, inputs, answers, seed=0)
    assert "Do not rely on the maps here" in " ".join(report.verdict)
    assert len(looked_at) == 1  # what is not covered is looked at once


@pytest.mark.parametrize("n", [1, 3])
def test_few_pairs_are_enough(n):
    inputs = {"first": pictures(n), "second": pictures(n)}
    answers = {"similarity": corner(inputs["first"]), "match": np.ones(n, bool)}
    report = pair_explanation.explain("Faces", lambda second: corner, inputs, answers, seed=0)
    assert (report.table["where"] != "").all()
