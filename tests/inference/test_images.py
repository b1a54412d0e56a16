"""Pictures: every form of one gives the same array, and what is none says so."""

import io
import os
import struct
import time
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from apptemplates.inference import images
from apptemplates.inference.images import Undecodable, decode, load

SIZE = (24, 32)


def drawn(mode="RGB", size=SIZE):
    """A smooth picture with a dark corner at the top left and a bright one at the bottom right."""
    down, across = np.mgrid[0 : size[0], 0 : size[1]] / np.array(size)[:, None, None]
    grey = 20 + 200 * (down + across) / 2
    colour = np.stack([grey, np.flip(grey, 0), 250 - grey], -1)
    return Image.fromarray((colour if mode == "RGB" else grey).astype(np.uint8))


def encoded(picture, form, **options):
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def reason_of(value, size=SIZE, channels=3):
    with pytest.raises(Undecodable) as caught:
        decode(value, size, channels)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_files_bytes_arrays_and_pil_images_of_one_picture_are_one_array(tmp_path):
    picture = drawn()
    pixels = np.asarray(picture)
    path = tmp_path / "a.png"
    picture.save(path)
    values = [path, str(path), path.read_bytes(), pixels, pixels / 255.0, pixels.astype("float32"),
              pixels.astype(np.uint16) * 257, pixels.astype(int), pixels.tolist(), picture]  # fmt: skip
    for value in values:
        np.testing.assert_array_equal(decode(value, SIZE, 3), pixels)
    grey = decode(path, SIZE, 1)
    assert grey.shape == (*SIZE, 1) and grey.dtype == np.uint8
    np.testing.assert_array_equal(grey[..., 0], np.asarray(picture.convert("L")))
    np.testing.assert_array_equal(decode(grey, SIZE, 3), np.repeat(grey, 3, axis=2))
    np.testing.assert_array_equal(decode(grey[..., 0] > 99, SIZE, 1), (grey > 99) * np.uint8(255))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "PPM", "TIFF", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_form_of_file(form, mode):
    picture = drawn(mode)
    options = {"quality": 98} if form in ("JPEG", "WEBP") else {}
    found = decode(encoded(picture, form, **options), SIZE, 3).astype(float)
    off = 14 if form == "GIF" and mode == "RGB" else 4
    assert np.abs(found - np.asarray(picture.convert("RGB"))).mean() < off


@pytest.mark.parametrize("plain", [False, True])
def test_16_bits_are_brought_to_8_by_their_full_range(plain):
    grey = np.asarray(drawn("L"))
    picture = Image.fromarray(grey.astype(np.uint16) * 257)
    files = [b"P2 32 24 65535 " + b" ".join(b"%d" % (257 * int(v)) for v in grey.ravel())] if plain else [
        encoded(picture, "PNG"), encoded(picture, "PPM"), encoded(picture, "TIFF"),
    ]  # fmt: skip
    for file in files:
        np.testing.assert_array_equal(decode(file, SIZE, 1)[..., 0], grey)


def test_palette_transparent_and_cmyk_pictures():
    picture = drawn()
    few = picture.quantize(16)
    np.testing.assert_array_equal(decode(encoded(few, "PNG"), SIZE, 3), np.asarray(few.convert("RGB")))
    clear = picture.convert("RGBA")
    clear.paste((10, 10, 10, 0), (0, 0, 5, 5))
    clear.paste((0, 0, 0, 51), (5, 0, 10, 5))
    found = decode(encoded(clear, "PNG"), SIZE, 3)
    assert (found[:5, :5] == 255).all() and (found[:5, 5:10] == 204).all()
    np.testing.assert_array_equal(found[6:], np.asarray(picture)[6:])
    grey = decode(np.asarray(clear), SIZE, 1)
    assert (grey[:5, :5] == 255).all()
    marked = encoded(few, "GIF", transparency=int(np.asarray(few)[0, 0]))
    assert (decode(marked, SIZE, 3)[0, 0] == 255).all()
    ink = decode(encoded(picture.convert("CMYK"), "JPEG", quality=98), SIZE, 3).astype(int)
    assert np.abs(ink - np.asarray(picture)).mean() < 4


def test_float_tiff():
    grey = np.asarray(drawn("L")) / np.float32(255)
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(grey), "TIFF"), SIZE, 1)[..., 0], drawn("L"))
    grey[3, 4] = np.nan
    assert "has 1 values that are NaN or infinite" in reason_of(encoded(Image.fromarray(grey), "TIFF"))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_orientation_is_honoured(form, turn):
    upright = drawn("RGB")
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that a camera held so has made
    picture = upright if turn == 1 else upright.transpose(Image.Transpose(undo[turn]))
    exif = Image.Exif()
    exif[0x0112] = turn
    options = {"quality": 98} if form in ("JPEG", "WEBP") else {}
    found = decode(encoded(picture, form, exif=exif, **options), SIZE, 3, "stretch").astype(int)
    assert np.abs(found - np.asarray(upright)).mean() < 4


