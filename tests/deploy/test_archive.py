"""The saved folder: it comes back whole, or one sentence says why not, and what was there before is never lost."""

import io
import json
import os
import resource
import shutil
import signal
import subprocess
import textwrap
import zipfile
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from apptemplates.data.schema import Field, Schema
from apptemplates.deploy.archive import ArchiveError, load, save
from apptemplates.deploy.arrays import UnsafeFile, check_zip, read_arrays, write_arrays
from apptemplates.deploy.folder import FORMAT

keras = pytest.importorskip("keras")
from apptemplates.deploy import fast  # noqa: E402


class Toy:
    """What the archive uses of a template, around a real small graph."""

    card = SimpleNamespace(title="Toy", answers="Is it?", not_for="Anything.", reference="None.", data="Made up.")
    report_ = None
    query = answer = Schema(amount=Field("amount"))

    def __init__(self, *, label="y"):
        self.label = label

    def get_params(self):
        return {"label": self.label}

    def fit(self, seed=0, size=8, train=False):
        keras.utils.set_random_seed(seed)
        amount = keras.Input((), dtype="float32", name="amount")
        card = keras.Input((), dtype="string", name="card")
        ids = keras.layers.StringLookup(vocabulary=["a", "b"])(card)
        known = keras.layers.Flatten()(keras.layers.Embedding(3, 4)(keras.layers.Reshape((1,))(ids)))
        features = keras.layers.Concatenate()([keras.layers.Reshape((1,))(amount), known])
        given = keras.Input((5,), name="features")
        score = keras.layers.Dense(1)(keras.layers.Dense(size, activation="relu")(given))
        self.network_ = keras.Model({"features": given}, {"score": keras.layers.Reshape(())(score)}, name="network")
        outputs = self.network_({"features": features})
        self.model_ = keras.Model({"amount": amount, "card": card}, outputs | {"alarm": outputs["score"] > 0})
        if train:
            self.network_.compile("adam", "mse", metrics=["mae"])
            self.network_.fit({"features": np.zeros((4, 5))}, {"score": np.zeros(4)}, verbose=0)
        self.columns_ = Schema(amount=Field("amount", low=0), card=Field("card", "category"))
        self.state_ = {"cards": np.array(["a", "é\n", ""], object), "past": np.arange(6.0).reshape(3, 2)}
        self.golden_ = {"amount": np.linspace(-1, 1, 5), "card": np.array(["a", "b", "", "é", "a"], object)}
        self.learned_ = {"seed": np.int64(seed), "licence": "none"}
        self.call_, self.fast_ = fast.batch(self.model_), None
        return self

    def pack_state(self, share):
        return {"past": self.state_["past"]} if share else self.state_

    def unpack(self, columns, state, model, network, content, learned, report, golden, answers):
        self.columns_, self.state_, self.model_, self.network_ = columns, state, model, network
        self.learned_, self.report_, self.golden_ = learned, report, golden
        self.call_, self.fast_ = fast.batch(model), fast.Fast(model, content, golden, answers)


@pytest.fixture(scope="module")
def toy():
    return Toy(label="fraud").fit(train=True)


