"""A pretrained model of KerasHub, here a tiny one made up on the spot, learns a text and is saved like any other."""

import numpy as np
import pytest

import apptemplates as at
from apptemplates.data import synthetic_text
from apptemplates.inference import text_generator as inference
from apptemplates.layers import pretrained_text

hub = pytest.importorskip("keras_hub")


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A folder as KerasHub keeps a model: GPT-2 with two blocks, bytes and three merges."""
    from apptemplates.inference.tokens import byte_alphabet

    letters = [*byte_alphabet(), "th", "the", "Ġa"]
    coder = hub.models.GPT2Tokenizer(
        vocabulary={piece: place for place, piece in enumerate([*letters, "<|endoftext|>"])},
        merges=["t h", "th e", "Ġ a"],
    )
    backbone = hub.models.GPT2Backbone(
        vocabulary_size=len(letters) + 1, num_layers=2, num_heads=2, hidden_dim=16, intermediate_dim=32,
        max_sequence_length=64,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("preset") / "tiny"
    prepared = hub.models.GPT2CausalLMPreprocessor(coder, sequence_length=32)
    hub.models.GPT2CausalLM(backbone=backbone, preprocessor=prepared).save_to_preset(str(folder))
    return folder, coder


def test_a_preset_is_tuned_saved_and_writes_with_what_it_keeps(preset, tmp_path):
    folder, coder = preset
    stories = synthetic_text.stories(120)
    app = at.TextGenerator(preset=str(folder), context=32, epochs=1, batch_size=16, learning_rate=1e-3)
    app.fit(stories, verbose=0)
    line = stories["text"][0]
    assert (app._coder.encode(line) - 2).tolist() == np.asarray(coder(line)).tolist()
    learned = {weight.path for weight in app.network_.trainable_weights}
    assert any("lora_kernel_a" in path for path in learned)
    assert all("self_attention/query" in path or "self_attention/value" in path for path in learned)
    table, _ = app.query.check("test", {"prompt": [line[:5]], "then": [line[5:]]})
    inputs = app.prepare(table, app.state_)
    stepwise = inference.judge(inputs, app.call_, app.state_.counts, app._shape)
    np.testing.assert_allclose(stepwise, app._foresight.nats(inputs), rtol=1e-3)
    text = app.generate("The ", length=40, seed=1)
    again = at.load(app.save(tmp_path / "saved"))
    assert again.generate("The ", length=40, seed=1) == text
    before = again.nats(line)
    again.finetune(stories, epochs=1, learning_rate=1e-3, verbose=0)
    assert again.nats(line) != before


def test_what_is_no_preset_is_refused(preset):
    app = at.TextGenerator(preset="/nowhere/at/all", context=32)
    with pytest.raises(ValueError, match="preset '/nowhere/at/all' could not be loaded") as caught:
        app.fit(synthetic_text.stories(120), verbose=0)
    assert "\n" not in str(caught.value)


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "keras_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'apptemplates\[hub\]'"):
        pretrained_text.imported_hub()
