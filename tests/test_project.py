"""`apptemplates new`: a project that runs at once, for every application."""

import csv
import io
import json

import pytest

import apptemplates as at
from apptemplates import _catalogue, project
from apptemplates.cli import main

NAMES = [entry.name for entry in _catalogue.ENTRIES]


@pytest.mark.parametrize("name", NAMES)
def test_what_it_writes_fits_together(name, tmp_path, capsys):
    folder = tmp_path / "mine"
    assert main(["new", name, str(folder)]) == 0
    assert "train.py" in capsys.readouterr().out
    assert {path.name for path in folder.iterdir()} == {"README.md", "data", "notebook.ipynb", "predict.py", "train.py"}
    for script in ("train.py", "predict.py"):
        compile((folder / script).read_text(), script, "exec")
    notebook = json.loads((folder / "notebook.ipynb").read_text())
    assert "".join(notebook["cells"][1]["source"]).startswith("%matplotlib inline\nimport apptemplates as at")
    readme = (folder / "README.md").read_text()
    assert getattr(at, name).card.not_for in readme and "{" not in readme.replace("{}", "")


@pytest.mark.parametrize("name", ["RiskScorer", "MedicalScanClassifier"])
def test_it_learns_and_answers(name, run_scripts, tmp_path):
    folder = project.new(getattr(at, name), tmp_path / "mine")
    done = run_scripts(folder, ["train.py", "0.05"])
    assert done.returncode == 0, done.stderr
    assert (folder / "report.html").stat().st_size > 10_000
    asked = "data/records.csv" if name == "RiskScorer" else "data"
    done = run_scripts(folder, ["predict.py", asked])
    assert done.returncode == 0, done.stderr
    answers = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(answers) > 100 and all(row["problem"] == "" and 0 <= float(row["probability"]) <= 1 for row in answers)


def test_what_is_there_stays(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("work of years")
    with pytest.raises(at.ArchiveError, match=r"new: .*mine' is there already and holds something; give a new place"):
        project.new(at.FraudDetector, tmp_path / "mine")
    assert main(["new", "FraudDetector", str(tmp_path / "mine")]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "work of years"
