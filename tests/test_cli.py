"""The command line as a person uses it, on the real FraudDetector and small files."""

import json
import os
import signal
import subprocess
import sys
import time
import wave

import numpy as np
import pandas as pd
import pytest

from apptemplates.cli import main
from apptemplates.data import synthetic


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The demo, and its data as files."""
    place = tmp_path_factory.mktemp("cli")
    assert main(["demo", "--folder", str(place / "demo")]) == 0
    payments = pd.DataFrame(synthetic.payments(n=800, seed=1))
    payments.to_csv(place / "payments.csv", index=False)
    payments.drop(columns="fraud").head(30).to_csv(place / "new.csv", index=False)
    return place


def run(capfd, *words):
    """Code, standard output, standard error."""
    code = main([str(word) for word in words])
    said = capfd.readouterr()
    return code, said.out, said.err


def usage_error(capsys, *words):
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    assert stopped.value.code == 2
    return capsys.readouterr().err


ROLES = ["--label", "fraud", "--entities", "card,terminal", "--sensitive", "region", "--epochs", "1"]


def test_list_and_show(capfd):
    code, out, _ = run(capfd, "list")
    assert code == 0 and out.split()[:3] == ["FraudDetector", "How", "likely"]
    code, out, _ = run(capfd, "show", "fraud_detector")
    assert code == 0 and "Not for:" in out and "label_delay: " in out


def test_demo_leaves_a_report_and_a_model(place):
    assert (place / "demo" / "report.html").stat().st_size > 10_000
    assert (place / "demo" / "model" / "manifest.json").exists()


def test_demo_again_replaces_its_own_and_nothing_else(place, capfd, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.txt").write_text("mine")
    code, _, err = run(capfd, "demo", "--folder", tmp_path)
    assert code == 1 and "is not a saved template, it holds 'mine.txt'" in err


def test_predict_several_files_and_lines_of_json(tmp_path, capfd):
    noise = np.random.default_rng(0).normal(0, 800, 16_000).astype("<i2")
    for name in ("a.wav", "b.wav"):
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(noise.tobytes())
    (tmp_path / "c.wav").write_bytes(b"")
    files = [tmp_path / name for name in ("a.wav", "b.wav", "c.wav")]
    code, out, err = run(capfd, "predict", "voice_command_recognizer", *files, "--form", "jsonl")
    answers = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and "3 answers, 1 with a problem" in err
    assert [answer["file"] for answer in answers] == [str(file) for file in files]
    assert answers[0]["command"] == answers[1]["command"] == "_silence_" and "empty" in answers[2]["problem"]
    code, _, err = run(capfd, "predict", "risk_scorer", *files)
    assert code == 1 and "predict: RiskScorer takes one file or folder. Received: 3, " in err


def test_predict_to_standard_output_and_files(place, capfd):
    code, out, err = run(capfd, "predict", place / "demo" / "model", place / "new.csv")
    assert code == 0 and err.strip() in ("", "Loading")
    lines = out.strip().split("\n")
    assert lines[0] == "probability,alarm,problem" and len(lines) == 31
    for ending, read in ((".csv", pd.read_csv), (".parquet", pd.read_parquet)):
        code, out, err = run(
            capfd, "predict", place / "demo" / "model", place / "new.csv", "--out", place / f"a{ending}"
        )
        assert code == 0 and out == "" and "30 answers" in err
        assert len(read(place / f"a{ending}")) == 30
    run(capfd, "predict", place / "demo" / "model", place / "new.csv", "--out", place / "a.jsonl")
    answers = [json.loads(line) for line in (place / "a.jsonl").read_text().splitlines()]
    assert len(answers) == 30 and 0 <= answers[0]["probability"] <= 1


def test_evaluate_prints_and_reports(place, capfd):
    for ending in (".html", ".json", ".md"):
        words = ["evaluate", place / "demo" / "model", place / "payments.csv", "--report", place / f"r{ending}"]
        code, out, _ = run(capfd, *words, *(["--by", "region"] if ending == ".json" else []))
        assert code == 0 and "average precision" in out
        assert (place / f"r{ending}").stat().st_size > 500
    assert "region" in json.loads((place / "r.json").read_text())["groups"]


def test_explain(place, capfd):
    code, out, _ = run(capfd, "explain", place / "demo" / "model", place / "new.csv", "--report", place / "why.html")
    assert code == 0 and "moved most by" in out  # not 50 columns that no terminal has room for
    assert (place / "why.html").exists()


def test_check(place, capfd):
    code, out, _ = run(capfd, "check", "FraudDetector", place / "payments.csv", *ROLES)
    assert code == 0
    one = pd.read_csv(place / "payments.csv").assign(fraud=0)
    one.to_csv(place / "one.csv", index=False)
    assert "fit would take: at most about " in out and "likely average precision: " in out
    code, out, _ = run(capfd, "check", "FraudDetector", place / "payments.csv", *ROLES, "--quick")
    assert "fit would take" not in out
    code, out, _ = run(capfd, "check", "FraudDetector", place / "one.csv", *ROLES)
    assert code == 1 and "error: fraud: " in out


def test_train_and_finetune(place, capfd):
    words = ["train", "FraudDetector", place / "payments.csv", *ROLES, "--save", place / "mine"]
    code, _, err = run(capfd, *words, "--policy", "reviews_per_day=3")
    assert code == 0 and "saved to" in err
    parameters = json.loads((place / "mine" / "template.json").read_text())["parameters"]
    assert parameters["policy"] == {"reviews_per_day": 3.0} and parameters["entities"] == ["card", "terminal"]
    code, _, err = run(
        capfd, "finetune", place / "mine", place / "payments.csv", "--save", place / "mine2", "--epochs", 1
    )
    assert code == 0 and "saved to" in err
    code, _, err = run(capfd, "predict", place / "mine2", place / "new.csv", "--out", place / "b.csv")
    assert code == 0


def test_export(place, capfd):
    code, _, err = run(capfd, "export", place / "demo" / "model", place / "served")
    assert code == 0 and (place / "served" / "saved_model.pb").exists()
    code, _, err = run(capfd, "export", place / "demo" / "model", place / "served")
    assert code == 1 and "is there already and export overwrites nothing" in err
    code, _, err = run(capfd, "export", place / "demo" / "model", place / "b", "--form", "pt")
    assert code == 1 and "form must be one of 'saved_model'" in err
    code, _, err = run(capfd, "export", place / "demo" / "model", place / "b", "--quantize", "int8")
    assert code == 1 and "give form='litert'" in err and not (place / "b").exists()


# ---- what goes wrong is one sentence ---------------------------------------


def test_wrong_data_and_folders_are_one_sentence(place, capfd):
    for words, say in (
        (["predict", place / "nowhere", place / "new.csv"], "there is no such folder"),
        (["predict", place / "demo" / "model", place / "nowhere.csv"], "nowhere.csv"),
        (["check", "FraudDetector", place / "new.csv", *ROLES], "'fraud'"),
        (["train", "FraudDetector", place / "new.csv", *ROLES, "--save", place / "x"], "'fraud'"),
        (["train", "FraudDetector", place / "payments.csv", "--save", place / "x", "--windows", "7 moons"], "7 moons"),
        (
            ["train", "FraudDetector", place / "payments.csv", *ROLES, "--save", place / "demo"],
            "is not a saved template",
        ),
    ):
        code, _, err = run(capfd, *words)
        assert code == 1, words
        assert say in err and "Traceback" not in err
        assert len([line for line in err.strip().split("\n") if len(line) > 30]) == 1, err
    assert not (place / "x").exists()


def test_wrong_usage_names_what_is_near(place, capsys):
    assert "did you mean FraudDetector?" in usage_error(capsys, "show", "FrodDetector")
    assert "there are FraudDetector" in usage_error(capsys, "show", "x")
    assert "'a.xls' must end in .csv, .jsonl, .parquet" in usage_error(
        capsys, "predict", "m", "d.csv", "--out", "a.xls"
    )
    assert "make it first" in usage_error(capsys, "evaluate", "m", "d.csv", "--report", place / "no" / "r.html")
    assert "COMMAND" in usage_error(capsys)
    assert "--save" in usage_error(capsys, "train", "FraudDetector", "d.csv")


def test_reader_that_has_seen_enough(place):
    command = f"{sys.executable} -m apptemplates.cli predict {place}/demo/model {place}/new.csv | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stdout == "probability,alarm,problem\n" and "Traceback" not in done.stderr
    assert "oneDNN" not in done.stderr


def test_interrupted_training_saves_the_best_so_far(place, start_process):
    pd.DataFrame(synthetic.payments(n=6000, seed=2)).to_csv(place / "many.csv", index=False)
    roles = [*ROLES[:-1], "100000", "--batch-size", "64", "--no-refit"]
    words = [
        "train",
        "FraudDetector",
        place / "many.csv",
        *roles,
        "--save",
        place / "stopped",
        "--checkpoint",
        place / "c",
    ]
    process, said = start_process("import sys; from apptemplates.cli import main; sys.exit(main())", *words)
    deadline = time.monotonic() + 60
    while not list(place.glob("c/*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    assert process.exitcode == 0, (said / "err").read_text()
    assert (place / "stopped" / "manifest.json").exists()
