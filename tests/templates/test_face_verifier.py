"""What is special to FaceVerifier: people apart, the gallery, forgetting, and what it says of faces it can not use."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import apptemplates as at
from apptemplates.data import synthetic_pictures
from apptemplates.data.schema import DataError
from apptemplates.data.table import take
from apptemplates.evaluation import metrics


@pytest.fixture(scope="module")
def faces():
    return synthetic_pictures.faces(30, 6, seed=3)


@pytest.fixture(scope="module")
def parts(faces):
    return at.FaceVerifier(size=24).split(faces)


@pytest.fixture(scope="module")
def app(parts):
    return at.FaceVerifier(epochs=4, batch_size=32, size=24).fit(parts[0], verbose=0)


@pytest.fixture
def gallery(app, parts):
    """A copy of the fitted template with two people enrolled."""
    own = at.FaceVerifier(**app.get_params())
    own.__dict__.update(app.__dict__)
    own.state_ = app.state_.emptied()
    for name in np.unique(parts[1]["person"])[:2]:
        own.enrol(name, pictures_of(parts[1], name)[:4])
    return own


def pictures_of(table, name):
    return table["image"][table["person"] == name]


def area(app, table):
    """The area under the ROC curve of all pairs."""
    vectors, person = app.embed(table["image"]), table["person"]
    first, second = np.triu_indices(len(vectors), 1)
    return metrics.roc_auc(person[first] == person[second], (vectors @ vectors.T)[first, second])


def refused(call):
    with pytest.raises(at.DataError) as error:
        call()
    text = str(error.value)
    assert text.startswith("FaceVerifier: ") and "\n" not in text
    return text


# ---- how it learns -----------------------------------------------------------


def test_no_person_is_learned_from_and_judged_by(faces, parts):
    first, second = (set(part["person"]) for part in parts)
    assert not first & second and first | second == set(faces["person"])


def test_it_tells_people_apart_whom_it_never_saw(app, parts):
    report = app.evaluate(parts[1])
    assert report.metrics["ROC AUC"].value > 0.65
    assert report.baseline["metrics"]["equal error rate"].value > 0.2  # what a saved model beats by far
    assert {"TAR at FAR 0.01", "TAR at FAR 0.001"} <= set(report.metrics)
    captions = " ".join(figure.get_label() for figure in report.figures)
    assert "worst pairs" in captions and "bell curve" in captions
    accepted = report.notes["strangers accepted at it, on people held out while learning"]
    assert accepted.low <= accepted.value <= accepted.high


def test_error_rates_are_given_by_group(app, parts):
    sides = np.where(np.unique(parts[1]["person"], return_inverse=True)[1] % 2, "even", "odd").astype(object)
    report = app.evaluate({**parts[1], "side": sides}, by=("side",))
    assert set(report.groups["side"].table["group"]) >= {"even", "odd", "of two groups"}


def test_pictures_of_many_pairs_are_looked_at_once(app, parts, monkeypatch):
    queries, _ = app.make_trials(app.record.check("t", parts[1])[0])
    inputs = {name: app.prepare(queries, app.state_)[name] for name in ("first", "second")}
    plain, looked = app._directions(app.model_), []

    def directions(given):
        looked.append(len(given["image"]))
        return plain(given)

    monkeypatch.setattr(app, "_directions", lambda model: directions)
    once = app.respond(inputs, app.call_, app.state_)
    assert looked == [len(parts[1]["image"])]
    each = app.respond(inputs, lambda asked: app.call_(asked), app.state_)  # as any other form is asked
    assert looked == [len(parts[1]["image"])] and once.keys() == each.keys()
    np.testing.assert_allclose(once["similarity"], each["similarity"], atol=1e-5)
    assert (once["match"] == each["match"]).mean() > 0.99
    alone = {name: column[:1] for name, column in inputs.items()}
    np.testing.assert_allclose(app.respond(alone, app.call_, None)["similarity"], each["similarity"][:1], atol=1e-5)
    nobody = {name: column[:0] for name, column in inputs.items()}
    assert len(app.respond(nobody, app.call_, None)["similarity"]) == 0


def test_a_looser_policy_accepts_more(app, parts):
    queries, truth = app.make_trials(app.record.check("test", parts[1])[0])
    strict = app.predict(queries)["match"].sum()
    at_once = app.threshold
    app.set_policy(false_accepts=0.2)
    loose = app.predict(queries)
    assert app.threshold < at_once and loose["match"].sum() > strict
    strangers = truth["same"] == 0
    assert 0.02 < loose["match"][strangers].mean() < 0.6
    app.set_policy(false_accepts=0.001)
    with pytest.raises(ValueError, match="false_accepts is the share of strangers"):
        app.set_policy(false_accepts=1)


def test_order_of_a_pair_does_not_matter(app, parts):
    images = parts[1]["image"]
    one = app.predict({"first": images[:6], "second": images[6:12]})["similarity"]
    other = app.predict({"first": images[6:12], "second": images[:6]})["similarity"]
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_ready_pairs_can_be_judged(app, parts):
    queries, truth = app.make_trials(app.record.check("test", parts[1])[0])
    some = {name: column[::7] for name, column in {**queries, **truth}.items()}
    assert app.evaluate(some).metrics["ROC AUC"].value > 0.6


def test_ten_pictures_of_new_people_are_learned(app, parts):
    new = synthetic_pictures.faces(5, 10, seed=50)
    fresh = at.FaceVerifier(**app.get_params())
    fresh.__dict__.update(app.__dict__)
    fresh.state_ = app.state_.emptied().enrolled("Ann", app.embed(new["image"][:2]))
    old = area(app, parts[1])
    fresh.finetune(new, epochs=1, verbose=0)
    assert fresh.network_.output_shape[1] == app.network_.output_shape[1] + 3  # two of the five were held out
    assert len(fresh.state_) == 0  # its vectors are of the network as it was
    assert area(fresh, parts[1]) > old - 0.1


def test_faces_go_on_at_another_size(app, parts):
    again = at.FaceVerifier(**app.get_params())
    again.__dict__.update(app.__dict__)
    again.finetune(parts[0], size=32, epochs=1, verbose=0)
    assert again.model_.input["first"].shape[1:3] == (32, 32) and app.model_.input["first"].shape[1:3] == (24, 24)
    assert area(again, parts[1]) > area(app, parts[1]) - 0.1
    with pytest.raises(DataError, match="at 48 pixels a side the network has other layers than at 24, so that it can"):
        app.finetune(parts[0], size=48, verbose=0)


# ---- the gallery -------------------------------------------------------------


def test_enrolled_people_are_recognised_and_others_are_unknown(gallery, parts):
    gallery.set_policy(false_accepts=0.3)
    names = np.unique(parts[1]["person"])
    found = gallery.identify(pictures_of(parts[1], names[0])[:4])
    assert list(found) == ["picture", "rank", "name", "similarity", "problem"]
    assert (found["name"] == names[0]).sum() >= 2  # pictures it was enrolled with
    two = gallery.identify(parts[1]["image"][:3], k=3)
    assert len(two) == 9 and (two["rank"].to_numpy().reshape(3, 3) == [1, 2, 3]).all()
    assert two["similarity"][two["rank"] == 3].isna().all()  # only two people are enrolled
    assert (two["name"][two["rank"] == 3] == "unknown").all()
    gallery.set_policy(false_accepts=1e-6)
    far = gallery.identify(np.zeros((1, 48, 48, 3), np.uint8) + 128)
    assert far["name"][0] == "unknown"
    gallery.set_policy(false_accepts=0.001)


def test_the_gallery_travels_with_the_folder_and_holds_vectors_only(gallery, tmp_path, parts):
    gallery.save(tmp_path / "app")
    again = at.load(tmp_path / "app")
    assert again.state_.names == gallery.state_.names and again.state_.totals.shape == gallery.state_.totals.shape
    np.testing.assert_allclose(again.embed(parts[1]["image"][:3]), gallery.embed(parts[1]["image"][:3]), atol=1e-5)
    asked = parts[1]["image"][:4]
    assert again.identify(asked)["name"].tolist() == gallery.identify(asked)["name"].tolist()
    assert set(again.close_state(again.state_, share=False)) == {"names", "totals"}
    gallery.save(tmp_path / "shared", share=True)
    assert len(at.load(tmp_path / "shared").state_) == 0


def test_who_is_forgotten_is_in_no_file(gallery, tmp_path):
    gallery.enrol("Zebulon Quist", np.full((48, 48, 3), 90, np.uint8))
    vector = gallery.state_.totals[-1]
    gallery.save(tmp_path / "app")

    def holds():
        again, found = [], False
        for file in sorted((tmp_path / "app").rglob("*")):
            content = file.read_bytes()
            if file.suffix == ".npz":
                with np.load(file) as archive:
                    content = b"".join(archive[name].tobytes() for name in archive.files)
            needles = (b"Zebulon", "Zebulon".encode("utf-32-le"), vector.tobytes(), vector[3:7].tobytes())
            found = found or any(needle in content for needle in needles)
            again.append(file.name)
        assert "state.npz" in again
        return found

    assert holds()
    gallery.forget("Zebulon Quist").save(tmp_path / "app")
    assert not holds()
    assert refused(lambda: gallery.forget("Zebulon Quist")).startswith(
        "FaceVerifier: nobody called 'Zebulon Quist' is enrolled"
    )


def test_enrolling_again_adds_pictures(gallery, parts):
    name = gallery.state_.names[0]
    before = gallery.state_.totals[0].copy()
    more = gallery.embed(pictures_of(parts[1], name)[4:])
    gallery.enrol(name, pictures_of(parts[1], name)[4:])
    np.testing.assert_allclose(gallery.state_.totals[0], before + more.sum(axis=0), rtol=1e-4, atol=1e-5)
    assert len(gallery.state_) == 2


def test_a_hundred_thousand_people_are_searched_in_fifty_milliseconds():
    import time

    from apptemplates.inference.face_verifier import Gallery, named

    vectors = np.random.default_rng(0).normal(size=(100_000, 192)).astype("float32")
    gallery = Gallery(tuple(map(str, range(100_000))), vectors)
    asked = gallery.directions[[4321]]
    taken = []
    for _ in range(12):
        began = time.perf_counter()
        found = named(gallery, asked, 1, 0.5)
        taken.append(time.perf_counter() - began)
    assert found["name"][0, 0] == "4321" and min(taken) < 0.05


# ---- bad input ---------------------------------------------------------------


def test_too_few_people_are_refused(faces):
    one = {"image": faces["image"][:12], "person": np.array(["Ann"] * 12, object)}
    assert "has 1 people, 1 of them with two or more pictures; at least 4" in refused(
        lambda: at.FaceVerifier(size=24).fit(one, verbose=0)
    )
    each = take(faces, np.arange(0, 180, 6))
    text = refused(lambda: at.FaceVerifier(size=24).fit(each, verbose=0))
    assert "has 30 people, 0 of them with two or more pictures" in text


def test_people_with_one_picture_are_told_and_learned_from(faces):
    some = np.r_[0:60, 60:180:6]
    report = at.FaceVerifier(size=24).check(take(faces, some), probe=False)
    assert any("Of 20 people there is one picture only" in finding.message for finding in report.findings)


def test_a_picture_of_two_people_is_told(faces):
    twice = {"image": np.concatenate([faces["image"], faces["image"][:1]]), "person": np.append(faces["person"], "Eve")}
    report = at.FaceVerifier(size=24).check(twice, probe=False)
    assert any("under different labels" in finding.message for finding in report.findings)


def test_a_pair_with_one_picture_missing_has_a_reason(app, parts, tmp_path):
    image = Image.fromarray(parts[1]["image"][0])
    image.save(tmp_path / "a.png")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("no picture")
    first = [str(tmp_path / "a.png")] * 4
    second = [str(tmp_path / name) for name in ("a.png", "gone.png", "empty.png", "text.png")]
    answers = app.predict({"first": first, "second": second})
    assert answers["problem"][0] == "" and answers["similarity"][0] > 0.99
    for row, word in ((1, "there is no such file"), (2, "the file is empty"), (3, "this is no picture")):
        assert answers["problem"][row].startswith("'second': ") and word in answers["problem"][row]
        assert np.isnan(answers["similarity"][row])
    assert "'second'" in refused(lambda: app.predict_one({"first": first[0]}))
    assert "'second': " in refused(lambda: app.predict_one({"first": first[0], "second": second[1]}))


def test_pictures_without_values_are_refused(app):
    assert "NaN" in refused(lambda: app.embed([np.full((40, 40), np.nan)]))
    assert "there are no pictures" in refused(lambda: app.embed([]))


def test_an_empty_gallery_says_so(app, faces):
    assert "the gallery is empty" in refused(lambda: app.identify(faces["image"][:1]))


def test_names_must_be_names(gallery, parts):
    for name in ("", "unknown", 7):
        assert "the name of a person must be a text" in refused(lambda n=name: gallery.enrol(n, parts[1]["image"][:1]))
    near = gallery.state_.names[0] + "x"
    assert f"did you mean {gallery.state_.names[0]!r}" in refused(lambda: gallery.forget(near))
    assert "k must be at least 1" in refused(lambda: gallery.identify(parts[1]["image"][:1], k=0))


def test_choices_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match=r"there is no backbone 'smal'; did you mean 'small'\?; it takes"):
        at.FaceVerifier(backbone="smal")
    with pytest.raises(ValueError, match="size must be at least 24 pixels"):
        at.FaceVerifier(size=8)


# ---- the pretrained networks -------------------------------------------------


def test_a_face_is_found_and_twenty_photographs_do(real_data):
    if not (Path(os.environ.get("KERAS_HOME", "nowhere")).parent / "face").is_dir():
        pytest.skip("the pretrained face networks are not on this machine")
    folder = real_data / "faces" / "lfw" / "images"
    people = [path for path in sorted(folder.iterdir()) if len(list(path.iterdir())) >= 5][:8]
    table = {
        "image": np.array([str(file) for path in people for file in sorted(path.iterdir())[:4]], object),
        "person": np.repeat([path.name for path in people], 4).astype(object),
    }
    app = at.FaceVerifier(backbone="dlib", find=True, epochs=2).fit(table, verbose=0)
    last = [str(sorted(path.iterdir())[4]) for path in people[:3]]
    assert "dlib" in app.learned_["pretrained"]
    for path in people[:3]:
        app.enrol(path.name, sorted(str(file) for file in path.iterdir())[:2])
    app.set_policy(false_accepts=0.05)
    assert (app.identify(last)["name"].to_numpy() == [path.name for path in people[:3]]).sum() >= 2
    assert "no face was found" in refused(lambda: app.embed([np.full((96, 96, 3), 120, np.uint8)]))
    both = np.concatenate([np.asarray(Image.open(picture)) for picture in last[:2]], axis=1)
    assert "2 faces were found" in refused(lambda: app.embed([both]))
