"""Columns as features: two scales of numbers, one-hot words, and what of it survives saving and conversion."""

import ast
import importlib
from pathlib import Path

import keras
import numpy as np
import pytest

import apptemplates
import apptemplates.layers
from apptemplates.deploy.fast import Fast, batch
from apptemplates.layers import tabular
from apptemplates.layers.tabular import PACKAGE, NumberScale, PiecewiseLinear, edges_of

WORDS = ["plain", "new\nline", 'quo"te', "a'b", "back\\slash", "ünï 字 🙂", "(missing)", " space ", "tab\t", "[UNK]x"]


def reopened(model, folder):
    """The model after it was saved and loaded as strictly as Keras can."""
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras", safe_mode=True)


def assert_survives(model, table, folder):
    """The same bits after save and load, and LiteRT's agreement with the graph, row by row."""
    names = list(model.output)
    expected = batch(model)(table)
    again = batch(reopened(model, folder))(table)
    for name in names:
        np.testing.assert_array_equal(again[name], expected[name])
    one = Fast(model, None, {name: column[:8] for name, column in table.items()})
    assert one.form == "litert"
    for row in range(min(40, len(expected[names[0]]))):
        answer = one({name: column[row : row + 1] for name, column in table.items()})
        for name in names:
            np.testing.assert_allclose(answer[name], expected[name][row : row + 1], rtol=1e-4, atol=1e-5)


def records(n=400, seed=0):
    """Inputs of every kind: a plain number, a constant, one with gaps, an empty one, several at once, words."""
    rng = np.random.default_rng(seed)
    gaps = rng.normal(size=n).astype("float32")
    gaps[rng.random(n) < 0.3] = np.nan
    return {
        "amount": rng.lognormal(3, 1, n).astype("float32"),
        "constant": np.full(n, 7.3, "float32"),
        "gaps": gaps,
        "empty": np.full(n, np.nan, "float32"),
        "past": rng.normal([0, 100, -1e6], [1, 5, 1e3], (n, 3)).astype("float32"),
        "word": rng.choice(np.array(WORDS, object), n),
        "rare": np.array([f"key {i}" for i in rng.integers(0, 300, n)], object),
    }


@pytest.fixture(scope="module")
def preprocessor():
    return tabular.build_preprocessor(records(), bins=8, most_words=20)


def features_of(preprocessor, table):
    return batch(keras.Model(preprocessor.input, {"features": preprocessor.output}))(table)["features"]


def test_preprocessor_survives_saving_and_conversion(preprocessor, tmp_path):
    table = records(60, seed=3)
    table["word"][:3] = ["never seen", "", "new"]
    assert_survives(keras.Model(preprocessor.input, {"features": preprocessor.output}), table, tmp_path)


def test_features_are_finite_whatever_comes(preprocessor):
    table = records(50, seed=1)
    table["amount"][:4] = [np.nan, -1e30, 1e30, 0]
    table["constant"][:3] = [np.nan, 1e9, -1e9]
    table["empty"][:2] = [5.0, 1e9]
    found = features_of(preprocessor, table)
    assert np.isfinite(found).all() and np.abs(found).max() <= 20


def test_every_feature_belongs_to_the_column_its_owner_names(preprocessor):
    table = records(120, seed=2)
    past = ["past one", "past two", "past three"]
    names = {name: [name] for name in table} | {"past": past}
    owners = tabular.owners(preprocessor, names)
    usual, other = features_of(preprocessor, table), records(120, seed=9)
    assert len(owners) == usual.shape[1] == preprocessor.output.shape[1]
    for place, name in [(None, name) for name in table if name != "past"] + list(enumerate(past)):
        changed = dict(table)
        if place is None:
            changed[name] = other[name]
        else:
            changed["past"] = table["past"].copy()
            changed["past"][:, place] = other["past"][:, place]
        moved = (features_of(preprocessor, changed) != usual).any(axis=0)
        assert {owners[i] for i in np.flatnonzero(moved)} <= {name}
        assert moved.any() == (name not in ("constant", "empty"))


