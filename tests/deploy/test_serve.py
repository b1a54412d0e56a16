"""Answers over HTTP: those of the template, clear refusals, nothing acknowledged that can be lost."""

import asyncio
import base64
import json
import shutil
import subprocess
import sys
import wave

import numpy as np
import pytest

from apptemplates.data.schema import DataError
from apptemplates.deploy import runtime
from apptemplates.deploy.folder import SAVED_MODELS, ArchiveError
from apptemplates.deploy.journal import Journal

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient

from apptemplates.deploy.serve import build, finite
from apptemplates.deploy.slots import Slot

FRAUD, VOICE, FACES = (SAVED_MODELS / name for name in ("fraud_detector", "voice_command_recognizer", "face_verifier"))
PAYMENT = {"TX_DATETIME": "2018-08-15 12:00", "TX_AMOUNT": 31.0, "CUSTOMER_ID": "c1", "TERMINAL_ID": "t1"}


@pytest.fixture(scope="module")
def client():
    with TestClient(build([FRAUD, VOICE, FACES], largest=200_000, most=50)) as client:
        yield client


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.random.default_rng(0).normal(0, 800, 16_000).astype("<i2").tobytes())
    return path


def test_answers_are_those_of_the_runtime(client):
    expected = runtime.load(FRAUD).predict_one(PAYMENT)
    assert client.post("/fraud_detector/predict", json=PAYMENT).json() == pytest.approx(expected)
    many = client.post("/fraud_detector/predict", json=[PAYMENT, {**PAYMENT, "TX_AMOUNT": "much"}]).json()
    assert many[0] == pytest.approx(expected)
    assert many[1]["probability"] is None and "column 'TX_AMOUNT' is 'much'" in many[1]["problem"]


def test_sounds_and_pictures_come_as_they_are_or_as_base64(client, clip):
    content = clip.read_bytes()
    plain = client.post("/voice_command_recognizer/predict", content=content, headers={"content-type": "audio/wav"})
    coded = base64.b64encode(content).decode()
    for text in (coded, f"data:audio/wav;base64,{coded}"):
        assert client.post("/voice_command_recognizer/predict", json={"sound": text}).json() == plain.json()
    assert plain.json()["command"] == "_silence_"
    pair = client.post("/face_verifier/predict", content=content, headers={"content-type": "image/png"})
    assert pair.status_code == 415 and "send JSON" in pair.json()["error"]


def test_no_file_of_the_server_is_read(client, clip):
    told = client.post("/voice_command_recognizer/predict", json={"sound": str(clip)})
    assert told.status_code == 422 and "must be the content of a file as base64" in told.json()["error"]
    told = client.post("/voice_command_recognizer/predict", json={"sound": [0.1, 0.2]})
    assert told.status_code == 422 and "Received: a list" in told.json()["error"]


@pytest.mark.parametrize(
    ("path", "content", "status", "message"),
    [
        ("fraud_detector/predict", b"{", 400, "the body is no JSON"),
        ("fraud_detector/predict", b"\xff\xfe", 400, "the body is no JSON"),
        ("fraud_detector/predict", b"[" * 5000, 400, "the body is no JSON"),
        ("fraud_detector/predict", b"[]", 400, "a list of them that is not empty"),
        ("fraud_detector/predict", b"[1]", 400, "one query as an object"),
        ("fraud_detector/predict", b"{}", 422, "columns 'TX_DATETIME'"),
        ("fraud_detector/predict", json.dumps([{}] * 51).encode(), 413, "there are 51 queries, at most 50 are taken"),
        ("fraud_detector/predict", b" " * 200_001, 413, "has 200,001 bytes, at most 200,000 are taken"),
        ("fraud_detector/guess", b"{}", 404, "fraud_detector has no 'guess'; it has predict and observe"),
        ("fraud/predict", b"{}", 404, "there is no model 'fraud'; there are fraud_detector, "),
        ("face_verifier/observe", b"{}", 404, "face_verifier has no 'observe'; it has predict"),
        ("voice_command_recognizer/predict", b'{"sound": "UklGRg=="}', 422, ""),
    ],
)
def test_bad_requests_are_refused_clearly(client, path, content, status, message):
    told = client.post(f"/{path}", content=content, headers={"content-type": "application/json"})
    assert told.status_code == status and message in told.json()["error"] and told.json()["error"]


def test_a_body_of_unknown_length_is_bounded_too(client):
    told = client.post("/fraud_detector/predict", content=(b" " * 1000 for _ in range(300)))
    assert told.status_code == 413


