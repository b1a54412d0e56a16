"""What is special to TextGenerator: it writes as it reads, keeps to its limits, and refuses what is no text."""

import math

import numpy as np
import pytest

import apptemplates as at
from apptemplates.data import synthetic_text
from apptemplates.data.schema import DataError
from apptemplates.deploy import receipts
from apptemplates.evaluation import cost, randomised
from apptemplates.inference import text_generator as inference

EMOJI = "e\u0301 and 👩‍👩‍👧 and 🇫🇮"  # a combining mark, joined people, a flag of two signs


@pytest.fixture(scope="module")
def app():
    return at.TextGenerator(size="tiny", context=32, epochs=4, batch_size=32).fit(synthetic_text.stories(), verbose=0)


@pytest.fixture(autouse=True)
def few_answers_are_timed(monkeypatch):
    """A report times some seconds of answers, of hundreds of steps each; how long they take is not looked at here."""
    latency = cost.latency
    monkeypatch.setattr(cost, "latency", lambda answer, queries, **limits: latency(answer, queries, repeats=5))


def test_it_foresees_better_than_counted_ngrams_alone(app):
    report = app.evaluate(synthetic_text.stories(30, seed=1))
    nats, counted = report.metrics["nats a character"], report.baseline["metrics"]["nats a character"]
    assert nats.value < counted.value < 2 and "better by" in report.verdict[0]
    assert report.metrics["bits a character"].value == pytest.approx(nats.value / math.log(2))
    assert {"temperature", "sample", "distinct-2", "longest copied"} <= set(report.table)
    assert 0 < report.calibration["next token right"] < 1


def test_with_kept_keys_and_values_it_writes_what_it_writes_without(app):
    """Every step asks the whole network anew, from the same windows."""
    asked = []

    def anew(inputs):
        tokens = inputs["tokens"].copy()
        if int(inputs["place"][0]) == 0:
            asked.clear()
            asked.append(tokens[0])
        else:
            asked.append(tokens[0][-1:])
        whole = np.zeros((1, app._shape.before + app.context), np.int32)
        read = np.concatenate(asked)
        whole[0, : len(read)] = read
        logits = app._reads(None)(whole)[:, len(asked) - 1]
        network = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        share = app._foresight.share[inputs["matched"]][:, None]
        kept = {f"keep{block}": np.zeros((1, 1, 2 * 96), "float32") for block in range(3)}
        return {"chances": share * network + (1 - share) * inputs["counted"]} | kept

    table, _ = app.query.check("test", {"prompt": ["The fox "], "length": [150], "seed": [5]})
    inputs = app.prepare(table, app.state_)
    without = inference.respond(inputs, anew, app.state_.counts, app._coder, app._shape)
    assert without["text"][0] == app.generate("The fox ", length=150, seed=5)


def test_nats_step_by_step_are_those_of_whole_windows(app):
    texts = [story * 2 for story in synthetic_text.stories(3, seed=2)["text"]]  # longer than the context
    table, _ = app.query.check("test", {"prompt": [text[:7] for text in texts], "then": [text[7:] for text in texts]})
    inputs = app.prepare(table, app.state_)
    stepwise = inference.judge(inputs, app.call_, app.state_.counts, app._shape)
    np.testing.assert_allclose(stepwise, app._foresight.nats(inputs), rtol=1e-4)


def test_an_exported_form_is_judged_by_its_own_steps(app):
    few = {"text": synthetic_text.stories(2, seed=2)["text"]}
    judged = receipts.held_out(app, few)
    same = receipts.change(app, app.call_, judged)
    assert same["name"] == "nats a character" and same["lost"] < 1e-4
    blind = receipts.change(
        app, lambda inputs: app.call_(inputs | {"counted": np.full_like(inputs["counted"], 0)}), judged
    )
    assert blind["lost"] > 0.1 and blind["here"] == pytest.approx(blind["template"] + blind["lost"], abs=1e-4)
    drawn = receipts.samples(app, few)
    assert len(drawn["counted"]) == receipts.SAMPLES  # of some thousand steps


def test_the_same_seed_writes_the_same_also_beside_others_and_in_pieces(app):
    alone = app.generate("A child ", length=80, seed=3)
    beside = app.predict({"prompt": ["The", "A child ", ""], "length": [20, 80, 40], "seed": [1, 3, 4]})
    assert alone == beside["text"][1] == "".join(app.generate("A child ", length=80, seed=3, stream=True))
    assert alone != app.generate("A child ", length=80, seed=4)
    assert list(beside["text"].str.len()) == [20, 80, 40]


def test_it_never_goes_across_the_stop(app):
    whole = app.generate("The fox ", length=120, seed=1)
    stop = whole[40:44]
    cut = app.generate("The fox ", length=120, seed=1, stop=stop)
    assert cut == whole[: whole.find(stop)]
    pieces = list(app.generate("The fox ", length=120, seed=1, stop=stop, stream=True))
    assert "".join(pieces) == cut and len(pieces) > 10
    assert app.generate("The fox ", length=30, seed=1, stop="never met") == whole[:30]