def test_words_are_one_hot_and_the_others_share_a_place(preprocessor):
    table = records(400)
    layer = preprocessor.get_layer("rare_words")
    assert layer.vocabulary_size() == 21
    words = keras.Model(preprocessor.input["word"], preprocessor.get_layer("word_words").output)
    found = words(keras.ops.convert_to_tensor([*WORDS, "never seen", ""], "string")).numpy()
    assert (found.sum(axis=1) == 1).all()
    assert sorted(found[: len(WORDS)].argmax(axis=1)) == list(range(1, len(WORDS) + 1))
    assert (found[len(WORDS) :].argmax(axis=1) == 0).all()
    values, counts = np.unique(table["rare"].astype(str), return_counts=True)
    kept = set(layer.get_vocabulary()) - {"[UNK]"}
    assert min(counts[[v in kept for v in values]]) >= max(counts[[v not in kept for v in values]])


def test_only_words_or_only_numbers(tmp_path):
    table = records()
    for names in (["word"], ["amount"], ["past"], ["word", "rare"]):
        part = {name: table[name] for name in names}
        built = tabular.build_preprocessor(part, bins=4)
        own = {"past": ["a", "b", "c"]}
        assert len(tabular.owners(built, {n: own.get(n, [n]) for n in names})) == built.output.shape[1]
        start = keras.Input(built.output.shape[1:])
        features = features_of(built, part)
        ramps = keras.Model(start, tabular.ramps(start, built, 4))(features).numpy()
        numbers = sum(part[name].reshape(len(part[name]), -1).shape[1] for name in names if part[name].dtype != object)
        expected = PiecewiseLinear(4)(features[:, :numbers]).numpy() if numbers else features[:, :0]
        np.testing.assert_array_equal(ramps[:, : 4 * numbers], expected)
        np.testing.assert_array_equal(ramps[:, 4 * numbers :][:, -1], features[:, -1])


# ---- one number ------------------------------------------------------------


def scaled(values, adapted_to, bins=16, **kwargs):
    adapted_to = np.asarray(adapted_to, "float32").reshape(len(adapted_to), -1)
    gaps = tuple(np.flatnonzero(np.isnan(adapted_to).any(axis=0)).tolist())
    scale = NumberScale(adapted_to.shape[1], bins, gaps).adapt(adapted_to, **kwargs)
    values = np.asarray(values, "float32").reshape(len(values), -1)
    return scale(values).numpy()


def test_position_has_as_many_rows_on_every_step_and_never_falls():
    values = np.sort(np.random.default_rng(0).lognormal(2, 1.5, 5000))
    position = scaled(values, values, bins=16)[:, 0]
    assert (np.diff(position) >= 0).all()
    assert position[0] == pytest.approx(-1, abs=1e-3) and position[-1] == pytest.approx(1, abs=1e-3)
    counts, _ = np.histogram(position, bins=16, range=(-1, 1))
    assert counts.min() > 0.8 * 5000 / 16 and counts.max() < 1.2 * 5000 / 16
    beyond = scaled([-1e6, 1e6], values)
    np.testing.assert_allclose(beyond[:, 0], [-1, 1], atol=1e-5)
    assert abs(beyond[1, 1]) == 20


def test_deviation_is_in_standard_deviations():
    values = np.random.default_rng(0).normal(50, 4, 5000)
    found = scaled([50, 54, 46, 62], values)[:, 1]
    np.testing.assert_allclose(found, (np.array([50, 54, 46, 62]) - values.mean()) / values.std(), rtol=1e-3, atol=1e-3)


def test_a_missing_number_is_the_median_and_says_so():
    values = np.random.default_rng(0).normal(5, 2, 1001)
    values[:100] = np.nan
    found = scaled([np.nan, np.median(values[100:])], values)
    np.testing.assert_allclose(found[0, :-1], found[1, :-1], atol=1e-6)
    assert found[:, -1].tolist() == [1, 0]
    without = scaled([np.nan], values[100:])
    assert without.shape[1] == found.shape[1] - 1  # no gaps when it learned, no feature for them


