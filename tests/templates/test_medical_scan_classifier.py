"""What is special to MedicalScanClassifier: patients, several findings, who is referred, and scans of every shape."""

import numpy as np
import pytest
from PIL import Image

import apptemplates as at
from apptemplates.data import synthetic_pictures
from apptemplates.data.schema import DataError
from apptemplates.data.table import take
from apptemplates.deploy import runtime
from apptemplates.evaluation import heat_maps

SCANS = synthetic_pictures.scans(320)
TRAIN, TEST = take(SCANS, slice(240)), take(SCANS, slice(240, None))
QUICK = {"epochs": 4, "batch_size": 32, "size": 24, "readers": 1}


def classifier(**choices):
    return at.MedicalScanClassifier(**{**QUICK, **choices})


@pytest.fixture(scope="module")
def app():
    return classifier().fit(TRAIN, verbose=0)


@pytest.fixture(scope="module")
def several():
    """Fitted on scans of which some have two findings."""
    words = np.where(np.arange(240) % 3 == 0, TRAIN["finding"] + "|old", TRAIN["finding"]).astype(object)
    pictures = TRAIN["image"].copy()
    pictures[np.arange(240) % 3 == 0, :6] = 255  # what is old is seen at the edge
    return classifier(patient=None).fit({"image": pictures, "finding": words}, verbose=0), pictures


@pytest.fixture
def decided(app):
    """The fitted classifier, with its usual policy again afterwards."""
    yield app
    app.set_policy()


# ---- patients --------------------------------------------------------------------


def test_no_patient_is_both_learned_from_and_judged_by():
    earlier, later = classifier().split(classifier().record.check("test", TRAIN)[0])
    assert not set(earlier["patient"]) & set(later["patient"])


def test_without_patients_it_warns():
    bare = {name: TRAIN[name] for name in ("image", "finding")}
    assert "split-not-by-patient" in [
        found.code for found in classifier(patient=None).check(bare, probe=False).findings
    ]
    with pytest.raises(DataError, match=r"column 'patient' .*is missing.* say patient=None"):
        classifier().fit(bare, verbose=0)


def test_a_report_counts_by_picture_and_by_patient(app):
    report = app.evaluate({**TEST, "clinic": np.where(np.arange(80) % 2, "north", "south")}, by=("clinic",))
    assert {"ROC AUC", "sensitivity", "specificity", "PPV", "NPV", "ROC AUC per patient"} <= set(report.metrics)
    assert list(report.groups) == ["clinic"] and report.metrics["ROC AUC"].low < report.metrics["ROC AUC"].high
    assert any(
        "risk" in figure.get_label().lower() or "refer" in figure.get_label().lower() for figure in report.figures
    )


# ---- decisions -------------------------------------------------------------------


@pytest.mark.parametrize("wish", ["min_sensitivity", "min_specificity"])
def test_a_least_sensitivity_or_specificity_is_kept_on_the_held_out_scans(decided, wish):
    decided.set_policy(**{wish: 0.9})
    held_out = decided.split(decided.record.check("test", TRAIN)[0])[1]
    ill = held_out["finding"] == "opacity"
    said = decided.predict(held_out)["finding"].to_numpy() == "opacity"
    right = said[ill] if wish == "min_sensitivity" else ~said[~ill]
    assert right.mean() >= 0.9


def test_costs_move_what_is_said(decided):
    often = [(decided.set_policy(cost_of_miss=miss, cost_of_alarm=1).predict(TEST)["finding"] == "opacity").mean()
             for miss in (0.05, 1, 50)]  # fmt: skip
    assert often[0] <= often[1] <= often[2] and often[0] < often[2]


def test_the_least_sure_are_referred_at_the_wished_rate(decided):
    before = decided.predict(TEST)
    answers = decided.set_policy(refer_rate=0.25).predict(TEST)
    assert 0.05 < answers["refer"].mean() < 0.5 and not before["refer"].any()
    assert (answers["p_opacity"] == before["p_opacity"]).all()
    sure = np.maximum(answers["p_opacity"], answers["p_normal"])
    assert sure[answers["refer"]].mean() < sure[~answers["refer"]].mean()


