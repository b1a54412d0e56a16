"""A model as source of one's own: it needs nothing of this package, answers alike, and goes on learning."""

import shutil
import subprocess
import wave
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import apptemplates as at
from apptemplates import _catalogue
from apptemplates.cli import main
from apptemplates.data import synthetic_pictures
from apptemplates.data.schema import DataError
from apptemplates.deploy import eject, slices
from apptemplates.deploy.folder import ArchiveError
from apptemplates.deploy.graph_source import Source

NAMES = [entry.file for entry in _catalogue.ENTRIES]
SCRIPTS = {"data.py", "model.py", "predict.py", "task.py", "test_model.py", "train.py"}
FILES = {*SCRIPTS, "README.md", "golden.npz", "parts", "settings.json", "state.npz", "weights.npz"}


def person(row):
    return {
        "age": 20 + row, "workclass": "Private", "fnlwgt": 1_000 * row, "education": "Bachelors", "education-num": 13,
        "marital-status": "Never-married", "occupation": "Sales", "relationship": "Husband", "capital-gain": 0,
        "capital-loss": 0, "hours-per-week": 40, "native-country": "United-States", "sex": "Male", "race": "White",
        "income": ">50K" if row % 3 else "<=50K",
    }  # fmt: skip


def payment(row):
    return {
        "TX_DATETIME": f"2018-08-{1 + row // 4:02d} {row % 4 * 5:02d}:00:00", "TX_AMOUNT": 5.0 + row,
        "CUSTOMER_ID": f"c{row % 3}", "TERMINAL_ID": f"t{row % 5}", "TX_FRAUD": int(row % 7 == 0),
    }  # fmt: skip


def pictures(place, faces=False):
    """Pictures in folders by label, and a table of pairs of them."""
    table = synthetic_pictures.faces(4, 4) if faces else synthetic_pictures.scans(16)
    labels = table["person"] if faces else np.where(np.arange(16) % 2, "normal", "pneumonia")
    paths = []
    for row, (image, label) in enumerate(zip(table["image"], labels, strict=True)):
        paths.append(place / "records" / str(label) / f"{row}.png")
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(paths[-1])
    pd.DataFrame({"first": paths[:8], "second": paths[1:9]}).to_csv(place / "pairs.csv", index=False)
    return (place / "pairs.csv" if faces else place / "records"), place / "records"


def clips(place):
    rng = np.random.default_rng(0)
    for row in range(12):
        file = place / "records" / ("yes", "no", "up")[row % 3] / f"{row}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(file), "wb") as sound:
            sound.setnchannels(1), sound.setsampwidth(2), sound.setframerate(16_000)
            sound.writeframes((rng.normal(size=16_000) * 3_000).astype("<i2").tobytes())
    return place / "records", place / "records"


def written(name, place):
    """Queries and records for a saved model, as files."""
    if name in ("medical_scan_classifier", "face_verifier"):
        return pictures(place, name == "face_verifier")
    if name == "voice_command_recognizer":
        return clips(place)
    if name == "text_generator":
        asked = pd.DataFrame({"prompt": ["ROMEO:", "My lord,"], "length": 30, "seed": [1, 2]})
        (place / "text.txt").write_text("My lord, the king is here.\n" * 60)
        asked.to_csv(place / "queries.csv", index=False)
        return place / "queries.csv", place / "text.txt"
    if name == "recommender":
        names = at.load(name).catalogue.names
        asked = pd.DataFrame({"history": ["|".join(names[:3]), "|".join(names[7:9])], "k": 5})
        records = pd.DataFrame(
            {"user": [f"u{n % 6}" for n in range(48)], "item": [names[n % 40] for n in range(48)], "time": range(48)}
        )
    else:
        asked = pd.DataFrame([(person if name == "risk_scorer" else payment)(row) for row in range(60)])
        records = asked
        asked = asked.drop(columns=["income"], errors="ignore")
    asked.to_csv(place / "queries.csv", index=False)
    records.to_csv(place / "records.csv", index=False)
    return place / "queries.csv", place / "records.csv"


@pytest.fixture
def scripts_of(run_scripts, tmp_path):
    """Runs scripts of a folder where this package can not be imported."""
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "apptemplates.py").write_text("raise ImportError('not here')")
    return partial(run_scripts, path=(tmp_path / "blocked",))


@pytest.mark.parametrize("name", NAMES)
def test_it_answers_as_the_template_and_learns_on(name, scripts_of, tmp_path, monkeypatch):
    monkeypatch.setattr(eject, "_check", lambda name, made: None)  # its own test runs below, with the other scripts
    app, folder = at.load(name), tmp_path / "mine"
    asked, records = written(name, tmp_path)
    assert app.eject(folder) == folder
    assert {path.name for path in folder.iterdir()} - {"constants.json"} == FILES
    source = "\n".join(path.read_text() for path in folder.rglob("*.py"))
    assert "import apptemplates" not in source and "from apptemplates" not in source
    assert (
        shutil.which("ruff") is None
        or not subprocess.run(
            ["ruff", "check", "--no-cache", "--isolated", "--line-length", "120", "--select", "E,F", "."], cwd=folder
        ).returncode
    )
    more = ["--fresh"] if name == "risk_scorer" else []
    done = scripts_of(folder, ["test_model.py"], ["train.py", records, "--epochs", "2", *more], ["predict.py", asked])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("the same to 1e-5")
    learning, told, answers = done.stdout.partition("--weights trained.npz\n")
    assert "wrote trained.npz" in learning and told
    (tmp_path / "answers.csv").write_text(answers)
    ours, theirs = pd.read_csv(tmp_path / "answers.csv", keep_default_na=False), app.predict(str(asked))
    assert list(ours) == list(theirs) and len(ours) == len(theirs)
    for column in theirs:
        if theirs[column].dtype.kind == "f":
            np.testing.assert_allclose(ours[column], theirs[column], rtol=1e-5, atol=1e-5)
        else:
            assert ours[column].astype(str).tolist() == theirs[column].astype(str).tolist(), column
    before, after = np.load(folder / "weights.npz"), np.load(folder / "trained.npz")
    assert before.files == after.files
    assert any((before[part] != after[part]).any() for part in before.files)
    assert all((before[part] == after[part]).all() for part in before.files if part.startswith("temperature"))


