"""Gaps between groups equal those of Fairlearn."""

import numpy as np
import pytest

from apptemplates.evaluation import audit, fairness, risk

fairlearn = pytest.importorskip("fairlearn.metrics")


@pytest.mark.parametrize("seed", range(3))
def test_numbers_are_those_of_fairlearn(seed):
    random = np.random.default_rng(seed)
    group = np.array(["a", "b", "c"], object)[random.choice(3, 900, p=[0.5, 0.3, 0.2])]
    truth = (random.random(900) < 0.3).astype(int)
    chance = np.clip(0.3 * truth + random.random(900) * 0.7 + 0.1 * (group == "a"), 0.01, 0.99)
    alarm = chance > 0.5
    answers = {"probability": chance, "decision": np.where(alarm, risk.HIGH, risk.LOW).astype(object)}

    def score(truth, answers):
        return risk.score(truth["happened"], answers["probability"], answers["decision"], None)

    found = audit.by_group(score, {"happened": truth}, answers, group, repeats=10)
    kept = found.table.set_index("group")
    theirs = fairlearn.MetricFrame(
        metrics={
            "alarm rate": fairlearn.selection_rate,
            "recall": fairlearn.true_positive_rate,
            "false alarm rate": fairlearn.false_positive_rate,
        },
        y_true=truth, y_pred=alarm.astype(int), sensitive_features=group,
    ).by_group  # fmt: skip
    for name in theirs:
        np.testing.assert_allclose(kept[name][theirs.index].to_numpy(float), theirs[name].to_numpy(float), atol=1e-9)
    notes = fairness.notes({"g": found})
    given = {"y_true": truth, "y_pred": alarm.astype(int), "sensitive_features": group}
    pairs = {
        "demographic parity difference": fairlearn.demographic_parity_difference,
        "demographic parity ratio": fairlearn.demographic_parity_ratio,
        "equalized odds difference": fairlearn.equalized_odds_difference,
    }
    for name, measure in pairs.items():
        assert notes[f"g: {name}"] == pytest.approx(measure(**given), abs=1e-9)


def test_the_four_fifths_rule_is_told_of_sensitive_columns_alone():
    random = np.random.default_rng(0)
    group = np.repeat(np.array(["a", "b"], object), 400)
    alarm = random.random(800) < np.where(group == "a", 0.6, 0.2)
    answers = {"probability": alarm * 0.8 + 0.1, "decision": np.where(alarm, risk.HIGH, risk.LOW).astype(object)}

    def score(truth, answers):
        return risk.score(truth["happened"], answers["probability"], answers["decision"], None)

    groups = {"sex": audit.by_group(score, {"happened": (random.random(800) < 0.4).astype(int)}, answers, group)}
    (finding,) = fairness.findings(groups, ("sex",))
    assert finding.code == "four-fifths-rule" and "b has a rate of alarms of" in finding.message
    assert not fairness.findings(groups, ()) and not fairness.findings({}, ("sex",))