def test_a_smaller_error_refers_more(decided):
    rates = [decided.set_policy(max_error=error).predict(TEST)["refer"].mean() for error in (0.5, 0.05)]
    assert rates[0] < rates[1]


def test_a_stated_prevalence_moves_the_chances(decided):
    usual = decided.predict(TEST)["p_opacity"].mean()
    assert decided.set_policy(prevalence=0.02).predict(TEST)["p_opacity"].mean() < usual / 2


def test_choices_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="readers must be at least 1, and exactly 1 with another backbone"):
        classifier(backbone="MobileNet", readers=3)
    with pytest.raises(ValueError, match="backbone 'small' learns from scratch; weights='imagenet' needs"):
        classifier(weights="imagenet")
    with pytest.raises(ValueError, match="size must be at least 16 pixels"):
        classifier(size=4)


def test_several_findings_at_once(several):
    app, pictures = several
    answers = app.predict({"image": pictures})
    assert {"p_normal", "p_old", "p_opacity"} <= set(answers) or {"p_old", "p_opacity"} <= set(answers)
    old = np.arange(240) % 3 == 0
    assert answers["p_old"][old].mean() > answers["p_old"][~old].mean() + 0.2
    assert answers["finding"].str.contains("|", regex=False).any()
    with pytest.raises(ValueError, match="policy prevalence needs two findings"):
        app.set_policy(prevalence=0.1)


# ---- explanations ----------------------------------------------------------------


def test_an_explanation_shows_maps_and_how_far_to_trust_them(app):
    report = app.explain(take(TEST, slice(6)))
    assert len(report.table) == 6 and report.figures and len(report.verdict) >= 2


def test_maps_depend_on_the_weights(app):
    """The sanity check of Adebayo et al., 2018: with random weights the maps must be others."""
    import keras

    body, head = (keras.models.clone_model(app.network_.get_layer(part)) for part in ("backbone", "head"))
    pooled = keras.layers.GlobalAveragePooling1D()
    scans = app.prepare(take(TEST, slice(8)), app.state_)["image"]
    ours = heat_maps.grad_cam(
        app.network_.get_layer("backbone"),
        keras.Sequential([app.network_.get_layer("head"), pooled]),
        scans,
        np.ones(8, int),
    )
    random = heat_maps.grad_cam(body, keras.Sequential([head, pooled]), scans, np.ones(8, int))
    alike = [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(ours, random, strict=True)]
    assert np.nanmean(np.abs(alike)) < 0.7


# ---- scans of every shape ----------------------------------------------------------


def test_scans_that_can_not_be_read_are_listed_and_learning_goes_on(tmp_path, capsys):
    for finding in ("normal", "opacity"):
        (tmp_path / finding).mkdir()
        for row in np.flatnonzero(SCANS["finding"] == finding)[:25]:
            Image.fromarray(SCANS["image"][row]).save(tmp_path / finding / f"{row}.png")
    good = next((tmp_path / "normal").iterdir())
    (tmp_path / "normal" / "empty.png").write_bytes(b"")
    (tmp_path / "normal" / "notes.png").write_text("no picture")
    (tmp_path / "normal" / "cut.png").write_bytes(good.read_bytes()[:150])
    (tmp_path / "opacity" / "same.png").symlink_to(good)
    app = classifier(patient=None, epochs=1).fit(tmp_path, verbose=0)
    said = capsys.readouterr().err
    for name in ("empty.png", "notes.png", "cut.png"):
        assert name in said and any(name in why for why in app.learned_["left out"]["why"])
    assert "3 records were left out" in said
    codes = {finding.code for finding in app.check(tmp_path, probe=False).findings}
    assert {"unreadable-records", "two-labels", "same-picture"} <= codes


def test_a_bad_scan_keeps_its_row(app):
    scans = np.empty(4, object)
    scans[:] = [TEST["image"][0], np.full((9, 9), np.nan), np.full((9, 9), -1.0), TEST["image"][1]]
    answers = app.predict({"image": scans})
    assert answers["problem"].iloc[0] == "" and answers["finding"].iloc[3] != ""
    assert "81 values that are NaN or infinite" in answers["problem"].iloc[1]
    assert "0..1 or 0..255 is expected" in answers["problem"].iloc[2] and np.isnan(answers["probability"].iloc[2])
    with pytest.raises(DataError, match="NaN or infinite; every pixel must have a value"):
        app.predict_one({"image": scans[1]})


