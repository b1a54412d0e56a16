"""Answering without TensorFlow: the same answers, few modules, little memory, clear refusals."""

import importlib.util
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import apptemplates as at
from apptemplates import _catalogue
from apptemplates.data import synthetic_pictures, synthetic_sounds
from apptemplates.data.schema import DataError
from apptemplates.deploy import runtime
from apptemplates.deploy.folder import SAVED_MODELS, ArchiveError

HEAVY = ("tensorflow", "keras", "pandas", "sklearn", "scipy", "matplotlib", "pyarrow", "rich")


def benchmark():
    path = Path(__file__).parents[1] / "benchmarks" / "deploy.py"
    spec = importlib.util.spec_from_file_location("deploy", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


QUERIES = benchmark().QUERIES
PERSON, PAYMENT = QUERIES["risk_scorer"], QUERIES["fraud_detector"]


def close(one, other):
    """Whether two answers agree: numbers to 1e-4, also in lists."""
    if isinstance(one, float):
        return abs(one - other) <= 1e-4 * max(1.0, abs(other))
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    return one == other


@pytest.mark.parametrize("entry", _catalogue.ENTRIES, ids=lambda entry: entry.file)
def test_every_saved_model_answers_as_its_template_does(entry):
    query, light, app = QUERIES[entry.file], runtime.load(SAVED_MODELS / entry.file), at.load(entry.file)
    ours, theirs = light.predict_one(query), app.predict_one(query)
    assert list(ours) == list(theirs) == list(light.answer)
    assert all(close(ours[name], theirs[name]) for name in ours), (ours, theirs)


@pytest.mark.parametrize("entry", _catalogue.ENTRIES, ids=lambda entry: entry.file)
def test_many_queries_are_each_answered_as_if_alone(entry):
    query, light = QUERIES[entry.file], runtime.load(entry.file)
    expected = light.predict_one(query)
    first, bad, *others = light.predict([query, dict.fromkeys(query, object()), *[query] * 8])
    assert list(first) == list(expected) and len(others) == 8
    for answer in (first, *others):
        assert all(close(answer[name], expected[name]) for name in expected), (answer, expected)
    assert bad["problem"] and all(value is None for name, value in bad.items() if name != "problem")
    assert light.predict([]) == []


def test_payments_that_were_observed_count():
    light, app = runtime.load(SAVED_MODELS / "fraud_detector"), at.load("fraud_detector")
    alone = light.predict_one(PAYMENT)["probability"]
    for day in range(1, 9):
        past = {**PAYMENT, "TX_DATETIME": f"2018-08-0{day} 10:00", "TX_AMOUNT": 20.0 + day, "TX_FRAUD": day % 2}
        light.observe(past)
        app.observe(past)
    assert light.predict_one(PAYMENT)["probability"] == pytest.approx(app.predict_one(PAYMENT)["probability"], abs=1e-4)
    assert abs(light.predict_one(PAYMENT)["probability"] - alone) > 1e-3


def test_enrolled_people_are_recognised_as_by_the_template(tmp_path):
    faces = synthetic_pictures.faces(20, 5, seed=3)
    app = at.load("face_verifier").set_policy(false_accepts=0.2)
    pictures, people = faces["image"], faces["person"]
    for name in np.unique(people)[:2]:
        app.enrol(str(name), pictures[people == name][:3])
    light = runtime.load(app.save(tmp_path / "faces"))
    third = str(np.unique(people)[2])
    app.enrol(third, pictures[people == third][:2])
    light.enrol(third, pictures[people == third][:2])
    asked = [*pictures[::12], b"no picture"]
    ours, theirs = light.identify(asked, k=2), app.identify(asked, k=2).to_dict("records")
    assert len(ours) == len(theirs) == 2 * len(asked) and ours[-1]["problem"]
    for one, other in zip(ours, theirs, strict=True):
        assert {**one, "similarity": 0} == {**other, "similarity": 0}
        np.testing.assert_allclose(one["similarity"], other["similarity"], atol=1e-4)
    light.forget(third)
    with pytest.raises(DataError, match=f"FaceVerifier: nobody called {third!r} is enrolled"):
        light.forget(third)
    with pytest.raises(DataError, match="the name of a person must be a text that is not empty"):
        light.enrol(" ", pictures[:1])
    with pytest.raises(DataError, match="FaceVerifier: picture 1 of 1: "):
        light.enrol("somebody", [b"no picture"])
    with pytest.raises(DataError, match="RiskScorer keeps no gallery; load a folder of a FaceVerifier"):
        runtime.load("risk_scorer").identify(pictures[:1])


def test_a_stream_is_heard_as_by_the_template():
    stream = np.concatenate([np.zeros(8_000, "float32"), *synthetic_sounds.commands(6, seed=3)["sound"]])
    light, app = runtime.load(SAVED_MODELS / "voice_command_recognizer"), at.load("voice_command_recognizer")
    light._answering.least = 0.3  # so that something of these made-up words is heard
    app.model_.get_layer("unsure").least.assign(0.3)
    chunks = [stream[start : start + 1_234] for start in range(0, len(stream), 1_234)]
    ours, theirs = list(light.listen(chunks, 16_000)), list(app.listen([stream], 16_000))
    assert [(one.command, one.time) for one in ours] == [(one.command, one.time) for one in theirs] and ours
    with pytest.raises(DataError, match="RiskScorer does not listen"):
        next(runtime.load(SAVED_MODELS / "risk_scorer").listen([stream], 16_000))


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_it_loads_nothing_heavy_and_needs_little_memory(name, tmp_path):
    query = tmp_path / "query"
    query.write_bytes(pickle.dumps(QUERIES[name]))
    program = f"""
import json, pickle, re, sys
from pathlib import Path
from apptemplates.deploy import runtime
light = runtime.load({str(SAVED_MODELS / name)!r})
answer = light.predict_one(pickle.loads(Path({str(query)!r}).read_bytes()))
heavy = [name for name in {HEAVY!r} if name in sys.modules]
status = Path("/proc/self/status")  # of Linux; what it needed at most, in kB
most = int(re.search(r"VmHWM:\\s*(\\d+)", status.read_text())[1]) / 1024 if status.exists() else 0
print(json.dumps([heavy, most, answer["problem"]]))
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    heavy, megabytes, problem = json.loads(done.stdout)
    assert heavy == [] and megabytes < 100 and problem == ""


def test_bad_queries_are_refused_as_by_the_template():
    light = runtime.load(SAVED_MODELS / "risk_scorer")
    with pytest.raises(DataError, match=r"RiskScorer: .*'age'"):
        light.predict_one({name: value for name, value in PERSON.items() if name != "age"})
    with pytest.raises(DataError, match="takes one query as a dict"):
        light.predict_one([1, 2])
    with pytest.raises(DataError, match="RiskScorer keeps no past"):
        light.observe(PERSON)
    scans = runtime.load(SAVED_MODELS / "medical_scan_classifier")
    with pytest.raises(DataError, match=r"MedicalScanClassifier: .*nowhere\.png"):
        scans.predict_one({"image": "nowhere.png"})


def test_folders_that_can_not_be_trusted_are_refused(tmp_path):
    with pytest.raises(ArchiveError, match=r"runtime.load: .*nothing"):
        runtime.load(tmp_path / "nothing")
    folder = shutil.copytree(SAVED_MODELS / "risk_scorer", tmp_path / "changed")
    content = bytearray((folder / "one.tflite").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "one.tflite").write_bytes(content)
    with pytest.raises(ArchiveError, match=r"runtime.load: .*one\.tflite"):
        runtime.load(folder)


ONNX = """
import sys
sys.modules["ai_edge_litert"] = None
from apptemplates.deploy import runtime
light = runtime.load(sys.argv[1], onnx=sys.argv[2])
print(light.predict_one({"sound": [0.01] * 16_000}))
heavy = {name for name in %r if name in sys.modules}
assert not heavy, heavy
try:
    runtime.load(sys.argv[1])
except Exception as error:
    print(error)
"""


def test_onnxruntime_answers_where_there_is_no_litert(tmp_path):
    app = at.load("voice_command_recognizer")
    app.export(tmp_path / "made", "onnx")
    words = [str(SAVED_MODELS / "voice_command_recognizer"), str(tmp_path / "made" / "model.onnx")]
    done = subprocess.run([sys.executable, "-c", ONNX % (HEAVY,), *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told, refused = done.stdout.splitlines()
    expected = app.predict_one({"sound": [0.01] * 16_000})
    found = eval(told)
    assert list(found) == list(expected) and all(close(found[name], expected[name]) for name in expected)
    assert "this needs ai-edge-litert (or give onnx=); install it." in refused


def test_an_onnx_file_of_another_model_is_refused(tmp_path):
    app = at.load("medical_scan_classifier")
    app.export(tmp_path / "made", "onnx")
    with pytest.raises(ArchiveError, match="the ONNX file has other inputs or outputs than the graph"):
        runtime.load("voice_command_recognizer", onnx=tmp_path / "made" / "model.onnx")
    with pytest.raises(ArchiveError, match=r"there is no file '.*nowhere.onnx' beside it"):
        runtime.load("voice_command_recognizer", onnx=tmp_path / "nowhere.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    with pytest.raises(ArchiveError, match="can not be opened"):
        runtime.load("voice_command_recognizer", onnx=tmp_path / "broken.onnx")


# ---- what stands around the graph ----------------------------------------------


READ = """
import json, sys
sys.modules["apptemplates"] = None
sys.path.insert(0, sys.argv[1])
import pickle
from reader import DataError, Reader
query = pickle.loads(open(sys.argv[2], "rb").read())
print(json.dumps(Reader().predict_one(query)))
heavy = {"tensorflow", "keras", "pandas", "sklearn"} & set(sys.modules)
print(json.dumps(sorted(heavy)))
try:
    Reader().predict_one({name: object() for name in query})
except DataError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("name", "form"),
    [
        *((name, "litert") for name in ("fraud_detector", "recommender", "text_generator", "voice_command_recognizer")),
        ("risk_scorer", "saved_model"),
        ("face_verifier", "onnx"),
    ],
)
def test_its_reader_answers_as_the_template(name, form, tmp_path):
    app, query = at.load(name), QUERIES[name]
    app.export(tmp_path / "made", form)
    (tmp_path / "query").write_bytes(pickle.dumps(query))
    words = [sys.executable, "-c", READ, str(tmp_path / "made"), str(tmp_path / "query")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told, heavy, refused = done.stdout.splitlines()
    found, expected = json.loads(told), app.predict_one(query)
    assert list(found) == list(expected)
    assert all(close(found[column], expected[column]) for column in expected), (found, expected)
    assert ("tensorflow" in json.loads(heavy)) if form == "saved_model" else json.loads(heavy) == []
    assert refused.startswith(f"{type(app).__name__}: ")
