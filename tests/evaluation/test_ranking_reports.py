"""What a report on ranked lists says beside its numbers."""

import numpy as np

from apptemplates.evaluation import ranking_reports
from apptemplates.evaluation.report import Report


def test_being_judged_by_the_past_of_what_was_learned_is_a_finding():
    moments = np.array(["2024-01-01", "2024-03-01"], "datetime64[us]").astype("int64")
    (finding,) = ranking_reports.leaks(moments, int(np.datetime64("2024-02-01", "us").astype("int64")))
    assert finding.code == "learned-from-later" and finding.place == "1 of 2 users"
    assert "from before 2024-02-01T00:00:00, the latest one learned from: the model knows" in finding.message
    assert ranking_reports.leaks(moments, int(moments.min())) == []


def test_notes_tell_what_was_held_out_and_how_ease_was_chosen():
    report = Report(title="of lists", kind="evaluation")
    ranking_reports.tell_held_out(report, "NDCG@5", {"NDCG@5 of blend": 0.25}, {"sets": 0.123456})
    ranking_reports.tell_ease(report, ["EASE alone"], chosen=True)
    assert report.notes == {
        "held out while learning, NDCG@5 of blend": 0.25,
        "held out while learning, NDCG@5 of sets": 0.1235,
    }
    ranking_reports.tell_ease(report, ["weighted EASE alone", "EASE alone"], chosen=False)
    assert report.notes["EASE alone"] == "with its usual ridge of 500, not chosen"
    ranking_reports.tell_ease(report, ["popularity"], chosen=False)
    assert report.notes["EASE alone"].startswith("left out: it is for up to 15,000 items")
