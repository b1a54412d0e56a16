"""Exported forms: opened by plain TensorFlow they answer the same, and nothing is overwritten."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import apptemplates as at
from apptemplates.data import synthetic_pictures
from apptemplates.deploy.export import _tried, export
from apptemplates.deploy.folder import ArchiveError

keras = pytest.importorskip("keras")
from apptemplates.deploy import fast, forms, receipts  # noqa: E402

CARD = SimpleNamespace(title="Toy", answers="What comes out?", not_for="Use.")


@pytest.fixture(scope="module")
def app():
    keras.utils.set_random_seed(0)
    amount = keras.Input((2,), dtype="float32")
    card = keras.Input((), dtype="string")
    ids = keras.layers.StringLookup(vocabulary=["a", "b"])(card)
    noisy = keras.layers.GaussianNoise(1.0)(keras.layers.Dropout(0.5)(amount))
    turned = keras.layers.RandomFlip()(keras.layers.Reshape((1, 2, 1))(noisy))
    score = keras.layers.Dense(1)(keras.layers.Flatten()(turned))
    outputs = {"chance of é": keras.layers.Reshape(())(score), "id": ids}
    model = keras.Model({"Amount (€)": amount, "self": card}, outputs)
    golden = {"Amount (€)": np.ones((3, 2)), "self": np.array(["a", "é", "b"], object)}
    return SimpleNamespace(model_=model, call_=fast.batch(model), golden_=golden, card=CARD, report_=None, kept_=None)


pytestmark = pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")


def test_saved_model_answers_the_same_in_plain_tensorflow(app, tmp_path, capfd):
    import tensorflow as tf

    assert export(app, tmp_path / "new" / "served") == tmp_path / "new" / "served"
    assert capfd.readouterr() == ("", "")
    opened = tf.saved_model.load(str(tmp_path / "new" / "served"))
    answers = opened.signatures["serving_default"](Amount=tf.ones((3, 2)), self_1=tf.constant(["a", "é".encode(), "b"]))
    expected = app.call_(app.golden_)
    np.testing.assert_allclose(answers["chance_of"], expected["chance of é"], atol=1e-6)
    np.testing.assert_array_equal(answers["id"], expected["id"])
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["served"]
    told = json.loads((tmp_path / "new" / "served" / "receipt.json").read_text())
    assert told["form"] == "saved_model" and told["queries"] == 3 and told["megabytes"] > 0
    assert told["largest difference"]["chance of é"] < 1e-5 and 0 < told["p50_ms"] <= told["p99_ms"]


def test_litert_is_one_file_that_answers_the_same(app, tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    plain = keras.Input((2,), name="pair")
    model = keras.Model({"pair": plain}, {"sum": keras.layers.Dense(1)(plain)})
    golden = {"pair": np.ones((2, 2), "float32")}
    small = SimpleNamespace(model_=model, call_=fast.batch(model), golden_=golden, card=CARD, report_=None, kept_=None)
    folder = export(small, tmp_path / "phone", "litert")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "model.tflite", "receipt.json"]
    run = Interpreter(model_path=str(folder / "model.tflite")).get_signature_runner()
    np.testing.assert_allclose(run(pair=np.ones((1, 2), "float32"))["sum"], small.call_(small.golden_)["sum"][:1], 1e-5)
    assert json.loads((folder / "receipt.json").read_text())["largest difference"]["sum"] < 1e-5


def test_nothing_is_overwritten(app, tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(ArchiveError, match="is there already and export overwrites nothing"):
        export(app, tmp_path / "mine")
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_place_that_can_not_be_written(app):
    with pytest.raises(ArchiveError, match="'/proc/served' could not be written"):
        export(app, "/proc/served")


def test_forms_that_are_not_there(app, tmp_path):
    with pytest.raises(ValueError, match=r"form must be one of 'saved_model', 'litert', 'onnx'. Received: 'pt'"):
        export(app, tmp_path / "a", "pt")
    with pytest.raises(ValueError, match="form 'saved_model' is not quantised; give form='litert'"):
        export(app, tmp_path / "a", quantize="int8", records={})
    with pytest.raises(ValueError, match="quantize needs records= with their truth, held out of learning"):
        export(app, tmp_path / "a", "litert", quantize="int8")
    with pytest.raises(ValueError, match="quantize='full_int8' needs calibration=, training records by which"):
        export(app, tmp_path / "a", "litert", quantize="full_int8", records={})
    with pytest.raises(ValueError, match="calibration= is for quantize='full_int8' or 'auto'; leave it out"):
        export(app, tmp_path / "a", "litert", quantize="int8", records={}, calibration={})
    with pytest.raises(ValueError, match=r"quantize must be one of .*'auto', or None. Received: 'int4'"):
        export(app, tmp_path / "a", "litert", quantize="int4")
    with pytest.raises(ValueError, match=r"max_drop must be a number of at least 0. Received: -1"):
        export(app, tmp_path / "a", "litert", max_drop=-1)
    with pytest.raises(ArchiveError, match="ONNX has no words, and this graph is asked 'self'; use form 'litert'"):
        export(app, tmp_path / "a", "onnx")
    assert list(tmp_path.iterdir()) == []


# ---- quantised, and judged by held-out records ---------------------------------


@pytest.fixture(scope="module")
def scans():
    records = synthetic_pictures.scans(240)
    learned, held_out = (
        {name: column[part] for name, column in records.items()} for part in (slice(160), slice(160, None))
    )
    app = at.MedicalScanClassifier(epochs=4, batch_size=32, size=28, readers=1)
    return app.fit(learned, verbose=0), held_out, learned


def told(folder):
    return json.loads((folder / "receipt.json").read_text())


def test_the_receipt_tells_of_the_records_given(scans, tmp_path):
    app, records, _ = scans
    plain = told(app.export(tmp_path / "plain", "litert", records=records))
    small = told(app.export(tmp_path / "small", "litert", "int8", records=records))
    assert plain["headline"]["change"] == [0, 0, 0] and plain["headline"]["records"] == 80
    assert small["megabytes"] < plain["megabytes"] / 2.5 and small["headline"]["lost"] <= 0.01
    page = (tmp_path / "small" / "README.md").read_text()
    assert f"**{small['quantize']}**" in page and "held-out records" in page and app.card.not_for in page
    notes = app.report_.notes
    assert notes["exported as litert, float"].startswith(f"{plain['megabytes']:.2f} MB; raw answers differ by ")
    line = notes[f"exported as litert, {small['quantize']}"]
    assert "ms (p99" in line and f"ROC AUC {small['headline']['here']:.4f} instead of" in line and "records (" in line


def test_ranges_are_set_by_training_records_or_not_at_all(scans, tmp_path):
    app, records, learned = scans
    drawn = receipts.samples(app, learned)
    assert len(drawn["image"]) == 160  # of 200 at most; none of the held-out ones
    known = {image.tobytes() for image in app.prepare({"image": learned["image"]}, app.state_)["image"]}
    assert {image.tobytes() for image in drawn["image"]} <= known
    tried = _tried(app, tmp_path, "litert", "full_int8", 0.01, receipts.held_out(app, records), None, several=True)
    assert tried["refused"] == "it needs calibration=, training records by which its ranges are set"


def test_what_fit_held_out_judges_by_default_and_never_travels(scans, tmp_path):
    app, _, learned = scans
    kept = app.kept_
    images = {image.tobytes() for image in app.prepare({"image": learned["image"]}, app.state_)["image"]}
    held_out, trained = ({image.tobytes() for image in part["image"]} for part in (kept.inputs, kept.learned))
    assert held_out | trained <= images and not held_out & trained
    small = told(app.export(tmp_path / "small", "litert", "auto"))
    assert small["headline"]["records"] == len(kept.inputs["image"]) > 20
    assert small["headline"]["origin"] == "held out by fit" and small["headline"]["lost"] <= 0.01
    assert [one["quantize"] for one in small["tried"]] == ["full_int8", "int8", "float16"]
    assert small["megabytes"] == min(one["megabytes"] for one in small["tried"] if "refused" not in one)
    assert all("needs calibration" not in one.get("refused", "") for one in small["tried"])
    assert "held-out records (held out by fit)" in (tmp_path / "small" / "README.md").read_text()
    again = at.load(app.save(tmp_path / "saved"))
    assert again.kept_ is None
    with pytest.raises(ValueError, match=r"quantize needs records= with their truth, .*; a folder keeps none"):
        again.export(tmp_path / "a", "litert", "int8")
    plain = told(again.export(tmp_path / "plain", "litert"))
    assert "headline" not in plain and "give records=" in plain["headline not measured"]
    assert plain["headline not measured"] in (tmp_path / "plain" / "README.md").read_text()


def test_what_is_kept_is_bounded(monkeypatch):
    app = SimpleNamespace(asked_apart=50)
    truth, inputs = {"label": np.arange(100)}, {"image": np.zeros((100, 1000), "uint8")}
    inputs["image"][:, 0] = truth["label"]
    kept = receipts.Kept.of(app, truth, inputs, truth["label"] // 2, {"image": np.zeros((300, 10))})
    assert len(kept.truth["label"]) == 50 and len(kept.learned["image"]) == receipts.SAMPLES
    monkeypatch.setattr(receipts, "MEGABYTES", 0.02)
    kept = receipts.Kept.of(app, truth, inputs, truth["label"] // 2, inputs)
    np.testing.assert_array_equal(kept.inputs["image"][:, 0], kept.truth["label"])
    np.testing.assert_array_equal(kept.clusters, kept.truth["label"] // 2)
    assert len(kept.truth["label"]) == 20 and kept.inputs["image"].base is None


def test_what_loses_too_much_is_refused_and_nothing_is_left(scans, tmp_path, monkeypatch):
    app, records, _ = scans
    worse = {"name": "ROC AUC", "records": 80, "change": [-0.2, -0.3, -0.1], "lost": 0.2, "here": 0.7, "template": 0.9}
    worse["origin"] = "given"
    monkeypatch.setattr(receipts, "change", lambda *given: worse)
    with pytest.raises(ArchiveError, match=r"int8 costs 0\.2000 of ROC AUC on 80 records, more than max_drop=0\.01"):
        app.export(tmp_path / "a", "litert", "int8", records=records)
    with pytest.raises(ArchiveError, match=r"litert costs 0\.2000 of ROC AUC .*; allow more, or use another form\."):
        app.export(tmp_path / "a", "litert", records=records)
    assert list(tmp_path.iterdir()) == []
    assert told(app.export(tmp_path / "a", "litert", "int8", max_drop=0.3, records=records))["headline"]["lost"] == 0.2


def test_the_loss_is_that_of_the_headline(scans):
    app, records, _ = scans
    judged = receipts.held_out(app, records)
    same = receipts.change(app, app.call_, judged)
    assert same["lost"] == 0 and same["name"] == "ROC AUC" and same["here"] == same["template"]

    def upside_down(inputs):
        found = app.call_(inputs)
        return {**found, "chances": found["chances"][:, ::-1]}

    turned = receipts.change(app, upside_down, judged)
    assert turned["here"] == pytest.approx(1 - turned["template"], abs=1e-4)
    assert turned["lost"] == pytest.approx(turned["template"] - turned["here"], abs=1e-4) and turned["lost"] != 0


def test_onnx_answers_the_same_in_its_own_runtime(scans, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    app, records, _ = scans
    folder = app.export(tmp_path / "onnx", "onnx", records=records)
    run = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    expected = app.call_(app.golden_)
    [chances] = run.run(["chances"], {"image": app.golden_["image"]})
    np.testing.assert_allclose(chances, expected["chances"], atol=1e-4)
    assert told(folder)["largest difference"]["chances"] < 1e-4


def test_the_network_of_faces_has_an_onnx_form_without_its_dropout(tmp_path):
    pytest.importorskip("onnxruntime")
    folder = at.load("face_verifier").export(tmp_path / "onnx", "onnx")
    assert told(folder)["largest difference"]["similarity"] < 1e-4


def test_a_form_that_breaks_down_while_it_answers_is_refused(scans, tmp_path, monkeypatch):
    class Broken(fast.LiteRT):
        def __call__(self, queries):
            raise RuntimeError("div.cc:262 data[i] != zero_point was not true.\nNode number 134 (DIV)")

    monkeypatch.setattr(forms, "LiteRT", Broken)
    with pytest.raises(ArchiveError, match=r"^MedicalScan\w+: the int8 form can not answer \(div.cc:262 .* true.\)\.$"):
        scans[0].export(tmp_path / "a", "litert", "int8")
    assert not list(tmp_path.iterdir())


def test_without_the_extra_onnx_says_what_to_install(scans, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ArchiveError, match=r"form 'onnx' needs tf2onnx; install apptemplates\[onnx\]"):
        scans[0].export(tmp_path / "a", "onnx")


def test_words_can_not_be_calibrated(app, tmp_path):
    with pytest.raises(ArchiveError, match=r"no full_int8 LiteRT form \(words can not be calibrated\)"):
        forms.litert(app, tmp_path, "full_int8", app.golden_)


def test_a_graph_that_does_not_answer_records_is_not_judged_by_them():
    inputs = {"text": np.array(["a", "b"], object)}
    silent = SimpleNamespace(respond=lambda inputs, call, state: {}, state_=None, call_=None)
    with pytest.raises(ArchiveError, match="answers to held-out records do not come from the graph that is exported"):
        receipts.asked(silent, inputs)
