"""Text comes in whole, in pieces that stay on disk, and what is no text is refused with its place."""

import gzip
import tracemalloc

import numpy as np
import pytest

from apptemplates.data import batches, prose
from apptemplates.data.readers import read
from apptemplates.data.schema import DataError, Field, Schema
from apptemplates.inference.tokens import BOUNDARY, Characters

MIXED = "".join(f"line {n}: crème 👩‍👩‍👧 brûlée e\u0301\r\n" for n in range(2000))


def joined(column) -> str:
    return "".join(prose.texts(column))


def test_a_file_comes_back_exactly_in_pieces(tmp_path):
    file = tmp_path / "book.txt"
    file.write_bytes(b"\xef\xbb\xbf" + MIXED.encode())
    column = read(str(file), prose="text")["text"]
    assert len(column) > 5 and joined(column) == MIXED
    assert all(prose.text_of(piece).endswith("\n") for piece in column)
    assert set(prose.documents(column)) == {0}


def test_pieces_without_lines_end_between_characters(tmp_path):
    file = tmp_path / "emoji.md"
    file.write_text("x" + "👍" * 20_000)
    assert joined(read(file, prose="text")["text"]) == "x" + "👍" * 20_000


def test_a_folder_and_gzip(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "a.txt").write_text("first\n")
    (tmp_path / "b" / "c.txt.gz").write_bytes(gzip.compress(b"second\n"))
    column = read(tmp_path, prose="text")["text"]
    assert joined(column) == "first\nsecond\n" and prose.documents(column).tolist() == [0, 1]
    coder = Characters.learned(prose.texts(column))
    assert BOUNDARY in prose.stream(column, coder)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", r"notes.txt: the file is empty; text is expected, so fill it"),
        (b" \n\n", r"notes.txt: the file is empty"),
        (b"fine\nna\xefve latin-1\n", r"notes.txt: line 2 is not UTF-8 text; save the file as UTF-8"),
        (b"fine\n" * 9000 + b"\xff", r"notes.txt: line 9001 is not UTF-8 text"),
        (b"one\ntwo\0three\n", r"notes.txt: line 2 holds a NUL character; text is expected"),
        ("text".encode("utf-16"), r"notes.txt: this is UTF-16 text, it seems; save the file as UTF-8"),
    ],
)
def test_what_is_no_text_is_refused_with_its_place(tmp_path, content, says):
    file = tmp_path / "notes.txt"
    file.write_bytes(content)
    with pytest.raises(DataError, match=says):
        read(file, prose="text")


def test_a_file_that_is_gone_or_changed_says_so(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("some text\n")
    column = read(file, prose="text")["text"]
    file.write_text("other txt\n")
    with pytest.raises(DataError, match="has changed meanwhile"):
        joined(column)
    file.unlink()
    with pytest.raises(DataError, match="can not be read any more"):
        joined(column)


def test_a_large_file_is_streamed_in_bounded_memory(tmp_path):
    file = tmp_path / "large.txt"
    line = "the quick brown fox jumps over the lazy dog and back again.\n" * 1000
    with file.open("w") as stream:
        for _ in range(700):  # 42 MB; a larger file takes no more but for 200 bytes a piece
            stream.write(line)
    tracemalloc.start()
    column = read(file, prose="text")["text"]
    tokens = prose.stream(column, Characters.learned(prose.texts(column)))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(tokens) == file.stat().st_size and isinstance(tokens, np.memmap)
    assert most < 8e6


def test_of_one_text_stretches_are_held_out_and_of_many_whole_ones(tmp_path):
    file = tmp_path / "book.txt"
    file.write_text(MIXED, newline="")
    for column in (read(file, prose="text")["text"], np.array([MIXED], object)):
        first, second = prose.hold_out(column, 0.1, 0)
        assert sorted(joined(first) + joined(second)) == sorted(MIXED)
        assert all(prose.text_of(part) in MIXED for part in [*first, *second])
        assert 0.05 < len(joined(second)) / len(MIXED) < 0.15
    book = "".join(f"Line {n} tells of {n * n}.\n" for n in range(6000))
    first, second = prose.hold_out(np.array([book], object), 0.1, 0)
    cuts = sorted(book.find(part) for part in [*first, *second])
    whole = [book[begin:end] for begin, end in zip(cuts, [*cuts[1:], len(book)], strict=True)]
    assert len(second) == len(first) - 1 == 16 and sorted([*first, *second], key=book.find) == whole
    names = np.array([f"name{n}" for n in range(200)], object)
    first, second = prose.hold_out(names, 0.1, 0)
    assert len(second) == 20 and sorted([*first, *second]) == sorted(names)


def test_passages_keep_every_character_and_name_what_is_none():
    schema = Schema(text=Field("text", "passage"))
    kept = [" two  blanks ", "", "\n", "e\u0301👍🏽"]
    columns, problems = schema.check("T", {"text": kept}, rows="mark")
    assert columns["text"].tolist() == kept and not problems.any()
    _, problems = schema.check("T", {"text": [None, "a\0b", ["x"]]}, rows="mark")
    assert "'text' is missing" in problems[0] and "with NUL characters" in problems[1] and "unreadable" in problems[2]
    with pytest.raises(DataError, match="T: column 'text' has 1 value with NUL characters, in row 1"):
        schema.check("T", {"text": ["a", "a\0b"]})


def test_windows_cover_the_row_and_draw_anew():
    stream = np.arange(1, 101).astype(np.uint16)
    parts = list(batches.windows(stream, 10, 3, 4, training=False, seed=0))
    tokens, nexts = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
    assert tokens.shape == (10, 13) and set(nexts.ravel()) == set(range(2, 101))
    assert tokens[0, :3].tolist() == [0, 0, 0] and (tokens[:, 3:] + 1 == nexts).all()
    drawn = batches.windows(stream, 10, 3, 4, training=True, seed=0)
    assert int(drawn.cardinality()) == 2
    one, other = (np.concatenate([part[0] for part in drawn]) for _ in range(2))
    assert one.shape == (8, 13) and not np.array_equal(one, other)


def test_text_shorter_than_a_window_is_padded():
    ((tokens, nexts),) = batches.windows(np.array([5, 6, 7]), 8, 2, 4, training=True, seed=0)
    assert tokens.numpy()[0, 2:6].tolist() == [5, 6, 7, 0] and nexts.shape == (1, 8)


def test_lessons_of_a_short_text_are_many_small_batches_half_of_them_replayed():
    stream = np.arange(1, 401).astype(np.uint16)
    found = batches.lessons(stream, 10, 2, 64, seed=0)
    assert int(found.cardinality()) == 32 and next(iter(found))[0].shape == (8, 12)
    both = batches.lessons(stream, 10, 2, 64, seed=0, replay=stream + 1000)
    tokens = next(iter(both))[0].numpy()
    assert tokens.shape == (16, 12) and (tokens[:8, 2:] < 1000).all() and (tokens[8:, 2:] > 1000).all()
    assert next(iter(batches.lessons(stream, 10, 2, 64, seed=0, replay=stream[:20])))[0].shape == (8, 12)


def test_what_is_too_short_for_a_context_is_refused():
    prose.refuse_short("T: the text", 1000, "characters", 1000, 250)
    with pytest.raises(DataError) as caught:
        prose.refuse_short("T: the text", 999, "characters", 1000, 250)
    assert str(caught.value) == (
        "T: the text has 999 characters, at least 1,000 are needed with context=250; give more text, or choose a "
        "smaller context."
    )