def test_who_has_no_token_is_sent_away():
    with TestClient(build([FRAUD], token="very secret")) as client:
        assert client.post("/predict", json=PAYMENT).status_code == 401
        wrong = client.post("/predict", json=PAYMENT, headers={"Authorization": "Bearer very secreT"})
        assert wrong.status_code == 401 and "Bearer" in wrong.json()["error"]
        right = client.post("/predict", json=PAYMENT, headers={"Authorization": "Bearer very secret"})
        assert right.status_code == 200 and 0 < right.json()["probability"] < 1
        assert client.get("/health").status_code == 200 and 'id="token"' in client.get("/").text


def test_what_is_told_of_the_server(client):
    health = client.get("/health").json()
    assert health["status"] == "ok" and health["models"]["fraud_detector"]["template"] == "FraudDetector"
    client.post("/fraud_detector/predict", json=PAYMENT)
    metrics = client.get("/metrics").text
    assert 'apptemplates_requests_total{model="fraud_detector",status="200"}' in metrics
    assert 'apptemplates_seconds_bucket{le="0.02",model="fraud_detector"}' in metrics
    paths = client.get("/openapi.json").json()["paths"]
    body = paths["/fraud_detector/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]["oneOf"][0]
    assert body["properties"]["TX_AMOUNT"]["type"] == "number" and "TX_DATETIME" in body["required"]
    page = client.get("/").text
    assert page.count("<form") == 3 and "Record a second" in page and 'accept="image/*"' in page
    assert "http://" not in page and "https://" not in page


def test_an_observation_counts_and_outlives_a_restart(tmp_path):
    past = [{**PAYMENT, "TX_DATETIME": f"2018-08-0{day} 10:00", "TX_AMOUNT": 20.0 + day} for day in range(1, 9)]
    with TestClient(build([FRAUD], journal=tmp_path)) as client:
        before = client.post("/predict", json=PAYMENT).json()["probability"]
        assert client.post("/fraud_detector/observe", json=past).json() == {"observed": 8}
        after = client.post("/predict", json=PAYMENT).json()["probability"]
        bad = client.post("/fraud_detector/observe", json=[PAYMENT, {**PAYMENT, "TX_AMOUNT": -5}])
        assert bad.status_code == 422 and "TX_AMOUNT" in bad.json()["error"]
    assert after != before
    with (tmp_path / "fraud_detector.jsonl").open("ab") as file:
        file.write(b'{"TX_DATETIME": "2018-08-09')  # killed while it was written, so never acknowledged
    with TestClient(build([FRAUD], journal=tmp_path)) as client:
        assert client.post("/predict", json=PAYMENT).json()["probability"] == pytest.approx(after, abs=1e-6)
        assert client.post("/fraud_detector/observe", json=PAYMENT).status_code == 200
    assert len((tmp_path / "fraud_detector.jsonl").read_text().splitlines()) == 10


def test_a_journal_that_is_mostly_old_is_made_shorter(tmp_path, monkeypatch):
    def full(number):
        raise OSError(28, "No space left on device")

    long_ago = [{**PAYMENT, "TX_DATETIME": f"2017-0{month}-01 10:00"} for month in range(1, 10)]
    lately = [{**PAYMENT, "TX_DATETIME": f"2018-08-0{day} 10:00", "TX_AMOUNT": 20.0 + day} for day in range(1, 9)]
    slot = Slot(FRAUD, tmp_path)
    asyncio.run(slot.observe(long_ago + lately))
    told = slot.app.predict_one(PAYMENT)
    slot.close()
    file = tmp_path / "fraud_detector.jsonl"
    whole = file.read_text()
    monkeypatch.setattr("apptemplates.deploy.journal.os.fsync", full)
    Slot(FRAUD, tmp_path).close()
    monkeypatch.undo()
    assert file.read_text() == whole  # what could not be written stays as it was
    slot = Slot(FRAUD, tmp_path)
    assert slot.app.predict_one(PAYMENT) == pytest.approx(told)
    assert [json.loads(line) for line in file.read_text().splitlines()] == [{"model": "FraudDetector"}, *lately]
    asyncio.run(slot.observe([PAYMENT]))
    slot.close()
    assert Journal(file, "FraudDetector").records == [*lately, PAYMENT]
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_observing_for_long_lets_old_payments_go(monkeypatch):
    monkeypatch.setattr("apptemplates.inference.history.TRIM", 20)
    app, whole = runtime.load(FRAUD), runtime.load(FRAUD)
    for day in range(300):
        record = {**PAYMENT, "TX_DATETIME": str(np.datetime64("2017-10-20") + day), "TX_AMOUNT": 20.0 + day % 7}
        app.observe(record)
        with monkeypatch.context() as patched:
            patched.setattr("apptemplates.inference.history.TRIM", 10**9)
            whole.observe(record)
    assert len(app._answering.history) < 70 < len(whole._answering.history) == 300
    assert app.predict_one(PAYMENT) == pytest.approx(whole.predict_one(PAYMENT), abs=1e-6)


def test_a_journal_of_another_model_is_refused(tmp_path):
    Journal(tmp_path / "fraud_detector.jsonl", "RiskScorer").close()
    with pytest.raises(ArchiveError, match="belongs to another model"):
        build([FRAUD], journal=tmp_path)
    (tmp_path / "fraud_detector.jsonl").write_text("no json\n")
    with pytest.raises(ArchiveError, match="is damaged; move it away to start anew"):
        build([FRAUD], journal=tmp_path)


def test_what_can_not_be_written_down_does_not_count(tmp_path, monkeypatch):
    def full(number):
        raise OSError(28, "No space left on device")

    with TestClient(build([FRAUD], journal=tmp_path)) as client:
        before = client.post("/predict", json=PAYMENT).json()
        monkeypatch.setattr("apptemplates.deploy.journal.os.fsync", full)
        told = client.post("/fraud_detector/observe", json=PAYMENT)
        assert told.status_code == 507 and "No space left on device" in told.json()["error"]
        monkeypatch.undo()
        assert client.post("/predict", json=PAYMENT).json() == before
    assert Journal(tmp_path / "fraud_detector.jsonl", "FraudDetector").records == []


def test_two_folders_of_one_name_are_refused(tmp_path):
    shutil.copytree(FRAUD, tmp_path / "fraud_detector")
    with pytest.raises(ValueError, match="two folders are called 'fraud_detector'"):
        build([FRAUD, tmp_path / "fraud_detector"])


def test_a_newer_folder_is_taken_and_a_damaged_one_is_not(tmp_path):
    folder = shutil.copytree(SAVED_MODELS / "risk_scorer", tmp_path / "model")
    slot = Slot(folder)
    first = slot.app
    assert not slot.renew()
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"files": {}}))
    assert not slot.renew() and slot.app is first and slot.problem
    shutil.rmtree(folder)
    assert not slot.renew() and slot.app is first  # gone for a moment while it is exchanged
    shutil.copytree(VOICE, folder)
    assert slot.renew() and slot.app.name == "VoiceCommandRecognizer" and not slot.problem
    slot.close()


