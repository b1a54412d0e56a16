import time

import numpy as np
import pytest

from apptemplates.data.readers import read
from apptemplates.data.schema import DataError


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A TFDS folder with one small data set in two configurations, prepared by TFDS itself."""
    import tensorflow_datasets as tfds

    class TinyPayments(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        BUILDER_CONFIGS = (tfds.core.BuilderConfig(name="small"), tfds.core.BuilderConfig(name="large"))

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(
                    {
                        "amount": np.float32,
                        "shop": tfds.features.Text(),
                        "fraud": tfds.features.ClassLabel(names=["no", "yes"]),
                    }
                ),
            )

        def _split_generators(self, _):
            rows = {"small": 3, "large": 30}[self.builder_config.name]
            return {"train": self._generate_examples(rows), "test": self._generate_examples(2)}

        def _generate_examples(self, rows):
            for row in range(rows):
                yield row, {"amount": row + 0.5, "shop": f"shop {row}", "fraud": row % 2}

    folder = tmp_path_factory.mktemp("tfds")
    for config in ("small", "large"):
        TinyPayments(data_dir=folder, config=config).download_and_prepare()
    return folder


def error_of(source):
    with pytest.raises(DataError) as caught:
        read(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_prepared_data_set_is_read_by_name(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    table = read("tfds:tiny_payments/small:train")
    assert sorted(table["amount"].tolist()) == [0.5, 1.5, 2.5]
    assert set(table["shop"]) == {"shop 0", "shop 1", "shop 2"}
    assert table["fraud"].dtype == np.int64
    assert len(read("tfds:tiny_payments/large:1.0.0:train[:50%]+test")["amount"]) == 17


def test_a_split_that_is_not_there(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    assert "there is no split 'validation'; there are test, train" in error_of("tfds:tiny_payments/small:validation")
    assert "no split was named; there are test, train" in error_of("tfds:tiny_payments/small")
    assert "TFDS can not open it" in error_of("tfds:tiny_payments/small:9.9.9:train")


def test_what_is_not_on_this_machine_is_said_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    start = time.perf_counter()
    message = error_of("tfds:mnist:train")
    assert "there is no prepared data set in" in message
    assert "tfds.load('mnist')" in message
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / "other.zip").write_bytes(b"x")
    assert "none of its archives (t10k-images-idx3-ubyte.gz" in error_of("tfds:mnist:train")
    assert "TFDS knows no such data set" in error_of("tfds:no_such_data_set:train")
    assert "expected is 'tfds:name'" in error_of("tfds:")
    assert time.perf_counter() - start < 30


def test_a_stock_data_set_is_prepared_from_its_archive(real_data, tmp_path, monkeypatch):
    archive = real_data / "text" / "tinyshakespeare" / "input.txt"
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / "input.txt").write_bytes(archive.read_bytes())
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    table = read("tfds:tiny_shakespeare:validation")
    assert len(table["text"]) == 1
    assert len(table["text"][0]) == 55_770
