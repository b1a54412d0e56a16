import json

import numpy as np
import pandas as pd
import pytest

from apptemplates.evaluation.audit import by_group
from apptemplates.evaluation.intervals import Metric
from apptemplates.evaluation.report import Report, jsonable


class Finding:
    def __init__(self, severity="warning", code="constant-column", place="column 'currency'"):
        self.severity, self.code, self.place = severity, code, place
        self.message, self.fix = "column 'currency' holds one value", "leave it out"


def full(rows=20):
    random = np.random.default_rng(0)
    truth = {"label": random.integers(0, 2, 400)}
    region = random.choice(np.array(["north", "south", "<east> & west"], dtype=object), 400)
    groups = by_group(
        lambda truth, answers: {"accuracy": float((truth["label"] == answers["alarm"]).mean())},
        truth,
        {"alarm": random.integers(0, 2, 400)},
        region,
        repeats=20,
    )
    return Report(
        "FraudDetector on <august> & september",
        metrics={"average precision": Metric(0.712, 0.69, 0.735), "ECE": Metric(0.01, float("nan"), float("nan"))},
        baseline={"name": "logistic regression", "metrics": {"average precision": Metric(0.4, 0.38, 0.42)}},
        groups={"region": groups},
        calibration={"temperature": 1.3, "ECE before": 0.04, "curve": {"probability": np.array([0.1, 0.9])}},
        latency={"p50_ms": 0.12, "p99_ms": 0.5, "items_per_second": 123456.0},
        size={"parameters": 12345, "megabytes": 0.05},
        data={"records": 60000, "from": np.datetime64("2018-08-08"), "left out": ["a.png: damaged"]},
        verdict=["It is better.", "It is worst in the north.", "More records would help."],
        findings=[],
        table=pd.DataFrame(
            {
                "name": [f"row {number}" for number in range(rows)],
                "value": [float("nan"), *range(1, rows)],
                "at": pd.date_range("2020-01-01", periods=rows),
            }
        ),
        notes={"deletion score": Metric(0.1, 0.05, 0.2), "trust": True},
    )


def test_json_round_trip(tmp_path):
    report = full()
    path = report.save(tmp_path / "report.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content == report.to_dict()
    assert content["metrics"]["ECE"] == {"value": 0.01, "low": None, "high": None}
    again = Report.from_dict(content)
    assert again.to_dict() == content
    assert again.metrics["average precision"] == report.metrics["average precision"]
    assert again.groups["region"].gaps == report.groups["region"].gaps
    assert again.notes["deletion score"] == Metric(0.1, 0.05, 0.2)
    assert repr(again) == repr(report)


def test_what_json_does_not_know_becomes_plain():
    assert jsonable({1: np.float32("nan"), "b": np.array([1, 2]), "c": pd.NaT, "d": np.datetime64("NaT")}) == {
        "1": None,
        "b": [1, 2],
        "c": None,
        "d": None,
    }
    assert jsonable([np.bool_(True), np.int64(3), float("inf"), pd.Timestamp("2020-01-01"), b"x"]) == [
        True,
        3,
        "inf",
        "2020-01-01T00:00:00",
        "b'x'",
    ]


@pytest.mark.parametrize("kind", ["evaluation", "check", "explanation", "training"])
@pytest.mark.parametrize("ending", ["html", "json", "md"])
def test_an_empty_report_saves_in_every_form(tmp_path, kind, ending):
    path = Report("Nothing yet", kind=kind).save(tmp_path / f"report.{ending}")
    assert "Nothing yet" in path.read_text(encoding="utf-8")


def test_saving_is_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full_disk)
        with pytest.raises(OSError, match="No space left"):
            full().save(path)
    assert path.read_text() == "old" and [each.name for each in tmp_path.iterdir()] == ["report.html"]
    full().save(path)
    assert "It is better." in path.read_text(encoding="utf-8")
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_other_endings_and_missing_folders_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.html, \.json or \.md"):
        full().save(tmp_path / "report.pdf")
    with pytest.raises(FileNotFoundError, match=r"folder '.*nowhere' does not exist"):
        full().save(tmp_path / "nowhere" / "report.html")
    with pytest.raises(ValueError, match="kind must be one of"):
        Report("x", kind="opinion")


def test_markdown_keeps_its_tables_whole(tmp_path):
    report = full(200)
    report.findings = [Finding()]
    report.table.loc[3, "name"] = "a | b\nc"
    text = report.save(tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| average precision | 0.712 | 0.690 to 0.735 | 0.400 (0.380 to 0.420) | better |" in text
    assert "a \\| b c" in text and "The first 50 of 200 rows." in text and "row 60" not in text
    assert "constant-column" in text and "leave it out" in text


def test_repr_is_short_text():
    text = repr(full(2000))
    assert "average precision  0.712 (0.690 to 0.735)" in text and "table: 2,000 rows" in text
    assert len(text) < 1000