def test_temperature_top_k_and_top_p_narrow_what_is_drawn(app):
    likeliest = app.generate("The ", length=60, temperature=0, seed=1)
    assert likeliest == app.generate("The ", length=60, top_k=1, seed=2) == app.generate("The ", 60, top_p=1e-6, seed=3)
    tame, wild = (app.predict({"prompt": [""] * 4, "temperature": [t] * 4, "seed": [1, 2, 3, 4]}) for t in (0.3, 2.0))
    assert tame["nats"].mean() < wild["nats"].mean()


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"temperature": -0.1}, "temperature"),
        ({"top_k": 0}, "top_k"),
        ({"top_p": 0.0}, "top_p"),
        ({"length": 0}, "length"),
        ({"seed": -1}, "seed"),
        ({"length": 2.5}, "length must be a whole number"),
        ({"top_k": 1.5}, "top_k must be a whole number"),
        ({"prompt": ["one", "two"]}, "prompt must be one text"),
    ],
)
def test_choices_out_of_range_are_refused_by_name(app, choice, says):
    with pytest.raises(DataError, match=says) as caught:
        app.generate(**choice)
    assert "\n" not in str(caught.value) and "TextGenerator" in str(caught.value)


def test_long_empty_and_strange_prompts_are_answered(app):
    long = "The fox found a lantern by the river. " * 400
    answers = app.predict({"prompt": [long, "", "ÿ☃ 👍", None], "length": [10] * 4})
    assert (answers["problem"] == "").all() and (answers["text"].str.len() == 10).all()
    assert answers["text"][0] == app.generate(long[-32:], length=10, seed=0)
    assert app.nats("☃☃") > 5 and math.isnan(app.nats("x")) and len(app.nats(["The fox", "a"])) == 2


def test_only_what_was_learned_is_written(app):
    known = set("".join(synthetic_text.stories()["text"]))
    assert set("".join(app.predict({"prompt": [""] * 3, "seed": [1, 2, 3], "temperature": [3.0] * 3})["text"])) <= known


@pytest.mark.parametrize("tokens", ["character", "byte pair"])
def test_emoji_and_combining_marks_of_a_file_come_back_as_they_were(tokens, tmp_path):
    line, book = f"Say {EMOJI} once more.\n", tmp_path / "book.txt"
    book.write_text(line * 120, encoding="utf-8")
    learned = at.TextGenerator(
        size="tiny", context=16, epochs=1, batch_size=8, tokens=tokens, vocabulary=400, learning_rate=0.01
    ).fit(book, verbose=0)
    assert learned._coder.decode(learned._coder.encode(line)) == line
    # many at a time are compiled already; a single one would first be brought to its fast form
    written = learned.predict({"prompt": [line], "length": [3 * len(line)], "temperature": [0]})["text"][0]
    assert "👩‍👩‍👧" in written


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"short", "at least"),
        (b"a" * 20_000, "one character only"),
        (b"fine\nna\xefve\n" * 50, "is not UTF-8"),
        (b"fine\0" * 50, "NUL"),
    ],
)
def test_what_can_not_be_learned_from_is_refused(app, tmp_path, content, says):
    file = tmp_path / "book.txt"
    file.write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        app.clone().fit(file, verbose=0)
    assert "\n" not in str(caught.value)


def test_no_text_can_not_be_judged(app):
    with pytest.raises(DataError, match="holds no character to be judged by"):
        app.evaluate({"text": [""]})


def test_choices_that_can_not_be_are_refused():
    for name, value in {"tokens": "words", "size": "huge", "context": 7, "vocabulary": 10, "dropout": 1.0}.items():
        with pytest.raises(ValueError, match=f"TextGenerator: {name} must be"):
            at.TextGenerator(**{name: value})


def test_it_goes_on_with_a_file_of_new_characters(app, tmp_path):
    before = app.nats("The fox found a lantern in the garden.")
    new, book = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.\n" * 60, tmp_path / "book.txt"
    book.write_text(new, encoding="utf-8")
    folder = app.save(tmp_path / "saved")
    assert not (folder / "network.keras").exists()  # the graph holds it
    again = at.load(folder).finetune(book, epochs=4, learning_rate=0.01, verbose=0)
    assert again.nats(new[:200]) < 1 < app.nats(new[:200])
    assert "ö" in again.predict({"prompt": ["Zw"], "length": [60], "temperature": [0]})["text"][0]
    assert again.nats("The fox found a lantern in the garden.") < before + 0.3  # what it knew is replayed
    assert app.nats("The fox found a lantern in the garden.") == pytest.approx(before)


def test_a_shared_folder_keeps_no_text_and_still_goes_on(app, tmp_path):
    app.save(tmp_path / "shared", share=True)
    shared = at.load(tmp_path / "shared")
    assert len(shared.state_.replay) == 0 and len(app.state_.replay) > 10_000
    assert shared.generate("The ", length=30, seed=1) == app.generate("The ", length=30, seed=1)
    shared.finetune(synthetic_text.stories(12, seed=5), epochs=1, verbose=0)
    assert shared.evaluate(synthetic_text.stories(5, seed=6)).notes["copied"].startswith("not known")


def test_the_explanation_names_the_tokens_that_moved_the_next_one(app):
    report = app.explain({"text": ["The fox found a lantern. Then the f", "The queen lost the k"]})
    assert list(report.table["next"]) == ["o", "e"]
    assert report.notes["deletion score"] < report.notes["deletion score of random orders"]
    assert len(report.figures) == 3 and randomised.NOTE in report.notes
