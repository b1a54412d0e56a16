import numpy as np
import pytest
from matplotlib.figure import Figure

from apptemplates.evaluation import words
from apptemplates.evaluation.intervals import Metric
from apptemplates.evaluation.report import Report

KNOWN, QUIET = ("go", "stop", "_unknown_", "_silence_"), ("_unknown_", "_silence_")
TRUTH = np.array(["go", "go", "stop", "stop", "_unknown_", "_silence_"], object)
ANSWERS = {
    "command": np.array(["go", "stop", "stop", "stop", "go", "_silence_"], object),
    "probability": np.array([0.9, 0.8, 0.95, 0.4, 0.7, 0.99]),
    "accepted": np.array([True, True, True, False, True, False]),
}
RNG = np.random.default_rng(0)


def test_score_by_hand():
    found = words.score(TRUTH, ANSWERS, KNOWN, QUIET)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["balanced accuracy"] == pytest.approx((0.5 + 1 + 0 + 1) / 4)
    assert found["commands accepted"] == 0.5
    assert found["commands mistaken for another"] == 0.25
    assert found["other clips accepted"] == 0.5
    assert found["recall of go"] == 0.5
    assert np.isnan(words.score(TRUTH[:4], {n: c[:4] for n, c in ANSWERS.items()}, KNOWN, QUIET)["recall of _silence_"])


def test_words_it_never_learned_are_told():
    assert words.never_learned(TRUTH, "command", KNOWN, "_unknown_") == []
    (finding,) = words.never_learned(np.array(["go", "left", "left", "up"], object), "command", KNOWN, "_unknown_")
    assert finding.message == (
        "3 clips are of words that it never learned ('left', 'up'); '_unknown_' is taken for the right answer to them."
    )


@pytest.mark.parametrize("louder", [20, 0, -10])
def test_noise_is_as_loud_as_asked(louder):
    sounds, noise = RNG.normal(0, 0.2, (20, 4000)), RNG.normal(0, 0.01, 50_000)
    hiss = words.in_noise(sounds, noise, louder, np.random.default_rng(1)) - sounds
    assert 10 * np.log10(np.square(sounds).mean() / np.square(hiss).mean()) == pytest.approx(louder, abs=0.3)


def test_pictures_are_captioned():
    drawn = words.pictures(TRUTH, ANSWERS, KNOWN, QUIET)
    rows = {"clean": Metric(0.9, 0.8, 0.95), "0 dB": Metric(0.4, 0.3, 0.5)}
    for picture in [*drawn, words.in_noise_figure(rows)]:
        assert isinstance(picture, Figure)
        assert picture.get_label()


def test_places_are_said_in_pitch_and_time():
    maps = np.zeros((2, 30, 50))
    maps[0, :5, 10], maps[1, 28, 40] = 1, 1  # the first row is the highest pitch
    assert words.places_heard(maps, 1.0) == ["high pitches around 0.2 s", "low pitches around 0.8 s"]


def test_a_report_tells_how_many_clips_are_right_in_noise():
    report = Report("test", metrics={"accuracy": Metric(1.0, 0.9, 1.0)})
    clips = np.where(np.arange(40)[:, None] % 2, 0.0, 0.5) * np.sin(np.arange(4000))
    truth = np.where(np.arange(40) % 2, "_silence_", "go")

    def answer(some):
        assert np.abs(some.mean(axis=1)).max() < 1e-6
        return np.where(some.std(axis=1) > 0.1, "go", "_silence_")

    words.add_noise(report, answer, clips, truth, RNG.normal(0, 0.2, 50_000), np.random.default_rng(1))
    assert list(report.notes) == [f"accuracy, {louder} dB" for louder in words.SNR]
    worst = report.notes["accuracy, 0 dB"]
    assert worst.value == 1.0 and 0.85 < worst.low < 1.0
    assert report.figures[0].get_label().startswith("Accuracy in noise")
