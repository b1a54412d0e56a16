"""Drawn pictures can be learned from, differ by person and patient, and come out the same again."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

from apptemplates.data.synthetic_pictures import faces, scans


@pytest.mark.parametrize("make", [lambda **more: scans(40, **more), lambda **more: faces(5, 8, **more)])
def test_one_seed_one_table(make):
    one, again, other = make(seed=3), make(seed=3), make(seed=4)
    for name, column in one.items():
        assert len(column) == 40
        np.testing.assert_array_equal(column, again[name])
    assert (one["image"] != other["image"]).any(axis=(1, 2)).all()
    assert one["image"].dtype == np.uint8
    assert make(size=20)["image"].shape[1:3] == (20, 20)
    assert 30 < one["image"].mean() < 220 and one["image"].std() > 20
    assert len(np.unique(one["image"].reshape(40, -1), axis=0)) == 40


def test_the_finding_can_be_seen_and_patients_have_several_pictures():
    table = scans(800, seed=1)
    ill = table["finding"] == "opacity"
    assert set(table["finding"]) == {"normal", "opacity"} and 0.3 < ill.mean() < 0.5
    patients, counts = np.unique(table["patient"], return_counts=True)
    assert 200 < len(patients) < 420 and counts.max() > 2
    pixels = table["image"].reshape(800, -1).astype(float)
    learned = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3).fit(pixels[:600], ill[:600])
    assert 0.7 < roc_auc_score(ill[600:], learned.decision_function(pixels[600:])) < 0.995  # a task, not a given


def test_people_look_like_themselves():
    table = faces(60, 8, seed=2, size=32)
    assert table["person"].tolist() == sorted(table["person"]) and len(set(table["person"])) == 60
    pixels = table["image"][:, ::2, ::2].reshape(480, -1).astype(float)
    known = np.arange(480) < 8 * 40
    learned = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.3, n_components=20)
    found = learned.fit(pixels[known], table["person"][known]).transform(pixels[~known])
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    first, second = np.triu_indices(160, 1)
    same = table["person"][~known][first] == table["person"][~known][second]
    similar = (found @ found.T)[first, second]
    assert roc_auc_score(same, similar) > 0.8  # people never learned from
    assert roc_auc_score(same, similar) < 0.999
