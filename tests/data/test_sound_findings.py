import numpy as np

from apptemplates.data.sound_findings import odd_lengths, of_clips


def found(clips, rate=16_000, seconds=1.0):
    return [finding.message for finding in odd_lengths(clips, "sound", rate, seconds)]


def test_arrays_of_another_rate_are_noticed():
    (message,) = found(np.zeros((5, 44_100), "float32"))
    assert message == (
        "The clips in column 'sound' are arrays without a rate; at rate=16,000 they last 2.76 s, "
        "while seconds=1 is expected."
    )
    assert len(found(np.zeros((5, 8000), "int16"))) == 1


def test_clips_of_about_the_right_length_are_fine():
    assert found(np.zeros((5, 16_000), "float32")) == []
    assert found(np.zeros((5, 12_000), "float32")) == []
    assert found(np.zeros((5, 16_000), "float32"), seconds=0.8) == []


def test_what_has_a_rate_of_its_own_is_not_judged():
    clips = np.empty(3, object)
    clips[:] = ["a.wav", b"RIFF", (np.zeros(44_100, "float32"), 44_100)]
    assert found(clips) == []
    assert found(np.empty(0, object)) == []


def test_copies_are_noticed_too():
    clips = np.random.default_rng(0).normal(0, 0.1, (6, 8000)).astype("float32")
    clips[5] = clips[0]
    words = np.array(["go", "stop", "go", "stop", "go", "stop"], object)
    codes = [one.code for one in of_clips(clips, clips, words, ("sound", "word"), 16_000, 1.0)]
    assert {"two-labels", "same-sound", "odd-lengths"} <= set(codes)