def test_exif_data_that_can_not_be_read_do_no_harm():
    found = decode(encoded(drawn(), "PNG", exif=b"Exif\0\0nonsense"), SIZE, 3)
    np.testing.assert_array_equal(found, np.asarray(drawn()))


def test_the_first_picture_of_a_film():
    film = encoded(drawn("L"), "GIF", save_all=True, append_images=[Image.new("L", (32, 24), 255)])
    np.testing.assert_array_equal(decode(film, SIZE, 1)[..., 0], drawn("L"))


def test_pad_keeps_everything_crop_the_proportions_stretch_neither():
    wide = np.full((10, 40), 100, np.uint8)
    wide[:, :10], wide[:, 30:] = 0, 200
    padded = decode(wide, (20, 20), 1, "pad")[..., 0]
    assert (padded[8:12, 7:13] == 100).all() and padded[10, 0] == 0 and padded[10, -1] == 200
    assert (padded[:7] == padded[0, 0]).all() and (padded[14:] == padded[0, 0]).all()
    assert abs(int(padded[0, 0]) - 100) <= 1  # the mean of the edge
    cropped = decode(wide, (20, 20), 1, "crop")[..., 0]
    assert (cropped == 100).mean() > 0.8
    stretched = decode(wide, (20, 20), 1, "stretch")[..., 0]
    assert (stretched[:, 0] == 0).all() and (stretched[:, -1] == 200).all() and (stretched[:, 9] == 100).all()
    tall = decode(wide.T, (20, 20), 1, "pad")[..., 0]
    np.testing.assert_array_equal(tall, padded.T)
    with pytest.raises(ValueError, match="fit 'pad', 'stretch' or 'crop'"):
        decode(wide, (20, 20), 1, "squeeze")


def test_one_pixel_and_twenty_thousand():
    assert (decode(np.full((1, 1), 77, np.uint8), (8, 8), 3) == 77).all()
    assert (decode(encoded(Image.new("L", (1, 1), 77), "PNG"), (8, 8), 1) == 77).all()
    for form in ("PNG", "JPEG", "BMP"):
        long = encoded(Image.new("L", (20_000, 100), 77), form)
        found = decode(long, (32, 32), 1)
        assert (found == 77).all()
    assert decode(encoded(Image.new("L", (20_000, 1), 77), "PNG"), (32, 32), 1).shape == (32, 32, 1)


def test_a_huge_jpeg_is_reduced_while_decoding_and_other_huge_pictures_are_refused_from_their_header():
    with io.BytesIO() as stream:
        Image.new("L", (20_000, 20_000), 77).save(stream, "JPEG", quality=10)
        jpeg = stream.getvalue()
    assert np.abs(decode(jpeg, (32, 32), 1).astype(int) - 77).max() <= 1
    bomb = b"\x89PNG\r\n\x1a\n" + encoded(Image.new("1", (20_000, 20_000)), "PNG")[8:2000]
    tracemalloc.start()
    begin = time.perf_counter()
    message = reason_of(bomb)
    assert "has 400,000,000 pixels; at most 200,000,000 are read: make it smaller" in message
    assert tracemalloc.get_traced_memory()[1] < 2**20 and time.perf_counter() - begin < 1
    tracemalloc.stop()
    bmp = struct.pack("<2s3IIiiHH24x", b"BM", 0, 0, 54, 40, 60_000, 60_000, 1, 24)
    assert "has 3,600,000,000 pixels; at most" in reason_of(bmp)
    assert "pixels; at most 200,000,000" in reason_of(b"P5 60000 60000 255 ")
    assert "pixels; at most" in reason_of(np.broadcast_to(np.uint8(1), (30_000, 30_000)))


