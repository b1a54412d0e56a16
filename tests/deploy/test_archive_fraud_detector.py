"""The real FraudDetector through its saved folder."""

import json
import os

import numpy as np
import pandas as pd
import pytest

import apptemplates as at
from apptemplates.deploy.arrays import read_arrays
from apptemplates.deploy.folder import ArchiveError


@pytest.fixture(scope="module")
def fitted():
    pytest.importorskip("keras")
    app, payments = at.FraudDetector.demo()
    earlier, later = app.split(payments)
    return app.set_params(epochs=2).fit(earlier, verbose=0), later


@pytest.fixture(scope="module")
def folder(fitted, tmp_path_factory):
    app, later = fitted
    place = tmp_path_factory.mktemp("fraud")
    pd.DataFrame(later).to_parquet(place / "later.parquet")
    app.save(place / "saved")
    return place / "saved"


def test_a_fresh_process_answers_the_same(fitted, folder, run_process):
    app, _ = fitted
    program = f"""
import apptemplates as at
app = at.load({str(folder)!r})
answers = app.predict({str(folder.parent / "later.parquet")!r})
answers.to_parquet({str(folder.parent / "answers.parquet")!r})
assert app.fast_ is not None and app.fast_.form == {app._fast().form!r}
"""
    done = run_process(program)
    assert done.returncode == 0, done.stderr
    there, here = pd.read_parquet(folder.parent / "answers.parquet"), app.predict(folder.parent / "later.parquet")
    np.testing.assert_allclose(there["probability"], here["probability"], atol=1e-6)
    assert (there["alarm"] == here["alarm"]).all() and (there["problem"] == here["problem"]).all()


def test_one_item_goes_through_litert(fitted):
    assert fitted[0]._fast().form == "litert"


def test_folder_says_what_it_is(fitted, folder):
    content = json.loads((folder / "template.json").read_text())
    assert content["class"] == "FraudDetector" and content["parameters"]["entities"] == ["card", "terminal"]
    assert content["versions"]["keras"] and content["learned"]["seed"] == 0
    card = (folder / "README.md").read_text()
    assert "Not for" in card and "Made again by: `FraudDetector` with these choices, and `fit` on those records" in card


def test_share_holds_no_record(fitted, folder, tmp_path):
    app, later = fitted
    app.save(tmp_path / "shared", share=True)
    cards = set(later["card"].tolist()) | set(later["terminal"].tolist())

    def held(place):
        words, texts = set(), b""
        for name in ("state.npz", "golden.npz"):
            for column in read_arrays(place / name).values():
                words |= set(column.ravel().tolist()) if column.dtype == object else set()
                texts += column.tobytes() if column.dtype == np.uint8 else b""
        return words & cards | {card for card in cards if f'"{card}"'.encode() in texts}

    assert held(folder)
    assert not held(tmp_path / "shared")
    assert len(at.load(tmp_path / "shared").predict(later)) == len(later["card"])


def test_a_damaged_history_is_one_sentence(folder):
    content = (folder / "state.npz").read_bytes()
    try:
        (folder / "state.npz").write_bytes(content[: len(content) // 2])
        with pytest.raises(ArchiveError, match=r"^load: .*'state.npz' is refused: it can not be opened as a zip .*\.$"):
            at.load(folder)
        os.unlink(folder / "state.npz")
        with pytest.raises(ArchiveError, match=r"'state\.npz' is missing"):
            at.load(folder)
    finally:
        (folder / "state.npz").write_bytes(content)


def test_saved_model_of_the_real_graph(fitted, tmp_path):
    app, _ = fitted
    app.export(tmp_path / "served")
    assert (tmp_path / "served" / "saved_model.pb").exists()
