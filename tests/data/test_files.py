import gzip
import random

import numpy as np
import pandas as pd
import pytest

from apptemplates.data.readers import read
from apptemplates.data.schema import DataError


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / name

    return write


def error_of(source, **more):
    with pytest.raises(DataError) as caught:
        read(source, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet"])
def test_one_table_from_every_file(tmp_path, form, zipped):
    frame = pd.DataFrame(
        {"amount": [1.5, None, 3], "n": [1, 2, 3], "shop": ["a", None, "c, d"], "day": ["2020-01-01"] * 3}
    )
    path = tmp_path / f"payments.{form}"
    if form == "parquet":
        frame.to_parquet(path)
    elif form == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False, sep="\t" if form == "tsv" else ",")
    if zipped:
        path = tmp_path / f"payments.{form}.gz"
        path.write_bytes(gzip.compress((tmp_path / f"payments.{form}").read_bytes()))
    for source in (path, str(path)):
        table = read(source)
        assert list(table) == ["amount", "n", "shop", "day"]
        np.testing.assert_array_equal(table["amount"], [1.5, np.nan, 3])
        assert table["n"].dtype == np.int64
        assert table["shop"].tolist() == ["a", None, "c, d"]
        assert table["day"].tolist() == ["2020-01-01"] * 3


def test_words_for_nothing_are_missing_and_blanks_around_values_are_not_part_of_them(write):
    table = read(write("a.csv", "a,b,c\n1, x ,None\n?,,NA\n , ?,N/A\n"))
    np.testing.assert_array_equal(table["a"], [1, np.nan, np.nan])
    assert table["b"].tolist() == ["x", None, None]
    assert table["c"].tolist() == ["None", None, None]


def test_codes_stay_what_they_are(write):
    table = read(write("a.csv", "zip,card,diagnosis\n00742,1234567890123456789,250.83\n10115,3,V27\n"))
    assert table["zip"].tolist() == ["00742", "10115"]
    assert table["card"].tolist() == ["1234567890123456789", "3"]
    assert table["diagnosis"].tolist() == ["250.83", "V27"]


def test_quotes_line_ends_and_a_byte_order_mark(write):
    table = read(write("a.csv", b'\xef\xbb\xbfa,b\r\n1,"hello, ""x""\nline2"\r\n2,y\r\n'))
    assert table["a"].tolist() == [1, 2]
    assert table["b"].tolist() == ['hello, "x"\nline2', "y"]


def test_a_file_without_a_header_needs_names(write):
    path = write("a.csv", "39,State-gov,77516,13\n50,Private,83311,13\n")
    message = error_of(path)
    assert "the first line (39,State-gov,77516,13 ...) looks like a row of data" in message
    assert "names=[...]" in message
    table = read(path, names=["age", "work", "weight", "years"])
    assert table["age"].tolist() == [39, 50]
    assert "names= has 2 names but the first line 4 values" in error_of(path, names=["a", "b"])


def test_years_may_be_column_names(write):
    assert list(read(write("a.csv", "country,2019,2020\nx,3,4\n"))) == ["country", "2019", "2020"]


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.csv", "", "the file is empty; a table with at least one row is expected"),
        ("a.csv", " \n\n", "the file is empty"),
        ("a.csv", "a,b\n", "there are no rows"),
        ("a.csv", "a;b\n1;2\n", "there is one column, named 'a;b', separated by ';' it seems; a .csv file must be"),
        ("a.csv", "a\tb\n1\t2\n", "separated by '\\t' it seems"),
        ("a.csv", "a|b\n1|2\n", "separated by '|' it seems"),
        ("a.tsv", "a,b\n1,2\n", "separated by ',' it seems; a .tsv file must be separated by '\\t'"),
        ("a.csv", "a,b,a\n1,2,3\n", "column 'a' is there twice (columns 0 and 2); rename or leave out one"),
        ("a.csv", "a,b\n1,2\n1,2,3\n4\n", "line 3 has 3 values but the first line has 2 (and 1 lines more): '1,2,3'"),
        ("a.csv", "a,b\n1,2\n4\n", "line 3 has 1 value but the first line has 2: '4'"),
        ("a.csv", b"a,b\n1,\xe9\n", "line 2 is not UTF-8 text; save the file as UTF-8"),
        ("a.csv.gz", b"abc", "this is no complete gzip file"),
        ("a.csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0)[:-5], "this is no complete gzip file"),
        ("a.parquet", b"PAR1 nonsense", "this is no complete parquet file"),
        ("a.csv", "a" * 200_000 + ",b\n1,2\n", "the first line is no row of column names (field larger than"),
        ("a.jsonl", '{"a": 1}\n{"a": \n', "line 2 is not JSON"),
        ("a.jsonl", "[1]\n", "line 1 is a list; every line must be one object"),
        (
            "a.xlsx",
            "x",
            "the ending '.xlsx' is not known; known are .csv, .tsv, .parquet, .jsonl, .txt (each also .gz).",
        ),
        ("a", "x", "the ending '' is not known"),
    ],
)
def test_files_that_are_no_table(write, name, content, part):
    path = write(name, content)
    message = error_of(path)
    assert message.startswith(str(path))
    assert part in message


def test_a_missing_file_names_its_neighbours(write, tmp_path):
    write("payments_2024.csv", "a\n1\n")
    assert error_of(tmp_path / "payments.csv").endswith("there is no such file; beside it are payments_2024.csv.")
    assert "there is no such file; check the path." in error_of(tmp_path / "no folder" / "x.csv")


def test_a_folder_where_a_file_is_due(write, tmp_path):
    assert "this is a folder; one file is expected, ending in" in error_of(tmp_path)
    write("payments.csv", "a\n1\n")
    assert "this is a folder; one file is expected, such as 'payments.csv' in it." in error_of(tmp_path)


DAMAGE = random.Random(0)


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet"])
def test_damaged_files_are_read_or_refused_but_never_crash(tmp_path, form):
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", 'y, "z"'], "c": ["2020-01-01", None]})
    path = tmp_path / f"payments.{form}"
    {
        "csv": frame.to_csv,
        "tsv": lambda path: frame.to_csv(path, sep="\t"),
        "jsonl": lambda path: frame.to_json(path, orient="records", lines=True),
        "parquet": frame.to_parquet,
    }[form](path)
    whole = path.read_bytes()
    for _ in range(200):
        content = bytearray(whole)
        for _ in range(DAMAGE.randint(1, 6)):
            place = DAMAGE.randrange(len(content) + 1)
            content[place : place + DAMAGE.randint(0, 2)] = DAMAGE.choice(
                [b"", b'"', b"\n", b"\0", b",", b"\xff", b"{"]
            )
        path.write_bytes(content)
        try:
            read(path)
        except DataError as error:
            assert "\n" not in str(error)
