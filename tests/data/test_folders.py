import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from apptemplates.data.readers import read
from apptemplates.data.schema import DataError
from apptemplates.inference import images

RNG = np.random.default_rng(0)


def picture(path, side=9):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (side, side), dtype=np.uint8)).save(path)
    return path


def error_of(source, **more):
    with pytest.raises(DataError) as caught:
        read(source, **{"media": "image", "label": "finding", **more})
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def scans(tmp_path):
    for name in ("normal/a.png", "normal/b.jpg", "opacity/c.pgm", "opacity/deeper/d.bmp"):
        picture(tmp_path / "scans" / name)
    return tmp_path / "scans"


def names(table, column="image"):
    return [os.path.basename(path) for path in table[column]]


def test_a_folder_of_labels(scans):
    (scans / ".hidden").write_text("x")
    (scans / "LICENCE").write_text("beside the labels")
    (scans / "normal" / "Thumbs.db").write_text("x")
    table = read(scans, media="image", label="finding")
    assert names(table) == ["a.png", "b.jpg", "c.pgm", "d.bmp"]
    assert table["finding"].tolist() == ["normal", "normal", "opacity", "opacity"]
    pictures, problems = images.load(table["image"], (8, 8), 1)
    assert len(pictures) == 4
    assert not problems.any()


def test_what_is_no_picture_is_a_record_whose_problem_names_it(scans):
    (scans / "normal" / "notes.txt").write_text("not a picture")
    (scans / "normal" / "empty.png").touch()
    table = read(scans, media="image", label="finding")
    _, problems = images.load(table["image"], (8, 8), 1)
    said = [problem for problem in problems if problem]
    assert len(said) == 2
    assert "empty.png: the file is empty" in said[0]
    assert "notes.txt: this is no picture" in said[1]


def test_folders_that_hold_nothing_but_the_labels(scans):
    table = read(scans.parent, media="image", label="finding")
    assert sorted(set(table["finding"])) == ["normal", "opacity"]


def test_a_folder_without_labels_and_a_single_file(scans):
    assert list(read(scans / "normal", media="image")) == ["image"]
    assert names(read(str(scans / "normal" / "a.png"), media="image")) == ["a.png"]
    assert read(scans)["label"].tolist() == ["normal", "normal", "opacity", "opacity"]  # no template asks


def test_links_are_followed_but_not_back_up(scans, tmp_path):
    picture(tmp_path / "elsewhere" / "e.png")
    os.symlink(tmp_path / "elsewhere", scans / "mass")
    os.symlink(scans, scans / "normal" / "up")
    os.symlink(tmp_path / "nowhere.png", scans / "opacity" / "gone.png")
    table = read(scans, media="image", label="finding")
    assert names(table).count("a.png") == 1
    assert "e.png" in names(table)
    _, problems = images.load(table["image"], (8, 8), 1)
    assert [problem for problem in problems if problem] == [
        f"{scans / 'opacity' / 'gone.png'}: this link leads nowhere; mend it."
    ]


def test_folders_that_can_not_be_labels(scans, tmp_path):
    picture(scans / "loose.png")
    assert "1 file, first 'loose.png', lies beside the subfolders of labels" in error_of(scans)
    for part in ("train", "test"):
        picture(tmp_path / "set" / part / "normal" / "a.png")
    assert "'test', 'train' are parts of a data set, not labels; give one of them, such as" in error_of(
        tmp_path / "set"
    )
    (tmp_path / "empty").mkdir()
    assert "there is no file in this folder" in error_of(tmp_path / "empty")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_folder_that_can_not_be_read(scans):
    (scans / "opacity").chmod(0)
    try:
        assert "opacity: the folder can not be read (Permission denied)" in error_of(scans)
    finally:
        (scans / "opacity").chmod(0o755)


@pytest.mark.parametrize("place", ["scans/index.csv", "scans/anything.csv", "scans.csv"])
def test_an_index_file_in_the_folder_or_beside_it(tmp_path, place):
    for name in ("a.png", "b.png"):
        picture(tmp_path / "scans" / "files" / name if "scans/" in place else tmp_path / "scans" / name)
    folder = "files/" if "scans/" in place else ""
    listed = pd.DataFrame({"File": [folder + "a.png", folder + "b.png"], "finding": ["x", "y"], "patient": [7, 8]})
    listed.to_csv(tmp_path / place, index=False)
    for source in (tmp_path / "scans", tmp_path / place):
        table = read(source, media="image", label="finding")
        assert list(table) == ["image", "finding", "patient"]
        assert not images.load(table["image"], (8, 8), 1)[1].any()


def test_an_index_file_that_says_too_little(tmp_path):
    picture(tmp_path / "scans" / "a.png")
    (tmp_path / "scans" / "index.csv").write_text("name_of_it,finding\na.png,x\n")
    assert "no column names the files; there are 'name_of_it', 'finding': call it 'image' or 'path'" in error_of(
        tmp_path / "scans"
    )
    (tmp_path / "scans" / "index.csv").rename(tmp_path / "scans" / "one.csv")
    (tmp_path / "scans" / "two.csv").write_text("path,finding\na.png,x\n")
    assert "there are 2 tables, 'one.csv', 'two.csv'; give the one that lists the files" in error_of(tmp_path / "scans")


