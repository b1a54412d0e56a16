import numpy as np
import pytest

from apptemplates.evaluation import streams
from apptemplates.evaluation.report import Report
from apptemplates.inference.listening import Pace

KNOWN, QUIET = ("go", "stop", "_unknown_", "_silence_"), ("_unknown_", "_silence_")
RNG = np.random.default_rng(0)


def test_a_recording_is_heard_as_a_stream_is():
    pace = Pace(rate=1000, samples=1000)
    samples = np.zeros(6000, "float32")
    samples[2000:2600] = 0.5 * (-1.0) ** np.arange(600)  # one word, without a mean

    def call(inputs):
        loud = np.clip(np.square(inputs["sound"]).mean(axis=1) * 6, 0, 0.99)[:, None]
        return {"chances": np.concatenate([loud, 0 * loud, (1 - loud) / 2, (1 - loud) / 2], axis=1)}

    (told,) = streams.heard_in(call, samples, KNOWN, QUIET, pace, 0.5)
    assert told.command == "go"
    assert told.time == pytest.approx(2.3, abs=0.25)
    assert streams.heard_in(call, 0 * samples, KNOWN, QUIET, pace, 0.5) == []


def test_the_least_chance_lets_as_many_through_as_allowed():
    peaks = np.sort(RNG.random(1000))[::-1]
    assert (peaks >= streams.least_chance(peaks, 10, 5)).sum() == 50
    assert streams.least_chance(peaks, 10, 1000) == 0.0
    assert streams.least_chance(np.empty(0), 10, 1) == 0.0


def test_rare_false_accepts_are_extrapolated():
    odds = np.random.default_rng(2).exponential(1.0, 200_000)  # log odds with the tail that is assumed
    peaks = np.sort(1 / (1 + np.exp(-odds)))[::-1]
    short = peaks[::100]  # a hundredth of the stream
    least = streams.least_chance(np.sort(short)[::-1], 1.0, 0.1)
    wanted = streams.least_chance(peaks, 100.0, 0.1)
    assert np.log(least / (1 - least)) == pytest.approx(np.log(wanted / (1 - wanted)), rel=0.25)
    assert streams.least_chance(peaks, 1.0, 0.01) > peaks[0]


def test_false_accepts_come_with_the_poisson_bound():
    found = streams.false_accepts(np.array([0.9, 0.2]), 0.95, 3.0)
    assert found["false accepts in them"] == 0
    assert found["false accepts an hour, at most (95 %, Poisson)"] == pytest.approx(1.0, abs=0.005)  # the rule of three
    assert streams.false_accepts(np.array([0.9, 0.2]), 0.5, 3.0)["false accepts in them"] == 1


def test_the_detection_curve_holds_the_threshold_in_use():
    found, peaks = np.array([0.99, 0.95, 0.6, 0.0]), np.array([0.97, 0.7, 0.5])
    figure = streams.detection(found, peaks, 2.0, 0.9)
    assert "counted in 2 hours" in figure.get_label()
    counted, bound, dot = figure.axes[0].get_lines()
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (0.5, 0.5)
    assert (bound.get_xdata() > counted.get_xdata()).all()
    assert counted.get_ydata().max() == 0.75


def test_few_clips_are_listened_to_for_half_a_minute_and_many_for_an_hour():
    assert streams.hours_for(2, 1.0) == 30 / 3600
    assert streams.hours_for(100, 1.0) == 600 / 3600
    assert streams.hours_for(10_000, 1.0) == 1.0


def test_what_is_heard_in_a_stream_without_commands_is_counted_for_the_report():
    clips = np.sin(np.arange(1000) * np.linspace(1, 2, 5)[:, None]).astype("float32")
    noise = RNG.normal(0, 0.01, 20_000).astype("float32")

    def call(inputs):
        loud = np.clip(inputs["sound"].std(axis=1), 0, 0.9)[:, None]
        return {"chances": np.concatenate([loud, 0 * loud, (1 - loud) / 2, (1 - loud) / 2], axis=1)}

    given = noise, 60 / 3600, KNOWN, QUIET, Pace(rate=1000, samples=1000), 0.3, np.random.default_rng(0)
    peaks = streams.peaks_in(call, clips, *given)
    assert len(peaks) > 3 and (np.diff(peaks) <= 0).all() and peaks.min() >= 0.3
    report = Report("test")
    streams.add(report, np.array([0.9, 0.0]), peaks, 60 / 3600, float(peaks[2]))
    assert report.notes["false accepts in them"] == 3
    assert len(report.figures) == 1