@pytest.fixture(scope="module")
def pristine(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "toy"
    save(toy, folder)
    return folder


@pytest.fixture
def saved(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "toy")


def reseal(folder):
    """Writes the manifest anew, as someone who forges a folder would."""
    import hashlib

    manifest = json.loads((folder / "manifest.json").read_text())
    for name in list(manifest["files"]):
        content = (folder / name).read_bytes()
        manifest["files"][name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def scores(app):
    return app.call_({"amount": np.arange(4.0), "card": np.array(["b", "a", "x", ""], object)})["score"]


# ---- a folder comes back ---------------------------------------------------


def test_comes_back_whole(toy, saved):
    again = load(saved, Toy)
    np.testing.assert_allclose(scores(again), scores(toy), atol=1e-6)
    assert again.label == "fraud"
    assert again.columns_ == toy.columns_
    assert again.learned_ == {"seed": 0, "licence": "none"}
    assert again.state_["cards"].tolist() == ["a", "é\n", ""]
    np.testing.assert_array_equal(again.state_["past"], toy.state_["past"])
    assert again.fast_.form == "litert"
    assert again.network_ is not None
    assert {path.name for path in saved.iterdir()} == {
        "manifest.json", "template.json", "model.keras", "network.keras", "one.tflite", "state.npz", "golden.npz",
        "README.md",
    }  # fmt: skip


def test_no_optimizer_and_no_pickle_in_the_folder(toy, saved):
    network = keras.saving.load_model(saved / "network.keras")
    assert not network.compiled
    whole = keras.saving.load_model(saved / "model.keras")
    assert not whole.get_layer("network").compiled
    assert toy.network_.compiled
    for name in ("model.keras", "network.keras"):
        with zipfile.ZipFile(saved / name) as content, h5py.File(io.BytesIO(content.read("model.weights.h5"))) as file:
            names = []
            file.visit(names.append)
        assert not [name for name in names if "optimizer" in name or "metric" in name]
    for path in saved.glob("*.npz"):
        with np.load(path, allow_pickle=False) as content:
            assert all(content[name].dtype != object for name in content.files)


def test_a_copy_and_a_new_state_still_load(toy, saved):
    write_arrays(saved / "state.npz", {"cards": np.array(["new"], object), "past": np.zeros((1, 2))})
    assert load(saved, Toy).state_["cards"].tolist() == ["new"]


def test_save_again_over_itself(saved):
    again = load(saved, Toy)
    again.state_["past"] = again.state_["past"] + 1
    save(again, saved)
    assert load(saved, Toy).state_["past"][0, 0] == 1
    assert [path.name for path in saved.parent.iterdir()] == ["toy"]


def test_save_through_a_link_keeps_the_link(toy, saved):
    link = saved.parent / "current"
    link.symlink_to(saved)
    save(toy, link)
    assert link.is_symlink() and not saved.is_symlink()
    load(link, Toy)


def test_share_leaves_the_records_out(toy, tmp_path):
    save(toy, tmp_path / "deep" / "toy", share=True)
    assert list(load(tmp_path / "deep" / "toy", Toy).state_) == ["past"]


def test_a_graph_without_litert_form_answers_compiled(tmp_path):
    toy = Toy().fit()
    card = keras.Input((), dtype="string", name="card")
    toy.model_ = keras.Model({"card": card}, {"score": keras.layers.Hashing(7)(card)})
    toy.golden_, toy.network_, toy.call_ = {"card": toy.golden_["card"]}, None, fast.batch(toy.model_)
    save(toy, tmp_path / "toy")
    again = load(tmp_path / "toy", Toy)
    assert again.fast_.form == "compiled" and again.network_ is None
    assert not (tmp_path / "toy" / "one.tflite").exists()


def test_a_graph_that_can_not_be_read_back_is_noticed_when_saving(tmp_path):
    toy = Toy().fit()
    card = keras.Input((), dtype="string", name="card")
    lookup = keras.layers.StringLookup()
    lookup.adapt(["a\nb", "a\nb", "c"])  # a known trap: such a vocabulary comes back longer, and the ids shift
    toy.model_ = keras.Model({"card": card}, {"score": lookup(card)})
    toy.golden_, toy.network_, toy.call_ = {"card": np.array(["c"], object)}, None, fast.batch(toy.model_)
    with pytest.raises(ArchiveError, match="Toy: the model was not saved, it could not be read back"):
        save(toy, tmp_path / "toy")
    assert list(tmp_path.iterdir()) == []


# ---- a folder that is not as it was saved ----------------------------------


def refused(folder, *words, cls=Toy):
    with pytest.raises(ArchiveError) as caught:
        load(folder, cls)
    message = str(caught.value)
    assert message.startswith(f"load: {str(folder)!r}: ") and message.endswith(".") and "\n" not in message
    for word in words:
        assert word in message
    return message


@pytest.mark.parametrize("name", ["template.json", "model.keras", "one.tflite", "golden.npz", "README.md"])
def test_truncated(saved, name):
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[: len(content) // 2])
    refused(saved, f"'{name}' is damaged, it has", "copy the folder again")


@pytest.mark.parametrize("name", ["template.json", "model.keras", "state.npz", "golden.npz", "one.tflite"])
def test_file_missing(saved, name):
    (saved / name).unlink()
    refused(saved, f"'{name}' is missing")


@pytest.mark.parametrize("name", ["template.json", "model.keras", "network.keras", "one.tflite", "golden.npz"])
def test_tampered(saved, name):
    content = bytearray((saved / name).read_bytes())
    content[len(content) // 2] ^= 1
    (saved / name).write_bytes(content)
    refused(saved, f"'{name}' was changed after it was saved")


@pytest.mark.parametrize("keep", [0, 40])
def test_truncated_state_and_manifest(saved, keep):
    for name, word in (("state.npz", "'state.npz' is refused"), ("manifest.json", "'manifest.json' is damaged")):
        (saved / name).write_bytes((saved / name).read_bytes()[:keep])
        refused(saved, word)


def test_extra_file_folder_or_link(saved):
    for make in (
        lambda path: path.write_text("print()"),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("README.md"),
    ):
        path = saved / "extra.py"
        make(path)
        refused(saved, "'extra.py' is no part of the saved template; take it out")
        path.rmdir() if path.is_dir() else path.unlink()
    load(saved, Toy)


def test_a_link_in_place_of_a_file(saved):
    (saved / "model.keras").rename(saved.parent / "elsewhere.keras")
    (saved / "model.keras").symlink_to(saved.parent / "elsewhere.keras")
    refused(saved, "'model.keras' is missing")


def test_foreign_and_absent(saved, tmp_path):
    refused(tmp_path / "nowhere", "there is no such folder")
    refused(saved / "README.md", "it is a file")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    refused(tmp_path / "photos", "it is not a saved template, it has no manifest.json")
    (tmp_path / "photos" / "manifest.json").write_text('{"name": "web app"}')
    refused(tmp_path / "photos", "its manifest.json is of another program")
    (tmp_path / "photos" / "manifest.json").write_text("[1]")
    refused(tmp_path / "photos", "'manifest.json' is damaged")


def test_newer_format(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    manifest["format"] = FORMAT + 1
    (saved / "manifest.json").write_text(json.dumps(manifest))
    refused(saved, f"made by a newer apptemplates (format {FORMAT + 1}", "update apptemplates")


def test_manifest_that_climbs_or_leaves_out(saved):
    original = json.loads((saved / "manifest.json").read_text())
    climbing = {**original, "files": {**original["files"], "../secret": {"size": 1, "sha256": ""}}}
    (saved / "manifest.json").write_text(json.dumps(climbing))
    refused(saved, "lists '../secret', which is no part")
    for facts in (3, {}, {"size": "1", "sha256": ""}):
        (saved / "manifest.json").write_text(json.dumps({**original, "files": {"model.keras": facts}}))
        refused(saved, "its manifest.json is of another program")
    del original["files"]["model.keras"]
    (saved / "manifest.json").write_text(json.dumps(original))
    refused(saved, "does not list 'model.keras'")


def test_another_class(saved):
    class Other(Toy):
        pass

    refused(saved, "it holds a Toy, not a Other", cls=Other)
    refused(saved, "it holds a 'Toy', which this version's catalogue does not have", cls=None)
    content = json.loads((saved / "template.json").read_text())
    (saved / "template.json").write_text(json.dumps({**content, "class": "os.system"}))
    reseal(saved)
    refused(saved, "it holds a 'os.system', which this version's catalogue does not have", cls=None)


def test_forged_parameters_and_columns(saved):
    original = json.loads((saved / "template.json").read_text())
    for change, words in (
        ({"parameters": {"colour": 1}}, "its parameters do not fit this version of Toy"),
        ({"columns": {"amount": {"kind": "soul"}}}, "the columns in template.json are not ones this version knows"),
        ({"learned": 3}, "template.json does not say 'learned'"),
    ):
        (saved / "template.json").write_text(json.dumps({**original, **change}))
        reseal(saved)
        refused(saved, words)


def repack(path, change):
    """Writes a zip anew with changed members."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in members.items():
            new.writestr(name, content)


def test_zip_bomb_in_the_graph(saved):
    repack(saved / "model.keras", lambda members: members.update({"config.json": b" " * (80 << 20)}))
    assert (saved / "model.keras").stat().st_size < 1 << 20
    reseal(saved)
    refused(saved, "'model.keras' is refused: its member 'config.json' unpacks to 83,886,080 bytes")


def test_zip_that_climbs(saved):
    repack(saved / "model.keras", lambda members: members.update({"../../evil.py": b"print()"}))
    reseal(saved)
    refused(saved, "'../../evil.py' points outside of it")


def test_code_in_the_graph_is_refused(saved):
    def command(members):
        config = json.loads(members["config.json"])
        config["config"]["layers"][0] = {
            "module": "os", "class_name": "system", "config": {"command": "true"}, "registered_name": None,
            "name": "x", "inbound_nodes": [],
        }  # fmt: skip
        members["config.json"] = json.dumps(config).encode()

    repack(saved / "model.keras", command)
    reseal(saved)
    refused(saved, "Keras can not open 'model.keras'")


def test_a_lambda_in_the_graph_is_refused(saved):
    amount = keras.Input((), name="amount")
    layer = keras.layers.Lambda(lambda x: x * 2, output_shape=())
    model = keras.Model({"amount": amount}, {"score": layer(amount)})
    model.save(saved / "model.keras")
    reseal(saved)
    refused(saved, "Keras can not open 'model.keras'")


def test_another_graph_answers_differently(saved, tmp_path):
    save(Toy().fit(seed=1), tmp_path / "other")
    shutil.copy(tmp_path / "other" / "model.keras", saved / "model.keras")
    reseal(saved)
    refused(saved, "does not answer as it did when it was saved, 'score' differs")


def test_other_versions_are_named(saved):
    content = json.loads((saved / "template.json").read_text())
    content["versions"]["keras"] = "3.99.0"
    (saved / "template.json").write_text(json.dumps(content))
    (saved / "model.keras").write_bytes(b"PK\5\6" + bytes(18))  # an empty zip
    reseal(saved)
    refused(saved, "Keras can not open", "saved with keras 3.99.0, here 3.")


def test_pickle_in_the_state_is_refused(saved):
    np.savez(saved / "state.npz", names=np.array([{"a": 1}], dtype=object))
    refused(saved, "'state.npz' is refused")


# ---- a save that fails -----------------------------------------------------


def nothing_lost(parent, folder):
    assert [path.name for path in parent.iterdir()] == [folder.name]
    assert scores(load(folder, Toy)).shape == (4,)


def test_other_folders_and_files_are_not_overwritten(toy, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(ArchiveError, match=r"is not a saved template, it holds 'cat.jpg'; nothing in it was touched"):
        save(toy, tmp_path / "photos")
    with pytest.raises(ArchiveError, match="is not a folder"):
        save(toy, tmp_path / "photos" / "cat.jpg")
    assert (tmp_path / "photos" / "cat.jpg").read_bytes() == b"cat"
    (tmp_path / "empty").mkdir()
    save(toy, tmp_path / "empty")


def test_a_saved_folder_with_notes_in_it_is_not_overwritten(toy, saved):
    (saved / "notes.txt").write_text("mine")
    with pytest.raises(ArchiveError, match=r"it holds 'notes.txt'"):
        save(toy, saved)
    assert (saved / "notes.txt").read_text() == "mine"


def test_place_that_can_not_be_written(toy):
    with pytest.raises(ArchiveError, match=r"Toy: the folder '/proc/toy' could not be saved \(.+\); what was there"):
        save(toy, "/proc/toy")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_place_without_permission(toy, saved):
    saved.parent.chmod(0o500)
    try:
        with pytest.raises(ArchiveError, match="Permission denied"):
            save(toy, saved)
        load(saved, Toy)
    finally:
        saved.parent.chmod(0o700)


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "none", place]).returncode:
        pytest.skip("needs the right to mount a small disk")
    yield place
    subprocess.run(["umount", place], check=True)


def test_disk_full(pristine, small_disk):
    folder = shutil.copytree(pristine, small_disk / "toy")
    for size in (10_000, 40_000):
        with pytest.raises(
            ArchiveError, match=r"could not be saved \(No space left on device\); what was there before"
        ):
            save(Toy().fit(size=size), folder)
        nothing_lost(small_disk, folder)


@pytest.mark.parametrize("limit", [1_000, 60_000])
def test_file_size_limit(saved, limit):
    toy = Toy().fit(size=20_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(ArchiveError, match=r"could not be saved \(.*File too large.*\); what was there before"):
            save(toy, saved)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    nothing_lost(saved.parent, saved)


def test_state_with_objects(saved):
    toy = Toy().fit()
    toy.state_ = {"cards": np.array([{"a": 1}], object)}
    with pytest.raises(ArchiveError, match=r"Toy: the state can not be saved: .*'cards' holds Python objects"):
        save(toy, saved)
    nothing_lost(saved.parent, saved)


KILLED = """
    import os, signal, sys
    sys.path.insert(0, {here!r})
    from test_archive import Toy, save
    from apptemplates.deploy import folder

    toy = Toy().fit(seed=1)
    def die(*arguments):
        os.kill(os.getpid(), signal.SIGKILL)
    moment = {moment!r}
    if moment == "in the middle":
        toy.pack_state = die
    else:  # the old folder has left its place, the new one is not there yet
        first = folder.Path.rename
        def rename(path, target):
            die() if path.name.endswith(".saving") else first(path, target)
        folder.Path.rename = rename
    save(toy, {target!r})
"""


@pytest.mark.parametrize("moment", ["in the middle", "between the renames"])
def test_kill_leaves_the_old_folder(toy, saved, moment, run_process):
    program = textwrap.dedent(KILLED).format(here=os.path.dirname(__file__), moment=moment, target=str(saved))
    died = run_process(program)
    assert died.returncode == -signal.SIGKILL, died.stderr
    np.testing.assert_allclose(scores(load(saved, Toy)), scores(toy), atol=1e-6)
    left = next(saved.parent.glob(".toy.*.saving"))
    os.utime(left, (0, 0))
    save(toy, saved)  # and cleans up what was left
    nothing_lost(saved.parent, saved)


# ---- the files themselves --------------------------------------------------


def test_arrays_of_every_kind_and_name_come_back(tmp_path):
    columns = {
        "../a/b": np.array(["", "é\0", "\ud800", "a" * 10_000], object),
        "names": np.arange(3, dtype=np.int8),
        "": np.array([["a", "b"]], object),
        "times": np.array(["2026-01-01", "NaT"], "datetime64[us]"),
        "nothing": np.zeros((0, 4), np.float32),
        "no words": np.array([], object),
        "fixed": np.array(["a", "bc"]),
        "flags": np.array([True, False]),
    }
    write_arrays(tmp_path / "a.npz", columns)
    again = read_arrays(tmp_path / "a.npz")
    assert list(again) == list(columns)
    for name, column in columns.items():
        np.testing.assert_array_equal(again[name], column)
        assert again[name].shape == column.shape
        assert again[name].dtype == (object if name == "fixed" else column.dtype)


def test_an_array_that_promises_more_than_it_holds(tmp_path):
    write_arrays(tmp_path / "a.npz", {"a": np.zeros(10)})

    def promise(members):
        forged = io.BytesIO()
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**10,)}
        np.lib.format.write_array_header_1_0(forged, header)
        members["0.npy"] = forged.getvalue() + bytes(80)

    repack(tmp_path / "a.npz", promise)
    with pytest.raises(UnsafeFile, match="does not hold what it promises"):
        read_arrays(tmp_path / "a.npz")


def test_no_zip(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"hello")
    with pytest.raises(UnsafeFile, match="can not be opened as a zip"):
        check_zip(tmp_path / "a.npz")
