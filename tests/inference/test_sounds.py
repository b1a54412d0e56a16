"""Sounds: every form of one gives the same array, and what is none says so."""

import io
import os
import struct
import sys
import time
import wave

import numpy as np
import pytest

from apptemplates.inference import sounds
from apptemplates.inference.media import Undecodable
from apptemplates.inference.sounds import decode, load, resampled, windowed

RATE = 16_000


def tone(rate=RATE, seconds=0.5, pitch=440.0, volume=0.5):
    return (volume * np.sin(2 * np.pi * pitch * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def wav(samples, rate=RATE, bits=16, code=1, extensible=False):
    """A WAV file of samples (n,) or (n, channels)."""
    samples = samples.reshape(len(samples), -1) if len(samples) else samples.reshape(0, 1)
    if code == 3:
        data = samples.astype(f"<f{bits // 8}").tobytes()
    elif bits == 8:
        data = np.rint(samples * 127 + 128).astype(np.uint8).tobytes()
    elif bits == 24:
        whole = np.rint(samples * (2**23 - 1)).astype("<i4").reshape(-1, 1)
        data = whole.view(np.uint8)[:, :3].tobytes()
    else:
        data = np.rint(samples * (2 ** (bits - 1) - 1)).astype(f"<i{bits // 8}").tobytes()
    channels = samples.shape[1]
    width = channels * bits // 8
    form = struct.pack("<HHIIHH", 0xFFFE if extensible else code, channels, rate, rate * width, width, bits)
    if extensible:
        form += struct.pack("<HHIH", 22, bits, 0, code) + b"\0" * 14
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"LIST" + struct.pack("<I", 3) + b"abc\0"
    chunks += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WAVE" + chunks


def reason_of(value, rate=RATE):
    with pytest.raises(Undecodable) as caught:
        decode(value, rate)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("bits", "code"), [(8, 1), (16, 1), (24, 1), (32, 1), (32, 3), (64, 3)])
@pytest.mark.parametrize("extensible", [False, True])
def test_every_kind_of_wav_is_one_array(bits, code, extensible, tmp_path):
    expected = tone()
    content = wav(expected, bits=bits, code=code, extensible=extensible)
    file = tmp_path / "a.wav"
    file.write_bytes(content)
    for value in (content, file, str(file)):
        assert np.abs(decode(value, RATE) - expected).max() < (0.01 if bits == 8 else 1e-4)


def test_files_of_the_standard_library_are_read():
    stream = io.BytesIO()
    with wave.open(stream, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.stack([tone(), -0.5 * tone()], 1) * 32767).astype("<i2").tobytes())
    assert np.allclose(decode(stream.getvalue(), RATE), tone() / 4, atol=1e-4)


def test_eight_channels_and_all_rates():
    many = np.repeat(tone()[:, None], 8, 1)
    assert np.allclose(decode(wav(many), RATE), tone(), atol=1e-4)
    for rate in (8_000, 11_025, 22_050, 44_100, 48_000, 96_000):
        found = decode(wav(tone(rate, 0.5, 440)), RATE) if rate == RATE else decode(wav(tone(rate), rate), RATE)
        assert abs(len(found) - 8000) <= 1
        middle = slice(500, 7500)
        assert np.abs(found[:8000][middle] - tone()[middle]).max() < 2e-3, rate


def test_arrays_with_a_rate():
    whole = (tone() * 32767).astype(np.int16)
    for value in (
        whole,
        (whole, RATE),
        (RATE, whole),
        whole.astype(np.int64),
        whole.astype(np.float64),
        whole.tolist(),
    ):
        assert np.allclose(decode(value, RATE), tone(), atol=1e-4)
    assert len(decode((whole, 8_000), RATE)) == 2 * len(whole)
    assert np.allclose(decode(np.stack([tone(), tone()]), RATE), tone(), atol=1e-6)  # (channels, n)
    loud = 3 * tone()
    assert np.allclose(decode(loud, RATE), loud)  # recorded beyond full scale


def test_what_a_lower_rate_can_not_hold_is_filtered_out():
    kept, lost = tone(48_000, 0.5, 6_000), tone(48_000, 0.5, 9_500)
    middle = slice(400, 7600)
    assert np.abs(resampled(lost, 48_000, RATE)[middle]).max() < 1e-4
    assert np.abs(resampled(kept, 48_000, RATE)[middle] - tone(RATE, 0.5, 6_000)[middle]).max() < 1e-3


def test_resampling_agrees_with_an_independent_one():
    from scipy.signal import resample

    sound = np.random.default_rng(0).normal(size=4410).astype(np.float32)
    spectrum = np.fft.rfft(sound)
    spectrum[int(len(spectrum) * 16 / 44.1 * 0.85) :] = 0  # nothing where the two filters fall off
    sound = np.fft.irfft(spectrum, 4410)
    ours, theirs = resampled(sound.astype(np.float32), 44_100, RATE), resample(sound, 1600)
    assert np.abs(ours - theirs)[100:-100].max() < 2e-3 * sound.std()


def test_rates_without_a_common_measure_are_near_enough():
    found = resampled(tone(16_001), 16_001, 16_000)
    assert np.abs(found[500:7500] - tone()[500:7500]).max() < 5e-3