def test_a_listed_file_that_is_not_there_is_named(tmp_path):
    (tmp_path / "index.csv").write_text("path,finding\na.png,x\n,y\n")
    table = read(tmp_path / "index.csv", media="image")
    assert (
        images.load(table["image"][:1], (8, 8), 1)[1][0]
        == f"{tmp_path / 'a.png'}: there is no such file; check the path."
    )
    assert table["image"][1] is None


def test_archives_of_arrays(tmp_path):
    pictures, labels = RNG.integers(0, 256, (6, 5, 5), dtype=np.uint8), np.arange(6)[:, None] % 2
    file = tmp_path / "scans.npz"
    np.savez(file, train_images=pictures[:4], train_labels=labels[:4], test_images=pictures[4:], test_labels=labels[4:])
    table = read(f"{file}:train", media="image", label="finding")
    assert table["image"].shape == (4, 5, 5)
    assert table["finding"].tolist() == [0, 1, 0, 1]
    assert "there are 2 parts, train, test; name one, as in 'scans.npz:train'" in error_of(file)
    assert "there is no part 'val'; there are train, test." in error_of(f"{file}:val")
    assert "there is no such file" in error_of(tmp_path / "other.npz")
    np.savez(file, x_train=pictures, y_train=labels[:, 0])
    assert read(str(file), media="image", label="finding")["finding"].tolist() == [0, 1] * 3
    np.savez(file, x=pictures, y=labels[:, 0], patient=np.arange(6))
    assert list(read(file, media="image", label="finding")) == ["image", "finding", "patient"]
    np.savez(file, x=np.array([{}], dtype=object))
    assert "this is no complete npz archive of plain arrays" in error_of(file)
    file.write_bytes(b"PK\x03\x04 cut short")
    assert "this is no complete npz archive" in error_of(file)


@pytest.mark.parametrize("shape", [(4, 6, 6), (4, 6, 6, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_arrays_and_lists_of_pictures(shape, dtype):
    pictures = RNG.random(shape).astype(dtype)
    for source in ((pictures, ["a", "b"] * 2), ({"image": pictures}, ["a", "b"] * 2), (list(pictures), ["a", "b"] * 2)):
        table = read(source, media="image", label="finding")
        assert len(table["image"]) == 4
        assert table["image"][0].shape == shape[1:]
        assert table["finding"].tolist() == ["a", "b"] * 2
    assert read(pictures, media="image")["image"] is pictures


def test_encoded_and_opened_pictures(tmp_path):
    file = picture(tmp_path / "a.png")
    grey = b"P2 2 2 255 0 50 100 200"  # text, and yet a picture
    for source in (
        [file.read_bytes(), grey],
        {"image": [file.read_bytes(), grey]},
        [{"image": file}, {"image": grey}],
        pd.DataFrame({"image": [str(file), grey]}),
        [Image.open(file), grey],
    ):
        table = read(source, media="image")
        assert not images.load(table["image"], (4, 4), 1)[1].any()
    assert len(read(Image.open(file), media="image")["image"]) == 1
    assert len(read(grey, media="image")["image"]) == 1


def test_data_sets_of_pictures_of_one_size_and_of_many():
    import tensorflow as tf

    pictures, labels = RNG.integers(0, 256, (5, 6, 7, 3), dtype=np.uint8), np.arange(5) % 2
    one = tf.data.Dataset.from_tensor_slices((pictures, labels))
    for dataset in (one, one.batch(2)):
        table = read(dataset, media="image", label="finding")
        assert table["image"].shape == pictures.shape
        assert table["finding"].tolist() == labels.tolist()
    assert read(tf.data.Dataset.from_tensor_slices(pictures), media="image")["image"].shape == pictures.shape
    named = tf.data.Dataset.from_tensor_slices({"image": pictures, "finding": labels})
    assert read(named, media="image")["image"].shape == pictures.shape
    sides = [(4, 5), (6, 3)]
    many = tf.data.Dataset.from_generator(
        lambda: ((np.zeros((*side, 3), np.uint8), place) for place, side in enumerate(sides)),
        output_signature=(tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((), tf.int64)),
    )
    table = read(many, media="image", label="finding")
    assert [value.shape[:2] for value in table["image"]] == sides
    assert table["finding"].tolist() == [0, 1]


def test_a_prepared_data_set_of_pictures(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    class TinyScans(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            kinds = {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=["normal", "opacity"])}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(kinds))

        def _split_generators(self, _):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for row in range(4):
                yield row, {"image": np.full((5 + row, 6, 3), 50 * row, np.uint8), "label": row % 2}

    TinyScans(data_dir=tmp_path).download_and_prepare()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    table = read("tfds:tiny_scans", media="image")
    assert sorted(table["label"]) == ["normal", "normal", "opacity", "opacity"]
    assert all(isinstance(value, bytes) for value in table["image"])
    pictures, problems = images.load(table["image"], (5, 5), 1)
    assert not problems.any()
    assert sorted(pictures[:, 2, 2, 0].tolist()) == [0, 50, 100, 150]
