"""Exported forms: opened by plain TensorFlow they answer the same, and nothing is overwritten."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from apptemplates.deploy.export import export
from apptemplates.deploy.folder import ArchiveError

keras = pytest.importorskip("keras")
from apptemplates.deploy import fast  # noqa: E402


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
    return SimpleNamespace(model_=model, call_=fast.batch(model), golden_=golden)


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
    small = SimpleNamespace(model_=model, call_=fast.batch(model), golden_={"pair": np.ones((2, 2), "float32")})
    folder = export(small, tmp_path / "phone", "litert")
    assert sorted(path.name for path in folder.iterdir()) == ["model.tflite", "receipt.json"]
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
    with pytest.raises(ValueError, match=r"form must be one of 'saved_model', 'litert'. Received: 'onnx'"):
        export(app, tmp_path / "a", "onnx")
    with pytest.raises(ValueError, match="is not quantised"):
        export(app, tmp_path / "a", quantize="int8")
    assert list(tmp_path.iterdir()) == []