def test_what_is_no_picture_says_so_by_name(tmp_path):
    picture = encoded(drawn(), "PNG")
    files = {
        "zero.png": (b"", "the file is empty; copy or make it again"),
        "notes.png": (b"dear reader", "this is no picture, it begins with b'dear rea'; png, jpeg"),
        "cut.png": (picture[: len(picture) // 2], "the picture is damaged or cut short (image file is truncated"),
        "cut.jpg": (encoded(drawn(), "JPEG")[:700], "the picture is damaged or cut short (image file is truncated"),
        "cut.gif": (encoded(drawn("L"), "GIF")[:-200], "the picture is damaged or cut short"),
        "cut.bmp": (encoded(drawn(), "BMP")[:-200], "the picture is damaged or cut short"),
        "bad.png": (picture[:60] + b"12345678" + picture[68:], "the picture is damaged or cut short"),
        "page.png": (b"<html>not found</html>", "this is no picture, it begins with b'<html>no'"),
    }
    for name, (content, part) in files.items():
        (tmp_path / name).write_bytes(content)
        message = reason_of(tmp_path / name)
        assert message.startswith(f"{tmp_path / name}: ") and part in message
    assert "there is no such file; check the path" in reason_of(tmp_path / "gone.png")
    assert "this is no file but a folder" in reason_of(tmp_path)
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    assert "this link leads nowhere" in reason_of(tmp_path / "link.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert "this is no file but a folder or a device" in reason_of(tmp_path / "pipe.png")
    assert "can not be read" in reason_of("a\0b")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_file(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(drawn(), "PNG"))
    path.chmod(0)
    assert "can not be read (Permission denied)" in reason_of(path)


def test_an_unreadable_file_names_the_reason(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(drawn(), "PNG"))

    def refuse(*arguments, **more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    assert "a.png: the file can not be read (Permission denied); check its permissions" in reason_of(path)


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (np.full((4, 4), np.nan), "has 16 values that are NaN or infinite; every pixel must have a value"),
        (np.array([[0.5, np.inf]]), "has 1 values that are NaN or infinite"),
        (np.array([[-1.0, 1.0]]), "has values from -1 to 1; 0..1 or 0..255 is expected"),
        (np.array([[0.0, 4000.0]]), "has values from 0 to 4000; 0..1 or 0..255 is expected"),
        (np.array([[0, 4000]]), "has values from 0 to 4000; 0..255, or any of uint16 is expected"),
        (np.zeros((3, 8, 8)), "is an array of shape (3, 8, 8); (height, width) or (height, width, 1, 3 or 4)"),
        (np.zeros((0, 8)), "is an array of shape (0, 8)"),
        (np.zeros(8), "is an array of shape (8,)"),
        (7, "is an array of shape ()"),
        (None, "the picture is missing; a path, the bytes of a file"),
        (float("nan"), "the picture is missing"),
        ({"a": 1}, "the picture is a dict; a path"),
        ([[1], [1, 2]], "the picture is a list"),
    ],
)
def test_arrays_that_are_no_picture(value, part):
    assert part in reason_of(value)


def test_damaged_files_of_every_form_raise_nothing_else():
    rng = np.random.default_rng(0)
    picture = drawn()
    good = [encoded(picture, form) for form in ("PNG", "JPEG", "GIF", "BMP", "PPM", "WEBP")]
    decoded = 0
    for number in range(1500):
        file = bytearray(good[number % len(good)])
        if number % 4:
            for place in rng.integers(8, min(len(file), 200), 3):
                file[place] = rng.integers(256)
        else:
            file = file[: rng.integers(1, len(file))]
        try:
            decoded += decode(bytes(file), (8, 8), 3).shape == (8, 8, 3)
        except Undecodable as reason:
            assert "\n" not in str(reason)
    assert 0 < decoded < 1500


def test_many_pictures_at_once_keep_their_order_and_say_which_can_not_be_read(tmp_path):
    values = [np.full((9, 9), number, np.uint8) for number in range(200)]
    for number in range(0, 200, 3):
        values[number] = encoded(Image.fromarray(values[number]), "PNG")
    for number in (0, 70, 71, 199):
        values[number] = b"" if number else None
    found, problems = load(values, (9, 9), 1, workers=3)
    good = [number for number in range(200) if number not in (0, 70, 71, 199)]
    assert np.flatnonzero(problems != "").tolist() == [0, 70, 71, 199]
    assert problems[70] == "the picture: the file is empty; copy or make it again." and problems.dtype == object
    assert found.shape == (196, 9, 9, 1) and found[:, 4, 4, 0].tolist() == good
    alone = np.concatenate([load([values[number]], (9, 9), 1)[0] for number in good[:10]])
    np.testing.assert_array_equal(alone, found[:10])
    nothing, problems = load([None, b"x"], (9, 9), 1)
    assert nothing.shape == (0, 9, 9, 1) and (problems != "").all()


def test_arrays_of_the_right_size_are_taken_as_they_are():
    whole = np.random.default_rng(0).integers(0, 256, (50, 8, 8), dtype=np.uint8)
    found, problems = load(whole, (8, 8), 1)
    np.testing.assert_array_equal(found[..., 0], whole)
    assert (problems == "").all() and np.shares_memory(found, whole)
    colour, _ = load(whole, (8, 8), 3)
    np.testing.assert_array_equal(colour, np.repeat(whole[..., None], 3, axis=3))
    small, _ = load(whole / 255.0, (4, 4), 1)
    np.testing.assert_array_equal(small, load(whole, (4, 4), 1)[0])


def test_very_many_pictures_go_to_a_temporary_file(monkeypatch):
    monkeypatch.setattr(images, "IN_MEMORY", 1000)
    values = [np.full((9, 9), number, np.uint8) for number in range(100)]
    found, _ = load(values, (9, 9), 1)
    assert isinstance(found, np.memmap) and found[:, 0, 0, 0].tolist() == list(range(100))