@pytest.mark.parametrize("shape", [(1, 1), (10, 20_000), (30, 20, 3), (30, 20, 4), (28, 28, 1)])
def test_scans_of_any_size_and_colour_are_answered(app, shape):
    assert app.predict_one({"image": np.full(shape, 100, np.uint8)})["finding"] in ("normal", "opacity")


def test_one_finding_alone_is_refused():
    with pytest.raises(DataError, match="label 'finding' is 'normal' in all 40 rows; give records of every class"):
        classifier().fit({**take(TRAIN, slice(40)), "finding": np.full(40, "normal", object)}, verbose=0)


def test_scans_learned_from_are_counted_when_judged(app):
    mixed = {name: np.concatenate([TRAIN[name][:60], TEST[name]]) for name in TEST}
    assert app.evaluate(mixed).data["test records seen in training"] >= 30


# ---- learning on -------------------------------------------------------------------


def test_a_saved_network_goes_on_with_larger_pictures_and_a_new_finding(app, tmp_path):
    folder = app.save(tmp_path / "model")
    again = at.load(folder)
    large = {**TEST, "image": TEST["image"].repeat(2, axis=1).repeat(2, axis=2)}  # 56 pixels a side
    small = again.evaluate(large).metrics["ROC AUC"].value
    ringed = np.zeros((12, 56, 56), np.uint8)
    ringed[:, 8:48, 8:48] = 200
    new = {"image": ringed, "finding": np.full(12, "implant", object)}
    new["patient"] = np.array([f"new {row}" for row in range(12)], object)
    some = take(TRAIN, slice(120))
    some["image"] = some["image"].repeat(2, axis=1).repeat(2, axis=2)
    again.finetune({name: np.concatenate([new[name], some[name]]) for name in new}, size=56, epochs=6, verbose=0)
    assert again.size == 56 and again.model_.input["image"].shape[1:] == (56, 56, 1)
    assert app.size == 24 and app.model_.input["image"].shape[1:] == (24, 24, 1)
    answers = again.predict(large)
    assert "p_implant" in answers and (answers["finding"] == "implant").mean() < 0.2
    assert again.evaluate(large).metrics["ROC AUC"].high > small - 0.1  # of 80 scans
    alone = runtime.load(again.save(tmp_path / "larger")).predict_one({"image": large["image"][0]})
    assert alone["p_implant"] == pytest.approx(answers["p_implant"][0], abs=1e-4)


def test_a_change_that_can_not_be_brought_along_is_one_sentence(app):
    with pytest.raises(
        ValueError, match=r"finetune changes size alone, .* depends on readers; use clone\(readers=\.\.\.\)"
    ):
        app.finetune(TEST, readers=1)
    with pytest.raises(TypeError, match="there is no argument 'sise'; did you mean 'size'"):
        app.finetune(TEST, sise=56)
    with pytest.raises(DataError, match=r"at 112 pixels a side the network has other layers than at 24, .*; fit anew"):
        app.finetune(TEST, size=112, verbose=0)
    assert app.size == 24 and list(app.predict(TEST)["problem"]) == [""] * 80


def test_a_new_finding_is_learned_from_ten_scans(app, tmp_path):
    app.save(tmp_path / "model")
    again = at.load(tmp_path / "model")
    stripes = np.zeros((12, 28, 28), np.uint8)
    stripes[:, ::4] = 255
    noise = np.random.default_rng(0).integers(0, 60, stripes.shape)
    new = {"image": np.maximum(stripes, noise).astype(np.uint8), "finding": np.full(12, "implant", object)}
    new["patient"] = np.array([f"new {row}" for row in range(12)], object)
    some = take(TRAIN, slice(40))
    again.finetune({name: np.concatenate([new[name], some[name]]) for name in new}, epochs=6, verbose=0)
    assert "p_implant" in again.predict(TEST) and list(again.predict(TEST)["problem"]) == [""] * 80
    assert (again.predict(new)["finding"] == "implant").mean() > 0.6
    assert (again.predict(TEST)["finding"] == "implant").mean() < 0.2