def test_constant_and_empty_columns_say_nothing():
    assert not np.diff(scaled([7.3, 7.3000003], [7.3] * 50), axis=0).any()
    far = scaled([7.3, 1e9, -1e9, np.nan], [7.3] * 50)
    assert np.isfinite(far).all() and not far[:, 1].any()  # rounding errors never become deviations
    empty = scaled([1.0, np.nan, -5.0], [np.nan] * 50)
    assert np.isfinite(empty).all() and not np.diff(empty[:, :-1], axis=0).any()
    assert empty[:, -1].tolist() == [0, 1, 0]


def test_important_rows_get_a_finer_scale():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.uniform(0, 1, 9900), rng.uniform(10, 20, 100)])
    rare = np.arange(10_000) >= 9900
    ends = [[11], [19]]
    plain = np.diff(scaled(ends, values, bins=40)[:, 0])[0]
    finer = np.diff(scaled(ends, values, bins=40, important=rare)[:, 0])[0]
    assert finer > 0.2 > 0.05 > plain


def test_edges_stand_on_both_sides_of_a_border_between_the_important_rows_and_the_others():
    values = np.random.default_rng(0).permutation(np.linspace(0, 500, 5000))
    important = values > 220
    border = [values[~important].max(), values[important].min()]
    edges = edges_of(values, important, 40)
    assert set(border) <= set(edges) and len(edges) <= 41
    assert not set(border) & set(edges_of(values, None, 40))


def test_ties_and_few_values():
    values = np.repeat([0.0, 1.0, 5.0], [900, 90, 10])
    found = scaled([0, 1, 5], values)[:, 0]
    assert (np.diff(found) > 0).all()


def test_ramps_bend_at_every_edge():
    position = np.array([[-1.0, 1.0], [0.25, -0.5]], "float32")
    found = PiecewiseLinear(4)(position).numpy().reshape(2, 2, 4)
    np.testing.assert_allclose(found[0], [[0, 0, 0, 0], [1, 1, 1, 1]])
    np.testing.assert_allclose(found[1], [[1, 1, 0.5, 0], [1, 0, 0, 0]])
    dense = np.linspace(-1, 1, 101, dtype="float32")[:, None]
    np.testing.assert_allclose(PiecewiseLinear(4)(dense).numpy().sum(axis=1) / 2 - 1, dense[:, 0], atol=1e-6)


def test_scale_and_ramps_survive(tmp_path):
    values = np.random.default_rng(0).normal(size=(300, 3)).astype("float32")
    values[:40, 1] = np.nan
    values[:, 2] = 4
    entry = keras.Input((3,), name="values")
    scale = NumberScale(3, 8, (1,)).adapt(values)
    out = keras.layers.Concatenate()([scale(entry), PiecewiseLinear(8)(scale(entry)[:, :3])])
    assert_survives(keras.Model({"values": entry}, {"out": out}), {"values": values[20:80]}, tmp_path)


# ---- names -----------------------------------------------------------------


def registered_in(file):
    """Names of the classes in a source file that Keras is told of, and of those that are layers."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    told = [c.name for c in classes if any("register_keras_serializable" in ast.unparse(d) for d in c.decorator_list)]
    layers = ["Layer", "Model"]
    for c in classes:  # a layer may be made of another one that stands above it
        if any(ast.unparse(base).split(".")[-1] in layers for base in c.bases):
            layers.append(c.name)
    return told, layers[2:]


def test_every_layer_is_registered_once_and_lives_in_layers():
    root = Path(apptemplates.__file__).parent
    told = []
    for file in sorted(root.rglob("*.py")):
        if file == root / "losses.py":
            continue
        names, layers = registered_in(file)
        assert set(layers) == set(names), f"{file}: a layer that is not registered could not be opened again"
        assert not names or file.parent == root / "layers", f"{file}: layers live in apptemplates/layers"
        told += names
        if names:
            importlib.import_module(f"apptemplates.layers.{file.stem}")  # no other test need have done so
    assert len(told) == len(set(told)) >= 9
    known = {
        name: c
        for name, c in keras.saving.get_custom_objects().items()
        if name.startswith(f"{PACKAGE}>") and isinstance(c, type) and issubclass(c, keras.layers.Layer)  # no losses
    }
    assert {f"{PACKAGE}>{name}" for name in told} == set(known)
    assert all(c.__module__.startswith("apptemplates.layers.") for c in known.values())
