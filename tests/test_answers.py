"""Answers that are written while they come, and queries from a pipe."""

import csv
import io
import json
from types import SimpleNamespace

import pandas as pd
import pytest

import apptemplates as at
from apptemplates import answers, cli, template
from apptemplates.data import synthetic

COLUMNS = ["probability", "alarm", "problem"]
NAMES = {"time": "TX_DATETIME", "amount": "TX_AMOUNT", "card": "CUSTOMER_ID", "terminal": "TERMINAL_ID"}
TIME, AMOUNT, *_ = NAMES.values()


@pytest.fixture(scope="module")
def app():
    return at.load("fraud_detector")


@pytest.fixture
def table():
    return pd.DataFrame(synthetic.payments(n=30, seed=2)).rename(columns=NAMES)[list(NAMES.values())].sort_values(TIME)


@pytest.fixture
def place(app, table, tmp_path, monkeypatch):
    """A folder with queries; what a command loads is the app."""
    table.to_csv(tmp_path / "new.csv", index=False)
    monkeypatch.setattr(cli, "_load", lambda folder: app)
    monkeypatch.setattr(template, "PART", 8)
    return tmp_path


def lines_of(table, form):
    text = (
        table.to_csv(index=False) if form == "csv" else table.to_json(orient="records", lines=True, date_format="iso")
    )
    return text.encode().splitlines(keepends=True)


def test_rows_are_written_while_others_are_not_answered_yet(place, app, monkeypatch, capfd):
    asked = []
    respond = app.respond
    monkeypatch.setattr(app, "respond", lambda *given: asked.append(1) or respond(*given))
    parts = answers.answered(app, [str(place / "new.csv")])
    assert len(next(parts)) == 8 and len(asked) == 1
    assert [len(part) for part in parts] == [8, 8, 6]

    def stopped(*given):
        if len(asked) == 6:
            raise KeyboardInterrupt
        asked.append(1)
        return respond(*given)

    monkeypatch.setattr(app, "respond", stopped)
    code = cli.main(["predict", "m", str(place / "new.csv"), "--out", str(place / "out.csv")])
    assert code == 130 and "16 answers in" in capfd.readouterr().err
    assert len(pd.read_csv(place / "out.csv")) == 16  # nothing that was answered is lost


def test_parts_are_what_the_whole_is(place, app, table, capfd, monkeypatch):
    table = table.assign(**{AMOUNT: table[AMOUNT].astype(object)})
    table.iloc[8:17, table.columns.get_loc(AMOUNT)] = "much"  # a whole part, and one of the next
    table.to_csv(place / "new.csv", index=False)
    cli.main(["predict", "m", str(place / "new.csv")])
    told = list(csv.DictReader(io.StringIO(capfd.readouterr().out)))
    monkeypatch.setattr(template, "PART", 1024)
    whole = app.predict(str(place / "new.csv"))
    assert list(told[0]) == COLUMNS == list(whole.columns) and len(told) == len(whole) == 30
    assert [row["problem"] for row in told] == whole.problem.tolist()
    assert [row["alarm"] for row in told] == ["" if pd.isna(alarm) else str(alarm) for alarm in whole.alarm]
    assert whole.alarm.dtype == "boolean" and whole.alarm.isna().sum() == 9  # not 0.0 and 1.0
    near = [float(row["probability"] or "nan") for row in told]
    assert near == pytest.approx(whole.probability.tolist(), abs=1e-6, nan_ok=True)


def test_what_can_not_be_read_overwrites_nothing(place, capfd):
    (place / "out.csv").write_text("earlier answers")
    code = cli.main(["predict", "m", str(place / "no.csv"), "--out", str(place / "out.csv")])
    assert code == 1 and "no such file" in capfd.readouterr().err
    assert (place / "out.csv").read_text() == "earlier answers"


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_pipe_is_answered_line_by_line_and_remembers(form, place, app, table, monkeypatch, capfd):
    said, before = [], app.open_state(app.close_state(app.state_, share=False))

    def pipe():
        for line in lines_of(table, form):
            said.append(capfd.readouterr().out)  # what was written before this line was there
            yield line

    expected = app.predict(table)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=pipe()))
    try:
        assert cli.main(["predict", "m", "-", "--form", "jsonl"]) == 0
    finally:
        app.state_ = before
    assert len(said) == 30 + (form == "csv")
    told = [json.loads(line) for line in [*said, capfd.readouterr().out] if line]
    assert len(told) == 30 and list(told[0]) == COLUMNS and told[0]["problem"] == ""
    assert [row["probability"] for row in told] == pytest.approx(expected.probability.tolist(), abs=1e-5)
    assert [row["alarm"] for row in told] == expected.alarm.tolist()


def test_lines_that_are_no_query_are_named_and_the_rest_is_answered(app, table):
    good = lines_of(table, "jsonl")[0]
    odd = [b"\n", good, b"{nonsense\n", b"[1, 2]\n", b'{"TX_AMOUNT": 3}\n', good]
    told = [row for part in answers.piped(app, odd) for row in part]
    problems = [row["problem"] for row in told]
    assert [bool(problem) for problem in problems] == [False, True, True, True, False]
    assert "is not JSON" in problems[1] and "the line is a list" in problems[2] and "missing" in problems[3]
    assert told[1]["probability"] is None and told[1]["alarm"] is None and list(told[1]) == COLUMNS
    header, first, *_ = lines_of(table, "csv")
    told = [row for part in answers.piped(app, [header, b"1,2\n", first]) for row in part]
    assert told[0]["problem"].startswith(f"the line has 2 values but the first line {len(table.columns)}")
    assert told[1]["problem"] == ""


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([b"\n", b" \n"], "standard input is empty; give a JSON object a line, or csv with a header"),
        ([b"when,how much\n", b"1,2\n"], "the first line of standard input lacks 'TX_DATETIME', 'TX_AMOUNT'"),
        ([b'{"a": 1}\n', b"\xff\xfe\n"], "line 2 of standard input is not UTF-8 text"),
    ],
)
def test_a_pipe_that_can_not_be_read(lines, problem, app):
    with pytest.raises(at.DataError, match=problem):
        list(answers.piped(app, lines))


def test_pictures_of_a_pipe_may_be_named_by_their_path(tmp_path):
    asked = []
    scans = SimpleNamespace(
        name="Scans",
        _media="image",
        query={"image": SimpleNamespace(required=True)},
        answer={"finding": SimpleNamespace(kind="category"), "problem": SimpleNamespace(kind="text")},
        predict_one=lambda query: asked.append(query) or {"finding": "none", "problem": ""},
    )
    assert list(answers.piped(scans, [b"path,who\n", b"a.png,x\n"])) == [[{"finding": "none", "problem": ""}]]
    list(answers.piped(scans, [b'{"file": "b.png"}\n']))
    assert asked == [{"image": "a.png", "who": "x"}, {"image": "b.png"}]
