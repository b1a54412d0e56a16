"""From logits of classes to chances, a choice and whether it is sure; the same in Keras, NumPy and LiteRT."""

import keras
import numpy as np
import pytest

from apptemplates.deploy.fast import Fast
from apptemplates.evaluation import classes as measured
from apptemplates.layers.classes import ClassChances, ClassChoice, Unsure

RNG = np.random.default_rng(0)


def graph(count, several):
    """Chances, choice and referral from logits."""
    logits = keras.Input((count,), name="logits")
    chances = ClassChances(several, name="chances")(logits)
    said, sure = ClassChoice(several, name="choice")(chances)
    outputs = {"chances": chances, "said": said, "sure": sure, "refer": Unsure(name="refer")(sure)}
    return keras.Model({"logits": logits}, outputs)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("count", [2, 3, 14])
def test_graph_decides_as_the_numpy_twin_that_thresholds_are_found_with(count, several):
    model = graph(count, several)
    shift, offset = RNG.normal(0, 1, (2, count)).astype("float32")
    model.get_layer("chances").shift.assign(shift)
    model.get_layer("choice").offset.assign(offset)
    model.get_layer("refer").least.assign(0.7)
    logits = RNG.normal(0, 3, (300, count)).astype("float32")
    found = {name: value.numpy() for name, value in model({"logits": logits}).items()}
    expected = measured.chances(logits + shift, several)
    np.testing.assert_allclose(found["chances"], expected, rtol=1e-4, atol=1e-6)
    names = tuple("abcdefghijklmnop"[:count])
    known = measured.Classes(names, None, several, (1 / count,) * count)
    said, sure = measured.choose(known, found["chances"], offset)
    assert (found["said"] > 0).tolist() == said.tolist()
    np.testing.assert_allclose(found["sure"], sure, rtol=1e-4)
    near = np.abs(sure - 0.7) < 1e-4
    assert (found["refer"] == (sure < 0.7))[~near].all()


def test_of_equal_chances_the_first_is_said_and_only_one():
    said, sure = ClassChoice()(np.array([[0.25, 0.25, 0.25, 0.25], [0.1, 0.4, 0.4, 0.1]], "float32"))
    assert said.numpy().tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]
    np.testing.assert_allclose(sure.numpy(), [0.25, 0.4], rtol=1e-5)


def test_certain_chances_stay_finite():
    for several in (False, True):
        said, sure = ClassChoice(several)(np.array([[1.0, 0.0]], "float32"))
        assert said.numpy().tolist() == [[1, 0]] and np.isfinite(sure.numpy()).all()
    chances = ClassChances()(np.array([[1e4, -1e4]], "float32")).numpy()
    assert chances.tolist() == [[1, 0]]


@pytest.mark.parametrize("several", [False, True])
def test_saved_and_converted(several, tmp_path):
    model = graph(3, several)
    model.get_layer("choice").offset.assign([0.5, -0.2, 0.1])
    model.get_layer("refer").least.assign(0.6)
    logits = {"logits": RNG.normal(0, 2, (6, 3)).astype("float32")}
    whole = {name: value.numpy() for name, value in model(logits).items()}
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    for name, value in again(logits).items():
        np.testing.assert_allclose(value.numpy(), whole[name], rtol=1e-6)
    fast = Fast(model, None, logits)
    assert fast.form == "litert"
    for row in range(6):
        one = fast({"logits": logits["logits"][row : row + 1]})
        for name, value in one.items():
            np.testing.assert_allclose(value, whole[name][row : row + 1], rtol=1e-4, atol=1e-5)
    assert not model.trainable_variables