def test_a_newer_folder_knows_what_was_observed_before(tmp_path):
    folder = shutil.copytree(FRAUD, tmp_path / "model")
    slot = Slot(folder, tmp_path / "past")
    past = [{**PAYMENT, "TX_DATETIME": f"2018-08-0{day} 10:00", "TX_AMOUNT": 20.0 + day} for day in range(1, 9)]
    asyncio.run(slot.observe(past[:6]))
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=3))  # the same, made anew
    first = slot.app
    assert slot.renew() and slot.app is not first
    asyncio.run(slot.observe(past[6:]))
    expected = runtime.load(FRAUD)
    for record in past:
        expected.observe(record)
    assert slot.app.predict_one(PAYMENT) == pytest.approx(expected.predict_one(PAYMENT))
    shutil.rmtree(folder)
    shutil.copytree(VOICE, folder)
    assert not slot.renew() and "the journal is of a FraudDetector" in slot.problem
    asyncio.run(slot.observe(past[:1]))  # the old one goes on, its journal, too
    slot.close()
    assert len(Journal(tmp_path / "past" / "model.jsonl", "FraudDetector").records) == 9


def test_requests_that_wait_are_answered_together_and_each_gets_its_own():
    slot, sizes = Slot(FRAUD), []
    plain = slot.app.predict

    def counting(queries):
        sizes.append(len(queries))
        if any(query.get("TX_AMOUNT") == 13.0 for query in queries):
            raise DataError("unlucky")
        return plain(queries)

    slot.app.predict = counting

    async def many():
        asks = [slot.ask([{**PAYMENT, "TX_AMOUNT": float(amount)}]) for amount in range(1, 41)]
        return await asyncio.gather(*asks, return_exceptions=True)

    answers = asyncio.run(many())
    expected = plain([{**PAYMENT, "TX_AMOUNT": float(amount)} for amount in range(1, 41)])
    for amount, (answer, own) in enumerate(zip(answers, expected, strict=True), 1):
        if amount == 13:
            assert isinstance(answer, DataError)
        else:
            assert answer[0] == pytest.approx(own)
    assert max(sizes) > 10  # together; after the failure each by itself
    slot.close()


def test_numbers_that_json_lacks_are_null():
    assert finite({"a": float("nan"), "b": [np.float32(2), float("inf")], "c": "x"}) == {
        "a": None,
        "b": [2, None],
        "c": "x",
    }


def test_it_serves_without_tensorflow():
    code = (
        "import sys; from apptemplates.deploy.serve import build; from apptemplates.deploy.folder import SAVED_MODELS; "
        "build([SAVED_MODELS / 'fraud_detector']); "
        "print([name for name in ('tensorflow', 'keras', 'pandas', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