def test_what_is_wrong_is_said_in_one_sentence(scripts_of, tmp_path, capsys):
    folder = tmp_path / "mine"
    (tmp_path / "ours.py").write_text("import apptemplates")
    assert "not here" in scripts_of(tmp_path, ["ours.py"]).stderr  # or the tests here would show nothing
    assert main(["eject", "risk_scorer", str(folder)]) == 0
    assert f"{folder}" in capsys.readouterr().err
    assert main(["eject", "risk_scorer", str(folder)]) == 1
    assert "is there already and holds something; give a new place." in capsys.readouterr().err
    pd.DataFrame([person(0)]).drop(columns="age").to_csv(tmp_path / "queries.csv", index=False)
    done = scripts_of(folder, ["predict.py", tmp_path / "queries.csv"])
    assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith("RiskScorer: ")
    assert "'age'" in done.stderr
    done = scripts_of(folder, ["train.py", tmp_path / "nowhere.csv"])
    assert done.returncode == 1 and "there is no" in done.stderr.splitlines()[-1] and len(done.stdout) == 0


def test_a_model_that_the_source_does_not_build_is_not_kept(tmp_path, monkeypatch):
    app = at.load("risk_scorer")
    plain = Source.layer
    monkeypatch.setattr(Source, "layer", lambda self, one: plain(self, one).replace("share=0.9", "share=0.8"))
    with pytest.raises(ArchiveError, match=r"the source does not build the same model \(AssertionError.*was not kept"):
        app.eject(tmp_path / "mine")
    assert list(tmp_path.iterdir()) == []


class Strange(keras.layers.Layer):
    def call(self, inputs):
        return inputs


def test_layers_and_operations_without_a_source_are_refused():
    entry = keras.Input((3,), name="x")
    with pytest.raises(DataError, match=r"the layer 'strange' is a .*Strange, whose source is not ours to write"):
        Source("Test.eject").function("build", "", {"model": keras.Model(entry, Strange(name="strange")(entry))})


def test_operations_become_what_one_would_write():
    entry = keras.Input((4,), name="x")
    ops = keras.ops
    total = ops.mean(ops.square(entry[:, 1:] - entry[:, :-1]), axis=-1, keepdims=True)
    shared = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, activation="relu", name="two")], name="both")
    graph = keras.Model({"x": entry}, {"a": shared(total), "b": shared(ops.expand_dims(entry[:, 0], 1))})
    source = Source("test")
    source.function("build", "A graph.", {"model": graph})
    text = source.functions[-1]
    assert 'two = keras.layers.Dense(units=2, activation="relu", name="two")' in source.functions[0]
    assert text.count("both_part = ") == 1 and text.count("both_part(") == 2
    assert "x[:, 1:]" in text and "keras.ops.mean(" in text and "axis=[-1], keepdims=True" in text
    scope = {"keras": keras}
    exec("\n\n".join(source.functions), scope)
    again = scope["build"]()
    again.set_weights(graph.get_weights())
    given = {"x": np.random.default_rng(0).normal(size=(5, 4)).astype("float32")}
    for name, value in graph(given).items():
        np.testing.assert_array_equal(again(given)[name], value)


def test_a_slice_holds_what_it_rests_on_and_nothing_else():
    files = slices.as_package([("apptemplates.data.words", "from_flags")])
    text = files["parts/data/words.py"]
    assert "def from_flags" in text and "def to_flags" not in text and "SEPARATOR" in text
    scope: dict = {}
    exec(text, scope)
    assert scope["from_flags"](np.array([[1, 0], [0, 0]]), ["a", "b"], "none").tolist() == ["a", "none"]


def test_every_template_of_the_catalogue_has_a_lesson():
    scripts = {path.stem for path in Path(eject.SCRIPTS).glob("*.py")}
    assert {f"task_{getattr(at, entry.name).lesson}" for entry in _catalogue.ENTRIES} <= scripts


def test_all_layers_together_fit_into_one_file():
    kinds = [kind for name, kind in keras.saving.get_custom_objects().items() if name.startswith("apptemplates>")]
    layers = [kind for kind in kinds if isinstance(kind, type) and kind.__module__.startswith("apptemplates.layers")]
    assert len(layers) > 30
    imports, parts = slices.as_one([(kind.__module__, kind.__name__) for kind in layers], eject.LEARNING)
    text = slices.grouped(imports) + "\n\n" + slices.laid_out(parts)
    compile(text, "layers", "exec")
    assert all(f"class {kind.__name__}(" in text for kind in layers) and "sklearn" not in text
