import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apptemplates.inference.listening import Decider, Pace, listen
from apptemplates.inference.media import Undecodable

PACE = Pace(rate=8000, samples=8000)
NAMES = ["_silence_", "low", "high"]


def look(window):
    """How much of two pitches there is, as chances: a network by hand."""
    assert window.shape == (1, PACE.samples)
    spectrum = np.abs(np.fft.rfft(window[0])) / PACE.samples
    parts = np.array([0.02, spectrum[300], spectrum[1200]])
    return parts / parts.sum()


def stream(rate=8000, seconds=6.0):
    """Silence with a low word at 1.5 s, a high one at 3 s and a low one that ends with the stream."""
    time = np.arange(round(rate * seconds)) / rate
    found = 0.001 * np.random.default_rng(0).normal(size=len(time))
    for start, pitch in ((1.25, 300), (2.75, 1200), (seconds - 0.5, 300)):
        found += np.where((time >= start) & (time < start + 0.5), 0.5 * np.sin(2 * np.pi * pitch * time), 0)
    return found.astype(np.float32)


def heard(chunks, rate=8000):
    return list(listen(chunks, rate, look, Decider(NAMES, [0], 0.7, PACE), "Test"))


def test_words_are_heard_once_and_when_they_were_said():
    found = heard([stream()])
    assert [one.command for one in found] == ["low", "high", "low"]
    assert np.allclose([one.time for one in found], [1.5, 3.0, 5.75], atol=0.2)
    assert all(0.7 <= one.probability <= 1 for one in found)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 9000), max_size=30))
def test_where_chunks_end_changes_nothing(lengths):
    whole = stream()
    ends = [end for end in itertools.accumulate(lengths) if end < len(whole)]
    assert heard(np.split(whole, ends)) == heard([whole])


def test_thousands_of_tiny_chunks():
    whole = stream()
    assert heard(whole[start : start + 7] for start in range(0, len(whole), 7)) == heard([whole])


@pytest.mark.parametrize("rate", [4000, 8000, 11_025, 48_000])
def test_any_rate_channels_and_integers(rate):
    whole = stream(rate)
    found = heard([whole], rate)
    assert [one.command for one in found] == ["low", "high", "low"]
    both = (np.stack([whole, whole], 1) * 32767).astype(np.int16)
    assert [one.time for one in heard([both], rate)] == [one.time for one in found]


def test_a_word_is_told_soon_after_it_was_said():
    whole, told = stream(), []
    coming = iter(np.array_split(whole, 60))  # a tenth of a second each
    given_ = 0

    def chunks():
        nonlocal given_
        for chunk in coming:
            given_ += 1
            yield chunk

    for one in listen(chunks(), 8000, look, Decider(NAMES, [0], 0.7, PACE), "Test"):
        told.append((one.command, given_ / 10 - one.time))
    assert all(late < 1.1 for _, late in told)


def test_a_stream_that_breaks_loses_nothing_that_was_heard():
    def chunks():
        yield stream()[:13_500]  # the low word is in it
        raise ConnectionError("the microphone is gone")

    found = []
    with pytest.raises(ConnectionError, match="microphone"):
        for one in listen(chunks(), 8000, look, Decider(NAMES, [0], 0.7, PACE), "Test"):
            found.append(one.command)
    assert found == ["low"]


def test_who_stops_listening_is_left_alone():
    for one in listen([stream()] * 3, 8000, look, Decider(NAMES, [0], 0.7, PACE), "Test"):
        assert one.command == "low"
        break


def test_chunks_that_are_no_samples():
    with pytest.raises(Undecodable, match="Test: chunk 1 has 1 samples that are NaN or infinite"):
        heard([np.zeros(100), np.array([np.nan])])
    with pytest.raises(Undecodable, match="Test: chunk 0 is a str"):
        heard(["abc"])
    with pytest.raises(Undecodable, match="Test: rate must be 1,000 to 768,000 samples a second, not 8"):
        heard([np.zeros(100)], 8)


def test_nothing_is_heard_in_nothing():
    assert heard([]) == []
    assert heard([np.zeros(40_000)]) == []