def test_short_sounds_stand_in_silence_and_long_ones_give_their_loudest_part():
    assert windowed(np.ones(3, np.float32), 8).tolist() == [0, 0, 1, 1, 1, 0, 0, 0]
    long = np.concatenate([np.zeros(50), np.ones(10), np.zeros(80)]).astype(np.float32)
    assert windowed(long, 10).tolist() == [1.0] * 10
    assert len(windowed(np.zeros(50, np.float32), 10)) == 10


def test_flac_and_others_through_the_extra(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    for form in ("flac", "ogg"):
        soundfile.write(tmp_path / f"a.{form}", tone(), RATE)
        found = decode(tmp_path / f"a.{form}", RATE)
        assert np.corrcoef(found[:8000], tone())[0, 1] > 0.99


def test_the_extra_is_named_where_it_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    assert "flac, ogg and mp3 with the extra 'sound', which is not installed: pip install 'apptemplates[sound]'" in (
        reason_of(b"fLaC" + b"\0" * 100)
    )


def test_files_that_are_no_sounds_say_so(tmp_path):
    content = wav(tone())
    assert "this is no sound, it begins with b'hello wo'" in reason_of(b"hello world")
    assert "the file is empty" in reason_of(b"")
    assert "has no samples, it lasts 0 seconds" in reason_of(wav(np.zeros(0)))
    cut = content[: content.index(b"data") + 908]
    assert "its header promises 16,000 bytes of sound and 900 are there" in reason_of(cut)
    assert "its header is not complete" in reason_of(content[:30])
    assert "there is no such file" in reason_of(tmp_path / "gone.wav")
    assert "no file but a folder or a device" in reason_of(tmp_path)
    os.symlink(tmp_path / "gone", tmp_path / "link.wav")
    assert "this link leads nowhere" in reason_of(tmp_path / "link.wav")
    many = bytearray(content)
    many[content.index(b"fmt ") + 10 : content.index(b"fmt ") + 12] = struct.pack("<H", 999)
    assert "the header says 999 channels; 1 to 64 are expected" in reason_of(bytes(many))


def test_a_header_that_does_not_know_its_length():
    content = bytearray(wav(tone()))
    place = content.index(b"data") + 4
    for length in (0, 0xFFFFFFFF):
        content[place : place + 4] = struct.pack("<I", length)
        assert np.allclose(decode(bytes(content), RATE), tone(), atol=1e-4)
    content[place : place + 4] = struct.pack("<I", 8000)  # what follows is no sound
    assert len(decode(bytes(content), RATE)) == 4000


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "the sound is missing"),
        (3.0, "the sound is an array of shape ()"),
        ("", ": there is no such file"),
        (np.zeros((2, 2, 2)), "is an array of shape (2, 2, 2)"),
        (np.array(["a"]), "the sound is a ndarray"),
        (np.array([0.1, np.nan, np.inf]), "has 2 samples that are NaN or infinite"),
        (np.array([0.1, 1e6]), "has samples up to 1e+06; floats of about -1..1 are expected"),
        (np.array([0, 100_000]), "has values up to 100,000; 16 bits are expected"),
        ((tone(), 3), "the sound has 3 samples a second; 1,000 to 768,000 are expected"),
        (np.zeros((100, 90)), "has 90 channels; at most 64"),
    ],
)
def test_values_that_are_no_sounds_say_so(value, reason):
    assert reason in reason_of(value)


def test_silence_clipping_and_offset_are_sounds():
    assert not decode(np.zeros(100, np.float32), RATE).any()
    assert np.abs(decode(np.clip(5 * tone(), -1, 1), RATE)).max() == 1
    assert decode(tone() + 0.3, RATE).mean() == pytest.approx(0.3, abs=1e-3)


def test_cut_and_changed_files_are_read_or_refused_but_never_crash():
    random, content = np.random.default_rng(0), wav(tone(seconds=0.05))
    for _ in range(300):
        changed = bytearray(content[: random.integers(0, len(content))] if random.random() < 0.5 else content)
        for place in random.integers(0, max(1, min(len(changed), 60)), 3):
            if changed:
                changed[place] = random.integers(256)
        try:
            assert decode(bytes(changed), RATE, 800).shape == (800,)
        except Undecodable as reason:
            assert "\n" not in str(reason)


def test_many_sounds_and_what_is_wrong_with_some():
    found, problems = load([tone(), b"no", tone(seconds=2), None, tone(), wav(tone())], RATE, RATE)
    assert found.shape == (4, RATE)
    assert [bool(problem) for problem in problems] == [False, True, False, True, False, False]
    assert np.allclose(found[0], found[3], atol=1e-4)
    whole, problems = load(np.stack([tone(), tone()]), RATE, 8000)
    assert whole.shape == (2, 8000)
    assert not problems.any()


def test_a_second_of_sound_is_brought_to_another_rate_in_milliseconds():
    resampled(tone(44_100, 1.0), 44_100, RATE)
    start = time.perf_counter()
    for _ in range(5):
        resampled(tone(44_100, 1.0), 44_100, RATE)
    assert (time.perf_counter() - start) / 5 < 0.2


def test_real_recordings(real_data):
    pytest.importorskip("soundfile")
    some = sorted((real_data / "speech_commands" / "yes").iterdir())[:20]
    found, problems = load(some, RATE, RATE)
    assert not problems.any()
    assert found.shape == (20, RATE)
    assert sounds.decode(sorted((real_data / "spoken_digits" / "recordings").iterdir())[0], RATE).max() > 0.01
