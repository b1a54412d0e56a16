"""The rows whose labels look wrong are listed and shown, and a folder to share keeps neither."""

import numpy as np
import pytest

import apptemplates as at
from apptemplates.data.table import take
from apptemplates.evaluation import suspects
from apptemplates.evaluation.figures import RECORDS

RANDOM = np.random.default_rng(0)
CHANCE = RANDOM.random(40)
RECORDS_OF = {"word": np.array(["yes", "no"] * 20, object), "sound": RANDOM.random((40, 8))}


def listed():
    return suspects.table(CHANCE, RECORDS_OF, np.array(["go"] * 40, object))


def test_the_least_likely_label_comes_first_and_media_stay_out():
    table = listed()
    assert list(table.columns) == ["row", "chance of its label", "model says", "word"]
    assert table["row"][0] == CHANCE.argmin() and len(table) == suspects.SHOWN


@pytest.mark.parametrize(
    "media",
    [
        RANDOM.integers(0, 256, (40, 8, 8, 1), dtype=np.uint8),
        RANDOM.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8),
        RANDOM.normal(size=(40, 4000)).astype("float32"),
        np.zeros((40, 100), "float32"),
    ],
)
def test_pictures_and_sounds_are_drawn_with_their_labels(media):
    figure = suspects.pictures(media, listed(), "word")
    assert len(figure.axes) == suspects.DRAWN and figure.get_gid() == RECORDS
    title = figure.axes[0].get_title(loc="left")
    assert title == f"row {CHANCE.argmin()}: {RECORDS_OF['word'][CHANCE.argmin()]}\nsays go"


def test_a_tone_lies_at_its_pitch():
    drawn = suspects.spectrogram(np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype("float32"))
    assert (drawn.argmax(axis=0) == suspects.BINS - 1000 * suspects.WINDOW // 16_000).all()


def test_a_report_shows_them_and_a_shared_folder_does_not(tmp_path):
    app, scans = at.MedicalScanClassifier.demo()
    train, test = app.split(take(scans, slice(240)))
    app = app.clone(epochs=1, readers=1).fit(train, verbose=0)
    app.report_ = app.evaluate(test)
    assert [figure.get_gid() for figure in app.report_.figures].count(RECORDS) == 1
    said = "Labels to look at: the pictures whose"
    app.save(tmp_path / "own")
    app.save(tmp_path / "shared", share=True)
    assert said in (tmp_path / "own" / "report.html").read_text()
    assert said not in (tmp_path / "shared" / "report.html").read_text()
